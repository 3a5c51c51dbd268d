//! One value that processes share.
//!
//! Responsible for the value beside its lock and for the guard's private copy. Not responsible for the lock, nor for where
//! the block lies.
//!
//! ```text
//! RawLock | the bytes of T
//! ```
//!
//! Invariants: the bytes are read and written by the lock's holder only, and always whole. No reference into shared memory
//! leaves this module: callers have copies.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Block, LockError, Shareable, fixed, travel};
use crate::error::Error;
use crate::sync::{Held, Moment, RawLock};

/// Where the value begins.
const VALUE: usize = size_of::<RawLock>();

/// One value in shared memory, with a lock of its own: Python's `multiprocessing.Value`.
///
/// A handle: cheap to clone, to be passed to jobs by value or by reference, alone or inside a struct, and returned from
/// them. All clones are the same value. For counters and flags without a lock see [`Atomic`](crate::Atomic).
///
/// [`get`](Self::get), [`set`](Self::set), [`update`](Self::update) and [`fetch_add`](Self::fetch_add) take the lock for a
/// moment. If its last holder was killed they go on without an error, since plain data has no invalid state, and the death is not
/// reported to later ones either. A process that is killed in the very moment of writing can leave a value of several words half old
/// and half new: where that matters, let everybody use [`lock`](Self::lock), which reports it.
///
/// ```
/// use procession::{Value, pool_map, process_job};
///
/// #[process_job]
/// fn count(counter: &Value<u64>, n: u64) {
///     counter.fetch_add(n);
/// }
///
/// let counter = Value::new(0_u64)?;
/// pool_map!(count, (0..100).map(|n| (&counter, n)))?;
/// assert_eq!(counter.get(), 4950);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Value<T> {
    block: Arc<Block>,
    /// A value is anybody's: plain data is tied to no thread.
    _value: PhantomData<fn() -> T>,
}

impl<T: Shareable> Value<T> {
    const LEN: usize = VALUE + size_of::<T>();

    fn at(block: Arc<Block>) -> Self {
        Self {
            block,
            _value: PhantomData,
        }
    }

    /// Puts a value into shared memory.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let position = procession::Value::new([0.0_f64, 1.5])?;
    /// assert_eq!(position.get(), [0.0, 1.5]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self, Error> {
        let block = fixed::new::<Self>(Self::LEN)?;
        // Nobody else knows the block yet.
        write(&block, &value);
        Ok(Self::at(block))
    }

    /// A copy of the value.
    ///
    /// # Panics
    ///
    /// If this very thread holds the value's guard.
    ///
    /// ```
    /// let value = procession::Value::new(7_i32)?;
    /// assert_eq!(value.get(), 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn get(&self) -> T {
        let _moment = self.moment();
        read(&self.block)
    }

    /// Replaces the value.
    ///
    /// # Panics
    ///
    /// If this very thread holds the value's guard.
    ///
    /// ```
    /// let value = procession::Value::new(7_i32)?;
    /// value.set(8);
    /// assert_eq!(value.get(), 8);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) {
        let _moment = self.moment();
        write(&self.block, &value);
    }

    /// Changes the value while nobody else can; gives the new one.
    ///
    /// If `change` panics the value stays as it was.
    ///
    /// # Panics
    ///
    /// If this very thread holds the value's guard, as it does inside `change`.
    ///
    /// ```
    /// let value = procession::Value::new(7_i32)?;
    /// assert_eq!(value.update(|value| *value *= 6), 42);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn update(&self, change: impl FnOnce(&mut T)) -> T {
        let _moment = self.moment();
        let mut value = read(&self.block);
        change(&mut value);
        write(&self.block, &value);
        value
    }

    /// Waits for the value's lock, however long. The guard is a private copy, which is written back when it is dropped.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] has the guard with it: the last holder was killed, perhaps in the middle of writing
    /// the value. [`LockError::AlreadyHeld`]: this very thread holds the guard.
    ///
    /// ```
    /// let range = procession::Value::new([0_u32, 10])?;
    /// let mut guard = range.lock()?;
    /// guard[0] += 1;
    /// guard[1] += 1;
    /// drop(guard);
    /// assert_eq!(range.get(), [1, 11]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn lock(&self) -> Result<ValueGuard<T>, LockError<ValueGuard<T>>> {
        Held::acquire(&self.block, ValueGuard::new)
    }

    /// Takes the value's lock if it is free; `None` if not.
    ///
    /// # Errors
    ///
    /// As of [`lock`](Self::lock).
    ///
    /// ```
    /// let value = procession::Value::new(7_i32)?;
    /// if let Some(mut guard) = value.try_lock()? {
    ///     *guard += 1;
    /// }
    /// assert_eq!(value.get(), 8);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<Option<ValueGuard<T>>, LockError<ValueGuard<T>>> {
        Held::try_acquire(&self.block, ValueGuard::new)
    }

    /// Waits for the value's lock, for so long at the most; `None` if it was held all the while.
    ///
    /// # Errors
    ///
    /// As of [`lock`](Self::lock).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let value = procession::Value::new(7_i32)?;
    /// let guard = value.lock_timeout(Duration::from_secs(1))?;
    /// assert_eq!(guard.as_deref(), Some(&7));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<Option<ValueGuard<T>>, LockError<ValueGuard<T>>> {
        Held::acquire_timeout(&self.block, timeout, ValueGuard::new)
    }

    /// The guard, whatever became of the last holder.
    #[inline]
    #[track_caller]
    fn moment(&self) -> Moment<'_> {
        Moment::of(&self.block).expect(
            "this thread holds the guard of this `Value`: read and write through the guard, or drop it first",
        )
    }
}

impl<T: Integer> Value<T> {
    /// Adds `n`, and gives the value that was there before. Wraps around at the ends of the type.
    ///
    /// # Panics
    ///
    /// If this very thread holds the value's guard.
    ///
    /// ```
    /// let ticket = procession::Value::new(0_u32)?;
    /// assert_eq!(ticket.fetch_add(1), 0);
    /// assert_eq!(ticket.fetch_add(1), 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    #[track_caller]
    pub fn fetch_add(&self, n: T) -> T {
        let _moment = self.moment();
        let before: T = read(&self.block);
        write(&self.block, &before.plus(n));
        before
    }
}

impl<T: Shareable> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self::at(Arc::clone(&self.block))
    }
}

/// Without the value: it would have to be waited for.
impl<T: Shareable> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("type", &type_name::<T>())
            .field("holder", &self.block.words::<RawLock>(0).holder())
            .finish_non_exhaustive()
    }
}

impl<T: Shareable> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        fixed::deserialize::<Self, D>(Self::LEN, from).map(Self::at)
    }
}

/// Holds the lock of a [`Value`], with a private copy of it that is written back when the guard is dropped.
///
/// It stays on its thread. Dropped by a panic, it writes nothing and leaves the value as it was, so the next one is
/// told nothing either. Forgotten ([`std::mem::forget`]), it writes nothing and the lock stays held until the process
/// ends. A copy of it in a forked child writes nothing and releases nothing.
///
/// ```
/// let value = procession::Value::new(1_u8)?;
/// let mut guard: procession::ValueGuard<u8> = value.lock()?;
/// *guard += 1;
/// drop(guard); // writes, and releases
/// assert_eq!(value.get(), 2);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "the value is written back and its lock released where the guard is dropped: bind it to a name"]
pub struct ValueGuard<T: Shareable> {
    held: Held,
    value: T,
    is_changed: bool,
}

impl<T: Shareable> ValueGuard<T> {
    fn new(held: Held) -> Self {
        Self {
            value: read(&held.block),
            held,
            is_changed: false,
        }
    }
}

#[inline]
fn read<T: Shareable>(block: &Block) -> T {
    let mut value = T::zeroed();
    block.read(VALUE, bytemuck::bytes_of_mut(&mut value));
    value
}

#[inline]
fn write<T: Shareable>(block: &Block, value: &T) {
    block.write(VALUE, bytemuck::bytes_of(value));
}

impl<T: Shareable> Deref for ValueGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Shareable> DerefMut for ValueGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.value
    }
}

impl<T: Shareable> Drop for ValueGuard<T> {
    fn drop(&mut self) {
        if self.is_changed && !self.held.is_dropped_by_panic() && self.held.is_held() {
            write(&self.held.block, &self.value);
        }
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for ValueGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The integers, for [`Value::fetch_add`].
///
/// ```
/// fn next<T: procession::shared::Integer>(ticket: &procession::Value<T>, one: T) -> T {
///     ticket.fetch_add(one)
/// }
/// # let ticket = procession::Value::new(5_i8)?;
/// # assert_eq!(next(&ticket, 1), 5);
/// # Ok::<(), procession::Error>(())
/// ```
pub trait Integer: Shareable + sealed::Plus {}

mod sealed {
    /// Keeps [`Integer`](super::Integer) to the language's own.
    #[expect(unnameable_types, reason = "sealed: nobody else is to implement it")]
    pub trait Plus {
        #[must_use]
        fn plus(self, other: Self) -> Self;
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Integer for $integer {}

        impl sealed::Plus for $integer {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
