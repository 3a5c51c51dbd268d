//! Locks that a guard outlives: the last handle in this process goes, and the guard stays.
//!
//! Responsible for keeping such a block until the guard lets go. So a guard need not own its block, which would cost as much
//! as the lock itself: to count a reference up and down is two locked instructions, too.
//!
//! Invariant: while a block is kept, its lock is held in this process and marked as contended, or somebody who has let go of
//! it is on the way to [`look_at`] it.

use std::ptr;
use std::sync::{Arc, Mutex};

use super::RawLock;
use crate::shared::Block;
use crate::sys::{PerProcess, lock};

static KEPT: PerProcess<Mutex<Vec<Arc<Block>>>> = PerProcess::new();

/// Keeps the block while this process holds the lock at its beginning.
#[cold]
pub(crate) fn keep(block: Arc<Block>) {
    let mut kept = lock(KEPT.get());
    // Another reference to it does as well.
    let is_new = place_of(block.words(0), &kept).is_none();
    if is_new {
        kept.push(Arc::clone(&block));
    }
    drop(kept);
    look_at(block.words(0));
}

/// Lets the block go whose lock this is, if it is kept, unless this process holds the lock.
#[cold]
pub(super) fn look_at(raw_lock: &RawLock) {
    let mut kept = lock(KEPT.get());
    let place = place_of(raw_lock, &kept).filter(|_| !raw_lock.mark_for_holder_here());
    let released = place.map(|place| kept.swap_remove(place));
    drop(kept);
    drop(released);
}

fn place_of(raw_lock: &RawLock, blocks: &[Arc<Block>]) -> Option<usize> {
    let is_its = |block: &Arc<Block>| ptr::eq(block.words(0), raw_lock);
    blocks.iter().position(is_its)
}
