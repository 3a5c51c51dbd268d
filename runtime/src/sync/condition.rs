//! Waiting for a change that others make under a lock: [`Condition`].
//!
//! Responsible for the lock: given up while one waits, held again afterwards. Who is notified, and what a death means for it,
//! is the [raw condition](super::raw_condition)'s affair.
//!
//! Invariant: a waiter keeps its place until it holds the lock again. Killed before that, it has taken no notification with
//! it; killed later, it has died with the lock, and the next holder is told.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw_condition::RawCondition;
use super::{Lock, LockGuard, Vigil};
use crate::error::Error;
use crate::shared::LockError;
use crate::shared::fixed::Fixed;

/// A lock, and waiting for others to change what it guards.
///
/// It is used as [`std::sync::Condvar`] is: `wait` takes the guard, gives the lock up while it sleeps, and returns a guard
/// again. It has a lock of its own, as Python's has, or [another one](Self::with_lock), which several conditions may have in
/// common. A handle: cheap to clone, to be passed to jobs by value or by reference.
///
/// A wait may end without a notification, so look at the condition again, or have [`wait_for`](Self::wait_for) do it. A
/// waiter that is killed takes no notification with it: within a tenth of a second another waiter has it.
///
/// ```
/// use procession::{Condition, Error, Value, process_job, spawn};
///
/// #[process_job]
/// fn bake(changed: &Condition, n_cakes: &Value<u32>) -> Result<(), Error> {
///     let guard = changed.acquire()?;
///     n_cakes.update(|n| *n += 3);
///     changed.notify_all();
///     drop(guard);
///     Ok(())
/// }
///
/// let (changed, n_cakes) = (Condition::new()?, Value::new(0)?);
/// let baker = spawn!(bake(&changed, &n_cakes))?;
/// let guard = changed.wait_for(changed.acquire()?, || n_cakes.get() > 0)?;
/// n_cakes.update(|n| *n -= 1);
/// drop(guard);
/// baker.join()??;
/// assert_eq!(n_cakes.get(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Condition {
    lock: Lock,
    words: Fixed<RawCondition>,
}

impl Condition {
    /// A condition with a lock of its own.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// condition.notify(); // nobody waits
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Self::with_lock(&Lock::new()?)
    }

    /// A condition of things that this lock guards.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new).
    ///
    /// ```
    /// use procession::{Condition, Lock};
    ///
    /// let lock = Lock::new()?;
    /// let (not_empty, not_full) = (Condition::with_lock(&lock)?, Condition::with_lock(&lock)?);
    /// let guard = lock.acquire()?;
    /// let guard = not_empty.wait_for(guard, || true)?;
    /// let guard = not_full.wait_for(guard, || true)?;
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn with_lock(lock: &Lock) -> Result<Self, Error> {
        Ok(Self {
            lock: lock.clone(),
            words: Fixed::new()?,
        })
    }

    /// Acquires its lock, see [`Lock::acquire`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// let guard = condition.acquire()?;
    /// assert!(condition.lock().holder().is_some());
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn acquire(&self) -> Result<LockGuard, LockError<LockGuard>> {
        self.lock.acquire()
    }

    /// Its lock.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// assert!(condition.lock().try_acquire()?.is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Gives the lock up, waits for a notification, however long, and acquires the lock again.
    ///
    /// Nobody tells whether there is still somebody who would notify; where that is in doubt, take
    /// [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] and [`LockError::Poisoned`], with the guard, of the process that held the lock meanwhile.
    /// [`LockError::NotHeld`] if the guard is another lock's, and [`LockError::TooMany`] if 248 threads wait already: both drop it.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// std::thread::scope(|scope| {
    ///     let guard = condition.acquire()?;
    ///     scope.spawn(|| {
    ///         let _guard = condition.acquire();
    ///         condition.notify();
    ///     });
    ///     condition.wait(guard).map(drop)
    /// })?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait(&self, guard: LockGuard) -> Result<LockGuard, LockError<LockGuard>> {
        self.wait_until(guard, None)
            .map(|(guard, _)| guard)
            .map_err(|error| error.map(|(guard, _)| guard))
    }

    /// The same for so long at the most; beside the guard, whether there was a notification.
    ///
    /// It is not `false` before the time is over. To acquire the lock again takes as long as it takes.
    ///
    /// # Errors
    ///
    /// As of [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let condition = procession::Condition::new()?;
    /// let guard = condition.acquire()?;
    /// let result = condition.wait_timeout(guard, Duration::from_millis(5));
    /// let (guard, was_notified) = result.map_err(procession::Error::from)?;
    /// assert!(!was_notified);
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait_timeout(
        &self,
        guard: LockGuard,
        timeout: Duration,
    ) -> Result<(LockGuard, bool), LockError<(LockGuard, bool)>> {
        self.wait_until(guard, Instant::now().checked_add(timeout))
    }

    /// Waits until the condition is true: it is asked with the lock held, at once and after each notification.
    ///
    /// # Errors
    ///
    /// As of [`wait`](Self::wait); then the condition may not be true.
    ///
    /// ```
    /// use procession::{Condition, Value};
    ///
    /// let (condition, ready) = (Condition::new()?, Value::new(1_u32)?);
    /// let guard = condition.wait_for(condition.acquire()?, || ready.get() == 1)?;
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait_for(
        &self,
        mut guard: LockGuard,
        mut condition: impl FnMut() -> bool,
    ) -> Result<LockGuard, LockError<LockGuard>> {
        while !condition() {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// The same for so long at the most; beside the guard, whether the condition is true.
    ///
    /// # Errors
    ///
    /// As of [`wait`](Self::wait); then the condition was not asked again.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let condition = procession::Condition::new()?;
    /// let guard = condition.acquire()?;
    /// let (guard, is_true) = condition.wait_for_timeout(guard, Duration::from_millis(5), || false)?;
    /// assert!(!is_true);
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait_for_timeout(
        &self,
        mut guard: LockGuard,
        timeout: Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Result<(LockGuard, bool), LockError<(LockGuard, bool)>> {
        let deadline = Instant::now().checked_add(timeout);
        let mut may_wait = true;
        loop {
            let is_true = condition();
            if is_true || !may_wait {
                return Ok((guard, is_true));
            }
            let waited = self.wait_until(guard, deadline);
            (guard, may_wait) = waited.map_err(|error| error.map(|(guard, _)| (guard, false)))?;
        }
    }

    fn wait_until(
        &self,
        guard: LockGuard,
        deadline: Option<Instant>,
    ) -> Result<(LockGuard, bool), LockError<(LockGuard, bool)>> {
        if !guard.holds(&self.lock) {
            return Err(LockError::NotHeld);
        }
        let place = self.words.enter().ok_or(LockError::TooMany)?;
        drop(guard);
        let was_notified = self.words.wait(place, &mut Vigil::until(deadline));
        let acquired = self.lock.acquire();
        self.words.leave(place);
        acquired
            .map(|guard| (guard, was_notified))
            .map_err(|error| error.map(|guard| (guard, was_notified)))
    }

    /// Notifies one of those who wait; does nothing where nobody does.
    ///
    /// Those who wait are notified in turn. The lock need not be held, but who changes the condition without it may be missed by those who are about to wait.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// let guard = condition.acquire()?;
    /// // … change what others wait for
    /// condition.notify();
    /// # drop(guard);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn notify(&self) {
        self.words.notify_one();
    }

    /// Notifies all who wait.
    ///
    /// ```
    /// let condition = procession::Condition::new()?;
    /// condition.notify_all();
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn notify_all(&self) {
        self.words.notify_all();
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (&self.lock, &self.words).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(from).map(|(lock, words)| Self { lock, words })
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
