//! The head of an array, as in `shared/layout.rs`: its lock and its state. And its elements: one to a chunk.

use loom::cell::Cell;

use super::block::{Block, Contents, Things};
use crate::atomic::{AtomicU64, Ordering, step};
use crate::sync::RawLock;

/// Which of the states, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u64);

const DIVIDED: u64 = 2;

impl State {
    pub(super) fn shared(generation: u64) -> Self {
        Self(generation << 2)
    }

    pub(super) fn divided(generation: u64) -> Self {
        Self(generation << 2 | DIVIDED)
    }
}

const LOCK: usize = 0;
const STATE: usize = 1;
const ELEMENTS: usize = 2;

/// How many elements an array has here.
pub(super) const N: usize = 2;

pub(super) struct Array;

impl Contents for Array {
    fn things(_len: usize) -> Things {
        let mut things = Things::new();
        things.insert(LOCK, Box::new(RawLock::default()));
        things.insert(STATE, Box::new(AtomicU64::new(0)));
        for index in 0..N {
            things.insert(ELEMENTS + index, Box::new(Cell::new(0_u32)));
        }
        things
    }
}

pub(super) fn state(block: &Block) -> State {
    State(block.words::<AtomicU64>(STATE).load(Ordering::Acquire))
}

pub(super) fn set_state(block: &Block, state: State) {
    let word: &AtomicU64 = block.words(STATE);
    word.store(state.0, Ordering::Release);
}

pub(super) fn lock(block: &Block) -> &RawLock {
    block.words(LOCK)
}

/// Adds one to an element; gives what it was. Loom reports whoever touches it at the same time, or without that
/// the one's writing is visible to the other.
pub(super) fn write(block: &Block, index: usize) -> u32 {
    let element: &Cell<u32> = block.words(ELEMENTS + index);
    let before = element.get();
    step();
    element.set(before + 1);
    before
}
