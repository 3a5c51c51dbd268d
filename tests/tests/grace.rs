//! SIGTERM first, SIGKILL when the grace is over; and what a job has started ends with its worker.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, raise, sigprocmask};
use procession::{JobError, Pool, PoolBuilder, job, pool_map, process_job, spawn};
use procession_tests::processes::{self, Signal};
use procession_tests::{Scratch, Tally, begin, supervisor_pid, wait_for};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Then {
    Exits,
    Returns,
    /// As if nothing had been asked.
    GoesOn,
    TakesMemory,
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// Is at work, is asked to end, tidies up.
#[process_job]
fn tidies_up(at_work: PathBuf, tidy: PathBuf, stops: bool, then: Then) {
    let mut sigterm = SigSet::empty();
    sigterm.add(Signal::SIGTERM);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&sigterm), None).unwrap();
    Tally::count(&at_work);
    if stops {
        raise(Signal::SIGSTOP).unwrap();
    }
    sigterm.wait().unwrap();
    Tally::count(&tidy);
    match then {
        Then::Exits => std::process::exit(0),
        Then::Returns => {}
        Then::GoesOn => sleep_for_ever(),
        Then::TakesMemory => take_memory(512),
    }
}

fn take_memory(mebibytes: usize) -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mebibytes {
        hoard.push(vec![1; 1 << 20]);
    }
    std::hint::black_box(&hoard);
    sleep_for_ever();
}

#[process_job]
fn takes_memory_and_knows_no_end() {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
    take_memory(512);
}

#[process_job]
fn sleeps() {
    sleep_for_ever();
}

#[process_job]
fn same(x: u32) -> u32 {
    x
}

const LIMIT: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_millis(200);
/// A test that waits for it fails by its watchdog.
const LONG: Duration = Duration::from_secs(3600);

fn with_grace(grace: Duration) -> PoolBuilder {
    Pool::builder().workers(1).grace(grace)
}

#[test]
fn a_job_that_is_timed_out_may_tidy_up_and_its_verdict_stays() {
    let _test = begin();
    let pool = with_grace(LONG).timeout(LIMIT).build().unwrap();
    for then in [Then::Exits, Then::Returns] {
        for stops in [false, true] {
            let (at_work, tidy) = (Tally::new(), Tally::new());
            let items = [(at_work.path(), tidy.path(), stops, then)];
            let verdicts = pool.map_each(job!(tidies_up), items).unwrap();
            assert_eq!(
                verdicts,
                [Err(JobError::TimedOut { limit: LIMIT })],
                "{then:?}, stopped: {stops}"
            );
            assert_eq!((at_work.runs(), tidy.runs()), (1, 1));
        }
    }
    assert_eq!(pool.map(job!(same), 0..10).unwrap().len(), 10);
}

#[test]
fn a_job_that_cares_for_no_signal_ends_at_once() {
    let _test = begin();
    let pool = with_grace(LONG).timeout(LIMIT).build().unwrap();
    let verdicts = pool.map_each(job!(sleeps), [(); 3]).unwrap();
    assert_eq!(verdicts, vec![Err(JobError::TimedOut { limit: LIMIT }); 3]);
}

#[test]
fn a_job_that_goes_on_is_killed_when_the_grace_is_over() {
    let _test = begin();
    let pool = with_grace(SHORT).timeout(LIMIT).build().unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let started = Instant::now();
    let items = [(at_work.path(), tidy.path(), false, Then::GoesOn)];
    let verdicts = pool.map_each(job!(tidies_up), items).unwrap();
    assert!(started.elapsed() >= LIMIT + SHORT);
    assert_eq!(verdicts, [Err(JobError::TimedOut { limit: LIMIT })]);
    assert_eq!(tidy.runs(), 1);
}

#[test]
fn without_a_grace_nobody_is_asked() {
    let _test = begin();
    let pool = Pool::builder().workers(1).timeout(LIMIT).build().unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let items = [(at_work.path(), tidy.path(), false, Then::Exits)];
    let verdicts = pool.map_each(job!(tidies_up), items).unwrap();
    assert_eq!(verdicts, [Err(JobError::TimedOut { limit: LIMIT })]);
    assert_eq!(tidy.runs(), 0);
}

#[test]
fn a_cancelled_job_may_tidy_up() {
    let _test = begin();
    let pool = with_grace(LONG).build().unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let args = (at_work.path(), tidy.path(), false, Then::Exits);
    let handle = pool.submit(job!(tidies_up), args).unwrap();
    wait_for("the job to run", || at_work.runs() == 1);
    assert!(handle.cancel());
    assert_eq!(handle.join(), Err(JobError::Cancelled));
    assert_eq!(tidy.runs(), 1);
}

#[test]
fn a_job_that_a_deadline_ends_may_tidy_up() {
    let _test = begin();
    let pool = with_grace(LONG).build().unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let items = [(at_work.path(), tidy.path(), false, Then::Returns)];
    let error =
        pool_map!(in pool, tidies_up, items, deadline = Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("deadline"), "{error}");
    assert_eq!((at_work.runs(), tidy.runs()), (1, 1));
}

#[test]
fn jobs_may_tidy_up_when_their_pool_is_ended() {
    let _test = begin();
    for (grace, then) in [(LONG, Then::Exits), (SHORT, Then::GoesOn)] {
        let pool = with_grace(grace).workers(2).build().unwrap();
        let (at_work, tidy) = (Tally::new(), Tally::new());
        let args = || (at_work.path(), tidy.path(), false, then);
        let handles = [(); 2].map(|()| pool.submit(job!(tidies_up), args()).unwrap());
        wait_for("both to run", || at_work.runs() == 2);
        pool.terminate();
        for handle in handles {
            assert_eq!(handle.join(), Err(JobError::Cancelled));
        }
        assert_eq!(tidy.runs(), 2);
    }
}

#[test]
fn no_job_begins_once_its_pool_is_ended() {
    let _test = begin();
    let pool = with_grace(Duration::from_millis(1500)).build().unwrap();
    let (n_begun, tidy) = (Tally::new(), Tally::new());
    let args = || (n_begun.path(), tidy.path(), false, Then::Returns);
    let handles = [(); 11].map(|()| pool.submit(job!(tidies_up), args()).unwrap());
    wait_for("the first to run", || n_begun.runs() == 1);
    pool.terminate();
    assert_eq!((n_begun.runs(), tidy.runs()), (1, 1));
    for handle in handles.into_iter().skip(1) {
        assert_eq!(handle.join(), Err(JobError::Cancelled));
    }
}

/// A pool whose one job goes on in its grace, which is long: its worker, and the thread that waits for the end of the pool.
fn pool_in_its_grace() -> (u32, JoinHandle<()>) {
    let pool = with_grace(LONG).build().unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let args = (at_work.path(), tidy.path(), false, Then::GoesOn);
    let _handle = pool.submit(job!(tidies_up), args).unwrap();
    wait_for("the job to run", || at_work.runs() == 1);
    let pid = pool.pids()[0];
    let ending = thread::spawn(|| pool.terminate());
    wait_for("the job to be asked to end", || tidy.runs() == 1);
    (pid, ending)
}

#[test]
fn a_pool_in_its_grace_keeps_nobody_else_waiting() {
    let _test = begin();
    let other = Pool::new(1).unwrap();
    let (pid, ending) = pool_in_its_grace();

    let handles = [(); 20].map(|()| other.submit(job!(same), 7).unwrap());
    assert_eq!(
        handles.map(|handle| handle.join()),
        [(); 20].map(|()| Ok(7))
    );
    let error = pool_map!(in other, sleeps, [()], deadline = LIMIT).unwrap_err();
    assert!(error.to_string().contains("deadline"), "{error}");
    let new = Pool::new(1).unwrap();
    assert_eq!(new.map(job!(same), 0..3).unwrap(), [0, 1, 2]);
    new.close().unwrap();
    assert_eq!(spawn!(same(3)).unwrap().join(), Ok(3));

    assert!(!ending.is_finished(), "a worker is left");
    assert!(processes::is_alive(pid));
    processes::send(pid, Signal::SIGKILL);
    ending.join().unwrap();
    assert!(!processes::is_alive(pid));
}

#[test]
fn a_pool_in_its_grace_ends_with_its_supervisor() {
    let _test = begin();
    let (pid, ending) = pool_in_its_grace();
    processes::send(supervisor_pid(), Signal::SIGKILL);
    ending.join().unwrap();
    wait_for("the worker to end", || !processes::is_alive(pid));
}

#[test]
fn the_grace_is_not_for_growing_on() {
    let _test = begin();
    let limit = 32 << 20;
    let pool = with_grace(LONG).memory_limit(limit).build().unwrap();
    let verdicts = pool
        .map_each(job!(takes_memory_and_knows_no_end), [()])
        .unwrap();
    assert_eq!(verdicts, [Err(JobError::MemoryExceeded { limit })]);

    let pool = with_grace(LONG)
        .memory_limit(limit)
        .timeout(LIMIT)
        .build()
        .unwrap();
    let (at_work, tidy) = (Tally::new(), Tally::new());
    let items = [(at_work.path(), tidy.path(), false, Then::TakesMemory)];
    let verdicts = pool.map_each(job!(tidies_up), items).unwrap();
    assert_eq!(verdicts, [Err(JobError::TimedOut { limit: LIMIT })]);
}

/// Starts a child, one in a session of its own, and one that its parent left, in both ways.
#[process_job]
fn starts_children_and_sleeps(path: PathBuf) {
    let script = "sleep 1000 & echo $!; setsid sleep 1000 & echo $!; \
                  (sleep 1000 & echo $!; setsid sh -c 'echo $$; sleep 1000 & echo $!; wait' &) ; wait";
    let list = path.with_extension("unfinished");
    let mut child = Command::new("sh")
        .args(["-c", script])
        .stdout(fs::File::create(&list).unwrap())
        .spawn()
        .unwrap();
    let n_lines = || fs::read_to_string(&list).unwrap().lines().count();
    while n_lines() < 5 {
        std::thread::sleep(Duration::from_millis(1));
    }
    fs::rename(&list, &path).unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_job_started_ends_with_it_when_it_is_timed_out_or_cancelled() {
    let _test = begin();
    for grace in [Duration::ZERO, LONG] {
        let pool = with_grace(grace).build().unwrap();
        let scratch = Scratch::new("descendants");
        let started = |name: &str| {
            let path = scratch.path().join(name);
            let pids = move |path: &PathBuf| {
                let text = fs::read_to_string(path).unwrap();
                let pids: Vec<u32> = text.lines().map(|pid| pid.parse().unwrap()).collect();
                assert_eq!(pids.len(), 5);
                pids
            };
            (path, pids)
        };
        let all_gone = |pids: Vec<u32>| {
            wait_for("descendants to end", || {
                !pids.iter().any(|&pid| processes::is_alive(pid))
            });
        };

        let (path, pids) = started("timed out");
        let limit = Duration::from_secs(1);
        let error = pool_map!(in pool, starts_children_and_sleeps, [path.clone()], timeout = limit)
            .unwrap_err();
        assert_eq!(error.job_error(), Some(&JobError::TimedOut { limit }));
        all_gone(pids(&path));

        let (path, pids) = started("cancelled");
        let handle = pool
            .submit(job!(starts_children_and_sleeps), path.clone())
            .unwrap();
        wait_for("children", || path.exists());
        let pids = pids(&path);
        assert!(pids.iter().all(|&pid| processes::is_alive(pid)));
        assert!(handle.cancel());
        all_gone(pids);
    }
}
