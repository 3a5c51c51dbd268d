//! What processes agree by, as jobs meet it: each a handle that goes to jobs, comes back from them, lies in structs and
//! queues, under both start methods; and what a death means to those who wait.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use procession::{Atomic, Error, Event, Pool, Semaphore, pool_map, process_job, spawn};
use procession_tests::{begin, kit};

/// Longer than anything takes that does not hang.
const LONG: Duration = Duration::from_secs(30);

#[test]
fn each_goes_where_a_handle_goes() -> Result<(), Error> {
    let _test = begin();
    kit::goes_everywhere(&Pool::new(2)?)
}

#[test]
fn so_it_does_with_workers_that_are_forks() {
    let _test = begin();
    let forks = Command::new(env!("CARGO_BIN_EXE_forks"))
        .arg("kit")
        .output();
    let output = forks.expect("the program runs");
    assert!(output.status.success(), "{output:?}");
}

#[process_job]
fn hold_one_of_two(semaphore: &Semaphore, n_inside: &Atomic<i32>) -> Result<i32, Error> {
    let _guard = semaphore.acquire()?;
    let n = n_inside.fetch_add(1, SeqCst) + 1;
    std::thread::sleep(Duration::from_millis(1));
    n_inside.fetch_sub(1, SeqCst);
    Ok(n)
}

#[test]
fn a_semaphore_limits_how_many_are_inside() -> Result<(), Error> {
    let _test = begin();
    let (pool, semaphore, n_inside) = (Pool::new(4)?, Semaphore::new(2)?, Atomic::new(0)?);
    let most = pool_map!(in pool, hold_one_of_two, [(&semaphore, &n_inside); 100])?;
    let most: Vec<i32> = most.into_iter().collect::<Result<_, _>>()?;
    assert!(most.iter().all(|n| (1..=2).contains(n)), "{most:?}");
    assert_eq!(semaphore.value(), 2);
    Ok(())
}

#[process_job]
fn hold_for_ever(semaphore: &Semaphore, at_work: &Event) -> Result<(), Error> {
    let _guard = semaphore.acquire()?;
    at_work.set();
    loop {
        std::thread::park();
    }
}

#[test]
fn a_permit_comes_back_from_a_killed_holder() -> Result<(), Error> {
    let _test = begin();
    let semaphore = Semaphore::new(1)?;
    let at_work = Event::new()?;
    let victim = spawn!(hold_for_ever(&semaphore, &at_work))?;
    at_work.wait();
    assert!(semaphore.try_acquire()?.is_none());
    let (start, timeout) = (Instant::now(), Duration::from_millis(30));
    assert!(semaphore.acquire_timeout(timeout)?.is_none());
    assert!(start.elapsed() >= timeout);
    victim.kill()?;
    assert!(semaphore.acquire_timeout(LONG)?.is_some());
    assert!(victim.join().is_err());
    Ok(())
}
