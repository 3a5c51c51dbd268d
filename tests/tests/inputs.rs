//! Inputs of maps: endless, panicking, lying, and such as use the pool themselves.

#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use procession::{Pool, job, pool_map, process_job};
use procession_tests::begin;

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[test]
fn an_infinite_iterator_is_pulled_only_as_far_as_needed() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let n_pulled = Cell::new(0);
    let items = (0..).map(|x| {
        n_pulled.set(n_pulled.get() + 1);
        (x, 2)
    });
    let items = items.map(|(x, millis)| if x < 50 { (x, millis) } else { (x, u64::MAX) });
    let error = pool_map!(in pool, panics_at_huge, items).unwrap_err();
    assert_eq!(error.index(), Some(50));
    assert!(n_pulled.get() < 1000, "{}", n_pulled.get());
}

#[process_job]
fn panics_at_huge(x: u64, millis: u64) -> u64 {
    assert_ne!(millis, u64::MAX);
    std::thread::sleep(Duration::from_millis(millis));
    x
}

#[test]
fn a_panic_of_the_iterator_reaches_the_caller_and_leaves_the_pool_well() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for place in [0, 1, 100] {
        let items = (0..1000).inspect(|&x| assert_ne!(x, place, "the iterator has had enough"));
        let panic = catch_unwind(AssertUnwindSafe(|| pool.map(job!(square), items))).unwrap_err();
        assert!(
            panic
                .downcast_ref::<String>()
                .unwrap()
                .contains("had enough")
        );
        assert_eq!(pool.map(job!(square), 0..10).unwrap().len(), 10);
    }
    // Nothing of them is left in the queue either.
    pool.close().unwrap();
}

#[test]
fn an_iterator_may_use_the_pool_that_maps_it() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let items = (0..20).map(|x| pool.submit(job!(square), x).unwrap().join().unwrap());
    assert_eq!(
        pool.map(job!(square), items).unwrap(),
        (0..20).map(|x: u64| x.pow(4)).collect::<Vec<_>>()
    );
}

struct Liar(std::ops::Range<u64>, (usize, Option<usize>));

impl Iterator for Liar {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.1
    }
}

#[test]
fn an_iterator_that_lies_about_its_length_is_mapped_all_the_same() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for hint in [
        (usize::MAX, Some(usize::MAX)),
        (0, Some(0)),
        (5, Some(3)),
        (usize::MAX, None),
    ] {
        assert_eq!(
            pool.map(job!(square), Liar(0..500, hint)).unwrap().len(),
            500,
            "{hint:?}"
        );
    }
}
