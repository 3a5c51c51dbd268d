//! Why a lock was not simply acquired.
//!
//! Responsible for what `acquire` and `lock` of every handle answer beside a guard, and for how it reads.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::sync::{Acquired, NotAcquired};

/// Why a lock was not simply acquired; `G` is the guard.
///
/// Two of the cases have a guard: the lock *is* held, and the error says that what it guards may be in the
/// middle of a change. Take the guard with [`into_guard`](Self::into_guard) after a repair, or let the error go with `?`,
/// which drops the guard and so releases the lock. Either way it is told once; the next one who acquires it
/// finds nothing special. ([`Value::get`](crate::Value::get), [`Array::set`](crate::Array::set) and their like acquire it too.)
///
/// Guards stay on their thread, and so does this error. Where an error has to be `Send`, as for `anyhow`, make it an
/// [`Error`] first: `lock.acquire().map_err(procession::Error::from)?`.
///
/// ```
/// use procession::{Lock, LockError};
///
/// let lock = Lock::new()?;
/// let guard = match lock.acquire() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(guard) | LockError::Poisoned(guard)) => {
///         // … look at what the lock guards, and repair it
///         guard
///     }
///     Err(error) => return Err(error.into()),
/// };
/// # drop(guard);
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
pub enum LockError<G> {
    /// The process that held the lock was killed or has ended without releasing it. This process holds it now.
    OwnerDied(G),
    /// A panic has gone through the holder. This process holds the lock now.
    Poisoned(G),
    /// This very thread holds the lock already; waiting for it would never end.
    AlreadyHeld,
    /// The [`Array`](crate::Array) was frozen or divided meanwhile and has no lock any more.
    Detached,
    /// The guard that was passed does not hold the lock in question: it is another lock's, or a copy in a forked child.
    NotHeld,
    /// As many processes, or threads, take part at this moment as can be kept count of: 248.
    TooMany,
}

impl<G> LockError<G> {
    /// The guard, where the lock is held in spite of the error.
    ///
    /// ```
    /// use procession::{Lock, LockError};
    ///
    /// let lock = Lock::new()?;
    /// let guard = lock.acquire()?;
    /// let error = lock.acquire().unwrap_err();
    /// assert!(matches!(error, LockError::AlreadyHeld));
    /// assert!(error.into_guard().is_none());
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn into_guard(self) -> Option<G> {
        match self {
            Self::OwnerDied(guard) | Self::Poisoned(guard) => Some(guard),
            Self::AlreadyHeld | Self::Detached | Self::NotHeld | Self::TooMany => None,
        }
    }

    /// The same with another guard.
    pub(crate) fn map<H>(self, to: impl FnOnce(G) -> H) -> LockError<H> {
        match self {
            Self::OwnerDied(guard) => LockError::OwnerDied(to(guard)),
            Self::Poisoned(guard) => LockError::Poisoned(to(guard)),
            Self::AlreadyHeld => LockError::AlreadyHeld,
            Self::Detached => LockError::Detached,
            Self::NotHeld => LockError::NotHeld,
            Self::TooMany => LockError::TooMany,
        }
    }

    /// What an attempt comes to: the guard, or none in time, or what has to be told first.
    #[inline]
    pub(crate) fn after(
        attempt: Result<Acquired, NotAcquired>,
        guard: impl FnOnce() -> G,
    ) -> Result<Option<G>, Self> {
        match attempt {
            Ok(Acquired::Clean) => Ok(Some(guard())),
            Ok(Acquired::OwnerDied) => Err(Self::OwnerDied(guard())),
            Ok(Acquired::Poisoned) => Err(Self::Poisoned(guard())),
            Err(NotAcquired::TimedOut) => Ok(None),
            Err(NotAcquired::AlreadyHeld) => Err(Self::AlreadyHeld),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::OwnerDied(_) => "OwnerDied",
            Self::Poisoned(_) => "Poisoned",
            Self::AlreadyHeld => "AlreadyHeld",
            Self::Detached => "Detached",
            Self::NotHeld => "NotHeld",
            Self::TooMany => "TooMany",
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnerDied(_) => {
                "the process that held the lock has died: what it guards may be in the middle of a change"
            }
            Self::Poisoned(_) => {
                "the holder of the lock has panicked: what it guards may be in the middle of a change"
            }
            Self::AlreadyHeld => {
                "this thread holds the lock already: use its guard, or drop it first"
            }
            Self::Detached => {
                "the array was frozen or divided into chunks meanwhile: use the slice or the chunks"
            }
            Self::NotHeld => {
                "the guard does not hold this lock: it is another lock's, or a copy in a forked process"
            }
            Self::TooMany => {
                "too many processes or threads take part at one time: 248 can be kept count of"
            }
        })
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<G> std::error::Error for LockError<G> {}

impl<G> From<LockError<G>> for Error {
    fn from(error: LockError<G>) -> Self {
        Self::new(ErrorKind::Lock, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn an_error_keeps_its_guard_until_it_is_taken_or_dropped() {
        let guard = Rc::new(());
        let error = LockError::OwnerDied(Rc::clone(&guard));
        assert_eq!(Rc::strong_count(&guard), 2);
        assert!(error.into_guard().is_some());
        let error = Error::from(LockError::Poisoned(Rc::clone(&guard)));
        assert_eq!(Rc::strong_count(&guard), 1);
        assert_eq!(error.kind(), ErrorKind::Lock);
        assert!(error.to_string().contains("panicked"));
        assert!(LockError::<Rc<()>>::Detached.into_guard().is_none());
    }

    #[test]
    fn an_error_is_one_for_any_guard() {
        struct Mute;
        let error: Box<dyn std::error::Error> = Box::new(LockError::OwnerDied(Mute));
        assert_eq!(format!("{error:?}"), "OwnerDied");
        assert!(error.to_string().contains("has died"));
    }
}
