//! At which place of its pool this process works.

use std::sync::atomic::{AtomicU32, Ordering};

const NONE: u32 = u32::MAX;

// The process's own; the threads of a job see it too.
static WORKER_INDEX: AtomicU32 = AtomicU32::new(NONE);

pub(super) fn set(index: Option<u16>) {
    WORKER_INDEX.store(index.map_or(NONE, u32::from), Ordering::Relaxed);
}

/// The place, 0 to the number of workers less one, at which this process works in its pool; `None` where it is no worker of a
/// pool: in the program, and in a process of [`spawn!`](crate::spawn).
///
/// A worker's replacement takes its place, so that at any moment no two workers of a pool have the same: it may choose a
/// device, a port, or a file of its own. [`PoolStats`](crate::PoolStats) lists the workers in this order.
/// Where [`Pool::resize`](crate::Pool::resize) made the pool smaller, one that is still leaving has a higher place.
///
/// ```
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn place() -> Option<usize> { procession::worker_index() }
///
/// let places = Pool::new(2)?.map(job!(place), [(); 20])?;
/// assert!(places.iter().all(|place| matches!(place, Some(0 | 1))));
/// assert_eq!(procession::worker_index(), None);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use]
pub fn worker_index() -> Option<usize> {
    let index = WORKER_INDEX.load(Ordering::Relaxed);
    (index != NONE).then_some(index as usize)
}
