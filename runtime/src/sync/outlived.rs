//! Locks that a guard outlives: the last handle in this process goes, and the guard stays.
//!
//! Responsible for keeping such a block until the guard lets go. So a guard need not own its block, which would cost as much
//! as the lock itself: to count a reference up and down is two locked instructions, too.
//!
//! Invariants:
//! - While a block is kept, its lock is held in this process and marked as contended, or somebody who has let go of it is on
//!   the way to [`look_behind`] itself.
//! - Who lets go of a lock on which others may wait still rings its bell afterwards. So it does both under the mutex here, and
//!   a last handle that goes looks under the mutex whether the lock is held: the bell is rung before the place of the lock
//!   is free for others. Who lets go while nobody waits does not touch the lock afterwards.

use std::ptr;
use std::sync::{Arc, Mutex};

use super::RawLock;
use crate::shared::Block;
use crate::sys::{PerProcess, lock};

static KEPT: PerProcess<Mutex<Vec<Arc<Block>>>> = PerProcess::new();

/// For who drops a handle: has the block with this lock kept, by a reference that `refer` makes, if this process holds the
/// lock and the block is not kept already. False where there was no need.
pub(crate) fn keep_while_held(raw_lock: &RawLock, refer: impl FnOnce() -> Arc<Block>) -> bool {
    let mut kept = lock(KEPT.get());
    let is_needed = raw_lock.mark_for_holder_here() && place_of(raw_lock, &kept).is_none();
    if is_needed {
        kept.push(refer());
    }
    is_needed
}

/// For a guard on whose lock others may wait.
#[cold]
pub(super) fn release(raw_lock: &RawLock, by_panic: bool) {
    let kept = lock(KEPT.get());
    raw_lock.release(by_panic);
    drop(kept);
    look_behind(raw_lock);
}

/// Lets the block go whose lock this was, if it is kept, unless this process holds the lock again.
pub(super) fn look_behind(raw_lock: *const RawLock) {
    let mut kept = lock(KEPT.get());
    let is_over = |block: &Arc<Block>| !block.words::<RawLock>(0).mark_for_holder_here();
    let place = place_of(raw_lock, &kept).filter(|place| is_over(&kept[*place]));
    let released = place.map(|place| kept.swap_remove(place));
    drop(kept);
    drop(released);
}

/// Compares addresses only: there may be nothing at this one any more.
fn place_of(raw_lock: *const RawLock, blocks: &[Arc<Block>]) -> Option<usize> {
    let is_its = |block: &Arc<Block>| ptr::eq(block.words(0), raw_lock);
    blocks.iter().position(is_its)
}

/// Keeps all who let go of a contended lock, and all last handles, waiting.
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
pub(crate) fn hold_up<R>(meanwhile: impl FnOnce() -> R) -> R {
    let _kept = lock(KEPT.get());
    meanwhile()
}
