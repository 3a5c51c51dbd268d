//! The arena: small shared things side by side in one memory that every process of the family has mapped.
//!
//! Any process allocates and frees, without a lock: a bit for each slot of [`SLOT`] bytes says whether it is taken, and
//! the slots of one block, at most 64, have their bits in one word. A process that is killed between taking the bits and
//! having a handle, or with a handle in its hands, leaves that block taken; nothing else comes of it.
//!
//! ```text
//! word of bits | word of bits | … || header | header | … || slot | slot | …
//! ```
//!
//! Each slot has a [`Header`] for the block that begins there. Headers lie apart from what users write, so no bytes in a
//! slot can look like one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::header::{HEADER_LEN, Header};
use crate::error::{Error, ErrorKind};
use crate::memory::Memory;

/// Bytes of a slot.
pub(super) const SLOT: usize = 128;

/// The largest block.
pub(super) const LARGEST: usize = 64 * SLOT;

/// Slots side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u32,
    pub(super) n_slots: u32,
}

/// The arena as this process sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arena<'a> {
    memory: &'a Memory,
    n_words: usize,
    headers_at: usize,
    slots_at: usize,
}

/// The word in which this process last found room.
static LAST: AtomicUsize = AtomicUsize::new(0);

impl<'a> Arena<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        // A page less, for the bits end at one.
        let n_words =
            memory.len().saturating_sub(4096) / (64 * (HEADER_LEN + SLOT) + size_of::<u64>());
        let headers_at = (n_words * size_of::<u64>()).next_multiple_of(4096);
        let slots_at = headers_at + n_words * 64 * HEADER_LEN;
        Self {
            memory,
            n_words,
            headers_at,
            slots_at,
        }
    }

    fn word(&self, word: usize) -> &'a AtomicU64 {
        self.memory.words(word * size_of::<u64>())
    }

    /// Of the block that begins at this slot, if any does.
    pub(super) fn header(&self, first: u32) -> Option<&'a Header> {
        let is_slot = (first as usize) < self.n_words * 64;
        is_slot.then(|| {
            self.memory
                .words(self.headers_at + first as usize * HEADER_LEN)
        })
    }

    /// Where a run lies in the memory; `None` for what is no run.
    pub(super) fn offset_of(&self, run: Run) -> Option<usize> {
        let (word, bit) = (run.first as usize / 64, run.first % 64);
        let is_run = word < self.n_words && run.n_slots > 0 && bit + run.n_slots <= 64;
        is_run.then_some(self.slots_at + run.first as usize * SLOT)
    }

    /// Takes slots for `len` bytes, at most [`LARGEST`], and memory for them.
    pub(super) fn allocate(&self, len: usize) -> Result<Run, Error> {
        let n_slots = n_slots_for(len);
        let last = LAST.load(Ordering::Relaxed) % self.n_words;
        let mut reserved_page = None;
        // From the start where that one is full: what was freed, here or elsewhere, is used before new memory is.
        for word in [last].into_iter().chain(0..self.n_words) {
            let reserve = |offset, len| {
                let reserved = self.memory.reserve(offset, len);
                reserved.map_err(|e| Error::system("reserve memory for a shared value", e))
            };
            let at = word * size_of::<u64>();
            if reserved_page != Some(at / 4096) {
                reserve(at, size_of::<u64>())?;
                reserved_page = Some(at / 4096);
            }
            if let Some(bit) = take_bits(self.word(word), n_slots) {
                LAST.store(word, Ordering::Relaxed);
                let run = Run {
                    first: word as u32 * 64 + bit,
                    n_slots,
                };
                let offset = self.slots_at + run.first as usize * SLOT;
                let header = self.headers_at + run.first as usize * HEADER_LEN;
                reserve(header, HEADER_LEN)
                    .and_then(|()| reserve(offset, n_slots as usize * SLOT))
                    .inspect_err(|_| self.free(run))?;
                return Ok(run);
            }
        }
        Err(Error::new(
            ErrorKind::System,
            "the memory for small shared values is used up: drop some, or put many values into one `Array`",
        ))
    }

    pub(super) fn free(&self, run: Run) {
        if self.offset_of(run).is_some() {
            let bits = mask(run.n_slots) << (run.first % 64);
            self.word(run.first as usize / 64)
                .fetch_and(!bits, Ordering::Release);
        }
    }
}

/// Slots of a block of `len` bytes, at most [`LARGEST`].
pub(super) fn n_slots_for(len: usize) -> u32 {
    len.div_ceil(SLOT).clamp(1, 64) as u32
}

fn mask(n_slots: u32) -> u64 {
    u64::MAX >> (64 - n_slots)
}

/// Sets the lowest `n_slots` bits side by side that are clear; the number of the first.
fn take_bits(word: &AtomicU64, n_slots: u32) -> Option<u32> {
    let mut bits = word.load(Ordering::Relaxed);
    loop {
        let places = 0..=64 - n_slots;
        let bit = places
            .into_iter()
            .find(|bit| bits & (mask(n_slots) << bit) == 0)?;
        let taken = bits | mask(n_slots) << bit;
        // Acquire: what the last owner did to the slots comes before what this one does.
        match word.compare_exchange_weak(bits, taken, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return Some(bit),
            Err(now) => bits = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits_are_taken_from_the_lowest_place_and_never_twice() {
        let word = AtomicU64::new(0b1011);
        assert_eq!(take_bits(&word, 2), Some(4));
        assert_eq!(take_bits(&word, 1), Some(2));
        assert_eq!(take_bits(&word, 58), Some(6));
        assert_eq!(take_bits(&word, 1), None);
        assert_eq!(word.load(Ordering::Relaxed), u64::MAX);
        assert_eq!(take_bits(&AtomicU64::new(0), 64), Some(0));
        assert_eq!(take_bits(&AtomicU64::new(1 << 63), 64), None);
    }

    #[test]
    fn blocks_of_an_arena_lie_apart_and_come_again_when_freed() {
        let memory = Memory::create("arena-test", 1 << 20).unwrap();
        let arena = Arena::new(&memory);
        let lens = [1, SLOT, SLOT + 1, LARGEST, 40 * SLOT, 30 * SLOT, 5];
        let runs: Vec<Run> = lens
            .iter()
            .map(|&len| arena.allocate(len).unwrap())
            .collect();
        for (place, run) in runs.iter().enumerate() {
            let end = run.first + run.n_slots;
            assert!(run.n_slots as usize * SLOT >= lens[place]);
            assert!(
                arena
                    .offset_of(*run)
                    .is_some_and(|at| at + run.n_slots as usize * SLOT <= memory.len())
            );
            for other in &runs[..place] {
                assert!(end <= other.first || other.first + other.n_slots <= run.first);
            }
        }
        for run in runs {
            arena.free(run);
        }
        let mut n_blocks = 0;
        while arena.allocate(SLOT).is_ok() {
            n_blocks += 1;
        }
        assert_eq!(n_blocks, arena.n_words * 64);
    }

    #[test]
    fn what_was_freed_is_used_before_new_memory_is() {
        let memory = Memory::create("arena-test", 8 << 20).unwrap();
        let arena = Arena::new(&memory);
        for _ in 0..20 {
            let runs: Vec<Run> = (0..1000).map(|_| arena.allocate(1).unwrap()).collect();
            // Other tests may have this one begin anywhere in the first 8192.
            assert!(runs.iter().all(|run| run.first < 10_000));
            runs.into_iter().for_each(|run| arena.free(run));
        }
    }

    #[test]
    fn what_is_no_run_has_no_place() {
        let memory = Memory::create("arena-test", 1 << 20).unwrap();
        let arena = Arena::new(&memory);
        for (first, n_slots) in [(0, 0), (63, 2), (u32::MAX, 1), (0, 65)] {
            assert_eq!(arena.offset_of(Run { first, n_slots }), None);
        }
    }
}
