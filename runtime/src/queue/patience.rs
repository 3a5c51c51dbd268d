//! How long a call on a queue waits, and the waiting.
//!
//! A thread that waits looks for a while before it sleeps. Each look takes a line from the core that works at the other
//! end, so where messages follow each other closely it looks seldom, and finds several: its *rhythm*, the pauses between two
//! looks, doubles whenever it finds more than one, and halves when it finds just one, as in a talk of questions and
//! answers, which wants each at once.
//!
//! Invariants: a wait ends with success, with an error, or not before its time. Nobody sleeps for more than [`BACKSTOP`] at a
//! stretch: who was killed between a put and its announcement has announced nothing.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::awaited::Awaited;
use super::error::QueueError;
use crate::sys;

/// The longest sleep without a look.
const BACKSTOP: Duration = Duration::from_millis(100);

/// So many pauses a waiting thread looks before it sleeps: a few microseconds.
const LOOKING: u32 = 400;

/// The most pauses between two looks: about a microsecond, in which a core puts dozens of messages.
const LONGEST_RHYTHM: u32 = 64;

/// How long a call waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Instant),
    Endless,
}

impl Patience {
    pub(super) fn of(timeout: Duration) -> Self {
        // A moment past the end of time never comes.
        let deadline = Instant::now().checked_add(timeout);
        deadline.map_or(Self::Endless, Self::Until)
    }

    /// For a lock, which others hold for no longer than it takes to copy a message.
    #[inline]
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Endless => None,
        }
    }

    /// Attempts again and again; `n_ready` says without a lock how many attempts might have success.
    #[inline]
    pub(super) fn wait<R>(
        self,
        awaited: Awaited<'_>,
        mut attempt: impl FnMut() -> Result<Option<R>, QueueError>,
        n_ready: impl Fn() -> u32,
    ) -> Result<Option<R>, QueueError> {
        // Mostly there is nothing to wait for, and so no word to fetch that the other side writes.
        match attempt()? {
            Some(result) => Ok(Some(result)),
            None => self.wait_on(awaited, attempt, n_ready),
        }
    }

    #[cold]
    fn wait_on<R>(
        self,
        awaited: Awaited<'_>,
        mut attempt: impl FnMut() -> Result<Option<R>, QueueError>,
        n_ready: impl Fn() -> u32,
    ) -> Result<Option<R>, QueueError> {
        loop {
            let left = match self {
                Self::None => Duration::ZERO,
                Self::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
                Self::Endless => BACKSTOP,
            };
            if left.is_zero() {
                return Ok(None);
            }
            if !look_awhile(awaited.rhythm, &n_ready) {
                let nap = left.min(BACKSTOP);
                let bed = awaited.lie_down(Some(Instant::now() + nap));
                if let Some(result) = attempt()? {
                    return Ok(Some(result));
                }
                if let Some((word, asleep)) = bed {
                    sys::futex::wait(word, asleep, Some(nap));
                }
            }
            if let Some(result) = attempt()? {
                return Ok(Some(result));
            }
        }
    }
}

/// Looks until something is ready; `false` if nothing was for [`LOOKING`] pauses.
fn look_awhile(rhythm: &AtomicU32, n_ready: impl Fn() -> u32) -> bool {
    // On a single core nobody else could work meanwhile.
    if sys::n_cores() == 1 {
        return false;
    }
    // Others can write this number too.
    let n_pauses = rhythm.load(Ordering::Relaxed).clamp(1, LONGEST_RHYTHM);
    for _ in 0..LOOKING / n_pauses {
        (0..n_pauses).for_each(|_| hint::spin_loop());
        let n_ready = n_ready();
        if n_ready > 0 {
            let next = if n_ready > 1 {
                n_pauses * 2
            } else {
                n_pauses / 2
            };
            rhythm.store(next, Ordering::Relaxed);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_a_look_at(n_ready: u32, rhythm: u32) -> u32 {
        let rhythm = AtomicU32::new(rhythm);
        assert!(look_awhile(&rhythm, || n_ready));
        rhythm.load(Ordering::Relaxed)
    }

    #[test]
    fn who_finds_several_looks_more_seldom_and_who_finds_one_more_often() {
        if sys::n_cores() > 1 {
            assert_eq!(after_a_look_at(2, 8), 16);
            assert_eq!(after_a_look_at(1, 8), 4);
        }
    }

    /// Others can write that number: one of four thousand million pauses would hang.
    #[test]
    fn whatever_the_rhythm_says_there_are_looks_and_pauses() {
        if sys::n_cores() > 1 {
            assert!(after_a_look_at(2, u32::MAX) <= 2 * LONGEST_RHYTHM);
            assert_eq!(after_a_look_at(2, 0), 2);
            let n_looks = AtomicU32::new(0);
            let look = || {
                n_looks.fetch_add(1, Ordering::Relaxed);
                0
            };
            assert!(!look_awhile(&AtomicU32::new(u32::MAX), look));
            assert_eq!(n_looks.into_inner(), LOOKING / LONGEST_RHYTHM);
        }
    }
}
