//! What the supervisor keeps of shared memory that is on its way, and that it lets go of it.
//!
//! Seen by its descriptors: it has one for each array or queue that it keeps.

#![cfg(target_os = "linux")]

use std::time::Duration;

use procession::{
    Array, Error, Event, JobError, Pool, Queue, QueueError, job, pool_map, process_job, spawn,
};
use procession_tests::processes::shared_files_of;
use procession_tests::{begin, supervisor_pid, wait_for};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Waits until so many arrays and queues are kept.
#[track_caller]
fn wait_until_kept(n: usize) {
    let supervisor = supervisor_pid();
    wait_for(&format!("the registry to keep {n}"), || {
        shared_files_of(supervisor).len() == n
    });
}

#[process_job]
fn make(n: u64) -> Array<u64> {
    Array::new([n]).expect("memory")
}

#[process_job]
fn increment(array: &Array<u64>) {
    array.lock().expect("nobody dies here")[0] += 1;
}

#[process_job]
fn return_it(array: Array<u64>) -> (Array<u64>, Array<u64>) {
    (array.clone(), array)
}

#[test]
fn results_are_kept_until_they_have_been_read_and_no_longer() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for _ in 0..20 {
        // Several chunks: that one is read must not touch the others.
        let made = pool_map!(in pool, make, 0..100, chunk_size = 7)?;
        assert!((0..).zip(&made).all(|(n, array)| array.get(0) == Some(n)));
        wait_until_kept(0);
    }
    for n in 0..200 {
        let made = match n % 2 {
            0 => pool.submit(job!(make), n)?.join()?,
            _ => spawn!(make(n))?.join()?,
        };
        assert_eq!(made.get(0), Some(n));
    }
    wait_until_kept(0);
    Ok(())
}

#[test]
fn what_a_program_passes_is_kept_for_as_long_as_it_has_a_handle() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let arrays: Vec<Array<u64>> = pool_map!(in pool, make, 0..50)?;
    for _ in 0..10 {
        pool_map!(in pool, increment, arrays.iter(), chunk_size = 3)?;
    }
    let same = pool_map!(in pool, return_it, arrays.iter().cloned(), chunk_size = 3)?;
    drop(arrays);
    wait_until_kept(50);
    assert!(
        (0..)
            .zip(&same)
            .all(|(n, (one, _))| one.get(0) == Some(n + 10))
    );
    drop(same);
    wait_until_kept(0);
    Ok(())
}

#[process_job]
fn fail_beside_others(n: u64, made: &Event) -> Array<u64> {
    match n {
        0 => {
            made.wait();
            panic!("in vain");
        }
        6 => made.set(),
        7 => std::thread::sleep(Duration::from_millis(20)),
        _ => {}
    }
    Array::new([n]).expect("memory")
}

#[test]
fn a_map_that_is_abandoned_leaves_nothing_kept() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for _ in 0..20 {
        // The second chunk has made arrays when the first fails, and goes on for a while.
        let made = Event::new()?;
        let items = (0..100).map(|n| (n, &made));
        assert!(pool_map!(in pool, fail_beside_others, items, chunk_size = 5).is_err());
    }
    drop(pool.submit(job!(make), 1)?);
    drop(spawn!(make(1))?);
    let supervisor = supervisor_pid();
    wait_for("the registry to let go", || {
        // The program takes in what is over whenever it uses the pool.
        let is_used = pool.map(job!(procession_tests::nothing), [()]).is_ok();
        is_used && shared_files_of(supervisor).is_empty()
    });
    drop(pool.submit(job!(make), 1)?);
    pool.close()?;
    wait_until_kept(0);
    Ok(())
}

/// Ends whoever writes it, one way or another.
#[derive(Deserialize)]
struct Fuse {
    aborts: bool,
}

impl Serialize for Fuse {
    fn serialize<S: Serializer>(&self, _to: S) -> Result<S::Ok, S::Error> {
        if self.aborts {
            std::process::abort();
        }
        Err(serde::ser::Error::custom("cannot be written"))
    }
}

#[process_job]
fn make_in_vain(n: u64, aborts: bool) -> (Vec<Array<u64>>, Fuse) {
    let made = (0..n).map(|n| Array::new([n]).expect("memory"));
    (made.collect(), Fuse { aborts })
}

#[test]
fn what_was_made_in_vain_is_not_kept() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for _ in 0..5 {
        let verdicts = pool.map_each(job!(make_in_vain), (0..10).map(|n| (n, n % 3 == 0)))?;
        for (n, verdict) in (0..).zip(verdicts) {
            match verdict {
                Err(JobError::Killed { signal: 6, .. }) => assert_eq!(n % 3, 0),
                Err(JobError::Codec { .. }) => assert_ne!(n % 3, 0),
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("it was written"),
            }
        }
    }
    wait_until_kept(0);
    Ok(())
}

/// Is written, and cannot be read.
#[derive(Serialize)]
struct Unreadable;

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_from: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("cannot be read"))
    }
}

#[process_job]
fn make_unreadable(n: u64) -> (Unreadable, Vec<Array<u64>>) {
    let made = (0..n).map(|n| Array::new([n]).expect("memory"));
    (Unreadable, made.collect())
}

#[test]
fn what_cannot_be_read_is_not_kept() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for verdict in pool.map_each(job!(make_unreadable), 0..20)? {
        assert!(matches!(verdict, Err(JobError::Codec { .. })));
    }
    assert!(spawn!(make_unreadable(5))?.join().is_err());
    wait_until_kept(0);
    Ok(())
}

#[process_job]
fn pass_on_and_end(array: Option<Array<u64>>, aborts: bool) {
    let array = array.unwrap_or_else(|| Array::new([1]).expect("memory"));
    let child = spawn!(increment(&array)).expect("a process");
    child.join().expect("a result");
    std::mem::forget(array);
    if aborts {
        std::process::abort();
    }
}

#[test]
fn what_a_process_held_goes_with_it() -> Result<(), Error> {
    let _test = begin();
    for _ in 0..3 {
        for aborts in [false, true] {
            let child = spawn!(pass_on_and_end(None, aborts))?;
            assert_eq!(child.join().is_err(), aborts);
            wait_until_kept(0);
        }
        // One that the program holds too stays.
        let array = Array::new([0])?;
        assert!(
            spawn!(pass_on_and_end(Some(array.clone()), true))?
                .join()
                .is_err()
        );
        wait_until_kept(1);
        spawn!(increment(&array))?.join()?;
        assert_eq!(array.get(0), Some(2));
        drop(array);
        wait_until_kept(0);
    }
    Ok(())
}

#[process_job]
fn put_new(queue: &Queue<Array<u64>>, n: u64) {
    for n in 0..n {
        let array = Array::new([n]).expect("memory");
        queue.put(array).expect("the queue is open");
    }
}

#[process_job]
fn get_all(queue: &Queue<Array<u64>>) -> u64 {
    let mut sum = 0;
    while let Ok(Some(array)) = queue.try_get() {
        sum += array.get(0).unwrap_or_default();
    }
    sum
}

#[test]
fn messages_are_kept_until_they_are_received_and_no_longer() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    let queue = Queue::new()?;
    // From the program to itself.
    for n in 0..100 {
        let array = Array::new([n])?;
        queue.put(array.clone())?;
        assert_eq!(queue.get()?.get(0), Some(n));
    }
    wait_until_kept(0);
    // To a process that has it mapped still: the queue and the array are the program's own.
    let array = Array::new([1])?;
    for _ in 0..10 {
        queue.put(array.clone())?;
        assert_eq!(pool.submit(job!(get_all), &queue)?.join()?, 1);
        pool.submit(job!(increment), &array)?.join()?;
        array.set(0, 1);
    }
    drop(array);
    wait_until_kept(1);
    // From another process, read here and read by nobody.
    pool.submit(job!(put_new), (&queue, 20))?.join()?;
    wait_until_kept(21);
    let got: Vec<Array<u64>> = (0..15).map(|_| queue.get()).collect::<Result<_, _>>()?;
    assert!((0..).zip(&got).all(|(n, array)| array.get(0) == Some(n)));
    wait_until_kept(6);
    drop(queue);
    wait_until_kept(0);
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct Message(Array<u64>, Option<Fuse>);

#[test]
fn a_message_that_was_not_put_is_not_kept() -> Result<(), Error> {
    let _test = begin();
    let queue = Queue::bounded(1)?;
    queue.put(Message(Array::new([1])?, None))?;
    wait_until_kept(1);
    for n in 0..20 {
        let full = queue.try_put(Message(Array::new([n])?, None));
        assert_eq!(full, Err(QueueError::Full));
        let fuse = Fuse { aborts: false };
        let refused = queue.try_put(Message(Array::new([n])?, Some(fuse)));
        assert!(matches!(refused, Err(QueueError::Codec { .. })));
    }
    wait_until_kept(1);
    assert_eq!(queue.get()?.0.get(0), Some(1));
    wait_until_kept(0);
    Ok(())
}
