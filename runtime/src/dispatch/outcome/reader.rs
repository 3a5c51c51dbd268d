//! Copying what a worker says are results and faults off the board, into private memory and within reason.
//!
//! Decodes nothing; that is done with the copy.

use std::ops::Range;

use super::{Remembered, Results};
use crate::board::{Board, Cell, Fault, Ordering, Progress, Room, Span, TaskId, is_block_of};
use crate::sys;

/// Copies what a worker says are results into private memory, within reason.
pub(super) struct Reader<'board> {
    board: &'board Board,
    id: TaskId,
    room: Span,
    /// Bytes that may still be copied.
    left: u64,
    has_asked: bool,
}

impl<'board> Reader<'board> {
    /// Copied without a question.
    const SMALL: u64 = 64 << 20;

    pub(super) fn new(board: &'board Board, id: TaskId, room: Span) -> Self {
        Self {
            board,
            id,
            room,
            left: Self::SMALL,
            has_asked: false,
        }
    }

    pub(super) fn read(
        &mut self,
        room: &Room,
        task: &Remembered,
        done: u32,
        faults: &[(Fault, Vec<u8>)],
        mut bytes: Vec<u8>,
    ) -> Results {
        let Some(len) = task.fixed_output else {
            let mut faults = faults.iter().map(|(fault, _)| fault.item).peekable();
            let mut place = |item| {
                while faults.next_if(|&failed| failed < item).is_some() {}
                // Nobody has written the cell of an item that failed: an older task's bytes are still there.
                let has_failed = faults.peek() == Some(&item);
                (!has_failed)
                    .then(|| self.read_result(room.cell(item), &mut bytes))
                    .flatten()
            };
            let places = (0..done).map(&mut place).collect();
            return Results::Anywhere { places, bytes };
        };
        self.board.read_into(room.cells(done), &mut bytes);
        Results::Fixed { len, bytes }
    }

    /// Copies the result that a cell points to; `None` for a cell that points to no place of results.
    fn read_result(&mut self, cell: Span, bytes: &mut Vec<u8>) -> Option<Range<usize>> {
        let words = self.board.words::<2>(cell.offset)?;
        let [offset, len]: Cell = words.each_ref().map(|word| word.load(Ordering::Relaxed));
        // The codec aligns plain data relative to the start of the stream, and reads it faster there.
        bytes.resize(bytes.len().next_multiple_of(16), 0);
        let start = bytes.len();
        self.copy(Span::new(offset, len), bytes)
            .then_some(start)
            .map(|start| start..bytes.len())
    }

    /// Appends bytes from a place of results.
    ///
    /// A worker gone mad may point to gigabytes that nobody wrote, or to the same ones again and again: their copies,
    /// and the pages that reading brings into being, must not take memory that is not there.
    fn copy(&mut self, span: Span, to: &mut Vec<u8>) -> bool {
        if !self.room.contains(span) && !is_block_of(self.board, self.id, span) {
            return false;
        }
        if span.len > self.left && !self.has_asked {
            self.has_asked = true;
            self.left = (sys::available_memory() / 2).saturating_sub(Self::SMALL - self.left);
        }
        if span.len > self.left {
            return false;
        }
        self.left -= span.len;
        self.board.read_into(span, to)
    }

    pub(super) fn read_faults(
        &mut self,
        room: &Room,
        n_items: u32,
        progress: &Progress,
    ) -> Vec<(Fault, Vec<u8>)> {
        let n_faults = progress.n_faults.load(Ordering::Relaxed).min(n_items);
        let mut faults: Vec<_> = (0..n_faults)
            .filter_map(|place| self.read_fault(room.fault(place)))
            .collect();
        faults.sort_by_key(|(fault, _)| fault.item);
        faults
    }

    fn read_fault(&mut self, span: Span) -> Option<(Fault, Vec<u8>)> {
        let words = self.board.words::<4>(span.offset)?;
        let fault = Fault::from_words(words.each_ref().map(|word| word.load(Ordering::Relaxed)))?;
        let mut payload = Vec::new();
        self.copy(fault.payload, &mut payload);
        Some((fault, payload))
    }
}
