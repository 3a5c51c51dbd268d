//! One job in a process of its own.

#![cfg(target_os = "linux")]

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use procession::{JobError, Process, process_job, spawn};
use procession_tests::{Tally, begin, processes, wait_for};

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

#[process_job]
fn after_millis(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn counted_then_sleeps(path: PathBuf) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_secs(100));
}

#[process_job]
fn counted_then_dies(path: PathBuf) {
    Tally::count(&path);
    std::process::abort();
}

#[process_job(retries = 2)]
fn tried_thrice(path: PathBuf) -> u64 {
    Tally::count(&path);
    let runs = std::fs::metadata(&path).unwrap().len();
    if runs < 3 {
        std::process::abort();
    }
    runs
}

#[process_job(timeout = "200ms")]
fn too_slow() {
    std::thread::sleep(Duration::from_secs(100));
}

#[process_job]
fn exits(code: i32) {
    std::process::exit(code);
}

#[process_job]
fn panics() {
    panic!("on purpose");
}

#[process_job]
fn zeros(len: usize) -> Vec<u8> {
    vec![0; len]
}

#[process_job]
fn length(text: &str) -> usize {
    text.len()
}

fn sleeper() -> Process<()> {
    let tally = Tally::new();
    let process = spawn!(counted_then_sleeps(tally.path())).unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    process
}

#[test]
fn the_result_comes_back() {
    let _test = begin();
    assert_eq!(spawn!(add(1, 2)).unwrap().join().unwrap(), 3);
    assert_eq!(
        spawn!(zeros(10 << 20)).unwrap().join().unwrap().len(),
        10 << 20
    );
    let text = "x".repeat(10 << 20);
    assert_eq!(spawn!(length(&text)).unwrap().join().unwrap(), 10 << 20);
}

#[test]
fn it_runs_in_the_process_that_its_pid_names() {
    let _test = begin();
    let process = spawn!(pid()).unwrap();
    let number = process.pid();
    assert_ne!(number, std::process::id());
    assert_eq!(process.join().unwrap(), number);
}

#[test]
fn it_lives_until_it_has_ended() {
    let _test = begin();
    let mut process = spawn!(after_millis(200)).unwrap();
    assert!(process.is_alive() && processes::is_alive(process.pid()));
    assert_eq!(process.exit_status(), None);
    assert_eq!(
        process.join_timeout(Duration::from_millis(5)).unwrap(),
        None
    );
    assert_eq!(
        process.join_timeout(Duration::from_secs(30)).unwrap(),
        Some(200)
    );
    assert!(!process.is_alive() && !processes::is_alive(process.pid()));
    assert!(process.exit_status().unwrap().success());
    assert!(matches!(
        process.join_timeout(Duration::ZERO),
        Err(JobError::Lost { .. })
    ));
    assert!(matches!(process.join(), Err(JobError::Lost { .. })));
}

#[test]
fn when_join_returns_no_process_is_there() {
    let _test = begin();
    for round in 0..50 {
        let process = spawn!(add(round, 1)).unwrap();
        let pid = process.pid();
        assert_eq!(process.join().unwrap(), round + 1);
        assert!(
            processes::parent_of(pid).is_none(),
            "neither running nor waiting to be reaped"
        );
    }
}

#[test]
fn the_exit_status_is_the_true_one() {
    let _test = begin();
    let end = |mut process: Process<()>| {
        let error = process.join_timeout(Duration::from_secs(30)).unwrap_err();
        (error, process.exit_status().unwrap())
    };
    let (error, status) = end(spawn!(exits(7)).unwrap());
    assert_eq!(
        (error, status.code()),
        (JobError::Exited { code: 7 }, Some(7))
    );
    let (error, status) = end(spawn!(exits(0)).unwrap());
    assert_eq!(
        (error, status.code()),
        (JobError::Exited { code: 0 }, Some(0))
    );
    let (error, status) = end(spawn!(panics()).unwrap());
    assert!(matches!(error, JobError::Panicked { .. }));
    assert!(!status.success(), "as a program whose main panicked");
    let tally = Tally::new();
    let (error, status) = end(spawn!(counted_then_dies(tally.path())).unwrap());
    assert!(matches!(error, JobError::Killed { signal: 6, .. }));
    assert_eq!((status.signal(), tally.runs()), (Some(6), 1));
}

#[test]
fn terminate_sends_sigterm_and_kill_sigkill() {
    let _test = begin();
    let process = sleeper();
    process.terminate().unwrap();
    wait_for("its end", || !process.is_alive());
    assert_eq!(
        process.exit_status().unwrap().signal(),
        Some(Signal::SIGTERM as i32)
    );
    assert_eq!(
        process.join(),
        Err(JobError::Killed {
            signal: 15,
            last_words: String::new()
        })
    );

    let process = sleeper();
    process.kill().unwrap();
    process.kill().unwrap();
    wait_for("its end", || !process.is_alive());
    process.kill().unwrap();
    process.terminate().unwrap();
    assert_eq!(
        process.join(),
        Err(JobError::Killed {
            signal: 9,
            last_words: String::new()
        })
    );
}

#[test]
fn dropped_unjoined_it_is_killed_and_reaped() {
    let _test = begin();
    let process = sleeper();
    let pid = process.pid();
    drop(process);
    assert!(
        processes::parent_of(pid).is_none(),
        "neither running nor waiting to be reaped"
    );
}

#[test]
fn detached_it_runs_on_and_leaves_nothing() {
    let _test = begin();
    let process = spawn!(after_millis(300)).unwrap();
    let pid = process.pid();
    process.detach();
    std::thread::sleep(Duration::from_millis(50));
    assert!(processes::is_alive(pid));
    wait_for("its end", || processes::parent_of(pid).is_none());
}

#[test]
fn retries_of_its_attribute_hold() {
    let _test = begin();
    let tally = Tally::new();
    assert_eq!(
        spawn!(tried_thrice(tally.path())).unwrap().join().unwrap(),
        3
    );
}

#[test]
fn the_timeout_of_its_attribute_holds() {
    let _test = begin();
    let limit = Duration::from_millis(200);
    assert_eq!(
        spawn!(too_slow()).unwrap().join(),
        Err(JobError::TimedOut { limit })
    );
}

#[test]
fn a_hundred_at_once() {
    let _test = begin();
    let processes: Vec<_> = (0..100).map(|x| spawn!(add(x, x)).unwrap()).collect();
    for (x, process) in (0..).zip(processes) {
        assert_eq!(process.join().unwrap(), 2 * x);
    }
}

#[test]
fn threads_spawn_and_join_at_once() {
    let _test = begin();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for round in 0..20 {
                    assert_eq!(
                        spawn!(add(thread, round)).unwrap().join().unwrap(),
                        thread + round
                    );
                }
            });
        }
    });
}

#[test]
fn it_outlives_the_thread_that_made_it() {
    let _test = begin();
    let process = std::thread::spawn(|| spawn!(after_millis(200)).unwrap())
        .join()
        .unwrap();
    assert_eq!(process.join().unwrap(), 200);
}
