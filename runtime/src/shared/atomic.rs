//! An integer that processes change without a lock.
//!
//! Responsible for which types there are and for how they lie over std's atomics; what an operation means is std's.
//!
//! Invariant: the block is one word, which is only ever touched as an atomic.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};
#[cfg(target_pointer_width = "64")]
use std::sync::atomic::{AtomicIsize, AtomicUsize};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Block, Shareable, fixed, travel};
use crate::error::Error;

/// An integer in shared memory with the operations of [`std::sync::atomic`]: lock-free, so a process that dies blocks nobody.
///
/// `T` is `i32`, `u32`, `i64`, `u64`, or where these have 64 bits `isize` or `usize`. A handle: cheap to clone, to be passed to
/// jobs by value or by reference. All clones are the same integer. Orderings mean between processes what they
/// mean between threads.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use procession::{Atomic, pool_map, process_job};
///
/// #[process_job]
/// fn count(counter: &Atomic<u64>, n: u64) {
///     counter.fetch_add(n, Ordering::Relaxed);
/// }
///
/// let counter = Atomic::new(0_u64)?;
/// pool_map!(count, (0..100).map(|n| (&counter, n)))?;
/// assert_eq!(counter.load(Ordering::Relaxed), 4950);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Atomic<T: AtomicInteger> {
    block: Arc<Block>,
    _value: PhantomData<fn() -> T>,
}

impl<T: AtomicInteger> Atomic<T> {
    fn at(block: Arc<Block>) -> Self {
        Self {
            block,
            _value: PhantomData,
        }
    }

    #[inline]
    fn word(&self) -> &T::Word {
        self.block.words(0)
    }

    /// Puts an integer into shared memory.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let turns = procession::Atomic::new(3_i32)?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(value: T) -> Result<Self, Error> {
        let this = Self::at(fixed::new::<Self>(size_of::<T>())?);
        // Nobody else knows it yet.
        this.store(value, Ordering::Relaxed);
        Ok(this)
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// If `order` is `Release` or `AcqRel`.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_i32)?;
    /// assert_eq!(atomic.load(Relaxed), 5);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn load(&self, order: Ordering) -> T {
        T::load(self.word(), order)
    }

    /// Replaces the value.
    ///
    /// # Panics
    ///
    /// If `order` is `Acquire` or `AcqRel`.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_i32)?;
    /// atomic.store(6, Relaxed);
    /// assert_eq!(atomic.load(Relaxed), 6);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn store(&self, value: T, order: Ordering) {
        T::store(self.word(), value, order)
    }

    /// Replaces the value, and gives the one that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_i32)?;
    /// assert_eq!(atomic.swap(6, Relaxed), 5);
    /// assert_eq!(atomic.load(Relaxed), 6);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn swap(&self, value: T, order: Ordering) -> T {
        T::swap(self.word(), value, order)
    }

    /// Adds `n`, wrapping around, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_u64)?;
    /// assert_eq!(atomic.fetch_add(2, Relaxed), 5);
    /// assert_eq!(atomic.load(Relaxed), 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_add(&self, n: T, order: Ordering) -> T {
        T::fetch_add(self.word(), n, order)
    }

    /// Subtracts `n`, wrapping around, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_u64)?;
    /// assert_eq!(atomic.fetch_sub(2, Relaxed), 5);
    /// assert_eq!(atomic.load(Relaxed), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_sub(&self, n: T, order: Ordering) -> T {
        T::fetch_sub(self.word(), n, order)
    }

    /// Raises the value to `n` if it is less, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(-5_i64)?;
    /// assert_eq!(atomic.fetch_max(2, Relaxed), -5);
    /// assert_eq!(atomic.load(Relaxed), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_max(&self, n: T, order: Ordering) -> T {
        T::fetch_max(self.word(), n, order)
    }

    /// Lowers the value to `n` if it is more, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_i64)?;
    /// assert_eq!(atomic.fetch_min(-2, Relaxed), 5);
    /// assert_eq!(atomic.load(Relaxed), -2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_min(&self, n: T, order: Ordering) -> T {
        T::fetch_min(self.word(), n, order)
    }

    /// Keeps the bits that are in `bits` too, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(0b110_u32)?;
    /// assert_eq!(atomic.fetch_and(0b011, Relaxed), 0b110);
    /// assert_eq!(atomic.load(Relaxed), 0b010);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_and(&self, bits: T, order: Ordering) -> T {
        T::fetch_and(self.word(), bits, order)
    }

    /// Sets the bits that are in `bits`, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(0b110_u32)?;
    /// assert_eq!(atomic.fetch_or(0b011, Relaxed), 0b110);
    /// assert_eq!(atomic.load(Relaxed), 0b111);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_or(&self, bits: T, order: Ordering) -> T {
        T::fetch_or(self.word(), bits, order)
    }

    /// Turns over the bits that are in `bits`, and gives the value that was there before.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(0b110_u32)?;
    /// assert_eq!(atomic.fetch_xor(0b011, Relaxed), 0b110);
    /// assert_eq!(atomic.load(Relaxed), 0b101);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn fetch_xor(&self, bits: T, order: Ordering) -> T {
        T::fetch_xor(self.word(), bits, order)
    }

    /// Replaces the value by `new` if it is `current`; gives the value that was there, in `Ok` if it was replaced.
    ///
    /// # Errors
    ///
    /// The value that was there, if it was not `current`.
    ///
    /// # Panics
    ///
    /// If `failure` is `Release` or `AcqRel`.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::{AcqRel, Acquire};
    /// let atomic = procession::Atomic::new(5_i64)?;
    /// assert_eq!(atomic.compare_exchange(5, 6, AcqRel, Acquire), Ok(5));
    /// assert_eq!(atomic.compare_exchange(5, 7, AcqRel, Acquire), Err(6));
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn compare_exchange(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::compare_exchange(self.word(), current, new, success, failure)
    }

    /// As [`compare_exchange`](Self::compare_exchange), but may fail without a reason, which is cheaper in loops.
    ///
    /// # Errors
    ///
    /// The value that was there, if it was not replaced.
    ///
    /// # Panics
    ///
    /// If `failure` is `Release` or `AcqRel`.
    ///
    /// ```
    /// # use std::sync::atomic::Ordering::Relaxed;
    /// let atomic = procession::Atomic::new(5_u32)?;
    /// let mut now = atomic.load(Relaxed);
    /// while let Err(newer) = atomic.compare_exchange_weak(now, now * 2, Relaxed, Relaxed) {
    ///     now = newer;
    /// }
    /// assert_eq!(atomic.load(Relaxed), 10);
    /// # Ok::<(), procession::Error>(())
    /// ```
    #[inline]
    pub fn compare_exchange_weak(
        &self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T> {
        T::compare_exchange_weak(self.word(), current, new, success, failure)
    }
}

impl<T: AtomicInteger> Clone for Atomic<T> {
    fn clone(&self) -> Self {
        Self::at(Arc::clone(&self.block))
    }
}

impl<T: AtomicInteger> fmt::Debug for Atomic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Atomic")
            .field(&self.load(Ordering::Relaxed))
            .finish()
    }
}

impl<T: AtomicInteger> Serialize for Atomic<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de, T: AtomicInteger> Deserialize<'de> for Atomic<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        fixed::deserialize::<Self, D>(size_of::<T>(), from).map(Self::at)
    }
}

/// The integers that an [`Atomic`] can be.
///
/// ```
/// use std::sync::atomic::Ordering;
/// use procession::{Atomic, shared::AtomicInteger};
///
/// fn take<T: AtomicInteger>(atomic: &Atomic<T>, nothing: T) -> T {
///     atomic.swap(nothing, Ordering::AcqRel)
/// }
/// # let atomic = Atomic::new(5_i32)?;
/// # assert_eq!(take(&atomic, 0), 5);
/// # Ok::<(), procession::Error>(())
/// ```
pub trait AtomicInteger: Shareable + fmt::Debug + sealed::Operations {}

/// The operations as functions of the integer's type, each handed on to the std atomic of that type.
macro_rules! operations {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        mod sealed {
            use super::Ordering;
            use crate::memory::Words;

            /// Keeps [`AtomicInteger`](super::AtomicInteger) to the types for which std has atomics.
            #[expect(unnameable_types, private_bounds, reason = "sealed: nobody else is to implement or call it")]
            pub trait Operations: Sized {
                type Word: Words;
                $(fn $name(word: &Self::Word, $($argument: $type),*) $(-> $result)?;)*
            }
        }

        macro_rules! implement {
            ($integer:ty, $word:ty) => {
                impl AtomicInteger for $integer {}

                impl sealed::Operations for $integer {
                    type Word = $word;
                    $(#[inline] fn $name(word: &Self::Word, $($argument: $type),*) $(-> $result)? {
                        word.$name($($argument),*)
                    })*
                }
            };
        }
    };
}

operations! {
    load(order: Ordering) -> Self;
    store(value: Self, order: Ordering);
    swap(value: Self, order: Ordering) -> Self;
    fetch_add(n: Self, order: Ordering) -> Self;
    fetch_sub(n: Self, order: Ordering) -> Self;
    fetch_max(n: Self, order: Ordering) -> Self;
    fetch_min(n: Self, order: Ordering) -> Self;
    fetch_and(bits: Self, order: Ordering) -> Self;
    fetch_or(bits: Self, order: Ordering) -> Self;
    fetch_xor(bits: Self, order: Ordering) -> Self;
    compare_exchange(current: Self, new: Self, success: Ordering, failure: Ordering) -> Result<Self, Self>;
    compare_exchange_weak(current: Self, new: Self, success: Ordering, failure: Ordering) -> Result<Self, Self>;
}

implement!(i32, AtomicI32);
implement!(u32, AtomicU32);
implement!(i64, AtomicI64);
implement!(u64, AtomicU64);
#[cfg(target_pointer_width = "64")]
implement!(isize, AtomicIsize);
#[cfg(target_pointer_width = "64")]
implement!(usize, AtomicUsize);

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
