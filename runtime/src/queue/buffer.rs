//! The buffer in which a thread writes its messages, one after the other: to have one from the allocator for each would cost
//! as much as the rest of a `put`.
//!
//! Responsible for lending it. Who does not give it back, a message that cannot be put say, leaves the next one to begin anew.

use std::cell::Cell;

/// A longer one is not kept, so a thread keeps no more than this.
const LONGEST: usize = 16 << 10;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's buffer, with or without something in it; a new one where it is lent, or the thread is about to end.
#[inline]
pub(super) fn lend() -> Vec<u8> {
    SPARE.try_with(Cell::take).unwrap_or_default()
}

#[inline]
pub(super) fn give_back(buffer: Vec<u8>) {
    if buffer.capacity() <= LONGEST {
        // A thread that is about to end needs none.
        let _ = SPARE.try_with(|spare| spare.set(buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_lent_at_a_time_and_a_long_one_is_not_kept() {
        give_back(Vec::with_capacity(100));
        let (first, second) = (lend(), lend());
        assert!(first.capacity() >= 100);
        assert_eq!(second.capacity(), 0);
        give_back(Vec::with_capacity(LONGEST + 1));
        assert_eq!(lend().capacity(), 0);
    }
}
