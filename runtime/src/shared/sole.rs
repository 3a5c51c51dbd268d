//! Being alone with an array, and what only then is done to it.
//!
//! Responsible for saying who else has an array that is to be frozen or divided. It is a courtesy to the user, whose other
//! handles would go stale: that these touch nothing then is seen to by the state of the array, see [`layout`].

use std::sync::Arc;

use super::block::Block;
use super::layout::{self, State};
use crate::error::Error;
use crate::sync::{Acquired, NotAcquired, RawLock};
use crate::sys;

/// Takes an array that is shared, since `generation`, to its next state, if nobody else has anything of it.
pub(super) fn change(
    block: Arc<Block>,
    generation: u64,
    doing: &str,
    next: State,
) -> Result<Arc<Block>, Error> {
    let refused = |why: String| Error::invalid_input(format!("cannot {doing} this array: {why}"));
    let block = match block.is_ours() {
        true => block,
        false => layout::in_this_process(&block)?,
    };
    let lock = layout::lock(&block);
    let acquired = lock
        .try_acquire()
        .map_err(|why| refused(who_holds(lock, why)))?;
    let why_not = if layout::state(&block) != State::shared(generation) {
        Some("it was frozen or divided into chunks meanwhile".to_owned())
    } else {
        who_else_has(&block)
    };
    if why_not.is_none() {
        layout::set_state(&block, next);
    }
    // Those who still have the array are told that it may be in the middle of a change.
    lock.release(why_not.is_some() && acquired != Acquired::Clean);
    match why_not {
        Some(why) => Err(refused(why)),
        None => Ok(block),
    }
}

fn who_holds(lock: &RawLock, why: NotAcquired) -> String {
    match (why, lock.holder()) {
        (NotAcquired::AlreadyHeld, _) => "this thread has its guard".to_owned(),
        (NotAcquired::TimedOut, Some(pid)) if pid == sys::pid() => {
            "another thread has it locked".to_owned()
        }
        (NotAcquired::TimedOut, Some(pid)) => format!("process {pid} has it locked"),
        (NotAcquired::TimedOut, None) => "somebody has it locked".to_owned(),
    }
}

/// Whether a block is known to anybody beside the caller, who has one reference to it: in this process, in another, or by a
/// name that is on its way.
pub(super) fn has_others(block: &Arc<Block>) -> bool {
    // The names first: one that is read between two looks has a holder before it is no name any more.
    block.is_in_transit() || who_else_has(block).is_some()
}

/// Who keeps the caller from being alone with an array of which it has one reference.
fn who_else_has(block: &Arc<Block>) -> Option<String> {
    if Arc::strong_count(block) > 1 {
        return Some(
            "this process has another handle of it, or has given one to a job that is not over"
                .to_owned(),
        );
    }
    if let Some(pid) = block.other_holder() {
        return Some(format!("process {pid} still has a handle of it"));
    }
    block
        .is_in_transit()
        .then(|| "a handle of it is on its way, in a queue or in a result".to_owned())
}
