//! How the block of an array looks, and who may touch its elements.
//!
//! Responsible for the words at its head and for the places of its elements. The handles that are made of it
//! are [`Array`](super::Array), [`SharedSlice`](super::SharedSlice) and [`ArrayChunk`](super::ArrayChunk).
//!
//! Every array has a large block of its own, with all its pages reserved when it is made:
//!
//! | from byte | there is |
//! |---|---|
//! | 0 | the lock |
//! | 48 | the size of an element |
//! | 56 | the *state*: a generation, and what the array is (the lowest two bits) |
//! | the next page of the file | the elements |
//!
//! | state | who may touch the elements | the next | who may change it |
//! |---|---|---|---|
//! | shared, g | the process and thread that holds the lock | frozen or divided, g + 1 | the holder of the lock |
//! | frozen, g | all read, nobody writes, ever | none | nobody |
//! | divided, g | of each chunk, whoever has its [claim](super::claim) | shared, g + 1 | under the lock, whoever has *all* claims |
//!
//! Nobody owns the state, so nobody's death leaves it in the middle: it is one word, changed by one store. The lock
//! is freed by the death of its holder's *process*, and with that end all references of that process are gone.
//!
//! Invariants:
//! - Every handle remembers the generation that it was made for, and compares it with the state *under the lock* before it
//!   touches an element. A stale handle (an old name read late, a copy that a forked worker inherited) finds another
//!   generation and touches nothing. Who else has a handle is asked before an array is frozen or divided, as a courtesy:
//!   soundness does not rest on the answer.
//! - A `&mut [T]` that safe code has leaked lives as long as its process. So the mapping is [hidden](hide) from forked
//!   children, who would otherwise have such a reference too; what they do with a handle maps it anew. Frozen elements are
//!   shown again: nobody can have a `&mut` into them.
//! - The number of elements follows from the length of the block, which each process remembers privately, and from the size
//!   of one. A name is read as elements of the size that it was made of only: two types can have one name
//!   (of blocks of one function, say), and chunks that are counted in elements of two sizes overlap.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block::Block;
use super::division::Division;
use super::header::{LARGE_PAYLOAD, Label};
use super::{Array, Shareable, travel};
use crate::error::Error;
use crate::sync::RawLock;
use crate::sys;

const ELEMENT: usize = 48;
const STATE: usize = 56;
const HEAD_LEN: usize = STATE + size_of::<AtomicU64>();

const _: () = assert!(size_of::<RawLock>() <= ELEMENT);

/// The largest alignment of an element: every page has it.
const LARGEST_ALIGNMENT: usize = 4096;

/// What an array is, and since which change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u64);

const FROZEN: u64 = 1;
const DIVIDED: u64 = 2;
const KIND: u64 = 3;

impl State {
    /// A new array is of generation 0, which is how a block begins.
    pub(super) fn shared(generation: u64) -> Self {
        Self(generation << 2)
    }

    pub(super) fn frozen(generation: u64) -> Self {
        Self(generation << 2 | FROZEN)
    }

    pub(super) fn divided(generation: u64) -> Self {
        Self(generation << 2 | DIVIDED)
    }

    /// For good: no state follows.
    pub(super) fn is_frozen(self) -> bool {
        self.0 & KIND == FROZEN
    }
}

pub(super) fn state(block: &Block) -> State {
    // Acquire: who sees that an array is frozen sees its elements.
    State(block.words::<AtomicU64>(STATE).load(Ordering::Acquire))
}

/// For the holder of the lock.
pub(super) fn set_state(block: &Block, state: State) {
    let word: &AtomicU64 = block.words(STATE);
    word.store(state.0, Ordering::Release);
}

pub(super) fn lock(block: &Block) -> &RawLock {
    block.words(0)
}

/// Where in the payload the elements begin: at a page of the file, so that they can be protected.
pub(super) fn start() -> usize {
    (LARGE_PAYLOAD + HEAD_LEN).next_multiple_of(sys::page_size()) - LARGE_PAYLOAD
}

/// An array of zeros.
pub(super) fn make<T: Shareable>(len: usize) -> Result<Arc<Block>, Error> {
    let element = std::any::type_name::<T>();
    if size_of::<T>() == 0 || align_of::<T>() > LARGEST_ALIGNMENT {
        return Err(Error::invalid_input(format!(
            "an array cannot have elements of type `{element}`: they take no bytes, or are aligned to more than a page"
        )));
    }
    let bytes = len
        .checked_mul(size_of::<T>())
        .filter(|&bytes| bytes <= isize::MAX as usize - start() - LARGE_PAYLOAD)
        .ok_or_else(|| {
            Error::invalid_input(format!(
                "an array of {len} elements of type `{element}` has more bytes than a process can address"
            ))
        })?;
    let block = Block::large(Label::of::<Array<T>>(), start() + bytes, start() + bytes)?;
    let element: &AtomicU64 = block.words(ELEMENT);
    element.store(size_of::<T>() as u64, Ordering::Relaxed);
    hide(&block)?;
    Ok(block)
}

/// Whether the elements were made as ones that lie as `T` does.
fn has_elements_like<T>(block: &Block) -> bool {
    let size = block.words::<AtomicU64>(ELEMENT).load(Ordering::Relaxed);
    size == size_of::<T>() as u64 && align_of::<T>() <= LARGEST_ALIGNMENT
}

/// The number of elements.
pub(super) fn count<T: Shareable>(block: &Block) -> usize {
    block
        .len()
        .saturating_sub(start())
        .checked_div(size_of::<T>())
        .unwrap_or(0)
}

/// Where in the payload an element lies.
pub(super) fn place<T>(index: usize) -> usize {
    start() + index * size_of::<T>()
}

/// The elements as this process sees them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<T> {
    pub(super) pointer: NonNull<T>,
    pub(super) len: usize,
}

impl<T: Shareable> Elements<T> {
    /// `len` elements from the one at `first` on, all within the block.
    pub(super) fn of(block: &Block, first: usize, len: usize) -> Self {
        let pointer = block.pointer(place::<T>(first), len * size_of::<T>());
        Self {
            pointer: pointer.cast(),
            len,
        }
    }
}

/// Leaves this process's mapping out of forked children, see the module's head.
pub(super) fn hide(block: &Block) -> Result<(), Error> {
    set_visible(block, false)?;
    // Whoever freezes an array stores that first, and shows it then: seen by this look, or later than the line above.
    if state(block).is_frozen() {
        set_visible(block, true)?;
    }
    Ok(())
}

/// Has forked children inherit the elements of a frozen array.
pub(super) fn show(block: &Block) -> Result<(), Error> {
    debug_assert!(state(block).is_frozen());
    set_visible(block, true)
}

fn set_visible(block: &Block, visible: bool) -> Result<(), Error> {
    block
        .show_to_children(visible)
        .map_err(|error| Error::system("say whether children share an array's memory", error))
}

/// The block as this process has it, hidden from its children.
pub(super) fn in_this_process(block: &Arc<Block>) -> Result<Arc<Block>, Error> {
    let here = block.of_this_process()?;
    if !Arc::ptr_eq(&here, block) {
        hide(&here)?;
    }
    Ok(here)
}

/// Writes the name of a block.
pub(super) struct Named<'b>(pub(super) &'b Arc<Block>);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let here = self.0.of_this_process().map_err(S::Error::custom)?;
        travel::serialize(&here, to)
    }
}

/// The block that [`Named`] has written, found as one of an `L`.
pub(super) struct Found<L: ?Sized>(Arc<Block>, PhantomData<fn() -> Box<L>>);

impl<'de, L: ?Sized> Deserialize<'de> for Found<L> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block = travel::deserialize(Label::of::<L>(), from)?;
        // Its maker reserved all pages. Reading one that a process gone mad has taken away could find no memory, which is
        // a signal and not an error.
        if !block.is_whole() {
            return Err(D::Error::custom(
                "the memory of this array was given back to the system",
            ));
        }
        Ok(Self(block, PhantomData))
    }
}

impl<T: Shareable> Found<Array<T>> {
    /// The block of an array of `T`.
    pub(super) fn array<E: serde::de::Error>(self) -> Result<Arc<Block>, E> {
        if self.0.len() < start() {
            return Err(E::custom("this array has no head: the data is damaged"));
        }
        match has_elements_like::<T>(&self.0) {
            true => Ok(self.0),
            false => Err(E::custom(format_args!(
                "the elements of this array are of another type than this `{}`: send and receive the same type",
                std::any::type_name::<T>()
            ))),
        }
    }

    /// The same, hidden from the children of this process unless it is frozen.
    pub(super) fn hidden<E: serde::de::Error>(self) -> Result<Arc<Block>, E> {
        let block = self.array()?;
        hide(&block).map_err(E::custom)?;
        Ok(block)
    }
}

impl Found<Division> {
    /// The block of a division.
    pub(super) fn words(self) -> Arc<Block> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_one_generation_differ() {
        let of = |generation| {
            [
                State::shared(generation),
                State::frozen(generation),
                State::divided(generation),
            ]
        };
        assert_eq!(State(0), State::shared(0));
        assert!(of(7).iter().all(|state| !of(8).contains(state)));
        assert_eq!(of(7).map(State::is_frozen), [false, true, false]);
    }

    #[test]
    fn elements_lie_at_a_page_behind_the_head() {
        assert!(start() >= HEAD_LEN);
        assert!((start() + LARGE_PAYLOAD).is_multiple_of(sys::page_size()));
    }
}
