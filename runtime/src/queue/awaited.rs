//! What one side of a queue waits for the other to do, and lying down to sleep until it is done.
//!
//! Responsible for one half of this bargain: who announces does so only where somebody sleeps, and so looks for sleepers under the lock
//! under which it has made its change; who lies down does so under that lock too. Of two turns under one lock one comes first:
//! either the announcer sees the sleeper, or the sleeper's last look, which follows, sees the change. An announcement by
//! one atomic addition for each message would cost more than writing the message.

use std::time::Instant;

use super::layout::{Held, Lock};
use super::ring::Ring;
use crate::board::AtomicU32;
use crate::sync::Notice;

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited<'q> {
    /// Under which the other side makes its changes.
    lock: &'q Lock,
    /// The other side's.
    notice: &'q Notice,
    /// The waiting side's, see [`patience`](super::patience).
    pub(super) rhythm: &'q AtomicU32,
}

impl<'q> Awaited<'q> {
    #[inline]
    pub(super) fn of(lock: &'q Lock, notice: &'q Notice, rhythm: &'q AtomicU32) -> Self {
        Self {
            lock,
            notice,
            rhythm,
        }
    }

    /// Getters wait for these.
    #[inline]
    pub(super) fn messages(ring: &'q Ring) -> Self {
        let shared = ring.shared();
        Self::of(
            &shared.putters.lock,
            ring.arrivals(),
            &shared.getters.rhythm,
        )
    }

    /// Putters wait for it where the queue is bounded.
    #[inline]
    pub(super) fn room(ring: &'q Ring) -> Self {
        let shared = ring.shared();
        Self::of(
            &shared.getters.lock,
            ring.departures(),
            &shared.putters.rhythm,
        )
    }

    /// As [`Notice::lie_down`]; a last look has to follow, and then a sleep on what this gives and on nothing else: see
    /// [`Notice::has_sleepers`]. Where another has the lock until the deadline, stopped perhaps, its change may go unannounced.
    pub(crate) fn lie_down(self, deadline: Option<Instant>) -> Option<(&'q AtomicU32, u32)> {
        let held = Held::acquire(self.lock, deadline);
        let bed = self.notice.lie_down();
        if let Some(held) = held {
            held.release_as_it_was();
        }
        bed
    }

    /// See [`Notice::pass_on`].
    pub(crate) fn pass_wake_on(self) {
        self.notice.pass_on();
    }
}
