//! What is sent once for many jobs, and what is large and not copied once too often.

#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use procession::{
    Atomic, Broadcast, Error, ErrorKind, JobError, Pool, Queue, Shareable, Value, job, pool_map,
    process_job, spawn,
};
use procession_tests::begin;
use procession_tests::processes::{Signal, send};
use serde::{Deserialize, Deserializer, Serialize};

static N_DECODED: AtomicU32 = AtomicU32::new(0);

/// Counts in each process how often it was decoded.
#[derive(Serialize, Clone, Debug, PartialEq)]
struct Table {
    names: HashMap<u32, String>,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        N_DECODED.fetch_add(1, Ordering::Relaxed);
        let (names,) = Deserialize::deserialize(from)?;
        Ok(Self { names })
    }
}

fn table(n: u32) -> Table {
    let names = (0..n).map(|i| (i, format!("name {i}"))).collect();
    Table { names }
}

#[process_job]
fn look_up(table: &Broadcast<Table>, i: u32) -> (Option<String>, u32, u32) {
    let n_decoded = N_DECODED.load(Ordering::Relaxed);
    (table.names.get(&i).cloned(), std::process::id(), n_decoded)
}

#[test]
fn a_broadcast_is_decoded_once_in_each_worker() -> Result<(), Error> {
    let _test = begin();
    // In the arena, and in a file of its own.
    for n in [10, 5000] {
        let pool = Pool::new(2)?;
        let table = Broadcast::new(&table(n))?;
        let found = pool_map!(in pool, look_up, (0..1000).map(|i| (&table, i % n)))?;
        for (i, (name, _, n_decoded)) in (0..).zip(found) {
            assert_eq!(name, Some(format!("name {}", i % n)));
            assert_eq!(n_decoded, 1);
        }
        // A worker that takes the place of a killed one decodes it anew.
        send(pool.pids()[0], Signal::SIGKILL);
        let found = pool.map_each(job!(look_up), (0..1000).map(|i| (&table, i % n)))?;
        assert!(found.iter().filter(|it| it.is_err()).count() <= 1);
        assert!(found.into_iter().flatten().all(|(_, _, n)| n == 1));
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Task {
    table: Broadcast<Table>,
    i: u32,
}

#[process_job]
fn look_up_in_struct(task: Task) -> Task {
    assert!(task.table.names.contains_key(&task.i));
    task
}

#[process_job]
fn look_up_from_queue(tasks: &Queue<Task>) -> usize {
    tasks
        .iter()
        .flatten()
        .map(|task| task.table.names.len())
        .sum()
}

#[test]
fn it_goes_where_a_handle_goes_and_is_reclaimed() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for n in [10, 5000] {
        let table = Broadcast::new(&table(n))?;
        let tasks = (0..4).map(|i| Task {
            table: table.clone(),
            i,
        });
        let tasks = pool_map!(in pool, look_up_in_struct, tasks)?;
        drop(table);
        // What came back is the same, and has no other handle now.
        let post = Queue::new()?;
        for task in tasks {
            assert_eq!(task.table.names.len(), n as usize);
            post.put(task)?;
        }
        post.close();
        let n_names = spawn!(look_up_from_queue(&post))?.join()?;
        assert_eq!(n_names, 4 * n as usize);
    }
    Ok(())
}

#[process_job]
fn make_broadcast() -> Result<Broadcast<Table>, Error> {
    Broadcast::new(&table(5000))
}

#[test]
fn one_that_a_job_made_outlives_its_process() -> Result<(), Error> {
    let _test = begin();
    let made = spawn!(make_broadcast())?.join()??;
    assert_eq!(*made, table(5000));
    Ok(())
}

#[process_job]
fn take_value(_value: &Broadcast<serde_json::Value>) {}

#[test]
fn what_cannot_be_read_back_is_the_jobs_error() -> Result<(), Error> {
    let _test = begin();
    let value = Broadcast::new(&serde_json::json!({"a": 1}))?;
    let error = spawn!(take_value(&value))?.join().unwrap_err();
    assert!(matches!(error, JobError::Codec { .. }), "{error:?}");
    let handle = Broadcast::new(&Some(Value::new(1_u64)?)).unwrap_err();
    assert_eq!(handle.kind(), ErrorKind::InvalidInput);
    Ok(())
}

/// The private memory of this process, in bytes.
fn private_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("proc is mounted");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    1024 * kibibytes
        .and_then(|it| it.parse::<usize>().ok())
        .expect("a number")
}

#[process_job]
fn read_in_place(bytes: &[u8]) -> (u64, usize) {
    let before = private_memory();
    let sum = bytes.iter().map(|&byte| u64::from(byte)).sum();
    (sum, before.max(private_memory()))
}

#[process_job]
fn grow(n: usize, byte: u8) -> Vec<u8> {
    vec![byte; n]
}

/// Without being asked for: what is large lies in shared memory already when a worker reads it.
#[test]
fn a_large_argument_is_read_in_place_and_a_large_result_comes_back() -> Result<(), Error> {
    let _test = begin();
    const LEN: usize = 24 << 20;
    let pool = Pool::new(1)?;
    let (_, without) = pool.submit(job!(read_in_place), vec![1_u8])?.join()?;
    let (sum, with) = pool.submit(job!(read_in_place), vec![1_u8; LEN])?.join()?;
    assert_eq!(sum, LEN as u64);
    assert!(
        with < without + LEN / 4,
        "{with} beside {without}: it was copied"
    );
    let grown = pool.submit(job!(grow), (LEN, 3))?.join()?;
    assert!(grown.len() == LEN && grown.iter().all(|&byte| byte == 3));
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Shareable)]
#[repr(C)]
struct Particle {
    place: [f64; 3],
    mass: f64,
    n_steps: u64,
}

#[process_job]
fn step(particle: &Value<Particle>, n_jobs: &Atomic<u32>) {
    particle.update(|it| {
        it.place[0] += it.mass;
        it.n_steps += 1;
    });
    n_jobs.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn a_struct_is_shared_as_a_number_is() -> Result<(), Error> {
    let _test = begin();
    let at_first = Particle {
        place: [0.0; 3],
        mass: 0.5,
        n_steps: 0,
    };
    let (particle, n_jobs) = (Value::new(at_first)?, Atomic::new(0)?);
    let pool = Pool::new(2)?;
    pool_map!(in pool, step, [(&particle, &n_jobs); 100])?;
    let expected = Particle {
        place: [50.0, 0.0, 0.0],
        n_steps: 100,
        ..at_first
    };
    assert_eq!(
        (particle.get(), n_jobs.load(Ordering::Relaxed)),
        (expected, 100)
    );
    Ok(())
}
