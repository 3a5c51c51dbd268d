//! The list of a task's items that failed.
//!
//! Written by the worker for its own items, and by the supervisor for those of a worker that died; never by both at a time.
//!
//! An item has one fault, or none. Where a worker died after it wrote one and before it counted the item, the
//! supervisor's verdict takes its place; where the item is tried again, the fault is taken back.

use crate::board::{AtomicU64, Board, Fault, Ordering, Room, Span, TaskRow};

/// Adds a fault to a task's list: the worker for its own items, the supervisor for a dead worker's.
pub(crate) fn write_fault(board: &Board, row: &TaskRow, fault: Fault) {
    let Some(faults) = Faults::of(board, row) else {
        return;
    };
    let place = faults.last_of(fault.item).unwrap_or_else(|| faults.len());
    if let Some(words) = faults.words(place) {
        for (word, value) in words.iter().zip(fault.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: pairs with the acquire of `done` or of the state, which is written after it.
        row.progress.n_faults.store(place + 1, Ordering::Release);
    }
}

/// Takes an item's fault back, if it has one: its worker died before it counted the item, which is to be tried again.
pub(crate) fn take_back_fault(board: &Board, row: &TaskRow, item: u32) {
    if let Some(place) = Faults::of(board, row).and_then(|faults| faults.last_of(item)) {
        // Release: as above.
        row.progress.n_faults.store(place, Ordering::Release);
    }
}

struct Faults<'board> {
    board: &'board Board,
    row: &'board TaskRow,
    room: Span,
    n_items: u32,
}

impl<'board> Faults<'board> {
    /// `None` where the row names no room on the board: no process of ours wrote it.
    fn of(board: &'board Board, row: &'board TaskRow) -> Option<Self> {
        let room = row.room();
        board.layout().is_for_tasks(room).then(|| Self {
            board,
            row,
            room,
            n_items: row.n_items.load(Ordering::Relaxed),
        })
    }

    fn len(&self) -> u32 {
        let n_faults = self.row.progress.n_faults.load(Ordering::Relaxed);
        n_faults.min(self.n_items)
    }

    fn words(&self, place: u32) -> Option<&'board [AtomicU64; 4]> {
        let span = Room::new(self.room, self.n_items, None).fault(place);
        let words = self.board.words::<4>(span.offset)?;
        self.room.contains(span).then_some(words)
    }

    /// The place of the last fault, where that is this item's.
    fn last_of(&self, item: u32) -> Option<u32> {
        let place = self.len().checked_sub(1)?;
        let words = self.words(place)?;
        let fault = Fault::from_words(words.each_ref().map(|word| word.load(Ordering::Relaxed)))?;
        (fault.item == item).then_some(place)
    }
}
