//! Waiting for others who may die: how long, and when to ask who of them still lives.
//!
//! Responsible for the times, and for entering a lock that is held for a moment only. Not responsible for what is
//! waited for, nor for what a death means.
//!
//! Asking costs microseconds for each process asked after, so it is done by the clock: first after [`FIRST_PAUSE`],
//! then ever more seldom, and once more before a wait is given up. So no wait ends in vain for a process that was dead
//! when its time was over, and every death is known to a waiter after [`LONGEST_PAUSE`].

use std::time::{Duration, Instant};

use crate::sync::{Acquired, NotAcquired, RawLock};
use crate::sys::monotonic_nanos;

/// In nanoseconds, as below.
const FIRST_PAUSE: u64 = 500_000;
const LONGEST_PAUSE: u64 = if cfg!(loom) { FIRST_PAUSE } else { 64_000_000 };

/// One wait.
#[derive(Debug)]
pub(crate) struct Vigil {
    deadline: Option<Instant>,
    /// The last look at the clock has found the time over.
    is_over: bool,
    pause: u64,
    next_look: u64,
}

impl Vigil {
    /// Until that moment; without one, as long as it takes.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        Self {
            deadline,
            is_over: false,
            pause: FIRST_PAUSE,
            next_look: monotonic_nanos() + FIRST_PAUSE,
        }
    }

    /// Looks at the clock: whether it is time to ask who of the others lives.
    pub(crate) fn asks(&mut self) -> bool {
        let now = monotonic_nanos();
        self.is_over = self.deadline.is_some_and(|at| Instant::now() >= at);
        let asks = self.is_over || now >= self.next_look;
        if asks {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            self.next_look = now + self.pause;
        }
        asks
    }

    /// Whether the time was over when [`asks`](Self::asks) looked.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// How long to sleep at the most: until the next look, or the end.
    pub(crate) fn nap(&self) -> Duration {
        let nap = Duration::from_nanos(self.next_look.saturating_sub(monotonic_nanos()));
        let left = self
            .deadline
            .map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(nap, |left| left.min(nap))
    }
}

/// Locks words that take more than one step to change: for a moment, so that nobody counts the time.
pub(crate) fn enter(lock: &RawLock) -> Acquired {
    loop {
        match lock.acquire(None) {
            Ok(how) => return how,
            // Nobody calls while it is inside, so a process gone mad has written that.
            Err(NotAcquired::AlreadyHeld) => return Acquired::OwnerDied,
            // Without a deadline nothing times out.
            Err(NotAcquired::TimedOut) => {}
        }
    }
}
