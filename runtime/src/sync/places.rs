//! A table of those who take part in something: who they are, and how much of it each has.
//!
//! Responsible for places: taking one, finding one's own, freeing it, and finding those of the dead. What the numbers in
//! a place mean, and who may change them when, is told where the table is used.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `who` | 0: the place is free. Else the identity of the process that has it, or, marked with [`CLEARS`], of the one that clears it | 0 to its own: who takes it. To 0: it. From a dead one's to its own: who clears it | found by [`Places::dead`], and cleared |
//! | `tag`, `n` | the user's; `n` is 0 in a free place | who has the place | stay as they are |
//! | `n_used` | no place from here on was ever taken, but by one who has not used it yet | raised by who takes a place, before it uses it | one who takes that place finds it beyond, and raises it |
//!
//! Invariant: a place is freed last with its `who`, so whoever finds it free finds `n` 0 too.

use crate::board::{AtomicU32, AtomicU64, Ordering};
use crate::sys::identity::{identity, is_alive};

const FREE: u64 = 0;
/// A mark beside an identity, in a bit that identities leave zero: it clears a dead one's place, and takes no part by it.
const CLEARS: u64 = 1;

/// So many take part at one time: with the other words of a user they fill a page.
pub(crate) const N_PLACES: usize = if cfg!(loom) { 2 } else { 248 };

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) who: AtomicU64,
    pub(crate) tag: AtomicU32,
    pub(crate) n: AtomicU32,
}

/// See the module's head; all zeros at the beginning.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Places {
    n_used: AtomicU32,
    _unused: AtomicU32,
    all: [Place; N_PLACES],
}

impl Default for Places {
    fn default() -> Self {
        Self {
            n_used: AtomicU32::default(),
            _unused: AtomicU32::default(),
            all: std::array::from_fn(|_| Place::default()),
        }
    }
}

impl Places {
    /// Those that may be taken.
    pub(crate) fn used(&self) -> &[Place] {
        let n_used = self.n_used.load(Ordering::Acquire) as usize;
        &self.all[..n_used.min(N_PLACES)]
    }

    /// The place with this number, whatever number it is.
    pub(crate) fn at(&self, place: usize) -> &Place {
        &self.all[place % N_PLACES]
    }

    /// The place of this process that has this tag.
    pub(crate) fn own(&self, tag: u32) -> Option<usize> {
        let own = identity();
        self.used().iter().position(|place| {
            place.who.load(Ordering::Acquire) == own && place.tag.load(Ordering::Relaxed) == tag
        })
    }

    /// Takes a place for this process; `None` where all are taken.
    pub(crate) fn take(&self, tag: u32) -> Option<usize> {
        let own = identity();
        let number = self.all.iter().position(|place| {
            place
                .who
                .compare_exchange(FREE, own, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
        })?;
        self.all[number].tag.store(tag, Ordering::Relaxed);
        let needed = number as u32 + 1;
        let mut n_used = self.n_used.load(Ordering::Relaxed);
        while n_used < needed {
            match self
                .n_used
                .compare_exchange(n_used, needed, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => n_used = now,
            }
        }
        Some(number)
    }

    /// The own place, or a new one.
    pub(crate) fn own_or_take(&self, tag: u32) -> Option<usize> {
        self.own(tag).or_else(|| self.take(tag))
    }

    /// For who has the place, or keeps all others away. What it did before is seen by who finds `n` 0.
    pub(crate) fn free(&self, place: usize) {
        let place = self.at(place);
        place.n.store(0, Ordering::Release);
        place.who.store(FREE, Ordering::Release);
    }

    /// The places of processes that have ended, and who they were: each is asked after at the kernel.
    pub(crate) fn dead(&self) -> impl Iterator<Item = (usize, u64)> {
        self.dead_among(|_| true)
    }

    /// The same, of those places alone.
    pub(crate) fn dead_among(
        &self,
        is_meant: impl Fn(&(usize, u64)) -> bool,
    ) -> impl Iterator<Item = (usize, u64)> {
        let used = self.used().iter().enumerate();
        used.map(|(place, words)| (place, words.who.load(Ordering::Acquire)))
            .filter(is_meant)
            .filter(|&(_, who)| who != FREE && !is_alive(who & !CLEARS))
    }

    /// Makes a dead one's place this process's to [free](Self::free), if it still is the dead one's.
    pub(crate) fn adopt(&self, place: usize, dead: u64) -> bool {
        let clears = identity() | CLEARS;
        self.at(place)
            .who
            .compare_exchange(dead, clears, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Frees the place of a dead one, if it still is.
    pub(crate) fn clear(&self, place: usize, dead: u64) {
        // Its own first: whoever else clears it then leaves it alone, and if this process dies, too, it is a dead one's still.
        if self.adopt(place, dead) {
            self.free(place);
        }
    }

    /// How much all have that have this tag.
    pub(crate) fn sum(&self, tag: u32) -> u32 {
        let used = self.used().iter();
        used.filter(|place| place.tag.load(Ordering::Relaxed) == tag)
            .map(|place| place.n.load(Ordering::Acquire))
            .fold(0, u32::saturating_add)
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "places/tests.rs"]
mod tests;
