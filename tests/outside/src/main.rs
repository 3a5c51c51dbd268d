//! Uses only what the crate's documentation promises by name.
#![deny(warnings, missing_docs, unsafe_code)]

use std::path::Path;
use std::time::Duration;

use procession::{Error, ErrorKind, JobError, Pool, StartMethod, job, pool_map, process_job, spawn};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job(timeout = "30s", retries = 1, name = "length of a vector")]
fn length(point: &Point) -> f64 {
    point.x.hypot(point.y)
}

#[process_job]
fn describe(path: &Path, words: &[String], times: usize) -> String {
    format!("{}: {}", path.display(), words.join(" ").repeat(times))
}

#[process_job]
fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[process_job]
fn fragile(x: u32) -> Result<u32, String> {
    match x {
        1 => std::process::abort(),
        2 => std::process::exit(9),
        3 => loop {
            std::thread::park();
        },
        4 => Err("four".into()),
        x => Ok(x),
    }
}

fn run() -> Result<(), Error> {
    assert_eq!(pool_map!(square, 0..10)?, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
    assert_eq!(spawn!(square(12))?.join()?, 144);

    let pool = Pool::builder().workers(2).start_method(StartMethod::ForkServer).name("outside").build()?;
    let points: Vec<_> = (0..100).map(|n| Point { x: 3.0 * f64::from(n), y: 4.0 * f64::from(n) }).collect();
    let lengths = pool_map!(in pool, length, &points, chunk_size = 7)?;
    assert!(lengths.iter().zip(0..).all(|(length, n)| *length == 5.0 * f64::from(n)));
    let described = spawn!(describe("/tmp", ["a".to_owned(), "b".to_owned()], 2))?.join()?;
    assert_eq!(described, "/tmp: a ba b");
    assert_eq!(pool_map!(in pool, sum, [vec![1.0; 1000], vec![2.0; 100_000]])?, [1000.0, 200_000.0]);

    let verdicts = pool.map_each(job!(fragile), [0, 1, 2, 4, 5])?;
    assert_eq!(verdicts[0], Ok(Ok(0)));
    assert!(matches!(verdicts[1], Err(JobError::Killed { signal: 6, .. })), "{:?}", verdicts[1]);
    assert_eq!(verdicts[2], Err(JobError::Exited { code: 9 }));
    assert_eq!(verdicts[3], Ok(Err("four".to_owned())));
    assert_eq!(verdicts[4], Ok(Ok(5)));

    let error = pool_map!(in pool, fragile, [0, 3], timeout = Duration::from_millis(200)).unwrap_err();
    assert_eq!((error.kind(), error.index()), (ErrorKind::Job, Some(1)));
    assert!(matches!(error.job_error(), Some(JobError::TimedOut { .. })));

    let handle = spawn!(in pool, square(7))?;
    assert_eq!(handle.join()?, 49);
    let jobs: u64 = pool.stats().workers.iter().map(|worker| worker.jobs_done).sum();
    println!("{jobs} jobs on {} workers", pool.workers());
    pool.close()
}

fn main() -> Result<(), Error> {
    run()
}

#[cfg(test)]
mod tests {
    #[test]
    fn works_under_the_test_harness() {
        super::run().unwrap();
    }
}
