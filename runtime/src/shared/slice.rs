//! Frozen arrays: read by all, written by nobody any more.
//!
//! # Safety
//!
//! A [`SharedSlice`] is made of an array whose state is *frozen*, in the process that has frozen it and in those that find it
//! by its name and see that state. An array is frozen by the holder of its lock, when no guard lives in any process, and
//! never becomes anything else again: all other handles compare the state under the lock before they touch an
//! element. So nobody can write it, and `&[T]` may be had by any number of threads and processes. Each process takes its
//! own mapping's leave to be written, too.
//!
//! The mapping is shown to forked children, so what points into it points to the same elements there. A child that drops its copy
//! of the last handle unmaps it for itself alone.
#![expect(
    unsafe_code,
    reason = "lends the elements of a frozen array; see `# Safety` above"
)]

use std::fmt;
use std::ops::Deref;
use std::slice;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block::Block;
use super::layout::{self, Elements, Found, Named};
use super::{Array, Shareable};
use crate::error::Error;

/// A frozen [`Array`]: a `&[T]` that any number of processes read in place, without a lock and without a copy.
///
/// Made by [`Array::freeze`]. A handle: cloned, passed to jobs, returned from them; the memory is mapped once for each process and
/// given back when the last handle is gone. An attempt to write it by other means ends that process (SIGSEGV).
///
/// ```
/// use procession::{Array, SharedSlice, pool_map, process_job};
///
/// #[process_job]
/// fn word_at(table: SharedSlice<u32>, i: usize) -> u32 {
///     table[i]
/// }
///
/// let squares = Array::new((0..100_u32).map(|x| x * x))?.freeze()?;
/// let found = pool_map!(word_at, [3, 9].map(|i| (squares.clone(), i)))?;
/// assert_eq!(found, [9, 81]);
/// assert_eq!(squares.iter().max(), Some(&9801));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct SharedSlice<T: Shareable> {
    block: Arc<Block>,
    elements: Elements<T>,
}

// SAFETY: a handle of memory that is mapped for the whole process and that nobody writes, see the head; a `&T` may
// be had on any thread.
unsafe impl<T: Shareable + Sync> Send for SharedSlice<T> {}
// SAFETY: as above; all that `&SharedSlice` gives is `&[T]`.
unsafe impl<T: Shareable + Sync> Sync for SharedSlice<T> {}

impl<T: Shareable> SharedSlice<T> {
    /// Of an array that is frozen.
    pub(super) fn new(block: Arc<Block>) -> Result<Self, Error> {
        if !layout::state(&block).is_frozen() {
            return Err(Error::invalid_input(
                "this is not the name of a frozen array",
            ));
        }
        layout::show(&block)?;
        block
            .protect_from_writes(layout::start())
            .map_err(|error| Error::system("protect a frozen array from writes", error))?;
        let elements = Elements::of(&block, 0, layout::count::<T>(&block));
        Ok(Self { block, elements })
    }
}

impl<T: Shareable> Deref for SharedSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY:
        // - Aligned, in bounds and mapped for as long as the block, which `self` owns; any bytes are a `T`.
        // - Every process may read the elements and none may write them: they are frozen.
        unsafe { slice::from_raw_parts(self.elements.pointer.as_ptr(), self.elements.len) }
    }
}

impl<T: Shareable> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        Self {
            block: Arc::clone(&self.block),
            elements: self.elements,
        }
    }
}

impl<T: Shareable> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Named(&self.block).serialize(to)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let found = Found::<Array<T>>::deserialize(from)?;
        Self::new(found.array()?).map_err(D::Error::custom)
    }
}

impl<T: Shareable + fmt::Debug> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
