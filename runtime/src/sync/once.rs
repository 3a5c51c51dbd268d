//! What is done once by all processes together: [`Once`].
//!
//! Responsible for running the closure, and for the turn where it panics. Who has the turn, and what a death means, is the
//! [raw once](super::raw_once)'s affair.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw_once::{RawOnce, Turn};
use super::{Acquired, NotAcquired};
use crate::error::Error;
use crate::shared::LockError;
use crate::shared::fixed::Fixed;

/// Something that is done once, by one of all processes that come to it; the others wait until it is done.
///
/// As [`std::sync::Once`]. If the one that does it is killed or panics, all others are told, by [`LockError::OwnerDied`] or
/// [`LockError::Poisoned`], until one does it again by [`call_once_force`](Self::call_once_force). A
/// handle: cheap to clone, to be passed to jobs by value or by reference.
///
/// ```
/// use procession::{Error, Once, Value, pool_map, process_job};
///
/// #[process_job]
/// fn work(prepared: &Once, n_preparations: &Value<u32>, n: u32) -> Result<u32, Error> {
///     prepared.call_once(|| {
///         n_preparations.fetch_add(1); // … a directory, a file, a table
///     })?;
///     Ok(n)
/// }
///
/// let (prepared, n_preparations) = (Once::new()?, Value::new(0_u32)?);
/// let items = (0..10).map(|n| (&prepared, &n_preparations, n));
/// pool_map!(work, items)?.into_iter().collect::<Result<Vec<u32>, _>>()?;
/// assert_eq!(n_preparations.get(), 1);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Once {
    words: Fixed<RawOnce>,
}

impl Once {
    /// Nothing is done yet.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let once = procession::Once::new()?;
    /// assert!(!once.is_completed());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let words = Fixed::new()?;
        Ok(Self { words })
    }

    /// Runs the closure, unless one was run to its end before; waits, however long, while another is running. Afterwards it is done.
    ///
    /// What the closure has written to shared memory is then seen here.
    ///
    /// # Errors
    ///
    /// The closure was not run, and it is not done: [`LockError::OwnerDied`] and [`LockError::Poisoned`], where one that ran it was
    /// killed or panicked; [`LockError::AlreadyHeld`], where this thread is running one. None of them has a guard.
    ///
    /// ```
    /// let once = procession::Once::new()?;
    /// once.call_once(|| println!("the first"))?;
    /// once.call_once(|| unreachable!())?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn call_once(&self, closure: impl FnOnce()) -> Result<(), LockError<()>> {
        // Without a deadline nothing times out.
        self.call_until(None, false, |_| closure()).map(drop)
    }

    /// The same, but waits for so long at the most: `false` if another was running all the while.
    ///
    /// # Errors
    ///
    /// As of [`call_once`](Self::call_once).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let once = procession::Once::new()?;
    /// assert!(once.call_once_timeout(Duration::from_secs(1), || println!("once"))?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn call_once_timeout(
        &self,
        timeout: Duration,
        closure: impl FnOnce(),
    ) -> Result<bool, LockError<()>> {
        self.call_until(Instant::now().checked_add(timeout), false, |_| closure())
    }

    /// Runs the closure, unless one was run to its end before; also where one that ran was killed or panicked, which this one is told.
    ///
    /// # Errors
    ///
    /// [`LockError::AlreadyHeld`], where this thread is running one.
    ///
    /// ```
    /// use std::panic::catch_unwind;
    ///
    /// let once = procession::Once::new()?;
    /// let first = once.clone();
    /// assert!(catch_unwind(move || first.call_once(|| panic!("in the middle"))).is_err());
    /// assert!(once.call_once(|| ()).is_err());
    /// once.call_once_force(|state| assert!(state.is_poisoned()))?;
    /// assert!(once.is_completed());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn call_once_force(&self, closure: impl FnOnce(&OnceState)) -> Result<(), LockError<()>> {
        // As in `call_once`.
        self.call_until(None, true, closure).map(drop)
    }

    /// Whether it is done.
    ///
    /// ```
    /// let once = procession::Once::new()?;
    /// once.call_once(|| ())?;
    /// assert!(once.is_completed());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_completed(&self) -> bool {
        self.words.is_complete()
    }

    fn call_until(
        &self,
        deadline: Option<Instant>,
        is_forced: bool,
        closure: impl FnOnce(&OnceState),
    ) -> Result<bool, LockError<()>> {
        let left = match self.words.enter(deadline) {
            Ok(Turn::Complete) => return Ok(true),
            Ok(Turn::Own(left)) => left,
            Err(NotAcquired::TimedOut) => return Ok(false),
            Err(NotAcquired::AlreadyHeld) => return Err(LockError::AlreadyHeld),
        };
        let turn = OwnTurn(&self.words);
        match left {
            Acquired::OwnerDied if !is_forced => return Err(LockError::OwnerDied(())),
            Acquired::Poisoned if !is_forced => return Err(LockError::Poisoned(())),
            _ => {}
        }
        turn.0.begin();
        closure(&OnceState {
            is_poisoned: left != Acquired::Clean,
        });
        turn.0.complete();
        Ok(true)
    }
}

/// Gives the turn to the next when dropped, by a panic too.
struct OwnTurn<'w>(&'w RawOnce);

impl Drop for OwnTurn<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once")
            .field("is_completed", &self.is_completed())
            .finish_non_exhaustive()
    }
}

impl Serialize for Once {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Fixed::deserialize(from).map(|words| Self { words })
    }
}

/// What the closure of [`Once::call_once_force`] is told.
///
/// ```
/// let once = procession::Once::new()?;
/// once.call_once_force(|state| assert!(!state.is_poisoned()))?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
pub struct OnceState {
    is_poisoned: bool,
}

impl OnceState {
    /// Whether an earlier one was killed or panicked.
    ///
    /// ```
    /// let once = procession::Once::new()?;
    /// once.call_once_force(|state| {
    ///     if state.is_poisoned() {
    ///         // … clear away what is half done
    ///     }
    /// })?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_poisoned(&self) -> bool {
        self.is_poisoned
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
