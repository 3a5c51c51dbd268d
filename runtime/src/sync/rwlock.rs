//! A lock for one writer or many readers as users meet it: [`RwLock`] and its guards.
//!
//! Responsible for guards: who ends what, and what the next one is told. Who may come in, and how deaths are found out, is the
//! [raw lock](super::raw_rwlock)'s affair.
//!
//! Invariants: guards keep the words alive and stay on their thread. A copy of a guard in a forked child holds nothing.

use std::fmt;
use std::marker::PhantomData;
use std::sync::MutexGuard;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw_rwlock::{NoAccess, RawRwLock};
use crate::error::Error;
use crate::shared::LockError;
use crate::shared::fixed::Fixed;
use crate::sys;

/// Longer than it takes to come in where nobody writes.
const COMING_IN: Duration = Duration::from_millis(5);

/// A lock that many may hold to read, or one to write, among the threads of all processes.
///
/// Like [`Lock`](crate::Lock) it guards whatever its users agree upon. A writer who waits goes before readers who come later, so
/// that none starves. A thread that reads may read again, but not write, nor may one that writes acquire it again: that is
/// [`LockError::AlreadyHeld`], and no hang.
///
/// A killed reader's share is given back. If a writer is killed, or panics, everybody who acquires the lock is told, by
/// [`LockError::OwnerDied`] or [`LockError::Poisoned`], up to and including the next writer, who can repair what it guards. A handle:
/// cheap to clone, to be passed to jobs by value or by reference.
///
/// ```
/// use procession::{Error, RwLock, pool_map, process_job};
///
/// #[process_job]
/// fn look_up(table: &RwLock, key: u32) -> Result<u32, Error> {
///     let _guard = table.read()?;
///     Ok(key) // … in a file that is rewritten from time to time
/// }
///
/// let table = RwLock::new()?;
/// let found = pool_map!(look_up, (0..4).map(|key| (&table, key)))?;
/// found.into_iter().collect::<Result<Vec<u32>, _>>()?;
/// let guard = table.write()?;
/// // … alone
/// # drop(guard);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct RwLock {
    words: Fixed<RawRwLock>,
}

impl RwLock {
    /// A lock that nobody holds.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let lock = procession::RwLock::new()?;
    /// assert!(lock.try_write()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let words = Fixed::new()?;
        Ok(Self { words })
    }

    /// Waits until nobody writes, however long, and holds it to read.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] have the guard with them: a writer has left what the lock guards in the
    /// middle of a change, and none has come since. [`LockError::AlreadyHeld`]: this thread writes. [`LockError::TooMany`]: 248
    /// threads read.
    ///
    /// ```
    /// let lock = procession::RwLock::new()?;
    /// let (one, other) = (lock.read()?, lock.read()?);
    /// assert!(lock.try_write().is_err(), "this thread reads");
    /// # drop((one, other));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn read(&self) -> Result<RwLockReadGuard, LockError<RwLockReadGuard>> {
        loop {
            // Without a deadline nothing times out.
            if let Some(guard) = self.read_until(None)? {
                return Ok(guard);
            }
        }
    }

    /// Holds it to read if nobody writes or waits to write; `None` if somebody does.
    ///
    /// # Errors
    ///
    /// As of [`read`](Self::read).
    ///
    /// ```
    /// let lock = procession::RwLock::new()?;
    /// assert!(lock.try_read()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_read(&self) -> Result<Option<RwLockReadGuard>, LockError<RwLockReadGuard>> {
        let at_once = self.read_until(Some(Instant::now()))?;
        if at_once.is_some() || self.words.has_writer() {
            return Ok(at_once);
        }
        // Another comes in, or somebody has just gone.
        self.read_until(Some(Instant::now() + COMING_IN))
    }

    /// Waits until nobody writes, for so long at the most; `None` if somebody did all the while.
    ///
    /// # Errors
    ///
    /// As of [`read`](Self::read).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = procession::RwLock::new()?;
    /// assert!(lock.read_timeout(Duration::from_millis(5))?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<RwLockReadGuard>, LockError<RwLockReadGuard>> {
        self.read_until(Instant::now().checked_add(timeout))
    }

    fn read_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<RwLockReadGuard>, LockError<RwLockReadGuard>> {
        let guard = |place| RwLockReadGuard {
            words: self.words.clone(),
            place,
            pid: sys::pid(),
            _not_send: PhantomData,
        };
        match self.words.read(deadline) {
            Ok((how, place)) => LockError::after(Ok(how), || guard(place)),
            Err(why) => refused(why),
        }
    }

    /// Waits until nobody else holds it, however long, and holds it to write.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`] have the guard with them: the last writer has left what the lock guards
    /// in the middle of a change. It is told to no later one. [`LockError::AlreadyHeld`]: this thread reads or writes.
    ///
    /// ```
    /// let lock = procession::RwLock::new()?;
    /// let guard = lock.write()?;
    /// assert!(lock.read().is_err(), "this thread writes");
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn write(&self) -> Result<RwLockWriteGuard, LockError<RwLockWriteGuard>> {
        loop {
            // Without a deadline nothing times out.
            if let Some(guard) = self.write_until(None)? {
                return Ok(guard);
            }
        }
    }

    /// Holds it to write if nobody else holds it; `None` if somebody does.
    ///
    /// # Errors
    ///
    /// As of [`write`](Self::write).
    ///
    /// ```
    /// let lock = procession::RwLock::new()?;
    /// assert!(lock.try_write()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_write(&self) -> Result<Option<RwLockWriteGuard>, LockError<RwLockWriteGuard>> {
        self.write_timeout(Duration::ZERO)
    }

    /// Waits until nobody else holds it, for so long at the most; `None` if somebody did all the while.
    ///
    /// # Errors
    ///
    /// As of [`write`](Self::write).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = procession::RwLock::new()?;
    /// assert!(lock.write_timeout(Duration::from_millis(5))?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<RwLockWriteGuard>, LockError<RwLockWriteGuard>> {
        self.write_until(Instant::now().checked_add(timeout))
    }

    fn write_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<RwLockWriteGuard>, LockError<RwLockWriteGuard>> {
        let guard = || RwLockWriteGuard {
            words: self.words.clone(),
            pid: sys::pid(),
            was_panicking: thread::panicking(),
            _not_send: PhantomData,
        };
        match self.words.write(deadline) {
            Ok(how) => LockError::after(Ok(how), guard),
            Err(why) => refused(why),
        }
    }
}

fn refused<G>(why: NoAccess) -> Result<Option<G>, LockError<G>> {
    match why {
        NoAccess::TimedOut => Ok(None),
        NoAccess::AlreadyHeld => Err(LockError::AlreadyHeld),
        NoAccess::NoPlace => Err(LockError::TooMany),
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock")
            .field("writer", &self.words.writer())
            .field("n_readers", &self.words.n_readers())
            .finish_non_exhaustive()
    }
}

impl Serialize for RwLock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(to)
    }
}

impl<'de> Deserialize<'de> for RwLock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Fixed::deserialize(from).map(|words| Self { words })
    }
}

/// Holds an [`RwLock`] to read until it is dropped. It stays on its thread; a copy in a forked child holds nothing.
///
/// ```
/// let lock = procession::RwLock::new()?;
/// let guard: procession::RwLockReadGuard = lock.read()?;
/// drop(guard);
/// assert!(lock.try_write()?.is_some());
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is released where the guard is dropped: bind it to a name, such as `_guard`"]
pub struct RwLockReadGuard {
    words: Fixed<RawRwLock>,
    place: usize,
    pid: u32,
    _not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Drop for RwLockReadGuard {
    fn drop(&mut self) {
        if self.pid == sys::pid() {
            self.words.end_read(self.place);
        }
    }
}

impl fmt::Debug for RwLockReadGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockReadGuard").finish_non_exhaustive()
    }
}

/// Holds an [`RwLock`] to write until it is dropped. It stays on its thread; a copy in a forked child holds nothing.
///
/// Dropped by a panic, it leaves the lock [poisoned](LockError::Poisoned).
///
/// ```
/// let lock = procession::RwLock::new()?;
/// let guard: procession::RwLockWriteGuard = lock.write()?;
/// drop(guard);
/// assert!(lock.try_read()?.is_some());
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the lock is released where the guard is dropped: bind it to a name, such as `_guard`"]
pub struct RwLockWriteGuard {
    words: Fixed<RawRwLock>,
    pid: u32,
    was_panicking: bool,
    _not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Drop for RwLockWriteGuard {
    fn drop(&mut self) {
        if self.pid == sys::pid() {
            self.words
                .end_write(thread::panicking() && !self.was_panicking);
        }
    }
}

impl fmt::Debug for RwLockWriteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWriteGuard").finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
