//! Chunks of a divided array: each is written by one process at a time, without a lock.
//!
//! # Safety
//!
//! An [`ArrayChunk`] has the [claim](super::claim) to its chunk, and lends its elements for no longer than it lives:
//!
//! - A claim is made once when the array is divided, and passes on by one compare-exchange each time: from a process that
//!   has ended, or from one in which the last owner of the claim has let go of it. So there is one claim to a chunk, in one
//!   process, and one chunk that owns it (the encoder's share lends nothing).
//! - Chunks of one division do not overlap.
//! - While any chunk is claimed the array stays divided: joining it needs all claims. Handles of the array compare its
//!   state under the lock and touch nothing.
//! - The elements stay mapped: the claim owns the block.
//!
//! A forked child has a copy of the value but no mapping of the elements, and panics when it is asked for them.
#![expect(
    unsafe_code,
    reason = "lends the elements of a claimed chunk; see `# Safety` above"
)]

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::slice;
use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::claim::{Claim, Crossing, Standing};
use super::division::Division;
use super::layout::{self, Elements, Found, Named};
use super::sole::has_others;
use super::{Array, Shareable};
use crate::codec::beside;
use crate::error::Error;

/// A part of a divided [`Array`]: a `&mut [T]` without a lock, which one process has at a time.
///
/// Made by [`Array::into_chunks`]. One of a kind: it cannot be cloned, and passing it to a job, returning it or putting it
/// into a queue gives it away. If the sender keeps it nevertheless (it was passed by reference, or in an `Arc` that has other
/// owners), it is refused where it arrives, and stays where it was. A chunk that was dropped cannot be joined any more; one whose
/// process was killed comes back by [`Array::from_chunks`].
///
/// Each use of the chunk as a slice checks that this is the process that has it; in a hot loop borrow it once:
/// `let pixels = &mut *chunk;`.
///
/// ```
/// use procession::Array;
///
/// let width = 4;
/// let mut rows = Array::<u8>::zeroed(width * 3)?.into_chunks(3)?;
/// for row in &mut rows {
///     let shade = row.index() as u8;
///     row.fill(shade);
/// }
/// let picture = Array::from_chunks(rows)?;
/// assert_eq!(picture.to_vec(), [0, 0, 0, 0,  1, 1, 1, 1,  2, 2, 2, 2]);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct ArrayChunk<T: Shareable> {
    claim: Arc<Claim>,
    elements: Elements<T>,
    /// Where in the array it begins.
    first: usize,
}

// SAFETY: whoever has the chunk has its elements alone, as with a `Box<[T]>`; the memory is mapped for all threads.
unsafe impl<T: Shareable + Send> Send for ArrayChunk<T> {}
// SAFETY: all that `&ArrayChunk` gives is `&[T]`.
unsafe impl<T: Shareable + Sync> Sync for ArrayChunk<T> {}

impl<T: Shareable> ArrayChunk<T> {
    /// By a claim that nothing else has.
    pub(super) fn new(claim: Claim) -> Self {
        let array = &claim.division.array;
        let (first, len) = claim
            .division
            .bounds(claim.index, layout::count::<T>(array));
        Self {
            elements: Elements::of(array, first, len),
            first,
            claim: Arc::new(claim),
        }
    }

    /// Ends all that it lends.
    pub(super) fn into_claim(self) -> Arc<Claim> {
        self.claim
    }

    /// Which of the chunks it is, counted from 0.
    ///
    /// ```
    /// # use procession::Array;
    /// let chunks = Array::<u8>::zeroed(8)?.into_chunks(2)?;
    /// assert_eq!(chunks[1].index(), 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn index(&self) -> usize {
        self.claim.index
    }

    /// Where its elements are in the array.
    ///
    /// ```
    /// # use procession::Array;
    /// let chunks = Array::<u8>::zeroed(8)?.into_chunks(2)?;
    /// assert_eq!(chunks[1].range(), 4..8);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn range(&self) -> Range<usize> {
        self.first..self.first + self.elements.len
    }

    /// Whether this is the process that has it, and not a forked copy.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.claim.is_ours()
    }

    /// Of two chunks: whether nobody has the other one, nor can have it by a name that is on its way.
    pub(crate) fn is_other_lost(&self) -> bool {
        let division = &self.claim.division;
        let other = division.entry(1 - self.claim.index.min(1));
        let word = other.word();
        self.is_ours()
            && match word.standing {
                Standing::Dropped => true,
                Standing::Held | Standing::Kept => other.is_orphaned(word),
                // If it has changed hands meanwhile, not all was seen of the same moment.
                Standing::Free => !has_others(&division.words) && other.word() == word,
            }
    }

    /// Drops it; whether nobody has it then: not where it was sent, or belongs to another process.
    pub(crate) fn give_up(self) -> bool {
        let is_ours = self.is_ours();
        let (division, index) = (self.claim.division.clone(), self.claim.index);
        drop(self);
        is_ours && !division.entry(index).word().is_held()
    }

    #[inline]
    #[track_caller]
    fn check_process(&self) {
        assert!(
            self.claim.is_ours(),
            "this chunk of an array belongs to process {}, from which this one was forked: pass it as an argument",
            self.claim.pid
        );
    }
}

impl<T: Shareable> Deref for ArrayChunk<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.check_process();
        // SAFETY:
        // - Aligned, in bounds and mapped for as long as the claim, which `self` owns; any bytes are a `T`.
        // - This process alone may touch these elements, by this value alone: it has the claim, see the head.
        unsafe { slice::from_raw_parts(self.elements.pointer.as_ptr(), self.elements.len) }
    }
}

impl<T: Shareable> DerefMut for ArrayChunk<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.check_process();
        // SAFETY: as in `deref`; `self` is borrowed mutably, so there is no other reference from this value.
        unsafe { slice::from_raw_parts_mut(self.elements.pointer.as_ptr(), self.elements.len) }
    }
}

impl<T: Shareable> Serialize for ArrayChunk<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if !self.claim.is_ours() {
            return Err(S::Error::custom(format!(
                "this chunk of an array belongs to process {}, from which this one was forked",
                self.claim.pid
            )));
        }
        let division = &self.claim.division;
        let names = (Named(&division.array), Named(&division.words));
        let written = (names, self.claim.index, self.claim.turn()).serialize(to)?;
        beside::embark(Crossing::of(&self.claim));
        Ok(written)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for ArrayChunk<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::receive_as("", from)
    }
}

impl<T: Shareable> ArrayChunk<T> {
    /// Reads a name and claims the chunk; where it cannot be had, `what` begins the error.
    pub(crate) fn receive_as<'de, D: Deserializer<'de>>(
        what: &str,
        from: D,
    ) -> Result<Self, D::Error> {
        type Blocks<T> = (Found<Array<T>>, Found<Division>);
        let refused = |why: Error| D::Error::custom(format_args!("{what}{why}"));
        let ((array, words), index, turn) = <(Blocks<T>, usize, u32)>::deserialize(from)?;
        let division = Division::find(array.hidden()?, words.words()).map_err(refused)?;
        let claim = division.claim(index, turn).map_err(refused)?;
        Ok(Self::new(claim))
    }
}

impl<T: Shareable> fmt::Debug for ArrayChunk<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayChunk")
            .field("index", &self.index())
            .field("range", &self.range())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
