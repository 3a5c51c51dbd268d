//! Each way to die takes one item and nothing else.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::raise;
use procession::{ErrorKind, JobError, Pool, job, pool_map, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, wait_for};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum End {
    Returns,
    Signal(i32),
    NullWrite,
    Abort,
    StackOverflow,
    StackOverflowInThread,
    Exit(i32),
    ExitNow(i32),
    Panic,
    PanicWithNumber,
    ResumeUnwind,
    DoublePanic,
    PanicInThread,
}

#[process_job]
fn meets(x: u32, end: End) -> u32 {
    match end {
        End::Returns => {}
        End::Signal(number) => raise(Signal::try_from(number).unwrap()).unwrap(),
        End::NullWrite => write_to_null(),
        End::Abort => std::process::abort(),
        End::StackOverflow => drop(overflow(0)),
        End::StackOverflowInThread => drop(std::thread::spawn(|| overflow(0)).join()),
        End::Exit(code) => std::process::exit(code),
        End::ExitNow(code) => exit_now(code),
        End::Panic => panic!("item {x}"),
        End::PanicWithNumber => std::panic::panic_any(x),
        End::ResumeUnwind => std::panic::resume_unwind(Box::new("carried on".to_owned())),
        End::DoublePanic => {
            let _second = PanicsWhenDropped;
            panic!("the first panic");
        }
        End::PanicInThread => assert!(std::thread::spawn(|| panic!("in a thread")).join().is_err()),
    }
    x
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        0
    } else {
        overflow(depth + 1) + room[3]
    }
}

#[expect(unsafe_code, reason = "a crash on purpose")]
fn write_to_null() {
    // SAFETY: there is none; the worker process that runs this dies of it, which is the test.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

#[expect(unsafe_code, reason = "std has no `_exit`")]
fn exit_now(code: i32) -> ! {
    // SAFETY: ends the worker process that runs this.
    unsafe { libc::_exit(code) }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("the second panic");
    }
}

/// One item among twenty meets its end; all others get their results, and so do those of the next map.
#[track_caller]
fn one_item_meets(end: End, worker_lives_on: bool) -> JobError {
    let pool = Pool::new(2).unwrap();
    let mut verdict = None;
    for chunk_size in [1, 5, 20] {
        wait_for("two workers", || pool.pids().len() == 2);
        let before: HashSet<_> = pool.pids().into_iter().collect();
        let items = (0..20).map(|x| (x, if x == 7 { end } else { End::Returns }));
        let error = pool_map!(in pool, meets, items.clone(), chunk_size = chunk_size).unwrap_err();
        assert_eq!(
            (error.kind(), error.index()),
            (ErrorKind::Job, Some(7)),
            "{error}"
        );
        assert!(
            error.worker_pid().is_some_and(|pid| before.contains(&pid)),
            "{error}"
        );
        let mut verdicts = pool.map_each(job!(meets), items).unwrap();
        verdict = Some(verdicts.remove(7).unwrap_err());
        assert_eq!(verdict.as_ref(), error.job_error());
        assert_eq!(
            verdicts,
            (0..20).filter(|&x| x != 7).map(Ok).collect::<Vec<_>>()
        );
        let after: HashSet<_> = pool.pids().into_iter().collect();
        assert_eq!(before == after, worker_lives_on, "{before:?} {after:?}");
        assert_eq!(
            pool.map(job!(meets), (0..50).map(|x| (x, End::Returns)))
                .unwrap()
                .len(),
            50
        );
    }
    let verdict = verdict.unwrap();
    assert!(verdict.may_have_run());
    verdict
}

#[track_caller]
fn killed(end: End) -> (i32, String) {
    match one_item_meets(end, false) {
        JobError::Killed { signal, last_words } => (signal, last_words),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deaths_by_signal_are_told_by_their_signal() {
    let _test = begin();
    for signal in [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGBUS,
        Signal::SIGSYS,
        Signal::SIGUSR1,
        Signal::SIGALRM,
        Signal::SIGXCPU,
    ] {
        assert_eq!(killed(End::Signal(signal as i32)).0, signal as i32);
    }
}

#[test]
fn a_segmentation_fault() {
    let _test = begin();
    let (signal, last_words) = killed(End::NullWrite);
    assert_eq!(signal, 11);
    assert!(
        last_words.contains("segmentation fault at 0x0"),
        "{last_words}"
    );
    assert_eq!(killed(End::Signal(11)).0, 11);
}

#[test]
fn an_abort() {
    let _test = begin();
    assert_eq!(killed(End::Abort).0, 6);
}

#[test]
fn a_stack_overflow_is_told_by_name() {
    let _test = begin();
    let (signal, last_words) = killed(End::StackOverflow);
    assert_eq!(signal, 11);
    assert!(
        last_words.contains("overflowed its stack"),
        "{last_words:?}"
    );
}

#[test]
fn a_stack_overflow_of_a_jobs_own_thread_is_a_death_like_any_other() {
    let _test = begin();
    // Told by std's handler or by nobody, see the crate's documentation.
    assert!([6, 11].contains(&killed(End::StackOverflowInThread).0));
}

#[test]
fn an_exit() {
    let _test = begin();
    for code in [0, 1, 77, 255] {
        assert_eq!(
            one_item_meets(End::Exit(code), false),
            JobError::Exited { code }
        );
        assert_eq!(
            one_item_meets(End::ExitNow(code), false),
            JobError::Exited { code }
        );
    }
}

#[test]
fn a_panic_travels_and_its_worker_lives_on() {
    let _test = begin();
    let (message, location) = one_item_meets_panic(End::Panic);
    assert_eq!(message, "item 7");
    assert!(location.contains("crash.rs:"), "{location}");
    let (message, location) = one_item_meets_panic(End::PanicWithNumber);
    assert!(
        !message.is_empty() && location.contains("crash.rs:"),
        "{message} {location}"
    );
    let (message, _) = one_item_meets_panic(End::ResumeUnwind);
    assert_eq!(message, "carried on");
}

fn one_item_meets_panic(end: End) -> (String, String) {
    match one_item_meets_quietly(end) {
        JobError::Panicked {
            message, location, ..
        } => (message, location),
        other => panic!("{other:?}"),
    }
}

/// As `one_item_meets`, for ends that no worker dies of.
fn one_item_meets_quietly(end: End) -> JobError {
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let items = (0..20).map(|x| (x, if x == 7 { end } else { End::Returns }));
    let mut verdicts = pool.map_each(job!(meets), items).unwrap();
    let verdict = verdicts.remove(7).unwrap_err();
    assert_eq!(
        verdicts,
        (0..20).filter(|&x| x != 7).map(Ok).collect::<Vec<_>>()
    );
    assert_eq!(pool.pids(), pids);
    assert!(
        pool.stats()
            .workers
            .iter()
            .all(|worker| worker.restarts == 0)
    );
    verdict
}

#[test]
fn a_panic_during_a_panic_is_an_abort_with_last_words() {
    let _test = begin();
    let (signal, last_words) = killed(End::DoublePanic);
    assert_eq!(signal, 6);
    assert!(last_words.contains("the first panic"), "{last_words}");
}

#[test]
fn a_panic_in_a_thread_that_the_job_joins_is_the_jobs_affair() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let pids = pool.pids();
    assert_eq!(
        pool.map(job!(meets), [(1, End::PanicInThread), (2, End::Returns)])
            .unwrap(),
        [1, 2]
    );
    // Nor is it told for another's death afterwards.
    let verdict = pool
        .submit(job!(meets), (3, End::Signal(9)))
        .unwrap()
        .join();
    assert_eq!(
        verdict,
        Err(JobError::Killed {
            signal: 9,
            last_words: String::new()
        })
    );
    wait_for("another worker", || pool.pids() != pids);
}

#[test]
fn every_item_may_die() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    let ends = [End::Abort, End::Exit(3), End::Signal(9), End::NullWrite];
    let verdicts = pool
        .map_each(job!(meets), (0..60).map(|x| (x, ends[x as usize % 4])))
        .unwrap();
    for (x, verdict) in verdicts.into_iter().enumerate() {
        match (ends[x % 4], verdict.unwrap_err()) {
            (End::Abort, JobError::Killed { signal: 6, .. }) => {}
            (End::Exit(3), JobError::Exited { code: 3 }) => {}
            (End::Signal(9), JobError::Killed { signal: 9, .. }) => {}
            (End::NullWrite, JobError::Killed { signal: 11, .. }) => {}
            other => panic!("{x}: {other:?}"),
        }
    }
    assert_eq!(pool.map(job!(meets), [(1, End::Returns)]).unwrap(), [1]);
}

#[process_job]
fn dies_in_company(path: PathBuf, company: u64) -> u64 {
    Tally::count(&path);
    let begun = || std::fs::metadata(&path).unwrap().len();
    let gives_up = Instant::now() + Duration::from_secs(10);
    while begun() < company && Instant::now() < gives_up {
        std::thread::sleep(Duration::from_millis(1));
    }
    if begun() >= company {
        std::process::abort();
    }
    begun()
}

/// In one task they would wait for each other in vain.
#[test]
fn items_that_die_are_still_shared_out_one_by_one() {
    let _test = begin();
    let (first, last) = (Tally::new(), Tally::new());
    let pool = Pool::new(4).unwrap();
    // As many as are on the board before the first verdict, and then some.
    let alone = (0..32).map(|_| (first.path(), 0));
    let together = (0..4).map(|_| (last.path(), 3));
    let verdicts = pool
        .map_each(job!(dies_in_company), alone.chain(together))
        .unwrap();
    for (item, verdict) in verdicts.into_iter().enumerate() {
        assert!(
            matches!(verdict, Err(JobError::Killed { signal: 6, .. })),
            "item {item}: {verdict:?}"
        );
    }
}

#[process_job]
fn counted_then_sleeps(path: PathBuf, millis: u64) -> u32 {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
    std::process::id()
}

#[test]
fn an_idle_worker_that_is_killed_is_replaced_unnoticed() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    for _ in 0..10 {
        let before = pool.pids();
        before
            .iter()
            .for_each(|&pid| processes::send(pid, Signal::SIGKILL));
        // At once: the map may find no worker at all.
        let results = pool
            .map(job!(meets), (0..30).map(|x| (x, End::Returns)))
            .unwrap();
        assert_eq!(results, (0..30).collect::<Vec<_>>());
        wait_for("three new ones", || {
            let pids = pool.pids();
            let is_new = |pid: &u32| !before.contains(pid) && processes::is_alive(*pid);
            pids.len() == 3 && pids.iter().all(is_new)
        });
    }
    assert_eq!(
        pool.stats()
            .workers
            .iter()
            .map(|worker| worker.restarts)
            .sum::<u32>(),
        30
    );
}

#[test]
fn a_computing_worker_that_is_killed_loses_its_item() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let tally = Tally::new();
    let pid = pool.pids()[0];
    let handle = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 100_000))
        .unwrap();
    let next = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 0))
        .unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    processes::send(pid, Signal::SIGKILL);
    assert_eq!(
        handle.join(),
        Err(JobError::Killed {
            signal: 9,
            last_words: String::new()
        })
    );
    assert_ne!(next.join().unwrap(), pid);
    assert_eq!(tally.runs(), 2);
}

#[test]
fn a_stopped_worker_delays_only_its_item() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let tally = Tally::new();
    let handle = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 50))
        .unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    let all = pool.pids();
    all.iter()
        .for_each(|&pid| processes::send(pid, Signal::SIGSTOP));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!handle.is_finished());
    all.iter()
        .for_each(|&pid| processes::send(pid, Signal::SIGCONT));
    assert!(handle.join().is_ok());
    assert_eq!(pool.pids(), all);
}
