//! When every message has been dealt with: `task_done` and `join` on a ring.
//!
//! Responsible for knowing that all is done, and for waiting until it is. Who has what is counted by [`takers`](super::takers).

use std::time::{Duration, Instant};

use super::error::QueueError;
use super::ring::Ring;
use crate::board::{Ordering, fence};
use crate::sync::Vigil;

impl Ring {
    pub(super) fn task_done(&self) -> Result<(), QueueError> {
        let takers = self.takers();
        if !takers.done() {
            return Err(QueueError::NoTask);
        }
        // SeqCst: of two who are done with the last ones at once, one sees both.
        fence(Ordering::SeqCst);
        if self.is_all_done() {
            takers.notice.announce_all();
        }
        Ok(())
    }

    /// Whether nothing waits, and everything is done that was got.
    fn is_all_done(&self) -> bool {
        // What is got between the two looks was put between them too, and then the tail is another.
        let before = self.positions();
        before.0.to(before.1).messages == 0
            && self.takers().are_done()
            && self.positions() == before
    }

    pub(super) fn join(&self, timeout: Option<Duration>) -> Result<bool, QueueError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let takers = self.takers();
        let told = takers.told();
        let mut vigil = Vigil::until(deadline);
        loop {
            let seen = takers.notice.seen();
            let is_all_done = self.is_all_done();
            match takers.lost_since(told) {
                0 => {}
                n => return Err(QueueError::TasksLost { n: n as usize }),
            }
            if is_all_done {
                return Ok(true);
            }
            if vigil.asks() && self.write_off_the_dead(deadline) {
                continue;
            }
            if vigil.is_over() {
                return Ok(false);
            }
            takers.notice.wait(seen, Some(vigil.nap()));
        }
    }

    fn write_off_the_dead(&self, deadline: Option<Instant>) -> bool {
        let held = self.hold_getters(deadline);
        held.is_some_and(|_held| self.takers().write_off_the_dead())
    }
}
