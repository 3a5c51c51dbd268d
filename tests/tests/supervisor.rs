//! The supervisor dies: whoever waits learns of it, and the next pool works.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use procession::{
    Array, Error, ErrorKind, JobError, Pool, Queue, Value, job, pool_map, process_job, spawn,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Scratch, Tally, Test, begin_with_default_pool, supervisor_pid, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn counted_then_sleeps(path: PathBuf) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_secs(1000));
}

#[process_job]
fn counted_then_large(path: PathBuf, _ballast: Vec<u8>) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_secs(1000));
}

/// Writes down that it ran.
#[process_job]
fn noted(path: PathBuf, x: u32) -> u32 {
    OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{x}\n").as_bytes()))
        .unwrap();
    x
}

/// A test of this file: the default pool lives in all of them, and has a living supervisor before and after.
struct Turn {
    _test: Test,
}

fn begin() -> Turn {
    Turn {
        _test: begin_with_default_pool(),
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            pool_map!(procession_tests::nothing, [()]).expect("a default pool");
        }
    }
}

/// Returns when it is gone; what happens until then has tests of its own.
fn kill_supervisor() {
    let pid = supervisor_pid();
    processes::send(pid, Signal::SIGKILL);
    wait_for("its end", || !processes::is_alive(pid));
}

/// That it says so, and says nothing else.
#[track_caller]
fn assert_gone(error: &Error) {
    let lost = matches!(error.job_error(), Some(JobError::Lost { .. }));
    assert!(lost || error.kind() == ErrorKind::PoolGone, "{error:?}");
    assert!(
        error
            .to_string()
            .contains("the supervisor process was killed"),
        "{error}"
    );
}

fn assert_all_gone(pids: &[u32]) {
    wait_for("the workers' end", || {
        !pids.iter().any(|&pid| processes::is_alive(pid))
    });
}

#[test]
fn a_map_under_way_ends_with_an_error() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let error = std::thread::scope(|scope| {
        let map =
            scope.spawn(|| pool.map(job!(counted_then_sleeps), [(); 100].map(|()| tally.path())));
        wait_for("two to begin", || tally.runs() == 2);
        kill_supervisor();
        map.join().unwrap().unwrap_err()
    });
    assert_gone(&error);
    assert_eq!(tally.runs(), 2);
    assert_all_gone(&pids);
}

#[test]
fn a_map_of_verdicts_tells_what_ran_and_what_did_not() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let verdicts = std::thread::scope(|scope| {
        let map = scope
            .spawn(|| pool.map_each(job!(counted_then_sleeps), [(); 6].map(|()| tally.path())));
        wait_for("two to begin", || tally.runs() == 2);
        kill_supervisor();
        map.join().unwrap()
    });
    let n_started = |verdicts: Vec<Result<(), JobError>>| {
        assert_eq!(verdicts.len(), 6);
        verdicts
            .into_iter()
            .filter(|verdict| match verdict {
                Err(JobError::Lost { started, .. }) => *started,
                other => panic!("{other:?}"),
            })
            .count()
    };
    assert_eq!(n_started(verdicts.unwrap()), 2);
    assert_eq!(tally.runs(), 2);
}

#[test]
fn handles_tell_truthfully_whether_their_job_had_begun() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(1).unwrap();
    let pids = pool.pids();
    let handles = [(); 20].map(|()| {
        pool.submit(job!(counted_then_sleeps), tally.path())
            .unwrap()
    });
    let threads = handles.map(|handle| std::thread::spawn(move || handle.join()));
    wait_for("one to begin", || tally.runs() == 1);
    std::thread::sleep(Duration::from_millis(50));
    kill_supervisor();
    let verdicts = threads.map(|thread| thread.join().unwrap().unwrap_err());
    for (place, verdict) in verdicts.iter().enumerate() {
        let JobError::Lost { reason, started } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!(reason, "the supervisor process was killed");
        assert_eq!(*started, place == 0);
        assert_eq!(verdict.may_have_run(), place == 0);
    }
    assert_eq!(tally.runs(), 1, "what never began never does");
    assert_all_gone(&pids);
}

#[process_job]
fn counted_then_aborts(path: PathBuf) {
    Tally::count(&path);
    std::process::abort();
}

#[test]
fn an_item_that_waits_for_its_next_try_may_have_run() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder().workers(1).retries(100).build().unwrap();
    let handle = pool
        .submit(job!(counted_then_aborts), tally.path())
        .unwrap();
    // The pauses between the tries have become long.
    wait_for("the eighth try", || tally.runs() == 8);
    wait_for("its end", || pool.pids().is_empty());
    kill_supervisor();
    let error = handle.join().unwrap_err();
    assert!(
        matches!(error, JobError::Lost { started: true, .. }) && error.may_have_run(),
        "{error:?}"
    );
    assert_eq!(tally.runs(), 8);
}

#[test]
fn what_is_said_never_to_have_run_has_not_and_never_will() {
    let _test = begin();
    let folder = Scratch::new("notes");
    for round in 0..40 {
        let path = folder.path().join(round.to_string());
        fs::write(&path, "").unwrap();
        let pool = Pool::new(4).unwrap();
        let supervisor = supervisor_pid();
        let verdicts = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(500 + 150 * round));
                processes::send(supervisor, Signal::SIGKILL);
            });
            let items = (0..3000).map(|x| (path.clone(), x));
            let result = pool_each_until_gone(&pool, items);
            // One that lives a moment longer than its supervisor.
            std::thread::sleep(Duration::from_millis(1));
            result
        });
        let notes = fs::read_to_string(&path).unwrap();
        let ran: BTreeSet<u32> = notes.lines().map(|line| line.parse().unwrap()).collect();
        for (x, verdict) in (0..).zip(verdicts) {
            match verdict {
                Ok(y) => assert!(x == y && ran.contains(&x)),
                Err(error) => assert!(error.may_have_run() || !ran.contains(&x), "{x}: {error:?}"),
            }
        }
    }
}

/// Verdicts as far as there are any: what was not handed out when the pool was lost has none.
fn pool_each_until_gone(
    pool: &Pool,
    items: impl Iterator<Item = (PathBuf, u32)>,
) -> Vec<Result<u32, JobError>> {
    let mut handles = Vec::new();
    for item in items {
        match pool.submit(job!(noted), item) {
            Ok(handle) => handles.push(handle),
            Err(error) => {
                assert_gone(&error);
                break;
            }
        }
    }
    handles.into_iter().map(|handle| handle.join()).collect()
}

#[test]
fn an_idle_pool_says_so_when_it_is_used_next() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    kill_supervisor();
    assert_all_gone(&pids);
    assert_gone(&pool.map(job!(square), 0..10).unwrap_err());
    assert_gone(&pool.submit(job!(square), 1).map(drop).unwrap_err());
    assert_gone(&pool.try_submit(job!(square), 1).map(drop).unwrap_err());
    pool.stats();
    assert_gone(&pool.close().unwrap_err());
}

#[test]
fn other_pools_of_the_same_program_are_gone_too_and_new_ones_work() {
    let _test = begin();
    let pools = [(); 5].map(|()| Pool::new(1).unwrap());
    kill_supervisor();
    for pool in &pools {
        assert_gone(&pool.map(job!(square), 0..10).unwrap_err());
    }
    let new = Pool::new(2).unwrap();
    drop(pools);
    assert_eq!(new.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
    new.close().unwrap();
}

#[test]
fn the_next_map_on_the_default_pool_works() {
    let _test = begin();
    for _ in 0..10 {
        kill_supervisor();
        assert_eq!(pool_map!(square, 0..100).unwrap().len(), 100);
    }
}

#[process_job]
fn take_and_add(queue: &Queue<u64>, to: &Array<u64>, count: &Value<u64>) {
    let x = queue.get().expect("a number");
    to.lock().expect("nobody dies here")[0] += x;
    count.fetch_add(1);
}

#[test]
fn arrays_and_queues_that_were_made_before_go_to_pools_that_are_made_after() {
    let _test = begin();
    let (queue, array) = (Queue::new().unwrap(), Array::new([0]).unwrap());
    let (count, waiting) = (Value::new(0).unwrap(), Queue::new().unwrap());
    for n in 1..=3 {
        let pool = Pool::new(1).unwrap();
        for _ in 0..5 {
            queue.put(10).unwrap();
            let args = (&queue, &array, &count);
            pool.submit(job!(take_and_add), args)
                .unwrap()
                .join()
                .unwrap();
        }
        assert_eq!((array.get(0), count.get()), (Some(n * 50), n * 5));
        // Known to the registry that is about to go, by nothing but a message: lost, which is said.
        waiting.put(Array::new([n]).unwrap()).unwrap();
        waiting.put(array.clone()).unwrap();
        kill_supervisor();
        let lost = waiting.get().unwrap_err().to_string();
        assert!(lost.contains("gone"), "{lost}");
        assert_eq!(waiting.get().unwrap().get(0), Some(n * 50));
        assert_gone(&pool.map(job!(square), 0..10).unwrap_err());
    }
}

#[test]
fn what_is_made_while_it_dies_works() {
    let _test = begin();
    for round in 0..50 {
        let pid = supervisor_pid();
        processes::send(pid, Signal::SIGKILL);
        match round % 2 {
            0 => assert_eq!(
                Pool::new(1).unwrap().map(job!(square), 0..3).unwrap(),
                [0, 1, 4]
            ),
            _ => assert_eq!(spawn!(square(3)).unwrap().join(), Ok(9)),
        }
        wait_for("its end", || !processes::is_alive(pid));
    }
}

#[test]
fn what_is_asked_of_a_pool_while_it_dies_says_so() {
    let _test = begin();
    for round in 0..50 {
        let pool = Pool::new(1).unwrap();
        let process = spawn!(sleeps()).unwrap();
        let pid = supervisor_pid();
        processes::send(pid, Signal::SIGKILL);
        // Whether it still works or not: there is one thing to say about it.
        let outcome = match round % 4 {
            0 => pool.map(job!(square), [1]).map(drop),
            1 => process.kill(),
            2 => pool.submit(job!(square), 1).map(drop),
            _ => pool.close(),
        };
        outcome.unwrap_or_else(|error| assert_gone(&error));
        wait_for("its end", || !processes::is_alive(pid));
    }
}

#[process_job]
fn sleeps() {
    std::thread::sleep(Duration::from_secs(1000));
}

#[test]
fn a_process_is_lost_with_it() {
    let _test = begin();
    let tally = Tally::new();
    let mut process = spawn!(counted_then_sleeps(tally.path())).unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    let pid = process.pid();
    kill_supervisor();
    let lost = process.join_timeout(Duration::from_secs(1000)).unwrap_err();
    assert!(
        matches!(lost, JobError::Lost { started: true, .. }),
        "{lost:?}"
    );
    assert!(!process.is_alive());
    assert_all_gone(&[pid]);
    assert_gone(&process.kill().unwrap_err());
}

#[test]
fn whoever_waits_for_room_learns_of_it() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(1 << 20)
        .build()
        .unwrap();
    let large = || (tally.path(), vec![0; 300 << 10]);
    let mut handles = Vec::new();
    while let Ok(handle) = pool.try_submit(job!(counted_then_large), large()) {
        handles.push(handle);
    }
    wait_for("one to begin", || tally.runs() == 1);
    let error = std::thread::scope(|scope| {
        let blocked = scope.spawn(|| pool.submit(job!(counted_then_large), large()).map(drop));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!blocked.is_finished());
        kill_supervisor();
        blocked.join().unwrap().unwrap_err()
    });
    assert_gone(&error);
    assert!(handles.into_iter().all(|handle| handle.join().is_err()));
}

#[test]
fn whoever_waits_for_close_learns_of_it() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(1).unwrap();
    let handle = pool
        .submit(job!(counted_then_sleeps), tally.path())
        .unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    let closing = std::thread::spawn(|| pool.close());
    std::thread::sleep(Duration::from_millis(50));
    kill_supervisor();
    assert_gone(&closing.join().unwrap().unwrap_err());
    assert!(matches!(
        handle.join(),
        Err(JobError::Lost { started: true, .. })
    ));
}

#[test]
fn results_that_were_there_before_are_kept() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let handle = pool.submit(job!(square), 5).unwrap();
    wait_for("the result", || handle.is_finished());
    let unseen = pool.submit(job!(square), 6).unwrap();
    wait_for("the other result", || {
        pool.stats().workers[0].jobs_done == 2
    });
    kill_supervisor();
    assert_eq!(handle.join(), Ok(25));
    assert_eq!(unseen.join(), Ok(36));
}

#[test]
fn cancelling_what_is_lost_is_no_wait() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(1).unwrap();
    let handles = [(); 3].map(|()| {
        pool.submit(job!(counted_then_sleeps), tally.path())
            .unwrap()
    });
    wait_for("one to begin", || tally.runs() == 1);
    kill_supervisor();
    for handle in handles {
        handle.cancel();
        assert!(handle.join().is_err());
    }
    drop(pool);
}

#[test]
fn it_is_killed_again_and_again_while_threads_work() {
    let _test = begin();
    let n_rounds = AtomicU32::new(0);
    let n_done = AtomicU32::new(0);
    let mut killed = None;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while n_rounds.load(Ordering::Relaxed) < 30 {
                    match pool_map!(square, 0..200) {
                        Ok(results) => assert_eq!(results[199], 199 * 199),
                        Err(error) => assert!(
                            matches!(
                                error.kind(),
                                ErrorKind::PoolGone | ErrorKind::Job | ErrorKind::Start
                            ),
                            "{error:?}"
                        ),
                    }
                    n_done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..30 {
            let before = n_done.load(Ordering::Relaxed);
            let of_default_pool = pool_map!(procession_tests::parent_pid, [()]);
            if let Ok(pids) = of_default_pool {
                processes::send(pids[0], Signal::SIGKILL);
                killed = Some(pids[0]);
            }
            wait_for("a map", || n_done.load(Ordering::Relaxed) > before);
            n_rounds.fetch_add(1, Ordering::Relaxed);
        }
    });
    // The last supervisor that was killed may take a moment to end, and a map may work until then.
    wait_for("its end", || {
        killed.is_none_or(|pid| !processes::is_alive(pid))
    });
    wait_for("a map that works", || {
        pool_map!(square, 0..100).is_ok_and(|results| results.len() == 100)
    });
}
