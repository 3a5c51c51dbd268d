//! An item that failed on its task's list of faults.
//!
//! Written by the worker for its own items, and by the supervisor for those of a worker that died; never by both at a time.

use crate::board::{Board, Fault, Ordering, Room, Span, TaskRow};

/// Adds a fault to a task's list: the worker for its own items, the supervisor for a dead worker's.
///
/// An item has one fault. Where a worker died after it wrote one and before it counted the item, the
/// supervisor's verdict takes its place.
pub(crate) fn write_fault(board: &Board, row: &TaskRow, fault: Fault) {
    let n_items = row.n_items.load(Ordering::Relaxed);
    let room = Span::new(
        row.room_offset.load(Ordering::Relaxed),
        row.room_len.load(Ordering::Relaxed),
    );
    if !board.layout().arena().contains(room) {
        return;
    }
    let faults = Room::new(room, n_items, None);
    let n_faults = row.progress.n_faults.load(Ordering::Relaxed).min(n_items);
    let words_at = |place: u32| {
        let span = faults.fault(place);
        let words = board.words::<4>(span.offset)?;
        room.contains(span).then_some(words)
    };
    let last = n_faults.checked_sub(1).filter(|&last| {
        let words =
            words_at(last).map(|words| words.each_ref().map(|word| word.load(Ordering::Relaxed)));
        words
            .and_then(Fault::from_words)
            .is_some_and(|old| old.item == fault.item)
    });
    if row.ends_at_fault.load(Ordering::Relaxed) != 0 {
        row.progress.stop.store(1, Ordering::Relaxed);
    }
    let place = last.unwrap_or(n_faults);
    if let Some(words) = words_at(place) {
        for (word, value) in words.iter().zip(fault.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: pairs with the acquire of `done` or of the state, which is written after it.
        row.progress.n_faults.store(place + 1, Ordering::Release);
    }
}
