//! How many workers there are: by environment and affinity, and of pools in jobs.

#![cfg(target_os = "linux")]

use std::process::Command;

use procession::{ErrorKind, Pool, job, process_job, spawn};
use procession_tests::{Story, begin};

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

/// How deep pools can be nested below this one, and what is said beyond.
#[process_job]
fn nests() -> (u32, String) {
    match Pool::new(1) {
        Ok(pool) => {
            let (depth, words) = pool.submit(job!(nests), ()).unwrap().join().unwrap();
            (depth + 1, words)
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Start);
            let of_process = spawn!(pid()).map(drop).unwrap_err();
            assert_eq!(of_process.to_string(), error.to_string());
            (0, error.to_string())
        }
    }
}

#[test]
fn pools_in_jobs_work_down_to_the_fourth_and_beyond_is_a_clear_error() {
    let _test = begin();
    let (depth, words) = Pool::new(1)
        .unwrap()
        .submit(job!(nests), ())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(depth + 1, 4, "with the one here");
    assert_eq!(
        words,
        "failed to start the supervisor process: pools inside jobs may be nested 4 deep and this would be one more: \
         make the pool in the program and give it all the work"
    );
}

fn workers_of(command: &mut Command) -> String {
    Story::of(command.env_remove("RUST_BACKTRACE")).success()
}

#[test]
fn the_number_of_workers_can_be_set_in_the_environment() {
    let _test = begin();
    let with = |value: &str| {
        workers_of(
            Command::new(env!("CARGO_BIN_EXE_asks"))
                .arg("workers")
                .env("PROCESSION_WORKERS", value),
        )
    };
    assert_eq!(with("3"), "built: 3\nmapped: true\n");
    assert_eq!(with(" 5 "), "built: 5\nmapped: true\n");
    let both =
        |words: &str| format!("built: InvalidInput: {words}\nmapped: InvalidInput: {words}\n");
    assert_eq!(
        with("0"),
        both("PROCESSION_WORKERS needs 1 to 1024 workers, not 0")
    );
    assert_eq!(
        with("1025"),
        both("PROCESSION_WORKERS needs 1 to 1024 workers, not 1025")
    );
    for garbage in ["", "two", "-1", "1.5"] {
        let words =
            format!("PROCESSION_WORKERS is {garbage:?}: give it a number of workers, or unset it");
        assert_eq!(with(garbage), both(&words));
    }
}

#[test]
fn the_number_of_workers_respects_affinity() {
    let _test = begin();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap()
        .trim();
    let first = allowed.split([',', '-']).next().unwrap();
    if Command::new("taskset").arg("--version").output().is_err() {
        return eprintln!("LEFT OUT: there is no `taskset` here");
    }
    let asks = env!("CARGO_BIN_EXE_asks");
    let output = workers_of(
        Command::new("taskset")
            .args(["-c", first, asks, "workers"])
            .env_remove("PROCESSION_WORKERS"),
    );
    assert_eq!(output, "built: 1\nmapped: true\n");
}
