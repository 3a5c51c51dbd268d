//! The cells of a task's room, as the worker fills them whose results all have the same size.
//!
//! Responsible for: that they lie on the board is checked once for all of them, not for each result. Where they lie is
//! [`super::room`]'s to say.
//!
//! # Safety
//!
//! [`Cells`] are made where they lie on the board's mapping, and borrow that. Bytes are copied in by a raw pointer.
#![expect(
    unsafe_code,
    reason = "a pointer into a shared mapping; see `# Safety` above"
)]

use std::marker::PhantomData;

use super::{Board, Room};

/// See the module's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells<'board> {
    start: *mut u8,
    n_cells: usize,
    cell_len: usize,
    board: PhantomData<&'board Board>,
}

impl Board {
    /// The cells of a room; none where they do not lie on the board.
    #[inline]
    pub(crate) fn cells(&self, room: &Room) -> Cells<'_> {
        let (start, n_cells) = match self.pointer(room.cells(room.n_items)) {
            Some(start) => (start, room.n_items as usize),
            None => (std::ptr::null_mut(), 0),
        };
        Cells {
            start,
            n_cells,
            cell_len: room.cell_len as usize,
            board: PhantomData,
        }
    }
}

impl Cells<'_> {
    /// Copies a result to its place; false where there is none, or of another size.
    #[inline]
    pub(crate) fn write(&self, place: usize, result: &[u8]) -> bool {
        if place >= self.n_cells || result.len() != self.cell_len {
            return false;
        }
        // SAFETY:
        // - `place` is one of the cells, which lie one behind the other within the mapping.
        // - Only an address is computed; no process's memory is touched.
        let to = unsafe { self.start.add(place * self.cell_len) };
        // SAFETY:
        // - `to` is valid for as many bytes as `result` has; that is private memory, so they do not overlap.
        // - The cells are those of the task that this process, a worker, holds: no other one touches them before the
        //   task is over.
        unsafe { std::ptr::copy_nonoverlapping(result.as_ptr(), to, result.len()) };
        true
    }
}
