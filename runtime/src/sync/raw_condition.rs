//! Those who wait for a condition, in shared memory; any of them may be killed.
//!
//! Responsible for: that a notification reaches one who was waiting when it was made, and lives; that nobody sleeps past
//! its own. Not responsible for the lock beside it, nor for what the condition is.
//!
//! Every waiting thread has a [place](Places). Its `n` says how it stands, and it sleeps on that word:
//!
//! | `n` | meaning | next | who changes it | if that process is killed |
//! |---|---|---|---|---|
//! | 0 | about to wait, or about to leave | [`WAITING`] | the waiter | a place lost until it is needed |
//! | [`WAITING`] | a notification would be its | [`NOTIFIED`]; 0, its time being over | who notifies, or the waiter | notified as if it lived, see below |
//! | [`NOTIFIED`] | it has a notification | 0, having all it waited for, the lock too | the waiter | another waiter takes the notification over |
//!
//! Who notifies does not ask who lives: that would cost more than all the rest. Those who wait ask from time to time after
//! whoever has a notification and has not left with it; if that one is dead, they notify themselves and then clear its place.
//! Killed in between, one has made two of one notification: a wake-up without a cause, which every waiter must expect.

use crate::board::{AtomicU32, Ordering};
use crate::sync::{Places, Vigil};
use crate::sys::futex;

const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;

/// Every waiting thread has a place of its own, of which nothing but the process is known.
const ANY: u32 = 0;

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawCondition {
    /// Where the next notification begins to look, so that all have their turn.
    next: AtomicU32,
    _unused: AtomicU32,
    waiters: Places,
}

impl RawCondition {
    /// For who holds the lock and is about to give it up: notifications from now on may be for it. `None` where too many wait.
    pub(crate) fn enter(&self) -> Option<usize> {
        let place = self.waiters.take(ANY).or_else(|| {
            self.make_room();
            self.waiters.take(ANY)
        })?;
        self.waiters.at(place).n.store(WAITING, Ordering::Release);
        Some(place)
    }

    /// Sleeps until notified, or until the time is over: whether there was a notification.
    pub(crate) fn wait(&self, place: usize, vigil: &mut Vigil) -> bool {
        let n = &self.waiters.at(place).n;
        loop {
            if n.load(Ordering::Acquire) != WAITING {
                return true;
            }
            if vigil.asks() && self.take_over(place) {
                return true;
            }
            if vigil.is_over() {
                return !change(n, WAITING, 0);
            }
            futex::wait(n, WAITING, Some(vigil.nap()));
        }
    }

    /// For who has waited and holds the lock again.
    pub(crate) fn leave(&self, place: usize) {
        self.waiters.free(place);
    }

    /// Notifies one of those who wait, in turn.
    pub(crate) fn notify_one(&self) {
        let waiters = self.waiters.used();
        let next = self.next.load(Ordering::Relaxed) as usize;
        for passed in 0..waiters.len() {
            let number = (next + passed) % waiters.len();
            let n = &waiters[number].n;
            if change(n, WAITING, NOTIFIED) {
                self.next.store(number as u32 + 1, Ordering::Relaxed);
                futex::wake(n, 1);
                return;
            }
        }
    }

    /// Notifies all who wait.
    pub(crate) fn notify_all(&self) {
        for waiter in self.waiters.used() {
            if change(&waiter.n, WAITING, NOTIFIED) {
                futex::wake(&waiter.n, 1);
            }
        }
    }

    /// Takes over the notification of a dead one for the waiter in this place. Also true where it has one by now.
    fn take_over(&self, place: usize) -> bool {
        let notified = |&(other, _): &(usize, u64)| {
            let n = &self.waiters.at(other).n;
            n.load(Ordering::Acquire) == NOTIFIED
        };
        let Some((other, dead)) = self.waiters.dead_among(notified).next() else {
            return false;
        };
        // First this one, then no more the other, see the head.
        if change(&self.waiters.at(place).n, WAITING, NOTIFIED) {
            self.waiters.clear(other, dead);
        }
        true
    }

    /// Clears the places of the dead, whose notifications go to others.
    fn make_room(&self) {
        for (place, dead) in self.waiters.dead() {
            if !self.waiters.adopt(place, dead) {
                continue;
            }
            if !change(&self.waiters.at(place).n, WAITING, 0) {
                self.notify_one();
            }
            self.waiters.free(place);
        }
    }
}

fn change(n: &AtomicU32, from: u32, to: u32) -> bool {
    n.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "raw_condition/tests.rs"]
mod tests;
