//! Handles of small shared things on their way: into jobs and out of them, through pools in pools, past deaths.

#![cfg(target_os = "linux")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use procession::{
    Atomic, Error, Event, JobError, Lock, LockError, Pool, Queue, QueueError, Value, job, pool_map,
    process_job, spawn,
};
use procession_tests::begin;
use procession_tests::processes::memory_files_of;
use serde::{Deserialize, Serialize, Serializer};

#[process_job]
fn add(to: &Value<u64>, n: u64) -> u64 {
    to.fetch_add(n)
}

#[process_job]
fn add_by_value(to: Value<u64>, n: u64) {
    to.update(|value| *value += n);
}

#[test]
fn a_handle_goes_by_value_and_by_reference() -> Result<(), Error> {
    let _test = begin();
    let value = Value::new(0_u64)?;
    let pool = Pool::new(2)?;
    pool_map!(in pool, add, (0..100).map(|n| (&value, n)))?;
    pool_map!(in pool, add_by_value, (0..100).map(|n| (value.clone(), n)))?;
    pool.submit(job!(add), (&value, 10))?.join()?;
    spawn!(add(&value, 90))?.join()?;
    assert_eq!(value.get(), 2 * 4950 + 100);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Kit {
    counters: Vec<Atomic<i64>>,
    ready: Option<Event>,
    nothing: Option<Lock>,
}

#[process_job]
fn use_kit(kit: &Kit) {
    for (n, counter) in (0..).zip(&kit.counters) {
        counter.fetch_sub(n, Relaxed);
    }
    if let Some(ready) = &kit.ready {
        ready.set();
    }
}

#[test]
fn handles_lie_in_structs_options_and_vectors() -> Result<(), Error> {
    let _test = begin();
    let kit = Kit {
        counters: (0..50).map(|_| Atomic::new(0)).collect::<Result<_, _>>()?,
        ready: Some(Event::new()?),
        nothing: None,
    };
    let child = spawn!(use_kit(&kit))?;
    kit.ready.as_ref().unwrap().wait();
    child.join()?;
    let counts: Vec<i64> = kit
        .counters
        .iter()
        .map(|counter| counter.load(Relaxed))
        .collect();
    assert_eq!(counts, (0..50).map(|n| -n).collect::<Vec<_>>());
    Ok(())
}

#[process_job]
fn make(n: u64) -> Result<(Value<u64>, Lock), String> {
    let value = Value::new(n).map_err(|error| error.to_string())?;
    Ok((value, Lock::new().map_err(|error| error.to_string())?))
}

#[process_job]
fn give_back(value: Value<u64>) -> Vec<Value<u64>> {
    value.fetch_add(1);
    vec![value.clone(), value]
}

#[test]
fn handles_come_back_from_jobs_that_made_them_and_outlive_their_workers() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let made = pool_map!(in pool, make, 0..200)?;
    pool.close()?;
    for (n, made) in (0..).zip(&made) {
        let (value, lock) = made.as_ref().unwrap();
        assert_eq!(value.get(), n);
        drop(lock.acquire()?);
    }
    // From one process to the next.
    let (value, _) = spawn!(make(40))?.join()?.unwrap();
    let given = spawn!(give_back(value.clone()))?.join()?;
    given[0].fetch_add(1);
    assert_eq!((value.get(), given[1].get()), (42, 42));
    Ok(())
}

#[process_job]
fn hand_down(value: &Value<u64>, depth: u32) -> Result<Value<u64>, String> {
    value.fetch_add(1);
    if depth == 0 {
        return Ok(value.clone());
    }
    let below = spawn!(hand_down(value, depth - 1)).map_err(|error| error.to_string())?;
    below.join().map_err(|error| error.to_string())?
}

#[test]
fn a_handle_means_the_same_in_pools_within_pools() -> Result<(), Error> {
    let _test = begin();
    let value = Value::new(0)?;
    let same = spawn!(hand_down(&value, 2))?.join()?.unwrap();
    same.fetch_add(10);
    assert_eq!(value.get(), 13);
    Ok(())
}

#[process_job]
fn die_holding(lock: &Lock, value: &Value<u64>) {
    let _guard = lock.acquire().map_err(|error| error.to_string());
    let _value_guard = value.lock().map_err(|error| error.to_string());
    std::process::abort();
}

#[test]
fn who_is_killed_with_a_lock_in_its_hands_is_reported_once() -> Result<(), Error> {
    let _test = begin();
    let (lock, value) = (Lock::new()?, Value::new(7_u64)?);
    let pool = Pool::new(1)?;
    let verdicts = pool.map_each(job!(die_holding), [(&lock, &value)])?;
    assert!(matches!(
        verdicts[0],
        Err(JobError::Killed { signal: 6, .. })
    ));
    assert!(matches!(lock.acquire(), Err(LockError::OwnerDied(_))));
    assert!(lock.acquire().is_ok());
    assert_eq!(value.get(), 7);
    Ok(())
}

#[process_job]
fn keep(value: Value<u64>) {
    // As a static of a library might.
    std::mem::forget(value);
}

#[test]
fn a_handle_that_a_worker_keeps_outlives_the_programs_and_is_no_strangers() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    for n in 0..100 {
        let value = Value::new(n)?;
        pool_map!(in pool, keep, [value])?;
    }
    let fresh: Vec<Value<u64>> = (0..100).map(Value::new).collect::<Result<_, _>>()?;
    for (n, value) in (0..).zip(&fresh) {
        assert_eq!(value.get(), n);
    }
    Ok(())
}

#[test]
fn a_handle_written_to_a_file_is_refused() -> Result<(), Error> {
    let _test = begin();
    let refused = serde_json::to_string(&Value::new(1_u32)?).unwrap_err();
    assert!(
        refused
            .to_string()
            .starts_with("a handle of shared memory means nothing outside this program"),
        "{refused}"
    );
    // Nor can one be made up there.
    let _value = Value::new(1_u64)?;
    for first in 0..100 {
        let made_up = serde_json::from_str::<Value<u64>>(&format!("[{first},0,0]"));
        assert!(
            made_up
                .unwrap_err()
                .to_string()
                .contains("means nothing outside")
        );
    }
    Ok(())
}

#[process_job]
fn wait_then_set(go: &Event, done: &Event) -> bool {
    let in_time = go.wait_timeout(Duration::from_secs(30));
    done.set();
    in_time
}

#[test]
fn events_pass_between_a_program_and_its_processes() -> Result<(), Error> {
    let _test = begin();
    let (go, done) = (Event::new()?, Event::new()?);
    let children = [
        spawn!(wait_then_set(&go, &done))?,
        spawn!(wait_then_set(&go, &done))?,
    ];
    assert!(!done.wait_timeout(Duration::from_millis(50)));
    go.set();
    done.wait();
    for child in children {
        assert!(child.join()?);
    }
    Ok(())
}

#[process_job]
fn add_late(to: Value<u64>, done: Event) {
    to.set(5);
    done.set();
}

#[test]
fn a_detached_process_finds_what_its_arguments_name() -> Result<(), Error> {
    let _test = begin();
    let done = Event::new()?;
    // It may read its arguments long after the program has dropped its handles.
    for _ in 0..20 {
        let value = Value::new(0_u64)?;
        done.clear();
        spawn!(add_late(value, done.clone()))?.detach();
        assert!(done.wait_timeout(Duration::from_secs(30)));
    }
    Ok(())
}

/// The memory that all small shared things have taken.
fn bytes_of_values() -> u64 {
    memory_files_of(std::process::id(), "procession-values")
        .iter()
        .sum()
}

/// Names values in a result that is refused after they have been written.
#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _to: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("cannot be written"))
    }
}

#[process_job]
fn make_in_vain(n: u64) -> (Vec<Value<u64>>, Unwritable) {
    let values = (0..n).map(|n| Value::new(n).expect("memory"));
    (values.collect(), Unwritable)
}

#[process_job]
fn twice(value: Value<u64>) -> (Value<u64>, Value<u64>) {
    (value.clone(), value)
}

#[test]
fn values_that_are_dropped_make_room_for_others_whatever_way_they_went() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let queue = Queue::bounded(1)?;
    let pass_many = || -> Result<(), Error> {
        let values = || (0..1000).map(|n| Value::new(n).expect("memory"));
        pool_map!(in pool, add_by_value, values().map(|value| (value, 1)))?;
        let pairs = pool_map!(in pool, twice, values())?;
        assert!((0..).zip(&pairs).all(|(n, (_, value))| value.get() == n));
        let made = pool_map!(in pool, make, 0..1000)?;
        assert!(
            (0..)
                .zip(made)
                .all(|(n, made)| made.is_ok_and(|(value, _)| value.get() == n))
        );
        for verdict in pool.map_each(job!(make_in_vain), [300; 3])? {
            assert!(matches!(verdict, Err(JobError::Codec { .. })));
        }
        let error = queue.put((values().take(300).collect(), Some(Unwritable)));
        assert!(matches!(error, Err(QueueError::Codec { .. })));
        for value in values() {
            queue.put((vec![value.clone()], None)).expect("it is empty");
            let full = queue.try_put((vec![value], None));
            assert_eq!(full, Err(QueueError::Full));
            queue.get().expect("a message");
        }
        Ok(())
    };
    pass_many()?;
    let before = bytes_of_values();
    // 100,000 and more.
    for _ in 0..20 {
        pass_many()?;
    }
    let grown = bytes_of_values().saturating_sub(before);
    assert!(
        before > 0 && grown < 512 << 10,
        "{before} and {grown} bytes"
    );
    Ok(())
}

#[process_job]
fn wait_for_it(go: &Event) {
    go.wait();
}

#[test]
fn what_the_program_has_dropped_waits_for_jobs_that_begin_late() -> Result<(), Error> {
    let _test = begin();
    let (pool, go) = (Pool::new(1)?, Event::new()?);
    let busy = pool.submit(job!(wait_for_it), &go)?;
    let late: Vec<_> = (0..50)
        .map(|n| pool.submit(job!(twice), Value::new(n)?))
        .collect::<Result<_, _>>()?;
    let in_others_place: Vec<Value<u64>> =
        (0..100).map(|_| Value::new(7)).collect::<Result<_, _>>()?;
    go.set();
    busy.join()?;
    for (n, late) in (0..).zip(late) {
        assert_eq!(late.join()?.0.get(), n);
    }
    assert!(in_others_place.iter().all(|value| value.get() == 7));
    Ok(())
}
