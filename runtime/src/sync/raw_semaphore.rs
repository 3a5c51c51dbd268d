//! A count of permits in shared memory whose holders may be killed.
//!
//! Responsible for: as many permits as there are, no more and no fewer, whoever dies; waiting for one. Not responsible for
//! who gives which back: that is the guards' affair.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `lock` | keeps the others away while the rest is changed | | told to the next, who [counts again](RawSemaphore::recount) |
//! | `permits` | those that exist: free ones and those in guards | a release adds one, a guard that is forgotten takes its own away | one store, done or not |
//! | `holders` | how many permits the guards of each process have | the process, under the lock | its place is [cleared](RawSemaphore::take_back), and its permits are free |
//! | `free` | `permits` less those in guards, so that nobody has to count | whoever changes the others | counted again |
//! | `bound` | 0, or what `permits` never exceeds | nobody, after its making | |
//!
//! Invariant: a permit is free, or in one guard of a process that lives or whose death somebody finds out who needs it.

use std::time::Instant;

use crate::board::{AtomicU32, Ordering};
use crate::sync::{Acquired, Notice, Places, RawLock, Vigil, vigil};

/// What POSIX allows, and more than enough.
pub(crate) const MOST_PERMITS: u32 = i32::MAX as u32;

/// Processes have one place each.
const ANY: u32 = 0;

/// Why there is no permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPermit {
    TimedOut,
    /// As many processes hold permits as there are places.
    NoPlace,
}

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawSemaphore {
    lock: RawLock,
    permits: AtomicU32,
    free: AtomicU32,
    bound: AtomicU32,
    notice: Notice,
    holders: Places,
}

impl RawSemaphore {
    /// For who has just made it.
    pub(crate) fn begin(&self, permits: u32, bound: u32) {
        self.permits.store(permits, Ordering::Relaxed);
        self.free.store(permits, Ordering::Relaxed);
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// So many are free, at this moment.
    pub(crate) fn n_free(&self) -> u32 {
        self.free.load(Ordering::Relaxed)
    }

    /// Takes a permit for a guard; the place under which it is held.
    pub(crate) fn acquire(&self, deadline: Option<Instant>) -> Result<usize, NoPermit> {
        let mut seen = self.notice.seen();
        if let Some(place) = self.attempt()? {
            return Ok(place);
        }
        let mut vigil = Vigil::until(deadline);
        loop {
            if vigil.asks() {
                self.take_back();
            }
            // After every sleep once more: what woke this one may have been meant for no other.
            if let Some(place) = self.attempt()? {
                return Ok(place);
            }
            if vigil.is_over() {
                return Err(NoPermit::TimedOut);
            }
            self.notice.wait(seen, Some(vigil.nap()));
            seen = self.notice.seen();
        }
    }

    /// A guard of this process gives its permit back.
    pub(crate) fn give_back(&self, place: usize) {
        self.enter();
        self.drop_one(place);
        self.free.store(self.n_free() + 1, Ordering::Relaxed);
        self.leave();
        self.notice.announce_one();
    }

    /// A guard of this process gives its permit up: from now on it belongs to nobody.
    pub(crate) fn forget(&self, place: usize) {
        self.enter();
        // First it is no more: else one who dies here would have given it back.
        let permits = self.permits.load(Ordering::Relaxed);
        self.permits
            .store(permits.saturating_sub(1), Ordering::Relaxed);
        self.drop_one(place);
        self.leave();
    }

    /// One permit more; false where there are as many as there may be.
    pub(crate) fn release(&self) -> bool {
        self.enter();
        let permits = self.permits.load(Ordering::Relaxed);
        let bound = match self.bound.load(Ordering::Relaxed) {
            0 => MOST_PERMITS,
            bound => bound,
        };
        let has_room = permits < bound;
        if has_room {
            self.permits.store(permits + 1, Ordering::Relaxed);
            self.free.store(self.n_free() + 1, Ordering::Relaxed);
        }
        self.leave();
        if has_room {
            self.notice.announce_one();
        }
        has_room
    }

    fn attempt(&self) -> Result<Option<usize>, NoPermit> {
        match self.attempt_once() {
            Err(NoPermit::NoPlace) => {
                // The dead leave room.
                self.take_back();
                self.attempt_once()
            }
            attempt => attempt,
        }
    }

    fn attempt_once(&self) -> Result<Option<usize>, NoPermit> {
        // Not worth a lock.
        if self.n_free() == 0 {
            return Ok(None);
        }
        self.enter();
        let attempt = self.take_one();
        self.leave();
        attempt
    }

    /// Under the lock.
    fn take_one(&self) -> Result<Option<usize>, NoPermit> {
        let free = self.n_free();
        if free == 0 {
            return Ok(None);
        }
        let place = self.holders.own_or_take(ANY).ok_or(NoPermit::NoPlace)?;
        self.holders.at(place).n.fetch_add(1, Ordering::Relaxed);
        self.free.store(free - 1, Ordering::Relaxed);
        Ok(Some(place))
    }

    /// Under the lock.
    fn drop_one(&self, place: usize) {
        let n = self.holders.at(place).n.load(Ordering::Relaxed);
        if n > 1 {
            self.holders.at(place).n.store(n - 1, Ordering::Relaxed);
        } else {
            self.holders.free(place);
        }
    }

    /// Makes the permits of the dead free.
    fn take_back(&self) {
        for (place, dead) in self.holders.dead() {
            self.enter();
            self.holders.clear(place, dead);
            self.recount();
            self.leave();
            self.notice.announce_all();
        }
        // Who was to say that one is free may have died on the way: then the lock says so.
        if self.n_free() == 0 {
            self.enter();
            self.leave();
        }
    }

    fn enter(&self) {
        if vigil::enter(&self.lock) == Acquired::OwnerDied {
            self.recount();
        }
    }

    fn leave(&self) {
        self.lock.release(false);
    }

    /// Under the lock. What is held is the truth, and what is free follows.
    fn recount(&self) {
        let permits = self.permits.load(Ordering::Relaxed);
        let free = permits.saturating_sub(self.holders.sum(ANY));
        self.free.store(free, Ordering::Relaxed);
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "raw_semaphore/tests.rs"]
mod tests;
