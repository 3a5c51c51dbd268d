//! Who has got messages and has not said yet that it is done with them: what `join` waits for.
//!
//! Responsible for the count of each process, and for writing off what the dead had. Not responsible for what still waits in
//! the queue, nor for sleeping: that is [`tasks`](super::tasks).
//!
//! Every process that gets has a [place](Places). A message is counted there *before* the head moves past it, which is
//! what takes it; so whoever sees the head moved sees the count. One who is killed in between has counted a message too many,
//! which its *mark* tells: the number of messages passed once that one is taken. Whoever has the getters' lock next
//! finds the lock left by a dead one and a mark ahead of the head, and takes it back ([`Takers::repair`]).
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `taken`, upper half | messages taken by the process of this place, modulo 2^32 | it, under the getters' lock | see above |
//! | `taken`, lower half | [`MARKED`] and the mark of the last one | with the upper half, in one store | |
//! | `n` of the place | of these, how many are done, modulo 2^32 | it, one by one; 0 under the getters' lock once it is dead | stays as it is |
//! | `lost` | messages that were written off: their taker had ended | whoever writes off, under the getters' lock, before the place is cleared | some are told twice |
//! | `told` | of these, how many some `join` has told | whoever tells | told twice |
//!
//! Where more processes live than there are places, the rest count together in one more, and nobody can tell their deaths.
//!
//! Invariant: what a place has is `taken` less what is done, never less than the truth while somebody looks.

use super::position::Position;
use crate::board::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{N_PLACES, Notice, Places};
use crate::sys::identity::identity;

/// A process needs one place in a queue.
const ANY: u32 = 0;

const MARKED: u32 = 1 << 31;

/// The number of the place of those that have none.
const OTHERS: usize = N_PLACES;

/// See the module's head; all zeros at the beginning.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Takers {
    lost: AtomicU32,
    told: AtomicU32,
    /// Announced when everything is done, and when something is written off.
    pub(super) notice: Notice,
    others_done: AtomicU32,
    taken: [AtomicU64; N_PLACES + 1],
    places: Places,
}

impl Default for Takers {
    fn default() -> Self {
        Self {
            lost: AtomicU32::default(),
            told: AtomicU32::default(),
            notice: Notice::default(),
            others_done: AtomicU32::default(),
            taken: std::array::from_fn(|_| AtomicU64::default()),
            places: Places::default(),
        }
    }
}

/// The number of this process's place, as a handle remembers it. Others may be right or wrong: it is checked.
#[derive(Debug, Default)]
pub(super) struct OwnPlace(std::sync::atomic::AtomicU32);

impl Clone for OwnPlace {
    fn clone(&self) -> Self {
        Self(self.0.load(Ordering::Relaxed).into())
    }
}

impl Takers {
    /// Counts a message for this process that is taken once `after` is the head. Under the getters' lock.
    #[inline]
    pub(super) fn begin(&self, own: &OwnPlace, after: Position) {
        let taken = &self.taken[self.place(own)];
        let n = (taken.load(Ordering::Relaxed) >> 32) as u32;
        let mark = MARKED | after.count();
        taken.store(word(n.wrapping_add(1), mark), Ordering::Relaxed);
    }

    #[inline]
    fn place(&self, own: &OwnPlace) -> usize {
        let place = own.0.load(Ordering::Relaxed) as usize;
        let is_own =
            place < N_PLACES && self.places.at(place).who.load(Ordering::Relaxed) == identity();
        if is_own {
            return place;
        }
        self.find_place(own)
    }

    #[cold]
    fn find_place(&self, own: &OwnPlace) -> usize {
        let place = self.places.own_or_take(ANY).or_else(|| {
            self.write_off(|_| true);
            self.places.take(ANY)
        });
        let place = place.unwrap_or(OTHERS);
        own.0.store(place as u32, Ordering::Relaxed);
        place
    }

    /// Takes back what a dead one had counted and not taken. For who has found the getters' lock left by one.
    #[cold]
    pub(super) fn repair(&self, head: Position) {
        let ahead = MARKED | head.after(1, 0).count();
        for taken in &self.taken {
            let bits = taken.load(Ordering::Relaxed);
            if bits as u32 == ahead {
                let n = (bits >> 32) as u32;
                taken.store(word(n.wrapping_sub(1), 0), Ordering::Relaxed);
            }
        }
    }

    /// Counts one of this process's messages as done; false where it has none.
    pub(super) fn done(&self) -> bool {
        let own = self.places.own(ANY);
        own.is_some_and(|place| self.done_at(place)) || self.done_at(OTHERS)
    }

    fn done_at(&self, place: usize) -> bool {
        let done = self.done_word(place);
        let mut n = done.load(Ordering::Relaxed);
        loop {
            if self.n_open(place) == 0 {
                return false;
            }
            // Release: the work goes with it.
            match done.compare_exchange(n, n.wrapping_add(1), Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => n = now,
            }
        }
    }

    fn done_word(&self, place: usize) -> &AtomicU32 {
        match place {
            OTHERS => &self.others_done,
            _ => &self.places.at(place).n,
        }
    }

    /// Messages that the process of this place has taken and is not done with.
    fn n_open(&self, place: usize) -> u32 {
        // What is done first: more can be taken meanwhile, so this is never too little.
        let done = self.done_word(place).load(Ordering::Acquire);
        let taken = (self.taken[place].load(Ordering::Acquire) >> 32) as u32;
        // Else somebody is just clearing the place.
        let n = taken.wrapping_sub(done);
        if n <= MARKED { n } else { 0 }
    }

    /// Whether everything is done that was taken before the caller has looked at the head.
    pub(super) fn are_done(&self) -> bool {
        let n_used = self.places.used().len();
        (0..n_used)
            .chain([OTHERS])
            .all(|place| self.n_open(place) == 0)
    }

    /// Writes off what the dead have taken and were not done with; whether there was any. Under the getters' lock.
    pub(super) fn write_off_the_dead(&self) -> bool {
        self.write_off(|place| self.n_open(place) > 0)
    }

    /// The same, of the places that are meant, which are free then.
    fn write_off(&self, is_meant: impl Fn(usize) -> bool) -> bool {
        let mut n_lost = 0_u32;
        for (place, dead) in self.places.dead_among(|&(place, _)| is_meant(place)) {
            let n_open = self.n_open(place);
            // First this: who is killed on the way leaves it to be told again, not to be forgotten.
            self.lost.fetch_add(n_open, Ordering::AcqRel);
            self.taken[place].store(0, Ordering::Release);
            self.places.clear(place, dead);
            n_lost = n_lost.saturating_add(n_open);
        }
        if n_lost > 0 {
            self.notice.announce_all();
        }
        n_lost > 0
    }

    /// How many were written off that somebody was told of; for [`lost_since`](Self::lost_since).
    pub(super) fn told(&self) -> u32 {
        self.told.load(Ordering::Acquire)
    }

    /// How many were written off since `told`: whoever asks tells of them.
    pub(super) fn lost_since(&self, told: u32) -> u32 {
        let lost = self.lost.load(Ordering::Acquire);
        if lost != told {
            self.told.store(lost, Ordering::Release);
        }
        lost.wrapping_sub(told)
    }
}

fn word(n: u32, mark: u32) -> u64 {
    u64::from(n) << 32 | u64::from(mark)
}
