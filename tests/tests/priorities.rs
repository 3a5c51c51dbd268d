//! Which of the jobs that wait are begun first.

#![cfg(target_os = "linux")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use procession::{
    ErrorKind, JobError, JobHandle, MapOptions, Pool, Priority, SubmitOptions, job, process_job,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Scratch, Tally, begin, wait_for};

/// Writes down that it ran.
#[process_job]
fn noted(path: PathBuf, name: &str) {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| writeln!(file, "{name}"))
        .unwrap();
}

#[process_job]
fn counted_until_gone(tally: PathBuf, gate: PathBuf) {
    Tally::count(&tally);
    while gate.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[process_job]
fn forever() {
    std::thread::sleep(Duration::from_secs(1000));
}

/// Holds the one worker of a pool until it is [opened](Gate::open).
struct Gate<'pool> {
    scratch: Scratch,
    pool: &'pool Pool,
    held: JobHandle<()>,
}

impl<'pool> Gate<'pool> {
    fn new(pool: &'pool Pool) -> Self {
        let (scratch, tally) = (Scratch::new("gate"), Tally::new());
        fs::write(scratch.path().join("gate"), "").unwrap();
        let args = (tally.path(), scratch.path().join("gate"));
        let held = pool.submit(job!(counted_until_gone), args).unwrap();
        wait_for("the worker to begin", || tally.runs() > 0);
        Self {
            scratch,
            pool,
            held,
        }
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    fn submit(&self, name: &str, priority: Priority) -> JobHandle<()> {
        let options = SubmitOptions::NONE.priority(priority);
        let args = (self.log(), name);
        self.pool.submit_with(job!(noted), args, options).unwrap()
    }

    /// Lets the worker go on; gives the names of these jobs in the order in which they ran.
    fn open(self, jobs: impl IntoIterator<Item = JobHandle<()>>) -> Vec<String> {
        let log = self.log();
        fs::remove_file(self.scratch.path().join("gate")).unwrap();
        self.held.join().unwrap();
        jobs.into_iter().for_each(|job| job.join().unwrap());
        read(&log)
    }
}

fn read(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn one_worker() -> Pool {
    Pool::new(1).unwrap()
}

#[test]
fn the_oldest_of_the_highest_priority_is_next() {
    let _test = begin();
    let pool = one_worker();
    let gate = Gate::new(&pool);
    let mut jobs = Vec::new();
    for round in ["1", "2"] {
        for (name, priority) in [
            ("low", Priority::Low),
            ("normal", Priority::Normal),
            ("high", Priority::High),
        ] {
            jobs.push(gate.submit(&format!("{name} {round}"), priority));
        }
    }
    let unsaid = pool.submit(job!(noted), (gate.log(), "normal 3"));
    jobs.push(unsaid.unwrap());
    let order = [
        "high 1", "high 2", "normal 1", "normal 2", "normal 3", "low 1", "low 2",
    ];
    assert_eq!(gate.open(jobs), order);
}

#[test]
fn a_map_has_a_priority_too() {
    let _test = begin();
    let pool = one_worker();
    let gate = Gate::new(&pool);
    let normal = gate.submit("normal", Priority::Normal);
    let options = MapOptions::NONE.priority(Priority::High);
    let (log, gate_file) = (gate.log(), gate.scratch.path().join("gate"));
    // When the map asks for a third item, two are queued.
    let names = ["map 1", "map 2"].into_iter().chain(std::iter::from_fn(|| {
        fs::remove_file(&gate_file).unwrap();
        None
    }));
    let items = names.map(|name| (log.clone(), name));
    pool.map_with(job!(noted), items, options).unwrap();
    normal.join().unwrap();
    assert_eq!(read(&log), ["map 1", "map 2", "normal"]);
}

#[test]
fn what_was_cancelled_is_passed_over_in_every_queue() {
    let _test = begin();
    let pool = Pool::builder().workers(1).max_queued_bytes(4096);
    let pool = pool.build().unwrap();
    // The smallest pool has 16 rows: they come back from each queue, or there is none left.
    for _ in 0..10 {
        let gate = Gate::new(&pool);
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            for _ in 0..4 {
                assert!(gate.submit("cancelled", priority).cancel());
            }
        }
        let (low, high) = (
            gate.submit("low", Priority::Low),
            gate.submit("high", Priority::High),
        );
        assert_eq!(gate.open([low, high]), ["high", "low"]);
    }
}

#[test]
fn a_worker_that_is_killed_takes_no_queue_with_it() {
    let _test = begin();
    let pool = one_worker();
    let gate = Gate::new(&pool);
    let (low, high) = (
        gate.submit("low", Priority::Low),
        gate.submit("high", Priority::High),
    );
    wait_for("its number", || !pool.pids().is_empty());
    processes::send(pool.pids()[0], Signal::SIGKILL);
    assert_eq!((low.join(), high.join()), (Ok(()), Ok(())));
    assert_eq!(read(&gate.log()), ["high", "low"]);
    assert!(gate.held.join().is_err());
}

#[test]
fn options_of_a_single_call_hold() {
    let _test = begin();
    let pool = one_worker();
    let limit = Duration::from_millis(20);
    let options = SubmitOptions::NONE.timeout(limit).priority(Priority::Low);
    let handle = pool.submit_with(job!(forever), (), options).unwrap();
    assert_eq!(handle.join(), Err(JobError::TimedOut { limit }));
    let options = SubmitOptions::NONE.timeout(Duration::ZERO);
    let error = pool.submit_with(job!(forever), (), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
