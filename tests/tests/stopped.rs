//! Workers that somebody stops (SIGSTOP, and never SIGCONT) where no item runs that a limit could end.

#![cfg(target_os = "linux")]

use std::time::Duration;

use nix::sys::signal::raise;
use procession::{JobError, Pool, job, pool_map, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{begin, wait_for};
use serde::{Deserialize, Serialize};

/// Stops its process when it is dropped where it was made: its item has its verdict by then.
#[derive(Debug, Serialize, Deserialize)]
struct Stopper {
    x: u32,
    made_by: u32,
}

impl Drop for Stopper {
    fn drop(&mut self) {
        if self.made_by == std::process::id() {
            raise(Signal::SIGSTOP).unwrap();
        }
    }
}

#[process_job]
fn stops_after(x: u32, stop: u32) -> Stopper {
    let made_by = if x == stop { std::process::id() } else { 0 };
    Stopper { x, made_by }
}

#[process_job]
fn same(x: u32) -> u32 {
    x
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn idle_workers_that_are_stopped_are_replaced_for_a_map_with_a_limit() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(job!(same), [1]).unwrap(), [1]);
    let stopped = pool.pids();
    for &pid in &stopped {
        processes::send(pid, Signal::SIGSTOP);
    }
    assert_eq!(
        pool_map!(in pool, same, 0..100, timeout = LONG).unwrap(),
        Vec::from_iter(0..100)
    );
    wait_for("others", || {
        let pids = pool.pids();
        pids.len() == 2 && pids.iter().all(|pid| !stopped.contains(pid))
    });
}

#[test]
fn a_worker_stopped_between_two_items_of_a_map_with_a_limit_costs_none() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    for stop in [0, 5, 9] {
        let items = (0..10).map(|x| (x, stop));
        let results = pool_map!(in pool, stops_after, items, timeout = LONG, chunk_size = 10);
        let results: Vec<_> = results.unwrap().iter().map(|stopper| stopper.x).collect();
        assert_eq!(results, Vec::from_iter(0..10));
    }
}

#[test]
fn a_worker_stopped_between_two_items_ends_with_the_deadline() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let items = (0..10).map(|x| (x, 5));
    let limit = Duration::from_millis(300);
    let error =
        pool_map!(in pool, stops_after, items, deadline = limit, chunk_size = 10).unwrap_err();
    assert_eq!(error.job_error(), Some(&JobError::TimedOut { limit }));
    assert_eq!(pool.map(job!(same), 0..10).unwrap().len(), 10);
}

#[test]
fn a_cancelled_job_whose_worker_is_stopped_is_over_all_the_same() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.map(job!(same), 0..10).unwrap().len(), 10);
    // The supervisor looks at a pool from its beginning until it is idle.
    std::thread::sleep(Duration::from_millis(300));
    let handle = pool.submit(job!(stops_after), (3, 3)).unwrap();
    let [pid] = pool.pids()[..] else {
        panic!("one worker")
    };
    wait_for("it to stop", || processes::is_stopped(pid));
    handle.cancel();
    // Its result was there before.
    assert_eq!(handle.join().unwrap().x, 3);
    assert_eq!(pool.map(job!(same), 0..10).unwrap().len(), 10);
}
