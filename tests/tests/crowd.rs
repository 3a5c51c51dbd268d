//! More workers than there are cores: those that are not needed sleep, and each one works where it is.

#![cfg(target_os = "linux")]

use std::thread::available_parallelism;
use std::time::Duration;

use procession::{Barrier, Event, MapOptions, Pool, job, process_job};
use procession_tests::begin;

#[process_job]
fn meet(barrier: Barrier) -> bool {
    barrier.wait().is_ok()
}

#[process_job]
fn quick_or_late(x: u64, late: Event) -> u64 {
    if x >= QUICK {
        late.wait();
    }
    x
}

#[process_job]
fn set(late: Event) -> bool {
    late.set();
    true
}

const QUICK: u64 = 100_000;

/// So many that no few of them would do.
fn n_workers() -> usize {
    4 * available_parallelism().map_or(1, usize::from).min(16) + 3
}

#[test]
fn items_that_wait_for_one_another_are_for_as_many_workers_as_there_are() {
    let _test = begin();
    let pool = Pool::new(n_workers()).unwrap();
    for _ in 0..3 {
        let barrier = Barrier::new(n_workers()).unwrap();
        let items = vec![barrier; n_workers()];
        let met = pool.map_with(job!(meet), items, MapOptions::NONE.chunk_size(1));
        assert_eq!(met.unwrap(), vec![true; n_workers()]);
    }
}

/// Whatever was learned of the first hundred thousand.
#[test]
fn items_that_wait_behind_quick_ones_do_not_keep_other_jobs_from_sleeping_workers() {
    let _test = begin();
    let pool = Pool::new(n_workers()).unwrap();
    let late = Event::new().unwrap();
    let n_items = QUICK + n_workers() as u64 / 2;
    std::thread::scope(|scope| {
        let (pool, late) = (&pool, &late);
        let map = scope.spawn(move || {
            let items = (0..n_items).map(|x| (x, late.clone()));
            pool.map_with(job!(quick_or_late), items, MapOptions::NONE.chunk_size(1))
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            pool.submit(job!(set), late.clone())
                .unwrap()
                .join()
                .unwrap()
        );
        assert_eq!(map.join().unwrap().unwrap(), Vec::from_iter(0..n_items));
    });
}
