//! Which processes have a large block: a table in its first page, a place for each process.
//!
//! It answers whether somebody else has a handle, for `freeze` and `into_chunks`; soundness does not rest on it. A process
//! that was killed is found to be dead and struck off. Where the table is full, a process goes without a place and
//! cannot be seen; the block's memory is then not given back before its last mapping goes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::header::{HEADER_LEN, LARGE_PAYLOAD};
use crate::memory::Memory;
use crate::sys;

const N_PLACES: usize = (LARGE_PAYLOAD - HEADER_LEN) / size_of::<u64>();

/// The table of one block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holders<'a>(&'a [AtomicU64; N_PLACES]);

impl<'a> Holders<'a> {
    pub(super) fn of(memory: &'a Memory) -> Self {
        Self(memory.words(HEADER_LEN))
    }

    /// Takes a place for this process.
    pub(super) fn enter(self, identity: u64) -> Option<usize> {
        let take = |place: &AtomicU64| {
            place
                .compare_exchange(0, identity, Ordering::SeqCst, Ordering::Relaxed)
                .is_ok()
        };
        self.0.iter().position(take).or_else(|| {
            // The dead leave room.
            self.strike_off_the_dead();
            self.0.iter().position(take)
        })
    }

    pub(super) fn leave(self, place: Option<usize>, identity: u64) {
        if let Some(place) = place.and_then(|place| self.0.get(place)) {
            let _ = place.compare_exchange(identity, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
    }

    /// The pid of a living process at another place than this one.
    pub(super) fn other_than(self, place: Option<usize>) -> Option<u32> {
        let others = self.0.iter().enumerate();
        others
            .filter(|(other, _)| Some(*other) != place)
            .map(|(_, identity)| (identity, identity.load(Ordering::SeqCst)))
            .filter(|(_, identity)| *identity != 0)
            .find(|&(place, identity)| lives(place, identity))
            .map(|(_, identity)| (identity >> 32) as u32)
    }

    /// Whether no process has a place. The dead count until somebody strikes them off.
    pub(super) fn is_empty(self) -> bool {
        let mut places = self.0.iter();
        places.all(|place| place.load(Ordering::SeqCst) == 0)
    }

    fn strike_off_the_dead(self) {
        for place in self.0 {
            lives(place, place.load(Ordering::Acquire));
        }
    }
}

/// Whether the process at this place lives; if not, its place is free.
fn lives(place: &AtomicU64, identity: u64) -> bool {
    let lives = sys::is_alive(identity);
    if !lives {
        let _ = place.compare_exchange(identity, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
    lives
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past the largest pid of any Linux.
    const DEAD: u64 = 1 << 55;

    #[test]
    fn the_dead_are_struck_off_when_somebody_asks_who_else_is_there() {
        let memory = Memory::create("holders", LARGE_PAYLOAD).unwrap();
        let holders = Holders::of(&memory);
        let place = holders.enter(sys::identity());
        assert_eq!((place, holders.enter(DEAD)), (Some(0), Some(1)));
        assert_eq!(holders.other_than(place), None);
        assert_eq!(holders.other_than(None), Some(sys::pid()));
        holders.leave(place, sys::identity());
        assert!(holders.is_empty());
    }

    #[test]
    fn the_dead_leave_room_in_a_full_table() {
        let memory = Memory::create("holders", LARGE_PAYLOAD).unwrap();
        let holders = Holders::of(&memory);
        for place in 0..N_PLACES {
            assert_eq!(holders.enter(DEAD), Some(place));
        }
        for place in 0..N_PLACES {
            assert_eq!(holders.enter(sys::identity()), Some(place));
        }
        assert_eq!(holders.enter(sys::identity()), None, "all live");
    }
}
