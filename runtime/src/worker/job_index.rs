//! Where in its map's input the item stands that this process works on.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// No item of a map.
pub(crate) const NONE: u64 = u64::MAX;

// A worker runs one item at a time, so this is the process's; the threads of a job see it too.
static JOB_INDEX: AtomicU64 = AtomicU64::new(NONE);

thread_local! {
    /// The index of a job that runs on this thread of a process that is no worker for it.
    static HERE: Cell<Option<Option<u64>>> = const { Cell::new(None) };
}

/// Runs a job of this process itself: `index` is its item's while it lasts.
pub(crate) fn with_job_index<R>(index: Option<u64>, job: impl FnOnce() -> R) -> R {
    struct Before(Option<Option<u64>>);
    impl Drop for Before {
        fn drop(&mut self) {
            HERE.set(self.0);
        }
    }
    let _before = Before(HERE.replace(Some(index)));
    job()
}

/// In a process that was forked from one that ran a job.
pub(super) fn forget() {
    HERE.set(None);
    set(NONE);
}

#[inline]
pub(super) fn set(index: u64) {
    JOB_INDEX.store(index, Ordering::Relaxed);
}

/// The place, counted from 0, of the running job's item in the input of its map; `None` outside a map's job.
///
/// It depends on nothing but the input: not on the number of workers, the size of chunks, or how often the item was tried.
/// So a random generator that is seeded with it gives the same results on any machine:
///
/// ```
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn simulate(seed: u64) -> u64 {
///     let mut state = seed ^ procession::job_index().expect("this is run by maps");
///     // SplitMix64; `StdRng::seed_from_u64` of the `rand` crate is made for the same.
///     state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
///     state ^ (state >> 31)
/// }
///
/// let alone = Pool::new(1)?.map(job!(simulate), [7; 100])?;
/// assert_eq!(Pool::new(3)?.map(job!(simulate), [7; 100])?, alone);
/// assert_eq!(procession::job_index(), None);
/// # Ok::<(), procession::Error>(())
/// ```
///
/// A generator that seeds itself from the system (`rand::rng()`) does so once per process, when it is first used: workers of
/// the default [`StartMethod`](crate::StartMethod) never repeat each other. With `StartMethod::Fork` they begin with a copy
/// of what the program has, its generators too: where that has used one before, all workers go on from the same state.
#[must_use]
pub fn job_index() -> Option<u64> {
    if let Some(index) = HERE.get() {
        return index;
    }
    let index = JOB_INDEX.load(Ordering::Relaxed);
    (index != NONE).then_some(index)
}
