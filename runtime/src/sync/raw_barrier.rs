//! A meeting point in shared memory whose participants may be killed.
//!
//! Responsible for: all go on together, round after round, or learn that they cannot. Not responsible for those who have
//! not come yet: nobody knows who they are.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `lock` | keeps the others away while the rest is changed | | nothing is left to do: each change of the rest is one store |
//! | `state` | the round, whether it is broken, and how the last ones ended: see [`State`] | who comes last, who breaks it, who resets it | done, or not |
//! | `parties` | so many meet | nobody, after its making | |
//! | `waiting` | how many threads of each process wait in the round that is the tag of its place | whoever comes, under the lock | it does not come any more: those who wait ask after one another, and break the round |
//!
//! Invariant: a place counts in the round of its tag only, so that the end of a round, one store of `state`, empties them all.

use std::time::Instant;

use crate::board::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Notice, Places, RawLock, Vigil, vigil};

/// Why one cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotMet {
    Broken,
    TimedOut,
    /// As many processes wait as there are places.
    NoPlace,
}

/// `state`, taken apart: the round (32 bits, which come around), a bit that says it is broken, and for each of the
/// last 31 rounds a bit that says it was, the latest lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u64);

const BROKEN: u64 = 1 << 31;
const HISTORY: u64 = BROKEN - 1;

impl State {
    fn round(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn is_broken(self) -> bool {
        self.0 & BROKEN != 0
    }

    fn broken(self) -> Self {
        Self(self.0 | BROKEN)
    }

    /// The next round begins.
    fn next(self, was_met: bool) -> Self {
        let round = self.round().wrapping_add(1);
        let history = (self.0 << 1 | u64::from(!was_met)) & HISTORY;
        Self(u64::from(round) << 32 | history)
    }

    /// How a round has ended; `None` while it has not. One who comes to look after so many others goes on that nobody
    /// remembers is told that it was broken.
    fn outcome(self, round: u32) -> Option<Result<(), NotMet>> {
        let n_later = self.round().wrapping_sub(round);
        let was_broken = match n_later {
            0 => self.is_broken().then_some(true)?,
            1..=31 => self.0 >> (n_later - 1) & 1 != 0,
            _ => true,
        };
        Some(if was_broken {
            Err(NotMet::Broken)
        } else {
            Ok(())
        })
    }
}

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawBarrier {
    lock: RawLock,
    state: AtomicU64,
    parties: AtomicU32,
    notice: Notice,
    waiting: Places,
}

impl RawBarrier {
    /// For who has just made it.
    pub(crate) fn begin(&self, parties: u32) {
        self.parties.store(parties, Ordering::Relaxed);
    }

    pub(crate) fn parties(&self) -> u32 {
        self.parties.load(Ordering::Relaxed)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.state().is_broken()
    }

    /// So many wait, at this moment.
    pub(crate) fn n_waiting(&self) -> u32 {
        let state = self.state();
        match state.is_broken() {
            true => 0,
            false => self.waiting.sum(state.round()),
        }
    }

    /// Waits for the others; how many had come before. Who waits until the deadline in vain breaks the round for all.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<u32, NotMet> {
        let (round, index) = self.come()?;
        let mut vigil = Vigil::until(deadline);
        loop {
            let seen = self.notice.seen();
            let asks = vigil.asks();
            if let Some(outcome) = self.state().outcome(round) {
                return outcome.map(|()| index);
            }
            if vigil.is_over() {
                self.break_round(round);
                // Unless it ended meanwhile.
                let outcome = self.state().outcome(round);
                return match outcome {
                    Some(Ok(())) => Ok(index),
                    _ => Err(NotMet::TimedOut),
                };
            }
            if asks && self.has_dead(round) {
                self.break_round(round);
                continue;
            }
            self.notice.wait(seen, Some(vigil.nap()));
        }
    }

    /// Breaks the round, and all that would follow until the reset.
    pub(crate) fn abort(&self) {
        self.change(|state| Some(state.broken()));
    }

    /// Begins afresh; who waits is told that the round was broken.
    pub(crate) fn reset(&self) {
        self.change(|state| Some(state.next(false)));
    }

    fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Counts the caller: the round, and how many have come before. The last one ends the round.
    pub(super) fn come(&self) -> Result<(u32, u32), NotMet> {
        vigil::enter(&self.lock);
        let state = self.state();
        let round = state.round();
        let index = self.waiting.sum(round);
        let is_last = index + 1 >= self.parties();
        let come = if state.is_broken() {
            Err(NotMet::Broken)
        } else if is_last {
            self.state.store(state.next(true).0, Ordering::Release);
            self.sweep_but(None);
            Ok((round, index))
        } else {
            self.count_in(round).map(|()| (round, index))
        };
        self.lock.release(false);
        if is_last && come.is_ok() {
            self.notice.announce_all();
        }
        come
    }

    /// Under the lock. One more thread of this process waits.
    fn count_in(&self, round: u32) -> Result<(), NotMet> {
        if let Some(place) = self.waiting.own(round) {
            self.waiting.at(place).n.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let place = self.waiting.take(round).or_else(|| {
            self.sweep_but(Some(round));
            self.waiting.take(round)
        });
        let place = place.ok_or(NotMet::NoPlace)?;
        self.waiting.at(place).n.store(1, Ordering::Release);
        Ok(())
    }

    /// Under the lock. Frees the places, but those of this round; one who was killed may have left some of others.
    fn sweep_but(&self, round: Option<u32>) {
        for (number, place) in self.waiting.used().iter().enumerate() {
            if Some(place.tag.load(Ordering::Relaxed)) != round {
                self.waiting.free(number);
            }
        }
    }

    fn change(&self, to: impl FnOnce(State) -> Option<State>) {
        vigil::enter(&self.lock);
        if let Some(state) = to(self.state()) {
            self.state.store(state.0, Ordering::Release);
            self.sweep_but(None);
        }
        self.lock.release(false);
        self.notice.announce_all();
    }

    fn break_round(&self, round: u32) {
        self.change(|state| (state.round() == round).then(|| state.broken()));
    }

    fn has_dead(&self, round: u32) -> bool {
        let of_round = |&(place, _): &(usize, u64)| {
            let place = self.waiting.at(place);
            place.tag.load(Ordering::Relaxed) == round && place.n.load(Ordering::Acquire) > 0
        };
        self.waiting.dead_among(of_round).next().is_some()
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "raw_barrier/tests.rs"]
mod tests;
