//! How long one looks again and again for what is about to happen, and for whom one makes room meanwhile.
//!
//! Who may spin at all is [`super::bells`]' to say.
//!
//! A spinner gives way every [`STINT`]. The kernel likes to run a sleeper on the core of the one that woke it: that one has more
//! tasks to hand over, and would have to wait until the spinner lies down, each time it wakes somebody. A spinner that got its
//! core back late gives way no more for a while: somebody computes there, and an answer would wait for a whole time slice
//! instead of the few microseconds that it takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sys;

/// How long one spins: longer than a sleeper takes to wake, so that a short pause between two jobs is not a long one.
const SPIN: Duration = Duration::from_micros(50);

/// How long one spins before whoever else wants the core has it: longer than who is awake takes to answer.
const STINT: Duration = Duration::from_micros(5);

/// Who gives way and has to wait for longer than this has left the core to somebody with work without end, who would have
/// it for a whole time slice each time.
const SHORT_WAIT: Duration = Duration::from_millis(1);

/// For how long one does not give way any more after that.
const KEEPS_CORE: Duration = Duration::from_millis(100);

/// Pauses after the first look, some hundred nanoseconds: what is looked for lies in a line that others write, and who looks all
/// the time takes it from them. Nobody who answers is sooner.
const BREATH: u32 = 10;

/// Looks between two looks at the clock.
const LOOKS: u32 = 8;

/// Looks again and again, for [`SPIN`].
pub(crate) fn spin<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    /// Of this process.
    static KEEPS_CORE_UNTIL: AtomicU64 = AtomicU64::new(0);
    spin_and_give_way(look, std::thread::yield_now, &KEEPS_CORE_UNTIL)
}

fn spin_and_give_way<T>(
    look: impl Fn() -> Option<T>,
    give_way: impl Fn(),
    keeps_core_until: &AtomicU64,
) -> Option<T> {
    if let Some(found) = look() {
        return Some(found);
    }
    let nanos = |span: Duration| span.as_nanos() as u64;
    let start = sys::monotonic_nanos();
    let end = start + nanos(SPIN);
    let mut gives_way_at = (start + nanos(STINT)).max(keeps_core_until.load(Ordering::Relaxed));
    for _ in 0..BREATH {
        std::hint::spin_loop();
    }
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = look() {
                return Some(found);
            }
            std::hint::spin_loop();
        }
        let now = sys::monotonic_nanos();
        if now >= end {
            return None;
        }
        if now >= gives_way_at {
            // Whoever had the core may have made what is looked for: there is another look before the end.
            give_way();
            let back = sys::monotonic_nanos();
            gives_way_at = back + nanos(STINT);
            if gives_way_at > now + nanos(SHORT_WAIT) {
                keeps_core_until.store(back + nanos(KEEPS_CORE), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// One spin may be over before it gives way, where others keep its core from it for so long; not each of many.
    #[test]
    fn a_spinner_gives_way_and_looks_once_more_however_long_that_took() {
        let mut n_given_way = 0;
        for _ in 0..100 {
            let is_made = Cell::new(false);
            let give_way = || {
                std::thread::sleep(SPIN);
                is_made.set(true);
            };
            let until = AtomicU64::new(0);
            let found = spin_and_give_way(|| is_made.get().then_some(()), give_way, &until);
            assert_eq!(found.is_some(), is_made.get());
            n_given_way += u32::from(is_made.get());
        }
        assert!(n_given_way > 0);
    }

    #[test]
    fn who_got_its_core_back_late_keeps_it_for_a_while() {
        let until = AtomicU64::new(0);
        let mut n_kept = 0;
        for _ in 0..100 {
            let (keeps_core_until, n_given_way) = (until.load(Ordering::Relaxed), Cell::new(0));
            let give_way = || {
                std::thread::sleep(2 * SHORT_WAIT);
                n_given_way.set(n_given_way.get() + 1);
            };
            spin_and_give_way(|| None::<()>, give_way, &until);
            if sys::monotonic_nanos() < keeps_core_until {
                assert_eq!(n_given_way.get(), 0);
                n_kept += 1;
            }
        }
        assert!(n_kept > 0);
    }
}
