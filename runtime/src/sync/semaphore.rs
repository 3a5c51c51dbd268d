//! Permits as users meet them: [`Semaphore`] and its guard.
//!
//! Responsible for guards: who gives which permit back. How many there are, and what a death means for them, is the
//! [raw semaphore](super::RawSemaphore)'s affair.
//!
//! Invariant: a guard gives one permit back, once, in the process that acquired it; a copy in a forked child gives nothing.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw_semaphore::{MOST_PERMITS, NoPermit, RawSemaphore};
use crate::error::Error;
use crate::shared::LockError;
use crate::shared::fixed::Fixed;
use crate::sys;

/// So many permits, each of which one holder has at a time: a limit for how many do something at once.
///
/// A permit is acquired as a [`SemaphoreGuard`] and given back where the guard is dropped. If the process of a guard
/// is killed, its permit is free again: nobody waits for the dead. Nobody is told either, for a permit guards
/// no data; what must not be left in the middle of a change is a [`Lock`](crate::Lock)'s affair.
///
/// Python's bare `acquire` is [`acquire`](Self::acquire) and [`SemaphoreGuard::forget`]: that permit belongs to
/// nobody, as a signal does, and comes back only by a [`release`](Self::release), from whichever process. A handle: cheap to clone, to be
/// passed to jobs by value or by reference.
///
/// ```
/// use procession::{Error, Semaphore, pool_map, process_job};
///
/// #[process_job]
/// fn fetch(connections: &Semaphore, page: u32) -> Result<u32, Error> {
///     let _one_of_two = connections.acquire()?;
///     Ok(page * 10)
/// }
///
/// let connections = Semaphore::new(2)?;
/// let pages = pool_map!(fetch, (0..4).map(|page| (&connections, page)))?;
/// assert_eq!(pages.into_iter().sum::<Result<u32, _>>()?, 60);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct Semaphore {
    words: Fixed<RawSemaphore>,
}

impl Semaphore {
    /// A semaphore with so many permits; without any, somebody has to [`release`](Self::release) the first.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for more than 2,147,483,647 permits; of kind
    /// [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let semaphore = procession::Semaphore::new(3)?;
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(permits: usize) -> Result<Self, Error> {
        Self::with_bound(permits, 0)
    }

    pub(super) fn with_bound(permits: usize, bound: u32) -> Result<Self, Error> {
        let permits = u32::try_from(permits)
            .ok()
            .filter(|&permits| permits <= MOST_PERMITS)
            .ok_or_else(|| {
                Error::invalid_input(format!(
                    "a semaphore of {permits} permits: at most {MOST_PERMITS} can be counted"
                ))
            })?;
        let words = Fixed::<RawSemaphore>::new()?;
        words.begin(permits, bound);
        Ok(Self { words })
    }

    /// Waits for a permit, however long.
    ///
    /// Nobody tells whether there is still somebody who would give one back; where that is in doubt, take
    /// [`acquire_timeout`](Self::acquire_timeout). Those who wait are not served in the order of their coming.
    ///
    /// # Errors
    ///
    /// [`LockError::TooMany`], where 248 living processes hold permits of this semaphore.
    ///
    /// ```
    /// let semaphore = procession::Semaphore::new(1)?;
    /// let guard = semaphore.acquire()?;
    /// assert_eq!(semaphore.value(), 0);
    /// drop(guard);
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire(&self) -> Result<SemaphoreGuard, LockError<SemaphoreGuard>> {
        loop {
            // Without a deadline nothing times out.
            if let Some(guard) = self.acquire_until(None)? {
                return Ok(guard);
            }
        }
    }

    /// Acquires a permit if one is free, or was held by a process that has ended; `None` if not.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// let semaphore = procession::Semaphore::new(1)?;
    /// let guard = semaphore.try_acquire()?;
    /// assert!(guard.is_some());
    /// assert!(semaphore.try_acquire()?.is_none());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Option<SemaphoreGuard>, LockError<SemaphoreGuard>> {
        self.acquire_timeout(Duration::ZERO)
    }

    /// Waits for a permit, for so long at the most; `None` if there was none all the while.
    ///
    /// # Errors
    ///
    /// As of [`acquire`](Self::acquire).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = procession::Semaphore::new(0)?;
    /// assert!(semaphore.acquire_timeout(Duration::from_millis(5))?.is_none());
    /// semaphore.release()?;
    /// assert!(semaphore.acquire_timeout(Duration::MAX)?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<SemaphoreGuard>, LockError<SemaphoreGuard>> {
        self.acquire_until(Instant::now().checked_add(timeout))
    }

    fn acquire_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<SemaphoreGuard>, LockError<SemaphoreGuard>> {
        match self.words.acquire(deadline) {
            Ok(place) => Ok(Some(SemaphoreGuard {
                words: self.words.clone(),
                place,
                pid: sys::pid(),
            })),
            Err(NoPermit::TimedOut) => Ok(None),
            Err(NoPermit::NoPlace) => Err(LockError::TooMany),
        }
    }

    /// One permit more than there were, for one who waits: the other half of a permit that was
    /// [forgotten](SemaphoreGuard::forget), or a signal of which there was none before.
    ///
    /// A guard needs no release: it gives its own permit back.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput), where there are 2,147,483,647 permits.
    ///
    /// ```
    /// let n_parcels = procession::Semaphore::new(0)?;
    /// n_parcels.release()?; // one has come
    /// n_parcels.acquire()?.forget(); // and is gone
    /// assert_eq!(n_parcels.value(), 0);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn release(&self) -> Result<(), Error> {
        match self.words.release() {
            true => Ok(()),
            false => Err(Error::invalid_input(
                "a semaphore was released more often than it may be: all of its permits exist already",
            )),
        }
    }

    /// How many permits are free: news of a moment, for logs. (Those of a killed process are counted once somebody has missed them.)
    ///
    /// ```
    /// let semaphore = procession::Semaphore::new(2)?;
    /// let guard = semaphore.acquire()?;
    /// assert_eq!(semaphore.value(), 1);
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn value(&self) -> usize {
        self.words.n_free() as usize
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}

impl Serialize for Semaphore {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Semaphore {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Fixed::deserialize(from).map(|words| Self { words })
    }
}

/// Holds a permit of a [`Semaphore`] or a [`BoundedSemaphore`](crate::BoundedSemaphore) until it is dropped.
///
/// It may go to another thread, but not to another process. If its process ends without dropping it
/// (killed, or by `std::mem::forget`), the permit is given back to those who look for one. A copy of it in a forked child holds nothing.
///
/// ```
/// let semaphore = procession::Semaphore::new(1)?;
/// let guard: procession::SemaphoreGuard = semaphore.acquire()?;
/// std::thread::spawn(move || drop(guard)).join().unwrap();
/// assert_eq!(semaphore.value(), 1);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the permit is given back where the guard is dropped: bind it to a name, such as `_guard`"]
pub struct SemaphoreGuard {
    words: Fixed<RawSemaphore>,
    place: usize,
    /// A copy in a forked child has nothing to give back. 0 once it was forgotten.
    pid: u32,
}

impl SemaphoreGuard {
    /// Takes the permit out of the semaphore: it comes back by a [`release`](Semaphore::release) only, not even by the
    /// death of this process.
    ///
    /// ```
    /// let semaphore = procession::Semaphore::new(1)?;
    /// semaphore.acquire()?.forget();
    /// assert_eq!(semaphore.value(), 0);
    /// semaphore.release()?;
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn forget(mut self) {
        if self.is_ours() {
            self.words.forget(self.place);
        }
        self.pid = 0;
    }

    fn is_ours(&self) -> bool {
        self.pid == sys::pid()
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        if self.is_ours() {
            self.words.give_back(self.place);
        }
    }
}

impl fmt::Debug for SemaphoreGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphoreGuard").finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
