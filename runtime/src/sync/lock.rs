//! The mutual exclusion of processes as users meet it: [`Lock`] and its guard.
//!
//! Responsible for guards: who releases what, and what the next one is told. How a lock is acquired, and how the death of
//! its holder is found out, is the [raw lock](super::RawLock)'s affair.
//!
//! Invariants: a guard stays on its thread, and its block lives as long: a [`LockGuard`]'s is kept for it where it [outlives](outlived)
//! the last handle, the others own theirs. A copy of a guard in a forked child holds nothing: the
//! raw lock knows its holder's process, and dropping the copy changes nothing.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Acquired, NotAcquired, RawLock, outlived};
use crate::error::Error;
use crate::shared::{Block, LockError, fixed, travel};
use crate::sys;

/// A lock that one thread of one process holds at a time.
///
/// It guards whatever its users agree upon: a file, a device, several shared things at once. (A
/// [`Value`](crate::Value) and an [`Array`](crate::Array) have locks of their own.) A handle: cheap to clone, to be passed
/// to jobs by value or by reference. The holder's death does not hang anybody: who waits acquires the lock, and is told by
/// [`LockError::OwnerDied`].
///
/// ```
/// use procession::{Error, Lock, pool_map, process_job};
///
/// #[process_job]
/// fn append(lock: &Lock, line: u32) -> Result<(), Error> {
///     let _guard = lock.acquire()?;
///     // … alone at work on a file
///     Ok(())
/// }
///
/// let lock = Lock::new()?;
/// let ends = pool_map!(append, (0..4).map(|line| (&lock, line)))?;
/// ends.into_iter().collect::<Result<Vec<()>, _>>()?; // a job's own error is a result like any other
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct Lock {
    block: Arc<Block>,
    lock: &'static RawLock,
}

impl Lock {
    fn at(block: Arc<Block>) -> Option<Self> {
        let lock = block.lock_for_guards()?;
        Some(Self { block, lock })
    }

    /// A lock that nobody holds.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let lock = procession::Lock::new()?;
    /// assert_eq!(lock.holder(), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let block = fixed::new::<Self>(size_of::<RawLock>())?;
        Self::at(block).ok_or_else(|| Error::invalid_input(NOT_SMALL))
    }

    /// Waits for the lock, however long.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] have the guard with them: the lock is held, and what it guards
    /// may be in the middle of a change. [`LockError::AlreadyHeld`]: by this very thread.
    ///
    /// ```
    /// let lock = procession::Lock::new()?;
    /// let guard = lock.acquire()?;
    /// assert_eq!(lock.holder(), Some(std::process::id()));
    /// drop(guard);
    /// assert_eq!(lock.holder(), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn acquire(&self) -> Result<LockGuard, LockError<LockGuard>> {
        loop {
            // Without a deadline nothing times out.
            if let Some(guard) = self.after(self.lock.acquire(None))? {
                return Ok(guard);
            }
        }
    }

    /// Acquires the lock if it is free; `None` if not.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// let lock = procession::Lock::new()?;
    /// let guard = lock.try_acquire()?;
    /// assert!(guard.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Option<LockGuard>, LockError<LockGuard>> {
        self.after(self.lock.try_acquire())
    }

    /// Waits for the lock, for so long at the most; `None` if it was held all the while.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = procession::Lock::new()?;
    /// let guard = lock.acquire()?;
    /// let other = std::thread::scope(|scope| {
    ///     let waits = || lock.acquire_timeout(Duration::from_millis(5)).unwrap().is_some();
    ///     scope.spawn(waits).join().unwrap()
    /// });
    /// assert!(!other);
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<LockGuard>, LockError<LockGuard>> {
        self.after(self.lock.acquire(moment_after(timeout)))
    }

    #[inline]
    fn after(
        &self,
        attempt: Result<Acquired, NotAcquired>,
    ) -> Result<Option<LockGuard>, LockError<LockGuard>> {
        LockError::after(attempt, || LockGuard {
            lock: self.lock,
            holder: Holder::new(),
        })
    }

    /// The pid of the process that holds the lock, or has died with it: news of a moment, for logs.
    ///
    /// ```
    /// let lock = procession::Lock::new()?;
    /// let guard = lock.acquire()?;
    /// assert_eq!(lock.holder(), Some(std::process::id()));
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn holder(&self) -> Option<u32> {
        self.lock.holder()
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("holder", &self.holder())
            .finish_non_exhaustive()
    }
}

impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block = fixed::deserialize::<Self, D>(size_of::<RawLock>(), from)?;
        Self::at(block).ok_or_else(|| D::Error::custom(NOT_SMALL))
    }
}

/// Holds a [`Lock`] until it is dropped.
///
/// It stays on its thread. Dropped by a panic, it leaves the lock [poisoned](LockError::Poisoned). Forgotten
/// ([`std::mem::forget`]), the lock stays held until the process ends; whoever waits then is told that the owner died. A
/// copy of it in a forked child holds nothing and releases nothing.
///
/// ```
/// let lock = procession::Lock::new()?;
/// let guard: procession::LockGuard = lock.acquire()?;
/// drop(guard); // releases
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is released where the guard is dropped: bind it to a name, such as `_guard`"]
pub struct LockGuard {
    lock: &'static RawLock,
    holder: Holder,
}

impl LockGuard {
    /// Whether it is this lock's, and no copy in a forked child.
    pub(super) fn holds(&self, lock: &Lock) -> bool {
        std::ptr::eq(self.lock, lock.lock)
            && self.holder.is_ours()
            && self.lock.is_held_by_this_thread()
    }
}

impl Drop for LockGuard {
    #[inline]
    fn drop(&mut self) {
        if !self.holder.is_ours() {
            return;
        }
        let by_panic = self.holder.is_dropped_by_panic();
        if !self.lock.release_uncontended(by_panic) {
            outlived::release(self.lock, by_panic);
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").finish_non_exhaustive()
    }
}

const NOT_SMALL: &str = "this is not the memory of a lock";

#[inline]
fn raw_lock(block: &Block) -> &RawLock {
    block.words(0)
}

#[inline]
fn moment_after(timeout: Duration) -> Option<Instant> {
    // A moment past the end of the clock never comes.
    Instant::now().checked_add(timeout)
}

/// What a guard remembers of the thread that has just acquired its lock.
struct Holder {
    was_panicking: bool,
    /// A copy of the guard in a forked child may be dropped while the child holds the same lock itself, which the words in
    /// memory cannot tell apart. 0 once it was disowned.
    pid: u32,
    /// Holding is an affair of one thread.
    _not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Holder {
    #[inline]
    fn new() -> Self {
        Self {
            was_panicking: thread::panicking(),
            pid: sys::pid(),
            _not_send: PhantomData,
        }
    }

    /// Whether a panic that began since it was acquired is what drops the guard.
    #[inline]
    fn is_dropped_by_panic(&self) -> bool {
        thread::panicking() && !self.was_panicking
    }

    /// `false` in a forked copy.
    #[inline]
    fn is_ours(&self) -> bool {
        self.pid == sys::pid()
    }
}

/// A block whose first bytes are a [`RawLock`] that this thread holds. Releases it when dropped.
///
/// What the guards of values and arrays are made of.
pub(crate) struct Held {
    pub(crate) block: Arc<Block>,
    /// Whether the next holder is told of a panic that drops this.
    poisons: bool,
    holder: Holder,
}

impl Held {
    /// For the thread that has just acquired the lock.
    #[inline]
    pub(crate) fn new(block: Arc<Block>) -> Self {
        Self {
            block,
            poisons: false,
            holder: Holder::new(),
        }
    }

    /// The same, so that a panic that drops it is told to the next holder.
    #[inline]
    pub(crate) fn poisoning(mut self) -> Self {
        self.poisons = true;
        self
    }

    #[inline]
    pub(crate) fn acquire<G>(
        block: &Arc<Block>,
        guard: impl Fn(Self) -> G,
    ) -> Result<G, LockError<G>> {
        loop {
            // Without a deadline nothing times out.
            let attempt = raw_lock(block).acquire(None);
            if let Some(guard) = LockError::after(attempt, || guard(Self::new(Arc::clone(block))))?
            {
                return Ok(guard);
            }
        }
    }

    pub(crate) fn try_acquire<G>(
        block: &Arc<Block>,
        guard: impl FnOnce(Self) -> G,
    ) -> Result<Option<G>, LockError<G>> {
        let attempt = raw_lock(block).try_acquire();
        LockError::after(attempt, || guard(Self::new(Arc::clone(block))))
    }

    pub(crate) fn acquire_timeout<G>(
        block: &Arc<Block>,
        timeout: Duration,
        guard: impl FnOnce(Self) -> G,
    ) -> Result<Option<G>, LockError<G>> {
        let attempt = raw_lock(block).acquire(moment_after(timeout));
        LockError::after(attempt, || guard(Self::new(Arc::clone(block))))
    }

    /// Whether a panic that began since it was acquired is what drops it.
    #[inline]
    pub(crate) fn is_dropped_by_panic(&self) -> bool {
        self.holder.is_dropped_by_panic()
    }

    /// `false` in a forked copy.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.holder.is_ours()
    }

    /// Does not release it after all: another guard of this thread does.
    pub(super) fn disown(&mut self) {
        self.holder.pid = 0;
    }

    /// `false` in a forked copy.
    pub(crate) fn is_held(&self) -> bool {
        self.is_ours() && raw_lock(&self.block).is_held_by_this_thread()
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        // A forked copy holds nothing, and may have no mapping in which to look.
        if self.is_ours() {
            let by_panic = self.poisons && self.is_dropped_by_panic();
            raw_lock(&self.block).release(by_panic);
        }
    }
}

/// A [`RawLock`] at the beginning of a block, held by this thread for a moment within one call.
pub(crate) struct Moment<'b>(&'b RawLock);

impl<'b> Moment<'b> {
    /// However the last holder has left. `None` where this thread holds it already.
    #[inline]
    pub(crate) fn of(block: &'b Block) -> Option<Self> {
        let lock = raw_lock(block);
        loop {
            match lock.acquire(None) {
                Ok(_) => return Some(Self(lock)),
                Err(NotAcquired::AlreadyHeld) => return None,
                // Without a deadline nothing times out.
                Err(NotAcquired::TimedOut) => {}
            }
        }
    }
}

impl Drop for Moment<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.release(false);
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
