//! What processes agree by, as jobs meet it: each a handle that goes to jobs, comes back from them, lies in structs and
//! queues, under both start methods; and what a death means to those who wait.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use procession::{
    Atomic, Barrier, BarrierError, Condition, Error, Event, Lock, LockError, Once, Pool, RLock,
    RwLock, Semaphore, Value, job, pool_map, process_job, spawn,
};
use procession_tests::processes::{Signal, send};
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

#[process_job]
fn produce(not_empty: &Condition, not_full: &Condition, stock: &Value<u32>) -> Result<(), Error> {
    for _ in 0..100 {
        let guard = not_full.wait_for(not_full.acquire()?, || stock.get() < 3)?;
        stock.update(|n| *n += 1);
        not_empty.notify();
        drop(guard);
    }
    Ok(())
}

#[test]
fn two_conditions_of_one_lock_make_a_bounded_store() -> Result<(), Error> {
    let _test = begin();
    let (lock, stock) = (Lock::new()?, Value::new(0)?);
    let (not_empty, not_full) = (Condition::with_lock(&lock)?, Condition::with_lock(&lock)?);
    let producers = [
        spawn!(produce(&not_empty, &not_full, &stock))?,
        spawn!(produce(&not_empty, &not_full, &stock))?,
    ];
    for _ in 0..200 {
        let guard = not_empty.wait_for(lock.acquire()?, || stock.get() > 0)?;
        assert!(stock.update(|n| *n -= 1) < 3);
        not_full.notify();
        drop(guard);
    }
    for producer in producers {
        producer.join()??;
    }
    assert_eq!(stock.get(), 0);
    Ok(())
}

#[process_job]
fn meet(barrier: &Barrier) -> Result<usize, Error> {
    Ok(barrier.wait()?.index())
}

#[test]
fn a_pool_meets_at_a_barrier_and_learns_of_a_worker_killed_there() -> Result<(), Error> {
    let _test = begin();
    let (pool, barrier) = (Pool::new(3)?, Barrier::new(4)?);
    let begin_all = || (0..3).map(|_| pool.submit(job!(meet), &barrier));
    for _ in 0..20 {
        let others: Vec<_> = begin_all().collect::<Result<_, _>>()?;
        let mut turns = vec![barrier.wait()?.index()];
        for other in others {
            turns.push(other.join()??);
        }
        turns.sort_unstable();
        assert_eq!(turns, [0, 1, 2, 3]);
    }
    let others: Vec<_> = begin_all().collect::<Result<_, _>>()?;
    while barrier.n_waiting() < 3 {
        std::thread::yield_now();
    }
    send(pool.pids()[0], Signal::SIGKILL);
    let ends: Vec<_> = others.into_iter().map(|other| other.join()).collect();
    assert_eq!(ends.iter().filter(|end| end.is_err()).count(), 1, "killed");
    assert_eq!(
        ends.iter().filter(|end| matches!(end, Ok(Err(_)))).count(),
        2,
        "told"
    );
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    Ok(())
}

#[process_job]
fn die_holding(lock: &RLock, table: &RwLock, once: &Once) {
    let _guards = (
        lock.acquire().is_ok(),
        lock.acquire().map(std::mem::forget).is_ok(),
    );
    std::mem::forget(table.write());
    let _never = once.call_once(|| std::process::abort());
}

#[test]
fn who_is_killed_with_them_in_its_hands_is_told() -> Result<(), Error> {
    let _test = begin();
    let (lock, table, once) = (RLock::new()?, RwLock::new()?, Once::new()?);
    assert!(spawn!(die_holding(&lock, &table, &once))?.join().is_err());
    assert!(matches!(lock.acquire(), Err(LockError::OwnerDied(_))));
    assert!(lock.acquire().is_ok());
    assert!(matches!(
        table.read_timeout(LONG),
        Err(LockError::OwnerDied(_))
    ));
    assert!(matches!(table.try_write(), Err(LockError::OwnerDied(_))));
    assert!(table.write_timeout(LONG)?.is_some());
    let told = once.call_once(|| unreachable!());
    assert!(matches!(told, Err(LockError::OwnerDied(()))));
    once.call_once_force(|state| assert!(state.is_poisoned()))?;
    Ok(())
}
