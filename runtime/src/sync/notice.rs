//! Sleeping until others announce a change.
//!
//! Responsible for: that nobody sleeps past an announcement. Not responsible for what has changed: whoever wakes looks
//! for itself, and begins again if it finds nothing.
//!
//! | bits of `word` | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | 0, [`SLEEPERS`] | somebody sleeps, or is about to | set by a sleeper, cleared by an announcer | too often set: a wake for nobody, which clears it. Killed between clearing it and the wake: those asleep then look by themselves after [`LONGEST_SLEEP`] |
//! | 1 to 31 | how many announcements there were, and clearings of the flag | an announcer, after its change | killed before: its change is seen after [`LONGEST_SLEEP`] |
//!
//! Why no wake-up is lost: a sleeper notes the count ([`Notice::seen`]), looks for what it waits for, and sleeps only
//! while the count is what it noted. A count of 31 bits comes around: whoever sleeps exactly when it has come to
//! the same number since it looked sleeps [`LONGEST_SLEEP`] too long.
//!
//! Where changes are made under a lock, an announcer may leave out what nobody sleeps for: [`Notice::has_sleepers`].
//!
//! A flag and not a number of sleepers, since a sleeper that is killed could not take itself off.
//!
//! Man page: `futex(2)`.

use std::time::Duration;

use crate::board::{AtomicU32, Ordering};
use crate::sys::futex;

const SLEEPERS: u32 = 1;
const ONE_ANNOUNCEMENT: u32 = 2;

/// After this time a sleeper wakes in any case, see the table above.
const LONGEST_SLEEP: Duration = Duration::from_millis(100);

/// A word that changes with every announcement; zero at the beginning.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Notice {
    word: AtomicU32,
}

impl Notice {
    /// To be called before one looks for what one waits for; [`wait`](Self::wait) takes the answer.
    pub(crate) fn seen(&self) -> u32 {
        self.word.load(Ordering::Acquire) & !SLEEPERS
    }

    /// Sleeps until something was announced after `seen`, or for `timeout`; sometimes for no reason less.
    pub(crate) fn wait(&self, seen: u32, timeout: Option<Duration>) {
        let asleep = seen | SLEEPERS;
        let marked = self
            .word
            .compare_exchange(seen, asleep, Ordering::Relaxed, Ordering::Relaxed);
        if marked.is_ok() || marked == Err(asleep) {
            let timeout = timeout.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
            futex::wait(&self.word, asleep, Some(timeout));
        }
    }

    /// For who sleeps on several words: this one, and what it is while there is nothing new. `None`: something was announced
    /// just now. To be called before one looks for what one waits for.
    pub(crate) fn lie_down(&self) -> Option<(&AtomicU32, u32)> {
        let seen = self.seen();
        let asleep = seen | SLEEPERS;
        let marked = self
            .word
            .compare_exchange(seen, asleep, Ordering::AcqRel, Ordering::Acquire);
        (marked.is_ok() || marked == Err(asleep)).then_some((&self.word, asleep))
    }

    /// Wakes another one of those who sleep, for a wake of which this one makes no use.
    pub(crate) fn pass_on(&self) {
        if self.word.load(Ordering::Relaxed) & SLEEPERS != 0 {
            futex::wake(&self.word, 1);
        }
    }

    /// Whether an announcement is due, for who has made its change under a lock under which everybody [lies down](Self::lie_down)
    /// before a last look. Asked under that lock it is exact, and where nobody sleeps costs next to nothing.
    ///
    /// So those sleep on the word as they found it when they lay down. Somebody may clear the flag while they look for the last
    /// time: after that changes go unannounced, and who set the flag again only then, as [`wait`](Self::wait) does, would sleep past them.
    #[inline]
    pub(crate) fn has_sleepers(&self) -> bool {
        self.word.load(Ordering::Relaxed) & SLEEPERS != 0
    }

    /// Wakes one of those who wait: for a change that only one of them can make use of.
    #[inline]
    pub(crate) fn announce_one(&self) {
        if self.count() && !futex::wake(&self.word, 1) {
            self.wake_all();
        }
    }

    /// Wakes all who wait.
    pub(crate) fn announce_all(&self) {
        if self.count() {
            self.wake_all();
        }
    }

    /// Whether anybody may be asleep.
    #[inline]
    fn count(&self) -> bool {
        let before = self.word.fetch_add(ONE_ANNOUNCEMENT, Ordering::Release);
        before & SLEEPERS != 0
    }

    /// First the flag: whoever falls asleep after it was cleared has set it again, and the others are woken. The count goes on with it:
    /// who lay down before, and is not asleep yet, finds another word also where somebody has set the flag again.
    fn wake_all(&self) {
        let cleared = |word: u32| {
            let is_set = word & SLEEPERS != 0;
            is_set.then(|| (word & !SLEEPERS).wrapping_add(ONE_ANNOUNCEMENT))
        };
        // An error means that another announcer has cleared it.
        let _ = self
            .word
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, cleared);
        futex::wake(&self.word, u32::MAX);
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "notice/tests.rs"]
mod tests;
