//! Synchronisation of processes: locks, semaphores, conditions, barriers, events and queues that jobs are passed like any
//! argument.
//!
//! Names and meanings are those of Python's `multiprocessing`; guards and poisoning are those of `std::sync`. The same thing works
//! between threads and between processes. Every wait has a form with a time limit, which never ends early.
//!
//! # When somebody is killed
//!
//! Nobody waits for the dead. A waiter asks from time to time which of the others still live, and knows of a death within a tenth of a
//! second.
//!
//! | killed | what the others find |
//! |---|---|
//! | the holder of a [`Lock`], an [`RLock`] | the next one acquires it, and is told: [`LockError::OwnerDied`] |
//! | the writer of an [`RwLock`] | the same, and all are told until one of them is a writer |
//! | a reader of an [`RwLock`] | nothing: its share is given back |
//! | who holds a [`SemaphoreGuard`] | nothing: its permit is given back. A permit that was [forgotten](SemaphoreGuard::forget) belongs to nobody and stays away |
//! | who waits for a [`Condition`] | nothing: its notification goes to another |
//! | who waits at a [`Barrier`] | the barrier is broken: [`BarrierError::Broken`] |
//! | who runs the closure of a [`Once`] | [`LockError::OwnerDied`], until one does it again by [`Once::call_once_force`] |
//! | who has got messages from a [`Queue`] and not called [`task_done`](Queue::task_done) | [`QueueError::TasksLost`], told by [`Queue::join`] |
//! | who has an end of a [`pipe`](crate::pipe()) | [`PipeError::Disconnected`](crate::PipeError::Disconnected), after all that it has sent |
//! | who was to set an [`Event`], to notify, to release, to come to a barrier | nothing: nobody knows who that was. Take the form with a time limit |
//!
//! # Coming from Python
//!
//! | Python | here |
//! |---|---|
//! | `with lock:` | `let _guard = lock.acquire()?` |
//! | `lock.acquire(timeout=1)`, `lock.acquire(block=False)` | `lock.acquire_timeout(Duration::from_secs(1))?`, `lock.try_acquire()?`: an `Option` |
//! | `lock.release()` | `drop(guard)`: who has no guard can release nothing |
//! | `mp.RLock()` | [`RLock`] |
//! | `mp.Semaphore(3)`, `with semaphore:` | [`Semaphore::new(3)`](Semaphore::new), `let _permit = semaphore.acquire()?` |
//! | `semaphore.acquire()`, and `semaphore.release()` elsewhere | `semaphore.acquire()?.forget()`, `semaphore.release()?` |
//! | `mp.BoundedSemaphore(3)` | [`BoundedSemaphore`], whose `release` is an error beyond the bound |
//! | `mp.Condition()`, `mp.Condition(lock)` | [`Condition::new`], [`Condition::with_lock`] |
//! | `condition.wait()`, `condition.wait(1)` | `guard = condition.wait(guard)?`, `condition.wait_timeout(guard, limit)?` |
//! | `condition.wait_for(f)`, `condition.wait_for(f, 1)` | `condition.wait_for(guard, f)?`, `condition.wait_for_timeout(guard, limit, f)?` |
//! | `condition.notify()`, `condition.notify_all()` | [`Condition::notify`], [`Condition::notify_all`] |
//! | `mp.Barrier(n)`, `if barrier.wait() == 0:` | [`Barrier`], `if barrier.wait()?.is_leader()` |
//! | `barrier.broken`, `barrier.n_waiting`, `barrier.parties` | `is_broken()`, `n_waiting()`, `parties()` |
//! | `BrokenBarrierError` | [`BarrierError`] |
//! | – | [`RwLock`], [`Once`] |
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

// Inside: a lock whose holder may be killed (`raw_lock`), sleeping until others announce a change (`notice`), a table of
// those who take part (`places`) and how long one waits for them (`vigil`). Of these all else is made: a `raw_` module has
// the words and what a death at any step leaves in them, and the module of the same name has the handle and its guards.
// None of the words knows where it lies, nor what it guards: the shared types lay them out.
//
// Invariants:
// - All zeros is the state at the beginning, so memory that the kernel just gave is ready for use.
// - No word is trusted: a process gone mad may have written it. Its worst is that a promise between processes is
//   broken (two holders, a wait that ends for no reason); nobody hangs for ever by a word that names nobody.
// - Nobody waits for the dead: every sleep has a timeout, after which the sleeper looks by itself.

mod barrier;
mod bounded_semaphore;
mod condition;
mod event;
mod lock;
mod notice;
mod once;
pub(crate) mod outlived;
mod places;
mod raw_barrier;
mod raw_condition;
mod raw_lock;
mod raw_once;
mod raw_rwlock;
mod raw_semaphore;
mod rlock;
mod rwlock;
mod semaphore;
pub(crate) mod vigil;

pub(crate) use notice::Notice;
pub(crate) use places::{N_PLACES, Places};
pub(crate) use raw_lock::{Acquired, NotAcquired, RawLock};
pub(crate) use vigil::Vigil;

pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
pub use bounded_semaphore::BoundedSemaphore;
pub use condition::Condition;
pub use event::Event;
pub(crate) use lock::{Held, Moment};
pub use lock::{Lock, LockGuard};
pub use once::{Once, OnceState};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphoreGuard};

pub use crate::queue::{PriorityQueue, Queue, QueueError, QueueIter, Rank};
pub use crate::shared::LockError;

#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
mod testing;

#[expect(unsafe_code, reason = "vouches for types")]
mod words {
    use super::raw_barrier::RawBarrier;
    use super::raw_condition::RawCondition;
    use super::raw_once::RawOnce;
    use super::raw_rwlock::RawRwLock;
    use super::raw_semaphore::RawSemaphore;
    use super::{Notice, RawLock};
    use crate::memory::Words;

    // SAFETY: atomics only.
    unsafe impl Words for RawLock {}
    // SAFETY: atomics only.
    unsafe impl Words for Notice {}
    // SAFETY: a lock, a notice, places and words, which are atomics only.
    unsafe impl Words for RawSemaphore {}
    // SAFETY: places and words, which are atomics only.
    unsafe impl Words for RawCondition {}
    // SAFETY: a lock, a notice, places and words, which are atomics only.
    unsafe impl Words for RawBarrier {}
    // SAFETY: a lock, a notice, places and words, which are atomics only.
    unsafe impl Words for RawRwLock {}
    // SAFETY: a lock and words, which are atomics only.
    unsafe impl Words for RawOnce {}
}
