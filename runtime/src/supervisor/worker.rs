//! One worker as its supervisor sees it, and how it is ended.
//!
//! Responsible for the two signals of an end: SIGTERM, and SIGKILL when the grace is over; or SIGKILL at once. Not
//! responsible for whether a worker is to be ended ([`super::watch`], [`super::crew`]) nor for what its death means
//! ([`super::verdict`]).
//!
//! Invariants:
//! - Why a worker is ended is settled before the first signal and never changes, so its death in the grace, by whatever
//!   it comes, is the end that was meant for it.
//! - A worker that was asked to end is killed `grace` later, whatever it does with the request.
//! - A worker that somebody stopped where no item runs is killed after a second: it holds up what it has claimed, or could
//!   claim, and nothing else would end that.
//!
//! Man pages: `signal(7)`, `pidfd_send_signal(2)`.

use super::verdict::Cause;
use super::watch::{Running, Sight};
use crate::sys::{self, Pidfd};

/// How long a worker may stand still, in nanoseconds.
const STOPPED_FOR: u64 = 1_000_000_000;

pub(super) struct Worker {
    pub(super) pid: u32,
    pub(super) pidfd: Pidfd,
    pub(super) sight: Option<Sight>,
    /// Since when it has been seen to be stopped, whenever somebody looked.
    stopped_since: Option<u64>,
    /// Why this supervisor ends it.
    ended_for: Option<Cause>,
    /// When it is killed, once it was asked to end.
    kill_at: Option<u64>,
}

impl Worker {
    pub(super) fn new(pid: u32, pidfd: Pidfd) -> Self {
        Self {
            pid,
            pidfd,
            sight: None,
            stopped_since: None,
            ended_for: None,
            kill_at: None,
        }
    }

    pub(super) fn ended_for(&self) -> Option<Cause> {
        self.ended_for
    }

    pub(super) fn kill_at(&self) -> Option<u64> {
        self.kill_at
    }

    /// Ends the worker for what it runs, unless that is over by now.
    pub(super) fn end(&mut self, running: &Running<'_>, cause: Cause, grace: u64) {
        if running.row.progress.guard.condemn(running.this_try) {
            self.terminate(cause, grace);
        }
    }

    /// Asks the worker to end and has it killed `grace` nanoseconds later; at once where that is 0.
    pub(super) fn terminate(&mut self, cause: Cause, grace: u64) {
        if grace == 0 {
            return self.kill(cause);
        }
        if self.ended_for.is_none() {
            self.ended_for = Some(cause);
            self.kill_at = Some(sys::monotonic_nanos().saturating_add(grace));
            self.send(sys::SIGTERM);
            // One that is stopped would not learn of it.
            self.send(sys::SIGCONT);
        }
    }

    /// Kills the worker if it is stopped, and was at every look of the last second.
    pub(super) fn kill_if_stopped(&mut self, now: u64) {
        if !self.pidfd.is_stopped() {
            self.stopped_since = None;
        } else if now.saturating_sub(*self.stopped_since.get_or_insert(now)) >= STOPPED_FOR {
            self.kill(Cause::Signal(sys::SIGKILL));
        }
    }

    pub(super) fn kill(&mut self, cause: Cause) {
        self.ended_for.get_or_insert(cause);
        self.kill_at = None;
        self.send(sys::SIGKILL);
    }

    /// Kills the worker if its grace is over.
    pub(super) fn kill_if_due(&mut self, now: u64) {
        if let Some(cause) = self.ended_for
            && self.kill_at.is_some_and(|at| at <= now)
        {
            self.kill(cause);
        }
    }

    fn send(&self, signal: i32) {
        // Failure means that it has ended by itself.
        let _ = self.pidfd.kill(signal);
    }
}
