//! A semaphore that is told from a [`Semaphore`] by its `release`: [`BoundedSemaphore`].
//!
//! Responsible for its own making. The bound is kept, and all else done, by the semaphore inside.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Semaphore, SemaphoreGuard};
use crate::error::Error;
use crate::shared::LockError;

/// A [`Semaphore`] that never has more permits than at first: a [`release`](Self::release) beyond that is an error.
///
/// ```
/// use procession::{BoundedSemaphore, ErrorKind};
///
/// let semaphore = BoundedSemaphore::new(2)?;
/// semaphore.acquire()?.forget();
/// semaphore.release()?;
/// assert_eq!(semaphore.release().unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// A semaphore with so many permits, and never more.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for no permits, which nobody could ever acquire, and for more
    /// than 2,147,483,647; of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let semaphore = procession::BoundedSemaphore::new(3)?;
    /// assert_eq!(semaphore.value(), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(permits: usize) -> Result<Self, Error> {
        if permits == 0 {
            return Err(Error::invalid_input(
                "a bounded semaphore of 0 permits: nobody could ever acquire one",
            ));
        }
        // More than fit are refused there.
        let bound = u32::try_from(permits).unwrap_or(u32::MAX);
        let semaphore = Semaphore::with_bound(permits, bound)?;
        Ok(Self { semaphore })
    }

    /// As [`Semaphore::acquire`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// let semaphore = procession::BoundedSemaphore::new(1)?;
    /// drop(semaphore.acquire()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire(&self) -> Result<SemaphoreGuard, LockError<SemaphoreGuard>> {
        self.semaphore.acquire()
    }

    /// As [`Semaphore::try_acquire`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// let semaphore = procession::BoundedSemaphore::new(1)?;
    /// assert!(semaphore.try_acquire()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Option<SemaphoreGuard>, LockError<SemaphoreGuard>> {
        self.semaphore.try_acquire()
    }

    /// As [`Semaphore::acquire_timeout`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let semaphore = procession::BoundedSemaphore::new(1)?;
    /// assert!(semaphore.acquire_timeout(Duration::from_secs(1))?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<SemaphoreGuard>, LockError<SemaphoreGuard>> {
        self.semaphore.acquire_timeout(timeout)
    }

    /// Brings a [forgotten](SemaphoreGuard::forget) permit back.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput), where all permits are free or held by guards.
    ///
    /// ```
    /// let semaphore = procession::BoundedSemaphore::new(1)?;
    /// assert!(semaphore.release().is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn release(&self) -> Result<(), Error> {
        self.semaphore.release()
    }

    /// As [`Semaphore::value`].
    ///
    /// ```
    /// assert_eq!(procession::BoundedSemaphore::new(4)?.value(), 4);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn value(&self) -> usize {
        self.semaphore.value()
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("value", &self.value())
            .finish_non_exhaustive()
    }
}

impl Serialize for BoundedSemaphore {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.semaphore.serialize(to)
    }
}

impl<'de> Deserialize<'de> for BoundedSemaphore {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Semaphore::deserialize(from).map(|semaphore| Self { semaphore })
    }
}
