//! How often jobs and workers are tried again: counted, not timed.

#![cfg(target_os = "linux")]

use std::path::PathBuf;

use nix::sys::signal::raise;
use procession::{ErrorKind, JobError, Pool, job, process_job};
use procession_tests::processes::Signal;
use procession_tests::{Tally, begin, wait_for};

#[process_job]
fn kills_its_worker(path: PathBuf, x: u32) -> u32 {
    Tally::count(&path);
    if x == 3 {
        raise(Signal::SIGKILL).unwrap();
    }
    x
}

#[process_job]
fn fails_to_start(path: PathBuf, signal: i32) {
    Tally::count(&path);
    if signal == 0 {
        panic!("no licence");
    }
    raise(Signal::try_from(signal).unwrap()).unwrap();
}

#[process_job]
fn same(x: u32) -> u32 {
    x
}

fn n_restarts(pool: &Pool) -> u32 {
    let workers = pool.stats().workers;
    workers.iter().map(|worker| worker.restarts).sum()
}

#[test]
fn a_job_that_kills_its_worker_every_time_is_given_up_and_named() {
    let _test = begin();
    for (workers, retries) in [(1, 0), (1, 4), (3, 6)] {
        let pool = Pool::builder()
            .workers(workers)
            .retries(retries)
            .build()
            .unwrap();
        let (bad, good) = (Tally::new(), Tally::new());
        let items = (0..8).map(|x| (if x == 3 { bad.path() } else { good.path() }, x));
        let mut verdicts = pool
            .map_each(job!(kills_its_worker), items.clone())
            .unwrap();
        assert!(matches!(
            verdicts.remove(3),
            Err(JobError::Killed { signal: 9, .. })
        ));
        assert_eq!(verdicts, [0, 1, 2, 4, 5, 6, 7].map(Ok));
        let n_deaths = retries + 1;
        assert_eq!((bad.runs(), good.runs()), (u64::from(n_deaths), 7));
        wait_for("a full crew", || pool.pids().len() == workers);
        assert_eq!(
            n_restarts(&pool),
            n_deaths,
            "one fork for each death and no more"
        );
        let error = pool.map(job!(kills_its_worker), items).unwrap_err();
        let worker = error.worker_pid().unwrap();
        assert_eq!(
            error.to_string(),
            format!(
                "job `kills_its_worker` failed at item 3 in worker {worker}: killed by signal 9 (SIGKILL)"
            )
        );
        assert!(error.may_have_run());
    }
}

#[test]
fn every_item_may_kill_and_each_costs_one_worker() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let bad = Tally::new();
    let items = vec![(bad.path(), 3); 40];
    let verdicts = pool.map_each(job!(kills_its_worker), items).unwrap();
    assert!(verdicts.iter().all(Result::is_err));
    wait_for("a full crew", || pool.pids().len() == 2);
    assert_eq!((bad.runs(), n_restarts(&pool)), (40, 40));
}

#[test]
fn a_pool_whose_workers_cannot_start_tries_a_handful_and_quotes_the_cause() {
    let _test = begin();
    // Somebody else may send SIGKILL: four times as many are needed to believe it.
    for (signal, handful, cause) in [
        (0, 5, "the pool's initializer panicked at "),
        (libc::SIGABRT, 5, "killed by signal 6 (SIGABRT)"),
        (libc::SIGKILL, 20, "killed by signal 9 (SIGKILL)"),
    ] {
        let tally = Tally::new();
        let pool = Pool::builder()
            .workers(2)
            .initializer(job!(fails_to_start), (tally.path(), signal))
            .build()
            .unwrap();
        let verdicts = match pool.map_each(job!(same), 0..3) {
            Ok(verdicts) => verdicts,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PoolGone);
                assert!(error.to_string().contains(cause), "{error}");
                Vec::new()
            }
        };
        for verdict in verdicts {
            let error = verdict.unwrap_err();
            assert!(!error.may_have_run());
            let words = error.to_string();
            assert!(
                words.starts_with("lost before it began: the pool's workers cannot start: "),
                "{words}"
            );
            assert_eq!(words.matches(cause).count(), 1, "{words}");
        }
        // As long as another worker may still get there, it is waited for.
        let n_forks = tally.runs();
        assert!(
            (handful..=2 * handful).contains(&n_forks),
            "{n_forks} workers were started in vain"
        );
        let again = pool.map(job!(same), 0..3).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::PoolGone);
        assert_eq!(tally.runs(), n_forks, "none is tried again");
    }
}
