//! Without faults every job runs once: counted job by job, for many sizes of chunks and numbers of workers, with the
//! same results in the same order.

#![cfg(target_os = "linux")]

use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;

use procession::{Array, Atomic, Error, Pool, job, pool_map, process_job};
use procession_tests::begin;

const N_JOBS: u64 = 100_000;

/// What all workers count in: runs of each job, and of all.
static COUNTERS: OnceLock<(Array<u32>, Atomic<u64>)> = OnceLock::new();

#[process_job]
fn keep_counters(runs: Array<u32>, total: Atomic<u64>) {
    COUNTERS.set((runs, total)).expect("a worker begins once");
}

#[process_job]
fn count(number: u64) -> u64 {
    let (runs, total) = COUNTERS.get().expect("the initializer has run");
    runs.lock().expect("nobody dies")[number as usize] += 1;
    total.fetch_add(1, Relaxed);
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn truth(n_jobs: u64) -> Vec<u64> {
    let results = (0..n_jobs).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    results.collect()
}

/// A pool, and what its jobs are counted in.
fn counting(n_workers: usize, n_jobs: u64) -> Result<(Pool, Array<u32>, Atomic<u64>), Error> {
    let (runs, total) = (Array::zeroed(n_jobs as usize)?, Atomic::new(0)?);
    let pool = Pool::builder()
        .workers(n_workers)
        .initializer(job!(keep_counters), (runs.clone(), total.clone()))
        .build()?;
    Ok((pool, runs, total))
}

fn each_ran_once(runs: &Array<u32>, total: &Atomic<u64>) -> Result<(), Error> {
    let runs = runs.lock()?;
    let other = runs.iter().position(|&n_runs| n_runs != 1);
    assert_eq!(
        other.map(|job| (job, runs[job])),
        None,
        "a job and its runs"
    );
    assert_eq!(total.load(Relaxed), runs.len() as u64);
    Ok(())
}

#[test]
fn every_item_of_a_map_runs_once_whatever_the_chunks_and_the_workers() -> Result<(), Error> {
    let _test = begin();
    for n_workers in [1, 2, 8] {
        for chunk_size in [None, Some(1), Some(7), Some(1000), Some(65_537)] {
            let (pool, runs, total) = counting(n_workers, N_JOBS)?;
            let results = match chunk_size {
                None => pool.map(job!(count), 0..N_JOBS)?,
                Some(n) => pool_map!(in pool, count, 0..N_JOBS, chunk_size = n)?,
            };
            assert_eq!(
                results,
                truth(N_JOBS),
                "{n_workers} workers, {chunk_size:?}"
            );
            pool.close()?;
            each_ran_once(&runs, &total)?;
        }
    }
    Ok(())
}

#[test]
fn every_submitted_job_runs_once_also_when_nobody_joins_it() -> Result<(), Error> {
    let _test = begin();
    for n_workers in [1, 2, 8] {
        let n_jobs = 10_000;
        let (pool, runs, total) = counting(n_workers, n_jobs)?;
        let (truth, mut joined) = (truth(n_jobs), Vec::new());
        for number in 0..n_jobs {
            let handle = pool.submit(job!(count), number)?;
            if number % 3 > 0 {
                joined.push((number, handle));
            }
        }
        for (number, handle) in joined {
            assert_eq!(handle.join()?, truth[number as usize]);
        }
        pool.close()?;
        each_ran_once(&runs, &total)?;
    }
    Ok(())
}

#[test]
fn workers_that_are_replaced_all_the_time_run_no_job_twice() -> Result<(), Error> {
    let _test = begin();
    let n_jobs = 5000;
    let (runs, total) = (Array::zeroed(n_jobs as usize)?, Atomic::new(0)?);
    let pool = Pool::builder()
        .workers(3)
        .max_jobs_per_worker(17)
        .initializer(job!(keep_counters), (runs.clone(), total.clone()))
        .build()?;
    for chunk_size in [40, 1] {
        runs.lock()?.fill(0);
        total.store(0, Relaxed);
        let results = pool_map!(in pool, count, 0..n_jobs, chunk_size = chunk_size)?;
        assert_eq!(results, truth(n_jobs));
        each_ran_once(&runs, &total)?;
    }
    Ok(())
}
