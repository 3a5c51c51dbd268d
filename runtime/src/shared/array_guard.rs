//! The guard of an array: its elements for as long as the lock is held.
//!
//! # Safety
//!
//! A guard is made by the thread that has just acquired the array's lock and seen that the array is shared, and it releases
//! the lock when it is dropped. While it lives:
//!
//! - no other thread and no other process has a guard of this array: the lock has one holder, and passes on
//!   without its holder only when the holder's whole process has ended;
//! - the array is neither frozen nor divided, for which its lock is needed;
//! - it stays mapped: the guard owns the block. A guard that is leaked leaks the block and keeps the lock.
//!
//! A forked child has no copy of the mapping, and says so when it is asked for the elements.
#![expect(
    unsafe_code,
    reason = "lends the elements of a locked array; see `# Safety` above"
)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::Arc;

use super::Shareable;
use super::block::Block;
use super::layout::{self, Elements};
use crate::sync::Held;

/// The elements of an [`Array`](crate::Array), for as long as its lock is held.
///
/// A `&mut [T]` for all purposes. Dropping it releases the lock; dropped by a panic it leaves the array
/// [`Poisoned`](crate::LockError::Poisoned) for the next one. It stays on the thread that made it.
///
/// ```
/// use procession::Array;
///
/// let array = Array::new([3, 1, 2])?;
/// let mut guard = array.lock()?;
/// guard.sort_unstable();
/// guard[0] += 10;
/// drop(guard);
/// assert_eq!(array.to_vec(), [11, 2, 3]);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "dropped at once it has locked nothing"]
pub struct ArrayGuard<T: Shareable> {
    held: Held,
    elements: Elements<T>,
}

impl<T: Shareable> ArrayGuard<T> {
    /// For the thread that has just acquired the lock, and found the array shared.
    pub(super) fn new(block: Arc<Block>) -> Self {
        Self {
            elements: Elements::of(&block, 0, layout::count::<T>(&block)),
            held: Held::new(block).poisoning(),
        }
    }

    #[inline]
    #[track_caller]
    fn check_process(&self) {
        assert!(
            self.held.is_ours(),
            "this guard of an array belongs to the process that this one was forked from: lock the array here"
        );
    }
}

impl<T: Shareable> Deref for ArrayGuard<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.check_process();
        // SAFETY:
        // - Aligned, in bounds and mapped for as long as the block, which `self` owns; any bytes are a `T`.
        // - This process alone may touch the elements, by this guard alone: it holds the lock, see the head.
        unsafe { slice::from_raw_parts(self.elements.pointer.as_ptr(), self.elements.len) }
    }
}

impl<T: Shareable> DerefMut for ArrayGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.check_process();
        // SAFETY: as in `deref`; `self` is borrowed mutably, so there is no other reference from this guard.
        unsafe { slice::from_raw_parts_mut(self.elements.pointer.as_ptr(), self.elements.len) }
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for ArrayGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
