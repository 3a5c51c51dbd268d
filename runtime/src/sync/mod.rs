//! Synchronisation of processes: locks and events that jobs are passed like any argument.
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
mod event;
mod lock;
mod notice;
mod raw_lock;

pub(crate) use notice::Notice;
pub(crate) use raw_lock::{Acquired, NotAcquired, RawLock};

pub use event::Event;
pub(crate) use lock::Held;
pub use lock::{Lock, LockGuard};

pub use crate::shared::LockError;
