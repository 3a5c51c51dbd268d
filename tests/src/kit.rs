//! One of each thing that processes agree by, and every way that such a handle goes.

use procession::{
    Barrier, BoundedSemaphore, Broadcast, Condition, Error, Once, Pool, PriorityQueue, Queue,
    RLock, RwLock, Semaphore, Value, job, pool_map, process_job,
};
use serde::{Deserialize, Serialize};

/// Handles in a struct.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kit {
    semaphore: Semaphore,
    bounded: Vec<BoundedSemaphore>,
    condition: Condition,
    barrier: Option<Barrier>,
    lock: RLock,
    table: (RwLock, Once),
    ranked: PriorityQueue<char, u8>,
    words: Broadcast<Vec<String>>,
    n_uses: Value<u64>,
    n_first_uses: Value<u64>,
}

impl Kit {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            semaphore: Semaphore::new(2)?,
            bounded: vec![BoundedSemaphore::new(1)?],
            condition: Condition::new()?,
            barrier: Some(Barrier::new(1)?),
            lock: RLock::new()?,
            table: (RwLock::new()?, Once::new()?),
            ranked: PriorityQueue::new()?,
            words: Broadcast::new(&vec!["sent once".to_owned()])?,
            n_uses: Value::new(0)?,
            n_first_uses: Value::new(0)?,
        })
    }

    fn use_all(&self) -> Result<(), Error> {
        let (table, once) = &self.table;
        once.call_once(|| {
            self.n_first_uses.fetch_add(1);
        })?;
        drop(self.semaphore.acquire()?);
        for bounded in &self.bounded {
            bounded.acquire()?.forget();
            bounded.release()?;
        }
        self.barrier
            .iter()
            .try_for_each(|one| one.wait().map(drop))?;
        drop((self.lock.acquire()?, self.lock.acquire()?));
        drop((table.read()?, table.read()?));
        let _alone = table.write()?;
        self.ranked.put(2, 'b')?;
        self.ranked.put(1, 'a')?;
        assert_eq!(
            (self.ranked.get()?, self.ranked.get()?),
            ((1, 'a'), (2, 'b'))
        );
        assert_eq!(*self.words, ["sent once"]);
        let guard = self.condition.acquire()?;
        // Two steps, which are one under the locks.
        self.n_uses.set(self.n_uses.get() + 1);
        self.condition.notify_all();
        drop(self.condition.wait_for(guard, || true)?);
        Ok(())
    }

    fn was_used(&self, n: u64) {
        assert_eq!((self.n_uses.get(), self.n_first_uses.get()), (n, 1));
        assert_eq!(self.semaphore.value(), 2);
    }
}

#[process_job]
fn use_by_reference(kit: &Kit) -> Result<(), Error> {
    kit.use_all()
}

#[process_job]
fn use_by_value(kit: Kit, n: u32) -> Result<(Kit, u32), Error> {
    kit.use_all()?;
    Ok((kit, n))
}

#[process_job]
fn make_kit() -> Result<Kit, Error> {
    Kit::new()
}

#[process_job]
fn use_from_queue(kits: &Queue<Kit>) -> Result<(), Error> {
    kits.get()?.use_all()
}

/// Passes a kit by value and by reference, as a result and through a queue.
///
/// # Errors
///
/// Where one of the ways, or a use of what went it, fails.
///
/// # Panics
///
/// Where what has arrived is not what was sent.
pub fn goes_everywhere(pool: &Pool) -> Result<(), Error> {
    let (kit, kits) = (Kit::new()?, Queue::new()?);
    let verdicts = pool_map!(in pool, use_by_reference, [&kit; 50])?;
    verdicts.into_iter().collect::<Result<(), _>>()?;
    for given in pool_map!(in pool, use_by_value, (0..50).map(|n| (kit.clone(), n)))? {
        given?.0.use_all()?;
    }
    let made = pool.submit(job!(make_kit), ())?.join()??;
    made.use_all()?;
    kits.put(made)?;
    pool.submit(job!(use_from_queue), &kits)?.join()??;
    kit.was_used(150);
    Ok(())
}
