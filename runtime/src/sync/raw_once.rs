//! Something that is done once, in shared memory; who does it may be killed.
//!
//! Responsible for: it is done by one at a time, and never again when it is done; how one left who did not come to its end
//! is told until another has. Not responsible for what is done.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `lock` | held by who does it, and for a moment by who looks whether it is done | | told to the next |
//! | `state` | [`NEW`], [`RUNNING`], [`COMPLETE`]; [`DIED`] or [`PANICKED`]: one has not come to the end | its holder | RUNNING, and nobody runs: the next holder makes it one of the last two |

use std::time::Instant;

use crate::board::{AtomicU32, Ordering};
use crate::sync::{Acquired, NotAcquired, RawLock};

const NEW: u32 = 0;
const RUNNING: u32 = 1;
const COMPLETE: u32 = 2;
const DIED: u32 = 3;
const PANICKED: u32 = 4;

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawOnce {
    lock: RawLock,
    state: AtomicU32,
    _unused: AtomicU32,
}

/// The right to do it, which the caller of [`RawOnce::enter`] has until it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is done, and there is nothing to leave.
    Complete,
    /// It is the caller's turn; how the last one left who had it.
    Own(Acquired),
}

impl RawOnce {
    pub(crate) fn is_complete(&self) -> bool {
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until it is done, or nobody does it.
    pub(crate) fn enter(&self, deadline: Option<Instant>) -> Result<Turn, NotAcquired> {
        if self.is_complete() {
            return Ok(Turn::Complete);
        }
        let acquired = self.lock.acquire(deadline)?;
        let left = match self.state.load(Ordering::Acquire) {
            COMPLETE => {
                self.leave();
                return Ok(Turn::Complete);
            }
            NEW => Acquired::Clean,
            PANICKED => Acquired::Poisoned,
            RUNNING if acquired != Acquired::OwnerDied => {
                self.state.store(PANICKED, Ordering::Relaxed);
                Acquired::Poisoned
            }
            // A number that nobody writes, too, is told as a death.
            _ => {
                self.state.store(DIED, Ordering::Relaxed);
                Acquired::OwnerDied
            }
        };
        Ok(Turn::Own(left))
    }

    /// For who has the turn.
    pub(crate) fn begin(&self) {
        self.state.store(RUNNING, Ordering::Relaxed);
    }

    /// It is done. Not by a process that was forked meanwhile: that never had the turn.
    pub(crate) fn complete(&self) {
        if self.lock.is_held_by_this_thread() {
            self.state.store(COMPLETE, Ordering::Release);
        }
    }

    /// Gives the turn to the next.
    pub(crate) fn leave(&self) {
        self.lock.release(false);
    }
}
