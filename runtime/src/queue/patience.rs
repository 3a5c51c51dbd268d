//! How long a call on a queue waits, and the waiting.
//!
//! Invariants: a wait ends with success, with an error, or not before its time. Nobody sleeps for more than [`BACKSTOP`] at a
//! stretch: who was killed between a put and its announcement has announced nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::error::QueueError;
use crate::sync::Notice;

/// The longest sleep without a look.
const BACKSTOP: Duration = Duration::from_millis(100);

/// How often a waiting thread looks before it sleeps, where another core could meanwhile do what it waits for.
const N_LOOKS: u32 = 100;

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

    /// Attempts again and again; `is_worth_it` says without a lock whether the next one may have success.
    #[inline]
    pub(super) fn wait<R>(
        self,
        notice: &Notice,
        mut attempt: impl FnMut() -> Result<Option<R>, QueueError>,
        is_worth_it: impl Fn() -> bool,
    ) -> Result<Option<R>, QueueError> {
        // Mostly there is nothing to wait for, and so no word to fetch that the other side writes.
        match attempt()? {
            Some(result) => Ok(Some(result)),
            None => self.wait_on(notice, attempt, is_worth_it),
        }
    }

    #[cold]
    fn wait_on<R>(
        self,
        notice: &Notice,
        mut attempt: impl FnMut() -> Result<Option<R>, QueueError>,
        is_worth_it: impl Fn() -> bool,
    ) -> Result<Option<R>, QueueError> {
        loop {
            let seen = notice.seen();
            if let Some(result) = attempt()? {
                return Ok(Some(result));
            }
            let left = match self {
                Self::None => Duration::ZERO,
                Self::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
                Self::Endless => BACKSTOP,
            };
            if left.is_zero() {
                return Ok(None);
            }
            if !look_awhile(&is_worth_it) {
                notice.wait(seen, Some(left.min(BACKSTOP)));
            }
        }
    }
}

fn look_awhile(is_ready: impl Fn() -> bool) -> bool {
    /// 0: not known yet. No `OnceLock`: a process may be forked while another thread asks.
    static N_CORES: AtomicUsize = AtomicUsize::new(0);
    let mut n_cores = N_CORES.load(Ordering::Relaxed);
    if n_cores == 0 {
        n_cores = thread::available_parallelism().map_or(1, usize::from);
        N_CORES.store(n_cores, Ordering::Relaxed);
    }
    let look = |_| {
        std::hint::spin_loop();
        is_ready()
    };
    n_cores > 1 && (0..N_LOOKS).any(look)
}
