//! What was finished before an item failed: `map_partial`.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::Duration;

use procession::{ErrorKind, JobError, MapOptions, Pool, job, process_job};
use procession_tests::{Tally, begin};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn noted_and_dies_at_20(path: PathBuf, x: u64) -> u64 {
    Tally::count(&path);
    if x == 20 {
        // Not before another one has begun.
        while std::fs::metadata(&path).unwrap().len() < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::process::abort();
    }
    std::thread::sleep(Duration::from_millis(if x > 1000 { 200 } else { 2 }));
    x
}

#[test]
fn what_is_finished_when_an_item_fails_is_in_the_error() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map_partial(job!(square), 0..4).unwrap(), [0, 1, 4, 9]);
    assert_eq!(pool.map_partial(job!(square), 0..0).unwrap(), []);

    let tally = Tally::new();
    let items = (0_u64..).map(|x| (tally.path(), x));
    let error = pool
        .map_partial(job!(noted_and_dies_at_20), items)
        .unwrap_err();
    assert_eq!(error.error().index(), Some(20));
    assert!(matches!(
        error.error().job_error(),
        Some(JobError::Killed { signal: 6, .. })
    ));
    let results = error.results();
    assert_eq!(results.len() as u64, tally.runs() - 1, "each that began");
    assert!(
        results
            .iter()
            .all(|&(place, x)| x == place as u64 && x != 20)
    );
    assert!(results.iter().map(|(place, _)| *place).is_sorted());
    assert!((0..20).all(|place| results[place].0 == place));
    let text = error.to_string();
    assert!(
        text.contains("at item 20") && text.contains("other items have results"),
        "{text}"
    );
    let error = procession::Error::from(error);
    assert_eq!(error.index(), Some(20));
    pool.close().unwrap();

    let options = MapOptions::NONE.chunk_size(0);
    let error = Pool::new(1)
        .unwrap()
        .map_partial_with(job!(square), 0..3, options);
    assert_eq!(error.unwrap_err().error().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_slow_item_that_runs_when_another_fails_is_waited_for_and_kept() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let tally = Tally::new();
    let items = [(tally.path(), 20), (tally.path(), 1020)];
    let error = pool
        .map_partial(job!(noted_and_dies_at_20), items)
        .unwrap_err();
    assert_eq!(error.error().index(), Some(0));
    assert_eq!(error.into_results(), [(1, 1020)]);
}

#[test]
fn no_further_item_begins_once_another_has_failed() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let tally = Tally::new();
    // Two chunks: one that fails at once, and one that would take seconds.
    let items = (0..2000).map(|x| (tally.path(), if x == 0 { 20 } else { 0 }));
    let options = MapOptions::NONE.chunk_size(1000);
    let error = pool
        .map_partial_with(job!(noted_and_dies_at_20), items, options)
        .unwrap_err();
    assert_eq!(error.error().index(), Some(0));
    let n_results = error.into_results().len();
    assert!((1..1000).contains(&n_results), "{n_results} results");
    pool.close().unwrap();
    assert_eq!(tally.runs(), n_results as u64 + 1);
}
