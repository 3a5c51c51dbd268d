//! Deadlines of whole maps.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::raise;
use procession::{Error, ErrorKind, JobError, MapOptions, Pool, job, pool_map, process_job};
use procession_tests::processes::Signal;
use procession_tests::{Tally, begin, wait_for};

/// Item `stuck` never ends.
#[process_job]
fn counted(path: PathBuf, x: u32, stuck: u32) -> u32 {
    Tally::count(&path);
    if x == stuck {
        sleep_for_ever();
    }
    x
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

#[process_job]
fn stops_itself() {
    raise(Signal::SIGSTOP).unwrap();
}

#[process_job]
fn sleeps(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[process_job]
fn same(x: u64) -> u64 {
    x
}

const LIMIT: Duration = Duration::from_millis(300);

#[test]
fn a_map_ends_with_an_error_that_names_the_deadline_and_the_first_item_without_a_result() {
    let _test = begin();
    for (workers, chunk_size) in [(1, 1), (1, 4), (2, 1), (2, 20)] {
        let pool = Pool::new(workers).unwrap();
        let pids = pool.pids();
        let tally = Tally::new();
        let items = (0..20).map(|x| (tally.path(), x, 7));
        let started = Instant::now();
        let error = pool_map!(in pool, counted, items, chunk_size = chunk_size, deadline = LIMIT)
            .unwrap_err();
        assert!(started.elapsed() >= LIMIT);
        assert_eq!(
            (error.kind(), error.index(), error.job_error()),
            (
                ErrorKind::Job,
                Some(7),
                Some(&JobError::TimedOut { limit: LIMIT })
            )
        );
        assert_eq!(
            error.to_string(),
            "the map's deadline of 300ms passed: job `counted` has no result at item 7"
        );
        let worker = error.worker_pid().unwrap();
        assert!(pids.contains(&worker), "it ran in a worker, which is gone");
        wait_for("another worker", || {
            let pids = pool.pids();
            pids.len() == workers && !pids.contains(&worker)
        });
        assert_eq!(pool.map(job!(same), 0..100).unwrap().len(), 100);
    }
}

#[test]
fn a_map_of_verdicts_tells_what_was_done_what_ran_and_what_had_not_begun() {
    let _test = begin();
    for chunk_size in [1, 4, 20] {
        let pool = Pool::new(1).unwrap();
        let tally = Tally::new();
        let items = (0..20).map(|x| (tally.path(), x, 7));
        let options = MapOptions::NONE.chunk_size(chunk_size).deadline(LIMIT);
        let verdicts = pool.map_each_with(job!(counted), items, options).unwrap();
        assert_eq!(verdicts[..7], (0..7).map(Ok).collect::<Vec<_>>());
        assert_eq!(verdicts[7], Err(JobError::TimedOut { limit: LIMIT }));
        assert_eq!(verdicts[8..], vec![Err(JobError::Cancelled); 12]);
        assert_eq!(tally.runs(), 8, "what is said not to have begun has not");
    }
}

#[test]
fn a_job_that_stopped_itself_is_ended_by_the_deadline_and_not_tried_again() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let error =
        pool_map!(in pool, stops_itself, [(); 9], deadline = LIMIT, retries = 100).unwrap_err();
    assert_eq!(
        (error.index(), error.job_error()),
        (Some(0), Some(&JobError::TimedOut { limit: LIMIT }))
    );
    let restarts: u32 = pool.stats().workers.iter().map(|w| w.restarts).sum();
    assert!(restarts <= 2, "one for each that ran");
    let options = MapOptions::NONE.deadline(LIMIT).retries(100);
    let verdicts = pool
        .map_each_with(job!(stops_itself), [()], options)
        .unwrap();
    assert_eq!(verdicts, [Err(JobError::TimedOut { limit: LIMIT })]);
}

#[test]
fn a_map_that_is_done_in_time_knows_nothing_of_its_deadline() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for deadline in [Duration::from_secs(30), Duration::MAX] {
        let all: Vec<u64> = (0..50_000).collect();
        assert_eq!(
            pool_map!(in pool, same, 0..50_000, deadline = deadline).unwrap(),
            all
        );
        let lazy = std::iter::successors(Some(0_u64), |x| Some(x + 1)).take_while(|&x| x < 1000);
        assert_eq!(
            pool_map!(in pool, same, lazy, deadline = deadline).unwrap(),
            all[..1000]
        );
    }
    let restarts: u32 = pool.stats().workers.iter().map(|w| w.restarts).sum();
    assert_eq!(restarts, 0);
}

#[test]
fn an_iterator_without_an_end_ends_with_the_deadline() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let options = MapOptions::NONE.deadline(LIMIT);
    let verdicts = pool.map_each_with(job!(same), 0.., options).unwrap();
    let n_done = verdicts
        .iter()
        .take_while(|verdict| verdict.is_ok())
        .count();
    assert!(n_done > 0);
    for (x, verdict) in (0..).zip(&verdicts) {
        match verdict {
            Ok(result) => assert_eq!(*result, x),
            Err(error) => assert!(
                [JobError::Cancelled, JobError::TimedOut { limit: LIMIT }].contains(error),
                "{error:?}"
            ),
        }
    }
    let error = pool.map_with(job!(same), 0.., options).unwrap_err();
    assert_eq!(
        error.job_error(),
        Some(&JobError::TimedOut { limit: LIMIT })
    );
}

#[test]
fn a_deadline_passes_while_the_queue_is_full_of_others_work() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::builder().workers(1).max_queued_bytes(4096).build()?;
    let mut others = Vec::new();
    while let Ok(handle) = pool.try_submit(job!(sleeps), 1_000_000) {
        others.push(handle);
    }
    let tally = Tally::new();
    let items = (0..5).map(|x| (tally.path(), x, 7));
    let options = MapOptions::NONE.deadline(LIMIT);
    let verdicts = pool.map_each_with(job!(counted), items, options)?;
    assert_eq!(verdicts, vec![Err(JobError::Cancelled); 5]);
    assert_eq!(tally.runs(), 0);
    assert!(
        others.iter().all(|handle| !handle.is_finished()),
        "nobody else is touched"
    );
    Ok(())
}

#[test]
fn the_items_time_out_goes_on_below_the_deadline() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let of_item = Duration::from_millis(50);
    let error = pool_map!(in pool, sleeps, [0, 1_000_000], timeout = of_item, deadline = Duration::from_secs(60))
        .unwrap_err();
    assert_eq!(
        error.job_error(),
        Some(&JobError::TimedOut { limit: of_item })
    );
    assert!(
        error
            .to_string()
            .starts_with("job `sleeps` failed at item 1")
    );
}

#[test]
fn a_deadline_of_nothing_is_refused() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let error = pool_map!(in pool, same, 0..3, deadline = Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "a `deadline` of 0 would cancel every item; leave it out for no limit"
    );
}
