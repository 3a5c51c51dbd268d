//! One wait for the outcomes of several boards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatch;
use super::waiting::LIVENESS;
use crate::board::Board;
use crate::supervisor::Link;

/// As [`Dispatch::wait_until_or`], for all of these together: sleeps until `ready`, taking in all that arrives on any of
/// them, but not longer than `timeout`; returns whether it was ready. Ends too when nothing more can arrive.
pub(crate) fn wait_for_any(
    dispatches: &[Arc<Dispatch>],
    ready: impl Fn() -> bool,
    timeout: Option<Duration>,
) -> bool {
    if let [dispatch] = dispatches {
        return dispatch.wait_until_or(ready, timeout);
    }
    let drained_ready = || {
        dispatches.iter().for_each(|dispatch| dispatch.drain());
        ready()
    };
    // Later than the clock can tell is never.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let boards: Vec<&Board> = dispatches.iter().map(|one| one.board()).collect();
    loop {
        if drained_ready() {
            return true;
        }
        for dispatch in dispatches {
            dispatch.see_what_ended(Link::is_dead);
            dispatch.audit_if_due();
        }
        if ready() || dispatches.iter().all(|one| one.gone().is_some()) {
            return ready();
        }
        let left = deadline.map_or(LIVENESS, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        if left.is_zero() {
            return false;
        }
        Board::sleep_caller_of_any(&boards, left.min(LIVENESS), drained_ready);
    }
}
