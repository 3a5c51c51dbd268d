//! What is left of shared memory after results that nobody reads, deaths, panics, and a supervisor that was killed.

//!
//! # Safety
//!
//! One job shuts sockets that are not its own, as a worker gone mad might: no memory is involved.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "shuts sockets by their numbers")]

use std::fs;

use procession::{Array, ArrayChunk, Error, Pool, Queue, Value, job, pool_map, process_job, spawn};
use procession_tests::{begin, supervisor_pid, wait_for};
use serde::{Deserialize, Serialize};

/// Files of arrays and queues that the supervisor keeps.
fn n_kept(supervisor: u32) -> usize {
    let fds = fs::read_dir(format!("/proc/{supervisor}/fd")).expect("/proc");
    let targets = fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().contains("procession-shared"))
        .count()
}

fn array() -> Array<u64> {
    Array::new(0..10_000).expect("an array")
}

#[process_job]
fn make_array() -> Array<u64> {
    array()
}

#[process_job]
fn give_back(array: Array<u64>) -> Array<u64> {
    array
}

#[process_job]
fn fail_at_three(array: &Array<u64>, n: u64) -> Array<u64> {
    assert_ne!(n, 3, "as it is meant to");
    array.clone()
}

#[test]
fn results_that_nobody_reads_keep_no_memory() -> Result<(), Error> {
    let _test = begin();
    let supervisor = supervisor_pid();
    let pool = Pool::new(2)?;
    for _ in 0..20 {
        drop(pool.submit(job!(make_array), ())?);
    }
    pool.close()?;
    wait_for("the registry to forget", || n_kept(supervisor) == 0);
    Ok(())
}

#[test]
fn an_array_whose_handles_came_back_unread_is_alone_again() -> Result<(), Error> {
    let _test = begin();
    let (pool, array) = (Pool::new(2)?, array());
    drop(pool.submit(job!(give_back), array.clone())?);
    pool.submit(job!(give_back), array.clone())?.join()?;
    let failed = pool_map!(in pool, fail_at_three, (0..50).map(|n| (&array, n)), chunk_size = 1);
    assert!(failed.is_err());
    pool.close()?;
    array.freeze().map(drop)
}

#[derive(Deserialize)]
struct PanicsWhenWritten(Array<u64>);

impl Serialize for PanicsWhenWritten {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serde::Serializer::serialize_tuple(to, 2)?;
        serde::ser::SerializeTuple::serialize_element(&mut tuple, &self.0)?;
        panic!("in the middle of writing")
    }
}

#[process_job]
fn give_badly(array: Array<u64>) -> PanicsWhenWritten {
    PanicsWhenWritten(array)
}

#[test]
fn a_panic_while_a_result_is_written_keeps_no_memory() -> Result<(), Error> {
    let _test = begin();
    let (pool, array) = (Pool::new(1)?, array());
    assert!(
        pool.submit(job!(give_badly), array.clone())?
            .join()
            .is_err()
    );
    pool.close()?;
    array.freeze().map(drop)
}

#[process_job]
fn sum(array: &Array<u64>) -> u64 {
    array.to_vec().iter().sum()
}

#[process_job]
fn take(queue: &Queue<u64>) -> u64 {
    queue.get().unwrap_or_default()
}

#[test]
fn handles_outlive_a_supervisor_that_was_killed() -> Result<(), Error> {
    let _test = begin();
    let (array, queue, value) = (array(), Queue::new()?, Value::new(7_u64)?);
    let total = (0..10_000).sum::<u64>();
    assert_eq!(spawn!(sum(&array))?.join()?, total);
    for n in 0..3 {
        let supervisor = supervisor_pid();
        let killed = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(supervisor as i32),
            nix::sys::signal::Signal::SIGKILL,
        );
        assert!(killed.is_ok());
        assert_eq!(spawn!(sum(&array))?.join()?, total);
        queue.put(n).expect("room");
        assert_eq!(spawn!(take(&queue))?.join()?, n);
    }
    assert_eq!(value.get(), 7);
    let supervisor = supervisor_pid();
    drop((array, queue));
    wait_for("the registry to forget", || n_kept(supervisor) == 0);
    Ok(())
}

#[process_job]
fn shut_every_door() -> usize {
    let fds = fs::read_dir("/proc/self/fd").expect("/proc").flatten();
    let sockets: Vec<i32> = fds
        .filter(|fd| {
            fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|fd| fd.file_name().to_str()?.parse().ok())
        .filter(|&fd| fd > 2)
        .collect();
    // SAFETY: no memory is involved; what comes of it is what is tested.
    let shut = |fd: &&i32| unsafe { libc::shutdown(**fd, libc::SHUT_RDWR) } == 0;
    sockets.iter().filter(shut).count()
}

#[test]
fn a_worker_that_shuts_the_door_of_all_does_not_shut_out_the_next_pool() -> Result<(), Error> {
    let _test = begin();
    let (supervisor, array) = (supervisor_pid(), array());
    let total = (0..10_000).sum::<u64>();
    assert_eq!(spawn!(sum(&array))?.join()?, total);
    for _ in 0..3 {
        assert!(spawn!(shut_every_door())?.join()? > 0);
        assert_eq!(spawn!(sum(&array))?.join()?, total);
        assert_eq!(spawn!(make_array())?.join()?.len(), 10_000);
    }
    assert_eq!(supervisor_pid(), supervisor);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Explosive {
    chunk: ArrayChunk<u64>,
    made_by: u32,
}

impl Drop for Explosive {
    fn drop(&mut self) {
        assert_ne!(self.made_by, std::process::id(), "as it is meant to");
    }
}

#[process_job]
fn give_explosive(mut chunk: ArrayChunk<u64>) -> Explosive {
    chunk.fill(7);
    let made_by = std::process::id();
    Explosive { chunk, made_by }
}

#[test]
fn a_chunk_arrives_though_the_destructor_of_what_it_came_in_panicked() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let chunks = array().into_chunks(6)?;
    let mut given = pool_map!(in pool, give_explosive, chunks, chunk_size = 3)?;
    let firsts: Vec<u64> = given.iter_mut().map(|given| given.chunk[0]).collect();
    assert_eq!(firsts, [7; 6]);
    Ok(())
}
