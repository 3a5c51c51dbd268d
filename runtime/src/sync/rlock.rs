//! A lock that its holder may acquire again: [`RLock`] and its guard.
//!
//! Responsible for how often the holding thread has it. All else is the [raw lock](super::RawLock)'s and [`Held`]'s affair.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `depth` | how many guards the holding thread has | the holder | stays; the next holder begins with 1 |
//!
//! Invariant: the last guard of a thread releases the lock, in whatever order they are dropped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Held, RawLock};
use crate::error::Error;
use crate::shared::{Block, LockError, fixed, travel};

/// What lies in shared memory.
#[repr(C)]
struct Shared {
    /// First in its block, where [`Held`] looks for it.
    lock: RawLock,
    depth: AtomicU32,
    _unused: AtomicU32,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: a lock and words, which are atomics only.
unsafe impl crate::memory::Words for Shared {}

/// A [`Lock`](crate::Lock) that the thread which holds it may acquire again; it is free when the last of its guards is dropped.
///
/// All else is as of `Lock`: a handle, cheap to clone, to be passed to jobs by value or by reference; the holder's death is
/// told to the next by [`LockError::OwnerDied`]. A guard releases what it has acquired and cannot leave its thread, so nobody
/// can release what another holds.
///
/// ```
/// use procession::{Error, RLock, process_job, spawn};
///
/// fn deposit(account: &RLock) -> Result<(), Error> {
///     let _guard = account.acquire()?;
///     Ok(())
/// }
///
/// #[process_job]
/// fn transfer(account: &RLock) -> Result<(), Error> {
///     let _guard = account.acquire()?;
///     deposit(account) // acquires it again
/// }
///
/// let account = RLock::new()?;
/// spawn!(transfer(&account))?.join()??;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct RLock {
    block: Arc<Block>,
}

impl RLock {
    /// A lock that nobody holds.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let lock = procession::RLock::new()?;
    /// assert_eq!(lock.holder(), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let block = fixed::new::<Self>(size_of::<Shared>())?;
        Ok(Self { block })
    }

    /// Waits for the lock, however long; at once where this thread holds it.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], with the guard, as of [`Lock::acquire`](crate::Lock::acquire).
    /// [`LockError::AlreadyHeld`], where this thread has 4,294,967,295 guards of it.
    ///
    /// ```
    /// let lock = procession::RLock::new()?;
    /// let (outer, inner) = (lock.acquire()?, lock.acquire()?);
    /// drop(outer);
    /// assert_eq!(lock.holder(), Some(std::process::id()));
    /// drop(inner);
    /// assert_eq!(lock.holder(), None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire(&self) -> Result<RLockGuard, LockError<RLockGuard>> {
        if let Some(again) = self.acquire_again() {
            return again;
        }
        Held::acquire(&self.block, RLockGuard::first)
    }

    /// Acquires the lock if it is free or this thread's; `None` if not.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// let lock = procession::RLock::new()?;
    /// assert!(lock.try_acquire()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Option<RLockGuard>, LockError<RLockGuard>> {
        if let Some(again) = self.acquire_again() {
            return again.map(Some);
        }
        Held::try_acquire(&self.block, RLockGuard::first)
    }

    /// Waits for the lock, for so long at the most; `None` if another held it all the while.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = procession::RLock::new()?;
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
    ) -> Result<Option<RLockGuard>, LockError<RLockGuard>> {
        if let Some(again) = self.acquire_again() {
            return again.map(Some);
        }
        Held::acquire_timeout(&self.block, timeout, RLockGuard::first)
    }

    /// The pid of the process that holds the lock, or has died with it: news of a moment, for logs.
    ///
    /// ```
    /// let lock = procession::RLock::new()?;
    /// let guard = lock.acquire()?;
    /// assert_eq!(lock.holder(), Some(std::process::id()));
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn holder(&self) -> Option<u32> {
        shared(&self.block).lock.holder()
    }

    /// One more guard for the thread that holds it; `None` where this one does not.
    fn acquire_again(&self) -> Option<Result<RLockGuard, LockError<RLockGuard>>> {
        let Shared { lock, depth, .. } = shared(&self.block);
        if !lock.is_held_by_this_thread() {
            return None;
        }
        let deeper = depth.load(Ordering::Relaxed).checked_add(1);
        Some(deeper.ok_or(LockError::AlreadyHeld).map(|deeper| {
            depth.store(deeper, Ordering::Relaxed);
            RLockGuard::new(Held::new(Arc::clone(&self.block)))
        }))
    }
}

fn shared(block: &Block) -> &Shared {
    block.words(0)
}

impl fmt::Debug for RLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLock")
            .field("holder", &self.holder())
            .finish_non_exhaustive()
    }
}

impl Serialize for RLock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de> Deserialize<'de> for RLock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block = fixed::deserialize::<Self, D>(size_of::<Shared>(), from)?;
        Ok(Self { block })
    }
}

/// Holds an [`RLock`] until it, and every other guard of this thread for the same lock, is dropped.
///
/// It stays on its thread. A panic that drops the last guard leaves the lock [poisoned](LockError::Poisoned). Forgotten
/// ([`std::mem::forget`]), the lock stays held until the process ends. A copy of it in a forked child holds nothing.
///
/// ```
/// let lock = procession::RLock::new()?;
/// let guard: procession::RLockGuard = lock.acquire()?;
/// drop(guard); // releases
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is released where the guard is dropped: bind it to a name, such as `_guard`"]
pub struct RLockGuard {
    held: Held,
}

impl RLockGuard {
    /// Of a thread that has just acquired the lock.
    fn first(held: Held) -> Self {
        shared(&held.block).depth.store(1, Ordering::Relaxed);
        Self::new(held)
    }

    fn new(held: Held) -> Self {
        Self {
            held: held.poisoning(),
        }
    }
}

impl Drop for RLockGuard {
    fn drop(&mut self) {
        // A forked copy may have no mapping in which to look, and whoever holds the lock in its place has another depth.
        if !self.held.is_held() {
            return self.held.disown();
        }
        let depth = &shared(&self.held.block).depth;
        let left = depth.load(Ordering::Relaxed).saturating_sub(1);
        depth.store(left, Ordering::Relaxed);
        if left > 0 {
            self.held.disown();
        }
    }
}

impl fmt::Debug for RLockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RLockGuard").finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
