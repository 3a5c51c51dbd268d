//! How a caller waits, and how it learns that there is nothing more to wait for.
//!
//! Whoever waits takes in all that arrives, for whomever (rule 2 of [`super`]), looks after the supervisor, and audits the board.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatch;
use super::outcome::Rest;
use crate::board::{self, Ordering};
use crate::supervisor::{Link, Request, SUPERVISOR_GONE, lock};
use crate::sys;

/// How long a caller sleeps before it looks whether the supervisor is still there.
pub(super) const LIVENESS: Duration = Duration::from_millis(100);

/// Why a pool is given up whose board says what neither this program nor a worker that keeps to the protocol wrote there.
const WRITTEN_OVER: &str = "a job has written over the pool's shared memory";

impl Dispatch {
    /// Sleeps until `ready`, taking in all that arrives. Ends too when nothing more can arrive.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        self.wait_until_or(ready, None);
    }

    /// As [`wait_until`](Self::wait_until), but gives up after `timeout`; returns whether it was ready.
    pub(crate) fn wait_until_or(
        &self,
        ready: impl Fn() -> bool,
        timeout: Option<Duration>,
    ) -> bool {
        let drained_ready = || {
            self.drain();
            ready()
        };
        let ready_or_drained = || ready() || self.has_finished() && drained_ready();
        if drained_ready() || timeout != Some(Duration::ZERO) && self.spin_until(ready_or_drained) {
            return true;
        }
        let deadline = timeout.map(|timeout| Instant::now().checked_add(timeout));
        loop {
            if drained_ready() {
                return true;
            }
            self.see_what_ended(Link::is_dead);
            self.audit_if_due();
            if ready() || lock(&self.desk).gone.is_some() {
                return ready();
            }
            let left = match deadline.flatten() {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => LIVENESS,
            };
            if left.is_zero() {
                return false;
            }
            self.board.sleep_caller(left.min(LIVENESS), drained_ready);
        }
    }

    /// Looks for a moment without sleeping, where workers are awake and leave a core for that.
    fn spin_until(&self, ready: impl Fn() -> bool) -> bool {
        let n_cores = sys::n_cores() as usize;
        let n_working = lock(&self.desk).n_working(self.n_workers());
        (1..n_cores).contains(&n_working) && board::spin(|| ready().then_some(())).is_some()
    }

    /// Why no further task is taken, if so.
    pub(crate) fn gone(&self) -> Option<Arc<str>> {
        lock(&self.desk).gone.clone()
    }

    /// Whether the crew is of no use any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.see_what_ended(Link::is_dead);
        lock(&self.desk).gone.is_some()
    }

    /// The supervisor's death, or a crew that cannot start, is the end of every task. For those who come often and wait
    /// for nothing: a death of less than a moment ago is seen by whoever waits.
    pub(crate) fn look_after_supervisor(&self) {
        self.see_what_ended(Link::is_dead_by_now);
    }

    pub(super) fn see_what_ended(&self, is_dead: impl FnOnce(&Link) -> bool) {
        if is_dead(&self.link) {
            self.give_up(&Rest::Lost(SUPERVISOR_GONE.into()), SUPERVISOR_GONE);
        } else if self.board.header().broken.load(Ordering::Acquire) != 0 {
            let mut cause = self.board.header().cause.read();
            if cause.is_empty() {
                // No supervisor said that.
                WRITTEN_OVER.clone_into(&mut cause);
            }
            self.give_up(&Rest::Lost(cause.as_str().into()), &cause);
        }
    }

    /// See [`audit`].
    pub(super) fn audit_if_due(&self) {
        let findings = lock(&self.desk).audit_if_due(&self.board, self.n_workers());
        if self.has_dormant && findings.any_waiting {
            // Who was counted on may be stopped, and the number of those that could be had instead written over.
            self.link.tell(Request::Rouse { crew: self.crew });
        }
        if findings.is_written_over {
            self.give_up(&Rest::Lost(WRITTEN_OVER.into()), WRITTEN_OVER);
            // Failure means that the supervisor is gone, and its workers with it.
            let _ = self.stop(true);
        } else if findings.any_timeout || findings.any_task && self.limits.are_watched() {
            // The word that says so may have been written over.
            self.link.tell(Request::Watch { crew: self.crew });
        }
    }

    /// No task is taken from now on, and each one on the board is answered with `rest`.
    pub(super) fn give_up(&self, rest: &Rest, reason: &str) {
        self.drain();
        lock(&self.desk).give_up(&self.board, rest, reason);
        self.board.wake_callers();
    }
}
