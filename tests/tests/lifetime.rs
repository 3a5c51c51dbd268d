//! The end of a pool, and what outlives it.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::Duration;

use procession::{JobError, Pool, job, process_job};
use procession_tests::{Tally, begin, processes, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn counted(path: PathBuf, millis: u64) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
}

#[process_job]
fn ignores_everything(path: PathBuf) {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
    Tally::count(&path);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn close_waits_for_all_that_was_queued() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let handles: Vec<_> = (0..40)
        .map(|_| pool.submit(job!(counted), (tally.path(), 5)).unwrap())
        .collect();
    pool.close().unwrap();
    assert_eq!(tally.runs(), 40);
    assert!(
        pids.into_iter().all(|pid| !processes::is_alive(pid)),
        "close returns when they are gone"
    );
    assert!(handles.into_iter().all(|handle| handle.join() == Ok(())));
}

#[test]
fn a_dropped_pool_cancels_what_is_open() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let finished = pool.submit(job!(square), 4).unwrap();
    wait_for("the first result", || finished.is_finished());
    let open: Vec<_> = (0..50)
        .map(|_| pool.submit(job!(counted), (tally.path(), 100_000)).unwrap())
        .collect();
    wait_for("two to begin", || tally.runs() == 2);
    drop(pool);
    assert!(
        pids.into_iter().all(|pid| !processes::is_alive(pid)),
        "drop returns when they are gone"
    );
    assert_eq!(finished.join(), Ok(16), "what was finished is kept");
    for mut handle in open {
        assert!(handle.is_finished());
        assert!(!handle.cancel());
        assert_eq!(
            handle.join_timeout(Duration::ZERO),
            Err(JobError::Cancelled)
        );
    }
    assert_eq!(tally.runs(), 2);
}

#[test]
fn terminate_ends_jobs_that_ignore_everything() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let handles: Vec<_> = (0..4)
        .map(|_| pool.submit(job!(ignores_everything), tally.path()).unwrap())
        .collect();
    wait_for("two to begin", || tally.runs() == 2);
    pool.terminate();
    assert!(
        handles
            .into_iter()
            .all(|handle| handle.join() == Err(JobError::Cancelled))
    );
}

#[test]
fn terminate_with_a_full_queue() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(64 << 10)
        .build()
        .unwrap();
    let mut handles = vec![pool.submit(job!(counted), (tally.path(), 100_000)).unwrap()];
    while let Ok(handle) = pool.try_submit(job!(counted), (tally.path(), 100_000)) {
        handles.push(handle);
    }
    assert!(handles.len() > 50);
    pool.terminate();
    assert!(
        handles
            .into_iter()
            .all(|handle| handle.join() == Err(JobError::Cancelled))
    );
}

#[test]
fn a_thread_that_waits_learns_of_the_pools_end() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(1).unwrap();
    let handles: Vec<_> = (0..8)
        .map(|_| pool.submit(job!(counted), (tally.path(), 100_000)).unwrap())
        .collect();
    let threads: Vec<_> = handles
        .into_iter()
        .map(|handle| std::thread::spawn(|| handle.join()))
        .collect();
    wait_for("one to begin", || tally.runs() == 1);
    std::thread::sleep(Duration::from_millis(50));
    drop(pool);
    assert!(
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap() == Err(JobError::Cancelled))
    );
}

#[test]
fn an_idle_pool_that_nobody_used_ends_either_way() {
    let _test = begin();
    for round in 0..20 {
        let pool = Pool::new(1 + round % 3).unwrap();
        match round % 3 {
            0 => pool.close().unwrap(),
            1 => pool.terminate(),
            _ => drop(pool),
        }
    }
}

#[test]
fn two_hundred_pools_one_after_another_and_thirty_at_once() {
    let _test = begin();
    for round in 0..200 {
        let pool = Pool::new(2).unwrap();
        assert_eq!(
            pool.submit(job!(square), round).unwrap().join(),
            Ok(round * round)
        );
    }
    let pools: Vec<_> = (0..30).map(|_| Pool::new(2).unwrap()).collect();
    std::thread::scope(|scope| {
        for pool in pools {
            scope.spawn(move || {
                assert_eq!(pool.map(job!(square), 0..50).unwrap().len(), 50);
                pool.close().unwrap();
            });
        }
    });
}

#[test]
fn pools_are_made_and_dropped_by_many_threads_at_once() {
    let _test = begin();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let pool = Pool::new(2).unwrap();
                    let handle = pool.submit(job!(square), 7).unwrap();
                    drop(pool);
                    assert!(matches!(handle.join(), Ok(49) | Err(JobError::Cancelled)));
                }
            });
        }
    });
}

#[test]
fn a_panic_of_the_program_ends_its_pool_in_passing() {
    let _test = begin();
    let pids = std::thread::spawn(|| {
        let pool = Pool::new(2).unwrap();
        let _handle = pool.submit(job!(square), 1).unwrap();
        std::panic::panic_any(pool.pids());
    })
    .join()
    .unwrap_err();
    let pids = pids.downcast::<Vec<u32>>().unwrap();
    assert!(pids.into_iter().all(|pid| !processes::is_alive(pid)));
}
