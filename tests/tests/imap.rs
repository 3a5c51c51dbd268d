//! Results one by one: order, laziness, endless and failing inputs, early ends, deaths.

#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use procession::{ErrorKind, JobError, MapOptions, Pool, job, pool_map, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, begin_with_default_pool, nothing, supervisor_pid, wait_for};
use serde::{Serialize, Serializer};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

/// Long enough to be sent one by one.
#[process_job]
fn slow_square(x: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(3));
    x * x
}

#[process_job]
fn dies_at_each_tenth(x: u64) -> u64 {
    match x % 20 {
        0 => std::process::abort(),
        10 => panic!("on purpose"),
        _ => x,
    }
}

#[process_job]
fn slow_and_forever_at_zero(x: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(if x == 0 { 1_000_000 } else { 3 }));
    x
}

#[process_job]
fn sleeps_at_zero(x: u64) -> u64 {
    if x == 0 {
        std::thread::sleep(Duration::from_secs(1000));
    }
    x
}

#[process_job]
fn counted_then_sleeps(path: PathBuf, millis: u64) -> u64 {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn length(bytes: Vec<u8>) -> usize {
    bytes.len()
}

/// Counts what is read of an input.
fn counted<I: IntoIterator>(items: I) -> (impl Iterator<Item = I::Item>, Rc<Cell<usize>>) {
    let n_read = Rc::new(Cell::new(0));
    let count = Rc::clone(&n_read);
    let items = items
        .into_iter()
        .inspect(move |_| count.set(count.get() + 1));
    (items, n_read)
}

#[test]
fn results_come_in_input_order_and_only_once() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    for n_items in [0_u64, 1, 2, 1000, 100_000] {
        let squares = pool.imap(job!(square), 0..n_items);
        let expected = (0..n_items).map(|x| Ok(x * x));
        assert!(squares.eq(expected), "{n_items} items");
    }
    let mut squares = pool.imap(job!(square), 0..2);
    assert_eq!(squares.by_ref().count(), 2);
    assert_eq!(squares.next(), None);
    assert_eq!(squares.next(), None);
}

#[test]
fn unordered_results_are_complete_and_at_their_places() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    for (n_items, options) in [
        (0, MapOptions::NONE),
        (1, MapOptions::NONE),
        (100_000, MapOptions::NONE),
        (1000, MapOptions::NONE.chunk_size(7)),
        (1000, MapOptions::NONE.buffer_size(1)),
        (1000, MapOptions::NONE.buffer_size(100).chunk_size(1000)),
    ] {
        let results = pool.imap_unordered_with(job!(square), 5..5 + n_items, options);
        let mut results: Vec<_> = results.unwrap().collect();
        results.sort_by_key(|(place, _)| *place);
        let expected = (0..).zip((5..5 + n_items).map(|x| Ok(x * x)));
        assert!(results.into_iter().eq(expected), "{n_items} {options:?}");
    }
}

#[test]
fn a_failure_stands_in_its_place_and_the_iteration_goes_on() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let as_expected = |x: usize, result: &Result<u64, JobError>| match x % 20 {
        0 => matches!(result, Err(JobError::Killed { signal: 6, .. })),
        10 => matches!(result, Err(JobError::Panicked { .. })),
        _ => *result == Ok(x as u64),
    };
    let mut n_results = 0;
    for (x, result) in pool.imap(job!(dies_at_each_tenth), 0..100).enumerate() {
        assert!(as_expected(x, &result), "{x}: {result:?}");
        n_results += 1;
    }
    for (x, result) in pool.imap_unordered(job!(dies_at_each_tenth), 0..100) {
        assert!(as_expected(x, &result), "{x}: {result:?}");
        n_results += 1;
    }
    assert_eq!(n_results, 200);
}

#[test]
fn an_endless_input_is_read_as_far_as_workers_have_work_and_no_further() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let (items, n_read) = counted(0_u64..);
    let mut squares = pool.imap(job!(slow_square), items);
    assert_eq!(n_read.get(), 0, "nothing is read before it is wanted");
    for x in 0..50 {
        assert_eq!(squares.next(), Some(Ok(x * x)));
        let n_ahead = n_read.get() - x as usize;
        assert!(n_ahead <= 2 * 2 * 3, "{n_ahead} items ahead at {x}");
    }
    let before = n_read.get();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(n_read.get(), before, "nothing is read while nobody asks");
}

#[test]
fn a_slow_item_is_overtaken_by_a_bounded_number_in_order_and_by_any_without() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let (items, n_read) = counted(0_u64..);
    let options = MapOptions::NONE.deadline(Duration::from_millis(300));
    let mut results = pool
        .imap_with(job!(slow_and_forever_at_zero), items, options)
        .unwrap();
    let limit = Duration::from_millis(300);
    assert_eq!(results.next(), Some(Err(JobError::TimedOut { limit })));
    assert!(n_read.get() <= 2 * 2 * 3, "{} read", n_read.get());
    drop(results);

    let (items, n_read) = counted(0_u64..);
    let results = pool.imap_unordered(job!(sleeps_at_zero), items);
    let others: Vec<_> = results.take(50_000).collect();
    assert!(others.iter().all(|(place, _)| *place != 0));
    assert!(others.into_iter().all(|(place, x)| x == Ok(place as u64)));
    assert!(n_read.get() >= 50_000);
}

#[test]
fn the_size_of_the_buffer_is_kept_to_the_item() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for most in [1, 2, 5, 64] {
        for chunk_size in [None, Some(1), Some(1000)] {
            let mut options = MapOptions::NONE.buffer_size(most);
            if let Some(n_items) = chunk_size {
                options = options.chunk_size(n_items);
            }
            let (items, n_read) = counted(0_u64..);
            let mut in_order = pool.imap_with(job!(square), items, options).unwrap();
            for x in 0..500 {
                assert_eq!(in_order.next(), Some(Ok(x * x)));
                assert!(n_read.get() <= x as usize + most);
            }
            let (items, n_read) = counted(0_u64..);
            let mut as_they_come = pool
                .imap_unordered_with(job!(square), items, options)
                .unwrap();
            for n_given in 0..500 {
                assert!(as_they_come.next().is_some());
                assert!(n_read.get() <= n_given + most);
            }
        }
    }
}

#[test]
fn an_input_that_panics_does_so_behind_the_results_of_all_before() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let items = (0_u64..).map(|x| {
        if x < 100 {
            x
        } else {
            panic!("the input fails")
        }
    });
    let mut squares = pool.imap(job!(square), items);
    for x in 0..100 {
        assert_eq!(squares.next(), Some(Ok(x * x)));
    }
    let panic = catch_unwind(AssertUnwindSafe(|| squares.next())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the input fails"));
    assert_eq!(squares.next(), None);

    let items = (0_u64..).map(|x| {
        if x < 100 {
            x
        } else {
            panic!("the input fails")
        }
    });
    let mut squares = pool.imap_unordered(job!(square), items);
    assert_eq!(squares.by_ref().take(100).count(), 100);
    assert!(catch_unwind(AssertUnwindSafe(|| squares.next())).is_err());
    assert_eq!(squares.next(), None);
    assert_eq!(pool.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
}

struct Unspeakable(u64);

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(serde::ser::Error::custom("cannot be said")),
            5 => panic!("while it is encoded"),
            x => serializer.serialize_u64(x),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Unspeakable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

#[process_job]
fn speak(word: Unspeakable) -> u64 {
    word.0
}

#[test]
fn an_item_that_cannot_be_encoded_is_a_failure_and_one_that_panics_the_end() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let options = MapOptions::NONE.buffer_size(1);
    let mut words = pool
        .imap_with(job!(speak), (0..).map(Unspeakable), options)
        .unwrap();
    assert!(words.by_ref().take(3).eq([Ok(0), Ok(1), Ok(2)]));
    assert!(matches!(words.next(), Some(Err(JobError::Codec { .. }))));
    assert_eq!(words.next(), Some(Ok(4)));
    assert!(catch_unwind(AssertUnwindSafe(|| words.next())).is_err());
    assert_eq!(words.next(), None);

    let places = pool.imap_unordered(job!(speak), (0..5).map(Unspeakable));
    for (place, result) in places {
        assert_eq!(result.is_err(), place == 3);
    }
}

#[test]
fn dropped_early_it_leaves_nothing_that_begins_later() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for unordered in [false, true] {
        let tally = Tally::new();
        let items = std::iter::repeat_with(|| (tally.path(), 20));
        if unordered {
            let mut results = pool.imap_unordered(job!(counted_then_sleeps), items);
            assert!(results.next().is_some());
        } else {
            let mut results = pool.imap(job!(counted_then_sleeps), items);
            assert!(results.next().is_some());
        }
        // Those that run come to their end; no worker takes another.
        let at_drop = tally.runs();
        assert_eq!(pool.map(job!(square), 0..100).unwrap().len(), 100);
        assert!(tally.runs() <= at_drop + 2, "{} begun", tally.runs());
    }
    pool.close().unwrap();
}

#[test]
fn an_iterator_that_is_never_asked_does_nothing() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let tally = Tally::new();
    let (items, n_read) = counted(std::iter::repeat_with(|| (tally.path(), 0)));
    drop(pool.imap(job!(counted_then_sleeps), items));
    pool.close().unwrap();
    assert_eq!((tally.runs(), n_read.get()), (0, 0));
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    for options in [
        MapOptions::NONE.buffer_size(0),
        MapOptions::NONE.chunk_size(0),
        MapOptions::NONE.timeout(Duration::ZERO),
    ] {
        let error = pool.imap_with(job!(square), 0..3, options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = pool
            .imap_unordered_with(job!(square), 0..3, options)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn an_item_that_never_fits_ends_the_iteration_behind_those_that_do() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(64 << 10)
        .build()
        .unwrap();
    let items = (0..).map(|x| vec![0; if x == 2 { 100 << 10 } else { 10 }]);
    let mut results = pool.imap(job!(length), items);
    assert!(results.by_ref().take(2).eq([Ok(10), Ok(10)]));
    let Some(Err(JobError::Lost {
        reason, started, ..
    })) = results.next()
    else {
        panic!("an item that does not fit was sent");
    };
    assert!(reason.contains("max_queued_bytes") && !started, "{reason}");
    assert_eq!(results.next(), None);
}

#[test]
fn several_iterators_and_a_map_share_a_pool() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let mut squares = pool.imap(job!(square), 0..);
    let mut others = pool.imap_unordered(job!(slow_square), 0..);
    for x in 0..100 {
        assert_eq!(squares.next(), Some(Ok(x * x)));
        assert!(matches!(others.next(), Some((_, Ok(_)))));
        assert_eq!(pool.map(job!(square), [x]).unwrap(), [x * x]);
    }
    // An input that is itself such an iterator.
    let squares = pool.imap(job!(square), 0..100).map(Result::unwrap);
    let fourth_powers = pool.imap(job!(square), squares);
    assert!(fourth_powers.eq((0..100).map(|x: u64| Ok(x.pow(4)))));
}

#[test]
fn it_can_be_asked_from_another_thread() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let mut squares = pool.imap(job!(square), 0..1000);
    assert_eq!(squares.next(), Some(Ok(0)));
    let rest = std::thread::scope(|scope| scope.spawn(move || squares.count()).join());
    assert_eq!(rest.unwrap(), 999);
}

#[test]
fn workers_are_killed_again_and_again_and_each_item_has_its_verdict() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let mut n_results = 0;
    for result in pool.imap(job!(slow_square), 0..200) {
        match result {
            Ok(square) => assert_eq!(square, n_results * n_results),
            Err(error) => assert!(matches!(error, JobError::Killed { signal: 9, .. })),
        }
        n_results += 1;
        if n_results % 10 == 0
            && let Some(&pid) = pool.pids().first()
        {
            processes::send(pid, Signal::SIGKILL);
        }
    }
    assert_eq!(n_results, 200);
}

#[test]
fn the_supervisors_death_ends_it_with_the_truth() {
    let _test = begin_with_default_pool();
    for unordered in [false, true] {
        let pool = Pool::new(2).unwrap();
        let tally = Tally::new();
        let items = std::iter::repeat_with(|| (tally.path(), 1_000_000));
        let killer = || {
            wait_for("two jobs to begin", || tally.runs() == 2);
            processes::send(supervisor_pid(), Signal::SIGKILL);
        };
        let errors: Vec<JobError> = std::thread::scope(|scope| {
            scope.spawn(killer);
            let mut n_left = 1000;
            let mut is_left = move || {
                n_left -= 1;
                n_left > 0
            };
            if unordered {
                let results = pool.imap_unordered(job!(counted_then_sleeps), items);
                let ended = results.take_while(|_| is_left());
                ended.filter_map(|(_, result)| result.err()).collect()
            } else {
                let results = pool.imap(job!(counted_then_sleeps), items);
                let ended = results.take_while(|_| is_left());
                ended.filter_map(Result::err).collect()
            }
        });
        assert!(errors.len() < 900, "it ends");
        let n_begun = errors.iter().filter(|error| error.may_have_run());
        assert_eq!(n_begun.count(), 2, "{errors:?}");
        assert!(
            errors.len() > 2,
            "one more says why no further item is sent"
        );
        let gone = pool.imap(job!(square), 0..).next();
        assert!(matches!(
            gone,
            Some(Err(JobError::Lost { started: false, .. }))
        ));
        // The next supervisor.
        pool_map!(nothing, [()]).unwrap();
    }
}
