//! What a job starts: commands and forks work as in any program, and end with their worker.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use procession::{Array, JobError, Pool, job, process_job, spawn};
use procession_tests::processes::{self, Signal};
use procession_tests::{Scratch, begin, shell, wait_for};

/// The signals above are the C library's, or were ignored by whoever started the tests.
const ORDINARY: u64 = 0x7fff_ffff;

#[process_job]
fn forks() -> i32 {
    #[expect(unsafe_code, reason = "what a user may do")]
    // SAFETY: this process has one thread.
    let forked = unsafe { fork() };
    match forked.unwrap() {
        ForkResult::Child => std::process::exit(7),
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        },
    }
}

/// Starts a child and a grandchild that its parent left, and says which.
#[process_job]
#[expect(
    clippy::zombie_processes,
    reason = "they are to be killed with their worker"
)]
fn starts_children() -> Vec<u32> {
    let child = Command::new("sleep").arg("1000").spawn().unwrap();
    let left = Command::new("sh")
        .args(["-c", "sleep 1000 > /dev/null 2>&1 & echo $!"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let left = String::from_utf8(left.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    vec![child.id(), left]
}

/// Of a job that is over.
fn leave_children(pool: &Pool) -> Vec<u32> {
    let job = pool.submit(job!(starts_children), ());
    job.unwrap().join().unwrap()
}

#[process_job]
fn starts_children_then_dies(path: PathBuf) {
    let children: Vec<_> = starts_children().iter().map(u32::to_string).collect();
    fs::write(path, children.join(" ")).unwrap();
    std::process::abort();
}

#[process_job]
fn sleeps_then(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[test]
fn child_processes_work() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let outcomes = pool
        .map(
            job!(shell),
            ["echo hello; exit 3", "cat; exit 4", "kill -9 $$"],
        )
        .unwrap();
    let said = |text: &str, code| (text.to_owned(), code);
    assert_eq!(
        outcomes,
        [said("hello\n", Some(3)), said("", Some(4)), said("", None)]
    );
}

#[test]
fn a_child_process_has_default_signals_and_hears_ctrl_c() {
    let _test = begin();
    let read = |field: &str| {
        let script = format!("grep {field}: /proc/self/status");
        let (line, code) = spawn!(shell(&script)).unwrap().join().unwrap();
        assert_eq!(code, Some(0));
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap() & ORDINARY
    };
    assert_eq!(read("SigIgn"), 0);
    assert_eq!(read("SigBlk"), 0);
}

#[test]
fn a_job_may_fork() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(job!(forks), [(); 10]).unwrap(), [7; 10]);
    assert_eq!(spawn!(forks()).unwrap().join(), Ok(7));
}

#[process_job]
fn descriptors_of_a_command(array: &Array<u8>) -> (usize, String) {
    (array.len(), shell("ls -l /proc/self/fd").0)
}

#[test]
fn a_command_that_a_job_starts_inherits_no_way_to_shared_memory() {
    let _test = begin();
    let array = Array::zeroed(9).unwrap();
    let (len, descriptors) = spawn!(descriptors_of_a_command(&array))
        .unwrap()
        .join()
        .unwrap();
    assert!(len == 9 && descriptors.contains("0 -> "), "{descriptors}");
    for ours in ["socket:", "memfd:"] {
        assert!(!descriptors.contains(ours), "{descriptors}");
    }
}

#[test]
fn children_of_a_job_that_dies_die_too() {
    let _test = begin();
    let folder = Scratch::new("children");
    let path = folder.path().join("pids");
    let pool = Pool::new(1).unwrap();
    let end = pool
        .submit(job!(starts_children_then_dies), path.clone())
        .unwrap()
        .join();
    assert!(
        matches!(end, Err(JobError::Killed { signal: 6, .. })),
        "{end:?}"
    );
    let pids = fs::read_to_string(path).unwrap();
    for pid in pids.split(' ') {
        let pid = pid.parse().unwrap();
        wait_for("a child's end", || !processes::is_alive(pid));
    }
}

#[test]
fn children_of_a_worker_that_is_killed_die_too() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let children = leave_children(&pool);
    assert!(
        children.iter().all(|&child| processes::is_alive(child)),
        "they outlive the job"
    );
    processes::send(pool.pids()[0], Signal::SIGKILL);
    wait_for("their end", || {
        !children.iter().any(|&child| processes::is_alive(child))
    });
    assert_eq!(pool.map(job!(sleeps_then), [0]).unwrap(), [0]);
}

#[test]
fn children_that_a_job_leaves_die_with_the_pool() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let children = leave_children(&pool);
    pool.close().unwrap();
    wait_for("their end", || {
        !children.iter().any(|&child| processes::is_alive(child))
    });
    let mut process = spawn!(starts_children()).unwrap();
    let children = process.join_timeout(Duration::MAX).unwrap().unwrap();
    wait_for("their end", || {
        !children.iter().any(|&child| processes::is_alive(child))
    });
}
