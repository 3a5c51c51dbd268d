//! Processes killed in the middle of every shared thing, again and again: the others go on, and are told what there is to
//! tell.
//!
//! Each victim does nothing but use the thing in a tight loop, so that a kill hits one of its instructions. The program
//! uses it meanwhile too, and looks after each kill whether it still works.

#![cfg(target_os = "linux")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use procession::{
    Array, Atomic, Error, Event, Lock, LockError, Queue, Semaphore, Value, process_job, spawn,
};
use procession_tests::begin;

/// Victims for each thing.
const N_KILLS: u64 = 400;

/// Kills processes that run `$job` on `$thing`; `$look` is done beside each of them and after its death.
macro_rules! kill_many {
    ($job:ident, $thing:expr, $look:expr) => {
        for n in 0..N_KILLS {
            let at_work = Event::new()?;
            let victim = spawn!($job($thing.clone(), at_work.clone()))?;
            at_work.wait();
            $look;
            // A different moment each time.
            std::thread::sleep(Duration::from_micros(n * 37 % 300));
            victim.kill()?;
            assert!(victim.join().is_err());
            $look;
        }
    };
}

/// The guard, however the last holder left.
fn take<G>(acquired: Result<G, LockError<G>>) -> G {
    acquired.unwrap_or_else(|error| error.into_guard().expect("nobody waits for himself"))
}

#[process_job]
fn lock_for_ever(lock: Lock, at_work: Event) {
    at_work.set();
    loop {
        drop(take(lock.acquire()));
    }
}

#[test]
fn lock() -> Result<(), Error> {
    let _test = begin();
    let lock = Lock::new()?;
    let mut n_reported = 0;
    kill_many!(lock_for_ever, lock, {
        match lock.acquire() {
            Ok(_) => {}
            Err(LockError::OwnerDied(_)) => n_reported += 1,
            Err(error) => return Err(error.into()),
        }
    });
    assert!(n_reported > 0, "no victim died with the lock in its hands");
    assert!(lock.acquire().is_ok(), "a death is reported once");
    Ok(())
}

#[process_job]
fn update_for_ever(value: Value<[u64; 8]>, at_work: Event) {
    at_work.set();
    loop {
        value.update(|numbers| numbers.iter_mut().for_each(|number| *number += 1));
    }
}

#[test]
fn value() -> Result<(), Error> {
    let _test = begin();
    let value = Value::new([0_u64; 8])?;
    let mut last = 0;
    kill_many!(update_for_ever, value, {
        let numbers = value.get();
        // Half old and half new where a victim died while it wrote; then mended by the next who writes all of it.
        let (least, most) = (numbers.iter().min().unwrap(), numbers.iter().max().unwrap());
        assert!(most - least <= 1, "{numbers:?}");
        assert!(*most >= last);
        last = *most;
        value.set([last; 8]);
    });
    assert!(last > N_KILLS);
    Ok(())
}

#[process_job]
fn swap_for_ever(array: Array<u64>, at_work: Event) {
    at_work.set();
    for n in 0.. {
        take(array.lock()).swap(n % 100, (n * 7) % 100);
    }
}

#[test]
fn array() -> Result<(), Error> {
    let _test = begin();
    let array = Array::new(0..100_u64)?;
    kill_many!(swap_for_ever, array, {
        match array.lock() {
            Ok(numbers) => assert_eq!(numbers.iter().sum::<u64>(), 4950),
            // It died between the two halves of a swap: this is the time to repair.
            Err(LockError::OwnerDied(mut numbers)) => {
                (0..)
                    .zip(numbers.iter_mut())
                    .for_each(|(n, number)| *number = n);
            }
            Err(error) => return Err(error.into()),
        }
    });
    // No victim has left a handle behind.
    assert_eq!(array.freeze()?.iter().sum::<u64>(), 4950);
    Ok(())
}

#[process_job]
fn set_and_clear_for_ever(event: Event, at_work: Event) {
    at_work.set();
    loop {
        event.clear();
        event.set();
        event.wait_timeout(Duration::from_micros(10));
    }
}

#[test]
fn event() -> Result<(), Error> {
    let _test = begin();
    let event = Event::new()?;
    kill_many!(set_and_clear_for_ever, event, {
        event.set();
        event.wait_timeout(Duration::from_micros(10));
    });
    event.clear();
    assert!(!event.wait_timeout(Duration::from_millis(1)));
    event.set();
    event.wait();
    Ok(())
}

#[process_job]
fn count_for_ever(counter: Atomic<u64>, at_work: Event) {
    at_work.set();
    loop {
        counter.fetch_add(2, Relaxed);
    }
}

#[test]
fn atomic() -> Result<(), Error> {
    let _test = begin();
    let counter = Atomic::new(0_u64)?;
    kill_many!(count_for_ever, counter, {
        assert_eq!(counter.fetch_add(2, Relaxed) % 2, 0);
    });
    Ok(())
}

#[process_job]
fn put_and_get_for_ever(queue: Queue<(u64, Vec<u8>)>, at_work: Event) {
    at_work.set();
    for n in 0.. {
        let bytes = vec![n as u8; n as usize * 31 % 5000];
        queue.put((n, bytes)).expect("it is open");
        queue.try_get().expect("no message is torn");
    }
}

#[test]
fn queue() -> Result<(), Error> {
    let _test = begin();
    let queue = Queue::new()?;
    let mut n_left = 0;
    kill_many!(put_and_get_for_ever, queue, {
        queue.put((1, vec![1; 31]))?;
        if let Some((n, bytes)) = queue.get_timeout(Duration::from_secs(30))? {
            assert!(
                bytes.len() == n as usize * 31 % 5000 && bytes.iter().all(|&byte| byte == n as u8)
            );
        }
        n_left = queue.len();
    });
    // Each victim may have put one more than it got, or got one more than it put.
    assert!(n_left as u64 <= 2 * N_KILLS, "{n_left}");
    Ok(())
}

#[process_job]
fn take_permits_for_ever(semaphore: Semaphore, at_work: Event) {
    at_work.set();
    loop {
        let first = semaphore.acquire().expect("there is room for all");
        let second = semaphore.try_acquire().expect("there is room for all");
        drop((first, second));
    }
}

#[test]
fn semaphore() -> Result<(), Error> {
    let _test = begin();
    let semaphore = Semaphore::new(3)?;
    kill_many!(take_permits_for_ever, semaphore, {
        drop(semaphore.acquire()?);
    });
    let all = [(); 3].map(|()| semaphore.try_acquire());
    for permit in &all {
        assert!(matches!(permit, Ok(Some(_))), "a permit is lost");
    }
    assert!(semaphore.try_acquire()?.is_none(), "a permit too many");
    Ok(())
}
