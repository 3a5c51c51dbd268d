//! Synchronisation of processes: locks, events and queues that jobs are passed like any argument.
//!
//! Names and meanings are those of Python's `multiprocessing`; guards and poisoning are those of `std::sync`. The same thing works
//! between threads and between processes. Nobody hangs on the dead: a lock whose holder was killed is acquired by the
//! next one, who is told, see [`LockError`].
//!
//! ```
//! use procession::{Event, Lock};
//!
//! let (lock, is_done) = (Lock::new()?, Event::new()?);
//! let guard = lock.acquire()?;
//! is_done.set();
//! drop(guard);
//! assert!(is_done.is_set());
//! # Ok::<(), procession::Error>(())
//! ```

// Inside: a lock whose holder may be killed (`raw_lock`) and sleeping until others announce a change (`notice`). Neither
// knows where its words lie, nor what they guard: the shared types lay them out.
//
// Invariants:
// - All zeros is the state at the beginning, so memory that the kernel just gave is ready for use.
// - No word is trusted: a process gone mad may have written it. Its worst is that a promise between processes is
//   broken (two holders, a wait that ends for no reason); nobody hangs for ever by a word that names nobody.
// - Nobody waits for the dead: every sleep has a timeout, after which the sleeper looks by itself.

mod event;
mod lock;
mod notice;
mod places;
mod raw_lock;
mod raw_semaphore;
mod semaphore;
pub(crate) mod vigil;

pub(crate) use notice::Notice;
pub(crate) use places::Places;
pub(crate) use raw_lock::{Acquired, NotAcquired, RawLock};
pub(crate) use vigil::Vigil;

pub use event::Event;
pub(crate) use lock::{Held, Moment};
pub use lock::{Lock, LockGuard};
pub use semaphore::{BoundedSemaphore, Semaphore, SemaphoreGuard};

pub use crate::queue::{Queue, QueueError, QueueIter};
pub use crate::shared::LockError;

#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
mod testing;

#[expect(unsafe_code, reason = "vouches for types")]
mod words {
    use super::raw_semaphore::RawSemaphore;
    use super::{Notice, RawLock};
    use crate::memory::Words;

    // SAFETY: atomics only.
    unsafe impl Words for RawLock {}
    // SAFETY: atomics only.
    unsafe impl Words for Notice {}
    // SAFETY: a lock, a notice, places and words, which are atomics only.
    unsafe impl Words for RawSemaphore {}
}
