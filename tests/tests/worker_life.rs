//! What a worker has from its birth to its end: a state and a finalizer.

#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use procession::{ErrorKind, JobError, MapOptions, Pool, job, process_job, spawn};
use procession_tests::processes::{Signal, send};
use procession_tests::{Tally, begin, wait_for};
use serde::{Deserialize, Serialize};

/// Cannot travel, be it by serde or to another thread.
struct Counter {
    sum: Rc<Cell<u64>>,
    dropped: Option<PathBuf>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        if let Some(path) = &self.dropped {
            Tally::count(path);
        }
    }
}

#[process_job(initializer)]
fn open(start: u64) -> Counter {
    Counter {
        sum: Rc::new(Cell::new(start)),
        dropped: None,
    }
}

#[process_job(initializer)]
fn open_counted(opened: &Path, dropped: PathBuf) -> Counter {
    Tally::count(opened);
    Counter {
        sum: Rc::default(),
        dropped: Some(dropped),
    }
}

#[process_job(initializer)]
fn open_or_not(start: Option<u64>) -> Result<Counter, std::num::ParseIntError> {
    start.map_or_else(|| "x".parse().map(open), |start| Ok(open(start)))
}

#[process_job(state)]
fn add(counter: &mut Counter, x: u64) -> u64 {
    counter.sum.set(counter.sum.get() + x);
    counter.sum.get()
}

#[process_job(state)]
fn add_to_named(Counter { sum, .. }: &mut Counter, x: &u64, text: &str) -> String {
    sum.set(sum.get() + x);
    format!("{text}{}", sum.get())
}

#[process_job(state)]
fn add_or_panic(counter: &mut Counter, x: u64) -> (u32, u64) {
    assert_ne!(x, 13, "half-way");
    (std::process::id(), add(counter, x))
}

#[process_job(state)]
fn push_all<T>(list: &mut Vec<T>, items: Vec<T>) -> usize
where
    T: Serialize + for<'de> Deserialize<'de> + 'static,
{
    list.extend(items);
    list.len()
}

#[process_job]
fn empty_list() -> Vec<u8> {
    Vec::new()
}

#[process_job]
fn panics_on_13(x: u64) -> u32 {
    assert_ne!(x, 13, "on purpose");
    std::process::id()
}

#[process_job(state)]
fn borrows_text(text: &mut Option<String>, path: PathBuf) -> bool {
    Tally::count(&path);
    text.is_some()
}

#[process_job(state)]
fn total(counter: &mut Counter, factor: u64) -> u64 {
    counter.sum.get() * factor
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

fn with_counter(workers: usize) -> procession::PoolBuilder {
    Pool::builder()
        .workers(workers)
        .initializer(job!(open), 100)
}

#[test]
fn a_state_is_made_once_and_lent_to_one_job_after_another() {
    let _test = begin();
    let pool = with_counter(1).build().unwrap();
    assert_eq!(pool.map(job!(add), [1, 2, 3]).unwrap(), [101, 103, 106]);
    assert_eq!(pool.submit(job!(add), 4).unwrap().join(), Ok(110));
    let texts = pool.map(job!(add_to_named), [(5, "a"), (6, "b")]).unwrap();
    assert_eq!(texts, ["a115", "b121"]);
    // One that borrows nothing runs there too.
    assert_eq!(pool.map(job!(pid), [()]).unwrap(), pool.pids());
    pool.close().unwrap();
}

#[test]
fn each_worker_has_a_state_of_its_own() {
    let _test = begin();
    let (opened, dropped) = (Tally::new(), Tally::new());
    let pool = Pool::builder()
        .workers(3)
        .initializer(job!(open_counted), (opened.path(), dropped.path()))
        .build()
        .unwrap();
    pool.map(job!(add), 0..200).unwrap();
    wait_for("all to start", || opened.runs() == 3);
    pool.close().unwrap();
    assert_eq!((opened.runs(), dropped.runs()), (3, 3));
}

#[test]
fn a_job_with_a_state_is_an_ordinary_function_still() {
    let mut counter = open(1);
    assert_eq!(add(&mut counter, 2), 3);
    assert_eq!(add_to_named(&mut counter, &4, "="), "=7");
}

#[test]
fn a_plain_job_makes_a_state_of_what_it_returns() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(empty_list), ())
        .build()
        .unwrap();
    let lens = pool.map(job!(push_all::<u8>), [vec![1, 2], vec![3]]);
    assert_eq!(lens.unwrap(), [2, 3]);
}

#[test]
fn another_type_of_state_is_an_error_before_anything_runs() {
    let _test = begin();
    let tally = Tally::new();
    let with_state = with_counter(1).build().unwrap();
    let without = Pool::new(1).unwrap();
    let expected = |there: &str| {
        format!(
            "the job `borrows_text` borrows a state of type `core::option::Option<alloc::string::String>`, and {there}"
        )
    };
    let other = expected("the pool's initializer returns `worker_life::Counter`");
    let none =
        expected("its worker has none: run it on a pool whose initializer returns that type");
    for (pool, message) in [(&with_state, &other), (&without, &none)] {
        let path = || tally.path();
        let errors = [
            pool.map(job!(borrows_text), [path()]).map(drop),
            pool.map_each(job!(borrows_text), [path()]).map(drop),
            pool.map_with(job!(borrows_text), [path()], MapOptions::NONE)
                .map(drop),
            pool.submit(job!(borrows_text), path()).map(drop),
            pool.try_submit(job!(borrows_text), path()).map(drop),
        ];
        for error in errors.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), *message);
        }
    }
    let error = spawn!(borrows_text(tally.path())).unwrap_err();
    assert_eq!(error.to_string(), none);
    let built = with_counter(1).finalizer(job!(borrows_text), tally.path());
    assert_eq!(built.build().unwrap_err().to_string(), other);
    assert_eq!(with_state.map(job!(add), [1]).unwrap(), [101]);
    assert_eq!(tally.runs(), 0);
}

#[test]
fn after_a_panic_with_the_state_the_next_worker_begins_with_its_own() {
    let _test = begin();
    let dropped = Tally::new();
    let opened = Tally::new();
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(open_counted), (opened.path(), dropped.path()))
        .finalizer(job!(total), 1)
        .build()
        .unwrap();
    let items = [1, 2, 13, 3, 4];
    let options = MapOptions::NONE.chunk_size(5);
    let verdicts = pool
        .map_each_with(job!(add_or_panic), items, options)
        .unwrap();
    let [
        Ok((first, 1)),
        Ok((_, 3)),
        Err(panicked),
        Ok((second, 3)),
        Ok((_, 7)),
    ] = &verdicts[..]
    else {
        panic!("{verdicts:?}");
    };
    assert!(matches!(panicked, JobError::Panicked { message, .. } if message.contains("half-way")));
    assert_ne!(first, second, "the worker was replaced");
    assert_eq!(pool.stats().workers[0].jobs_done, 5);
    // Of the two only the second ended in order.
    assert_eq!(pool.close_with_results::<u64>().unwrap(), [Ok(7)]);
    assert_eq!((opened.runs(), dropped.runs()), (2, 1));
}

#[test]
fn a_job_that_panics_with_the_state_is_tried_again_with_another_one() {
    let _test = begin();
    let pool = with_counter(1).retries(2).build().unwrap();
    let error = pool.map(job!(add_or_panic), [1, 13]).unwrap_err();
    assert!(matches!(error.job_error(), Some(JobError::Panicked { .. })));
    assert_eq!(error.index(), Some(1));
    let restarts = || pool.stats().workers[0].restarts;
    wait_for("the third replacement", || restarts() == 3);
    assert_eq!(pool.map(job!(add), [1]).unwrap(), [101]);
}

#[test]
fn a_panic_without_the_state_leaves_it_and_its_worker_alone() {
    let _test = begin();
    let pool = with_counter(1).build().unwrap();
    pool.map(job!(add), [1]).unwrap();
    let pids = pool.pids();
    let verdicts = pool.map_each(job!(panics_on_13), [1, 13, 1]).unwrap();
    assert_eq!(
        verdicts.iter().filter(|verdict| verdict.is_err()).count(),
        1
    );
    assert_eq!(pool.map(job!(add), [1]).unwrap(), [102]);
    assert_eq!(pool.pids(), pids);
}

#[test]
fn an_initializer_that_returns_an_error_has_failed() {
    let _test = begin();
    let build = |start: Option<u64>| {
        Pool::builder()
            .workers(1)
            .initializer(job!(open_or_not), start)
            .build()
    };
    assert_eq!(build(Some(5)).unwrap().map(job!(add), [1]).unwrap(), [6]);
    let error = build(None).and_then(|pool| pool.map(job!(add), [1]));
    let error = error.unwrap_err().to_string();
    let words = "the pool's initializer failed: invalid digit found in string";
    assert!(error.contains(words), "{error}");
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Last {
    Returns,
    Panics,
    Exits,
    Aborts,
    Hangs,
}

#[process_job]
fn last(way: Last) -> u32 {
    match way {
        Last::Returns => {}
        Last::Panics => panic!("the disk is full"),
        Last::Exits => std::process::exit(3),
        Last::Aborts => std::process::abort(),
        Last::Hangs => loop {
            std::thread::park();
        },
    }
    std::process::id()
}

#[test]
fn every_worker_that_ends_in_order_runs_its_finalizer_once() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .max_jobs_per_worker(10)
        .finalizer(job!(last), Last::Returns)
        .build()
        .unwrap();
    let mut pids = pool.map(job!(pid), [(); 60]).unwrap();
    pids.extend(pool.pids());
    pids.sort_unstable();
    pids.dedup();
    let mut last_words = pool.finalizer_results::<u32>().unwrap();
    last_words.extend(pool.close_with_results::<u32>().unwrap());
    let mut last_pids: Vec<u32> = last_words.into_iter().map(Result::unwrap).collect();
    last_pids.sort_unstable();
    assert!(last_pids.len() >= 6, "{last_pids:?}");
    // A worker that started and left between the two looks is among the last only.
    assert!(
        pids.iter().all(|pid| last_pids.contains(pid)),
        "{pids:?} {last_pids:?}"
    );
    let n_last = last_pids.len();
    last_pids.dedup();
    assert_eq!(last_pids.len(), n_last, "each once");
}

#[test]
fn a_worker_that_is_killed_runs_no_finalizer() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .finalizer(job!(last), Last::Returns)
        .build()
        .unwrap();
    let [killed] = pool.map(job!(pid), [()]).unwrap()[..] else {
        panic!("one item")
    };
    send(killed, Signal::SIGKILL);
    wait_for("a replacement", || pool.stats().workers[0].restarts == 1);
    let successor = pool.map(job!(pid), [()]).unwrap()[0];
    assert_eq!(pool.close_with_results::<u32>().unwrap(), [Ok(successor)]);

    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(2)
        .finalizer(job!(counted), tally.path())
        .build()
        .unwrap();
    pool.map(job!(pid), [(); 10]).unwrap();
    pool.terminate();
    assert_eq!(tally.runs(), 0);
}

#[process_job]
fn counted(path: PathBuf) {
    Tally::count(&path);
}

#[test]
fn how_a_finalizer_failed_is_what_close_returns() {
    let _test = begin();
    type Is = fn(&JobError) -> bool;
    let ways: [(Last, Is); 4] = [
        (Last::Panics, |error| {
            matches!(error, JobError::Panicked { message, location, .. }
                if message == "the disk is full" && location.contains("worker_life.rs"))
        }),
        (Last::Exits, |error| *error == JobError::Exited { code: 3 }),
        (Last::Aborts, |error| {
            matches!(error, JobError::Killed { signal: 6, .. })
        }),
        (Last::Hangs, |error| {
            *error
                == JobError::TimedOut {
                    limit: Duration::from_secs(2),
                }
        }),
    ];
    for (way, is_it) in ways {
        let pool = Pool::builder()
            .workers(1)
            .finalizer(job!(last), way)
            .build()
            .unwrap();
        let one = pool.map(job!(pid), [()]).unwrap();
        assert_eq!(pool.pids(), one, "it has not ended by itself");
        let error = pool.close().unwrap_err();
        assert_eq!((error.kind(), error.job()), (ErrorKind::Job, Some("last")));
        assert!(is_it(error.job_error().unwrap()), "{way:?}: {error:?}");
    }
}

#[test]
fn a_finalizer_that_hangs_holds_up_no_map_for_ever() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_jobs_per_worker(1)
        .finalizer(job!(last), Last::Hangs)
        .build()
        .unwrap();
    let pids = pool.map(job!(pid), [(); 2]).unwrap();
    assert_ne!(pids[0], pids[1]);
    let limit = Duration::from_secs(2);
    let results = pool.close_with_results::<u32>().unwrap();
    assert_eq!(results.first(), Some(&Err(JobError::TimedOut { limit })));
    assert!(results.len() >= 2, "{results:?}");
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        std::panic::panic_any(PanicsToo);
    }
}

struct PanicsToo;

impl Drop for PanicsToo {
    fn drop(&mut self) {
        panic!("what was panicked with");
    }
}

#[process_job(initializer)]
fn open_what_cannot_be_closed() -> PanicsWhenDropped {
    PanicsWhenDropped
}

#[test]
fn a_state_whose_end_panics_again_and_again_ends_its_worker_in_order() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(open_what_cannot_be_closed), ())
        .build()
        .unwrap();
    pool.map(job!(pid), [(); 3]).unwrap();
    pool.close().unwrap();
}

#[test]
fn the_results_of_a_finalizer_are_asked_for_by_their_type() {
    let _test = begin();
    let with = |finalizer: bool| {
        let builder = Pool::builder().workers(1);
        match finalizer {
            true => builder.finalizer(job!(last), Last::Returns),
            false => builder,
        }
        .build()
        .unwrap()
    };
    let message = |pool: Pool| pool.close_with_results::<String>().unwrap_err().to_string();
    assert_eq!(
        message(with(true)),
        "the pool's finalizer `last` returns `u32`, and asked for are results of type `alloc::string::String`"
    );
    assert_eq!(
        message(with(false)),
        "the pool has no finalizer, so there are no results of type `alloc::string::String`"
    );
}
