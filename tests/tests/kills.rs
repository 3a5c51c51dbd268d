//! Processes killed in the middle of every shared thing, again and again: the others go on, and are told what there is to
//! tell.
//!
//! Each victim does nothing but use the thing in a tight loop, so that a kill hits one of its instructions. The program
//! uses it meanwhile too, and looks after each kill whether it still works.

#![cfg(target_os = "linux")]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use procession::{
    Array, Atomic, Barrier, BarrierError, Condition, Error, Event, Lock, LockError, Once,
    PriorityQueue, Queue, RLock, RwLock, Semaphore, Value, process_job, spawn,
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
    acquired.unwrap_or_else(|error| error.into_guard().expect("nobody waits for itself"))
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
fn rank_for_ever(queue: PriorityQueue<Vec<u8>, u64>, at_work: Event) {
    at_work.set();
    for n in 0.. {
        let bytes = vec![n as u8; n as usize * 31 % 1000];
        queue.put(n % 7, bytes).expect("it is open");
        queue.try_get().expect("no message is torn");
    }
}

#[test]
fn priority_queue() -> Result<(), Error> {
    let _test = begin();
    let queue = PriorityQueue::new()?;
    kill_many!(rank_for_ever, queue, {
        queue.put(3, vec![1; 31])?;
        let (_, bytes) = queue.get_timeout(Duration::from_secs(30))?.expect("one");
        assert!(bytes.iter().all(|&byte| byte == bytes[0]));
    });
    // Each victim may have put one more than it got, or got one more than it put.
    assert!(queue.len() as u64 <= 2 * N_KILLS, "{}", queue.len());
    let left = std::iter::from_fn(|| queue.try_get().transpose());
    let left: Vec<_> = left.collect::<Result<_, _>>()?;
    assert!(left.is_sorted_by_key(|(rank, _)| *rank));
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

#[process_job]
fn wait_for_ever(condition: Condition, at_work: Event) {
    at_work.set();
    let mut guard = take(condition.acquire());
    loop {
        let waited = condition.wait_timeout(guard, Duration::from_micros(50));
        guard = waited
            .unwrap_or_else(|error| error.into_guard().expect("it is its lock"))
            .0;
    }
}

#[process_job]
fn answer_for_ever(
    condition: &Condition,
    asked: &Value<u64>,
    answered: &Value<u64>,
    at_work: &Event,
) {
    let mut guard = take(condition.acquire());
    at_work.set();
    loop {
        let is_asked = || asked.get() > answered.get();
        guard = take(condition.wait_for(guard, is_asked));
        answered.set(asked.get());
    }
}

#[test]
fn condition() -> Result<(), Error> {
    let _test = begin();
    let condition = Condition::new()?;
    let (asked, answered, is_there) = (Value::new(0)?, Value::new(0)?, Event::new()?);
    let other = spawn!(answer_for_ever(&condition, &asked, &answered, &is_there))?;
    is_there.wait();
    let mut n_looks = 0;
    kill_many!(wait_for_ever, condition, {
        n_looks += 1;
        // After the death there is one who waits and lives: one notification is enough.
        if n_looks % 2 == 0 {
            let guard = take(condition.acquire());
            let question = asked.fetch_add(1) + 1;
            condition.notify();
            drop(guard);
            while answered.get() < question {
                std::thread::yield_now();
            }
        }
    });
    other.kill()?;
    assert!(other.join().is_err());
    Ok(())
}

#[process_job]
fn meet_for_ever(barrier: Barrier, at_work: Event) {
    at_work.set();
    loop {
        let _met = barrier.wait_timeout(Duration::from_micros(20));
        barrier.reset();
    }
}

#[test]
fn barrier() -> Result<(), Error> {
    let _test = begin();
    let barrier = Barrier::new(2)?;
    kill_many!(meet_for_ever, barrier, {
        let start = Instant::now();
        let met = barrier.wait_timeout(Duration::from_millis(2));
        assert!(met != Err(BarrierError::TimedOut) || start.elapsed() >= Duration::from_millis(2));
    });
    barrier.reset();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        assert!(barrier.wait().is_ok());
        assert!(other.join().expect("no panic").is_ok());
    });
    Ok(())
}

#[process_job]
fn wait_for_others(barrier: Barrier, at_work: Event) {
    at_work.set();
    let _broken = barrier.wait();
}

#[test]
fn barrier_with_one_who_waits() -> Result<(), Error> {
    let _test = begin();
    let barrier = Barrier::new(3)?;
    for _ in 0..N_KILLS {
        let at_work = Event::new()?;
        let victim = spawn!(wait_for_others(barrier.clone(), at_work.clone()))?;
        while barrier.n_waiting() < 1 {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait());
            victim.kill().expect("it is ours");
            assert_eq!(other.join().expect("no panic"), Err(BarrierError::Broken));
        });
        assert!(victim.join().is_err());
        barrier.reset();
    }
    Ok(())
}

#[process_job]
fn lock_twice_for_ever(lock: RLock, at_work: Event) {
    at_work.set();
    loop {
        let outer = take(lock.acquire());
        drop(take(lock.acquire()));
        drop(outer);
    }
}

#[test]
fn rlock() -> Result<(), Error> {
    let _test = begin();
    let lock = RLock::new()?;
    let mut n_reported = 0;
    kill_many!(lock_twice_for_ever, lock, {
        let outer = lock.acquire();
        n_reported += u32::from(matches!(outer, Err(LockError::OwnerDied(_))));
        let _outer = take(outer);
        assert!(
            lock.acquire().is_ok(),
            "the depth of a dead one is not this one's"
        );
    });
    assert!(n_reported > 0, "no victim died with the lock in its hands");
    assert!(lock.acquire().is_ok(), "a death is reported once");
    assert_eq!(lock.holder(), None);
    Ok(())
}

#[process_job]
fn read_and_write_for_ever(lock: RwLock, numbers: [Atomic<u64>; 2], at_work: Event) {
    at_work.set();
    loop {
        let reading = take(lock.read());
        drop((reading, take(lock.read())));
        let _writing = take(lock.write());
        for number in &numbers {
            number.fetch_add(1, Relaxed);
        }
    }
}

#[test]
fn rwlock() -> Result<(), Error> {
    let _test = begin();
    let lock = RwLock::new()?;
    let numbers = [Atomic::new(0_u64)?, Atomic::new(0_u64)?];
    let mut n_reported = 0;
    for n in 0..N_KILLS {
        let at_work = Event::new()?;
        let victim = spawn!(read_and_write_for_ever(
            lock.clone(),
            numbers.clone(),
            at_work.clone()
        ))?;
        at_work.wait();
        std::thread::sleep(Duration::from_micros(n * 37 % 300));
        victim.kill()?;
        assert!(victim.join().is_err());
        let is_told = matches!(lock.read(), Err(LockError::OwnerDied(_)));
        n_reported += u32::from(is_told);
        let writing = lock.write();
        assert_eq!(is_told, matches!(writing, Err(LockError::OwnerDied(_))));
        let [one, other] = [0, 1].map(|n: usize| numbers[n].load(Relaxed));
        assert!(
            one == other || is_told,
            "half a change, and nobody was told"
        );
        numbers[1].store(one, Relaxed);
        drop(writing);
        assert!(lock.read().is_ok() && lock.write().is_ok());
    }
    assert!(n_reported > 0, "no victim died while it wrote");
    Ok(())
}

#[process_job]
fn do_once(once: Once, n_done: Atomic<u64>, at_work: Event) {
    at_work.set();
    let done = once.call_once_force(|_| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(150) {}
        n_done.fetch_add(1, Relaxed);
    });
    done.expect("nobody calls it from itself");
    loop {
        std::thread::park();
    }
}

#[test]
fn once() -> Result<(), Error> {
    let _test = begin();
    let mut n_reported = 0;
    for n in 0..N_KILLS {
        let (once, n_done, at_work) = (Once::new()?, Atomic::new(0_u64)?, Event::new()?);
        let victim = spawn!(do_once(once.clone(), n_done.clone(), at_work.clone()))?;
        at_work.wait();
        std::thread::sleep(Duration::from_micros(n * 37 % 300));
        victim.kill()?;
        let told = once.call_once(|| {
            n_done.fetch_add(1, Relaxed);
        });
        n_reported += u32::from(matches!(told, Err(LockError::OwnerDied(()))));
        assert_eq!(told.is_ok(), once.is_completed());
        once.call_once_force(|state| {
            assert!(state.is_poisoned());
            n_done.fetch_add(1, Relaxed);
        })?;
        assert!(victim.join().is_err());
        assert!(n_done.load(Relaxed) >= 1 && once.is_completed());
    }
    assert!(n_reported > 0, "no victim died while it was at it");
    Ok(())
}
