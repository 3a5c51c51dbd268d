//! The life of a small block, in one word.
//!
//! | bits | meaning | changed by |
//! |---|---|---|
//! | 40 to 63 | the generation: how often the place was freed | who takes the last reference or name away |
//! | 20 to 39 | names given away and not yet read | their sender, then their reader |
//! | 0 to 19 | references: handles in all processes | their processes |
//!
//! The block is free when the lower 40 bits are 0. Reading a given name moves one from the names to the references, so
//! the sum goes down only with a reference that is dropped or a name that is recalled: a process that reads a name twice, or makes
//! one up, may get a reference of its own while the block lives, and never takes away somebody else's. What a killed
//! process had stays counted; then the place is not used again.

use crate::board::{AtomicU64, Ordering};

/// See the module's head; 0 is the first state.
#[repr(transparent)]
#[derive(Debug, Default)]
pub(super) struct Life(AtomicU64);

const BITS: u32 = 20;
const MASK: u64 = (1 << BITS) - 1;
const REFERENCE: u64 = 1;
const GIVEN: u64 = 1 << BITS;
const LIVING: u64 = MASK << BITS | MASK;

fn references(word: u64) -> u64 {
    word & MASK
}

fn given(word: u64) -> u64 {
    word >> BITS & MASK
}

fn generation(word: u64) -> u32 {
    (word >> (2 * BITS)) as u32
}

impl Life {
    /// Begins the life of a block with one reference; gives its generation. For who has just been given the place.
    pub(super) fn begin(&self) -> u32 {
        let before = self.0.load(Ordering::Relaxed);
        // Release: whoever finds the block alive finds the rest of its header.
        self.0
            .store(before & !LIVING | REFERENCE, Ordering::Release);
        generation(before)
    }

    /// One more name is given away; false where there are too many already.
    pub(super) fn give(&self, of: u32) -> bool {
        self.change(of, |word| (given(word) < MASK).then(|| word + GIVEN))
            .is_some()
    }

    /// A given name is not sent after all. Not the last of the block: its sender has a reference.
    pub(super) fn recall(&self, of: u32) {
        self.change(of, |word| (given(word) > 0).then(|| word - GIVEN));
    }

    /// One more reference, by a name that was lent or given; false where the block of this generation is no more.
    pub(super) fn find(&self, of: u32, was_given: bool) -> bool {
        self.change(of, |word| {
            let moved = if was_given && given(word) > 0 {
                GIVEN
            } else {
                0
            };
            (references(word) < MASK).then(|| word - moved + REFERENCE)
        })
        .is_some()
    }

    /// One reference less; true where it was the last of all, and the place is free.
    pub(super) fn leave(&self, of: u32) -> bool {
        let after = self.change(of, |word| {
            let left = (references(word) > 0).then(|| word - REFERENCE)?;
            let is_last = left & LIVING == 0;
            Some(if is_last { next_generation(left) } else { left })
        });
        after.is_some_and(|word| word & LIVING == 0)
    }

    /// The new word, if the block of this generation lives and `to` wants one.
    fn change(&self, of: u32, to: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            let is_this = generation(word) == of && word & LIVING != 0;
            let new = is_this.then(|| to(word)).flatten()?;
            // Acquire and Release: what was done with the block comes before its end.
            match self
                .0
                .compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Some(new),
                Err(now) => word = now,
            }
        }
    }
}

fn next_generation(word: u64) -> u64 {
    // Past the highest bit nothing follows.
    word.wrapping_add(1 << (2 * BITS))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn born() -> (Life, u32) {
        let life = Life(AtomicU64::new(0));
        let generation = life.begin();
        (life, generation)
    }

    #[test]
    fn the_last_reference_ends_it_and_names_of_it_find_nothing() {
        let (life, first) = born();
        assert!(life.find(first, false));
        assert!(!life.leave(first));
        assert!(life.leave(first));
        assert!(!life.find(first, false) && !life.find(first, true) && !life.give(first));
        let second = life.begin();
        assert_ne!(first, second);
        assert!(!life.find(first, false) && !life.leave(first));
        assert!(life.leave(second));
    }

    #[test]
    fn a_given_name_keeps_it_until_it_is_read() {
        let (life, generation) = born();
        assert!(life.give(generation));
        assert!(!life.leave(generation), "the name is left");
        assert!(life.find(generation, true));
        assert!(life.leave(generation));
    }

    #[test]
    fn a_name_that_is_read_twice_takes_nothing_from_others() {
        let (life, generation) = born();
        assert!(life.give(generation));
        for _ in 0..10 {
            assert!(life.find(generation, true));
        }
        for _ in 0..10 {
            assert!(!life.leave(generation));
        }
        assert!(
            life.leave(generation),
            "the first reference was there all the time"
        );
    }

    #[test]
    fn a_recalled_name_counts_no_more() {
        let (life, generation) = born();
        assert!(life.give(generation));
        life.recall(generation);
        life.recall(generation);
        assert!(life.leave(generation));
    }

    #[test]
    fn more_than_can_be_counted_is_refused() {
        let life = Life(AtomicU64::new(LIVING));
        assert!(!life.give(0) && !life.find(0, false));
        let last = Life(AtomicU64::new(u64::MAX << (2 * BITS) | REFERENCE));
        assert!(last.leave(generation(u64::MAX)));
        assert_eq!(last.begin(), 0);
    }
}
