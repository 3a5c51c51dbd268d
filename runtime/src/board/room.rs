//! The room of a task: where its results and faults go. Reserved together with the task, so that a verdict
//! always has its place.
//!
//! ```text
//! n cells | heap | n faults of 32 bytes
//! ```
//!
//! Where every result has the same size (numbers), a *cell* is the result itself. Otherwise it says where
//! the result's bytes lie: in the heap while that lasts, then in the region of the worker that made them.
//! A *fault* is an item that has no result; faults are listed in the order of their items, so that a map
//! without failures neither writes nor reads any. The cells come first, behind the task's input: both of a small task lie
//! in one cache line, the pocket of its row ([`super::task::Pocket`]).

use super::{Span, round_up};

/// Where the parts of a room lie on the board.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    span: Span,
    pub(super) n_items: u32,
    pub(super) cell_len: u64,
}

const FAULT_LEN: u64 = 32;

/// Where the room of a task with this input begins; of an input that no process of ours wrote, somewhere.
#[inline]
pub(crate) fn room_offset(input: Span) -> u64 {
    let end = input.offset.saturating_add(input.len);
    end.checked_next_multiple_of(PART).unwrap_or(u64::MAX)
}

/// What a part begins at a multiple of: the codec aligns plain data to as much.
pub(crate) const PART: u64 = 16;

impl Room {
    /// Bytes of a room for `n_items` results of `fixed` bytes each, or of any size.
    pub(crate) fn len(n_items: u32, fixed: Option<usize>, heap_len: u64) -> u64 {
        let n_items = u64::from(n_items);
        round_up(n_items * cell_len(fixed), PART) + round_up(heap_len, PART) + n_items * FAULT_LEN
    }

    #[inline]
    pub(crate) fn new(span: Span, n_items: u32, fixed: Option<usize>) -> Self {
        Self {
            span,
            n_items,
            cell_len: cell_len(fixed),
        }
    }

    /// Where fault number `place` lies; the supervisor needs no more than this.
    pub(crate) fn fault(&self, place: u32) -> Span {
        let start = self.faults() + u64::from(place) * FAULT_LEN;
        Span::new(start, FAULT_LEN)
    }

    fn faults(&self) -> u64 {
        let len = u64::from(self.n_items) * FAULT_LEN;
        (self.span.offset + self.span.len).saturating_sub(len)
    }

    /// The first `n` cells.
    #[inline]
    pub(crate) fn cells(&self, n: u32) -> Span {
        Span::new(self.span.offset, u64::from(n) * self.cell_len)
    }

    #[inline]
    pub(crate) fn cell(&self, item: u32) -> Span {
        Span::new(
            self.cells(item).offset + u64::from(item) * self.cell_len,
            self.cell_len,
        )
    }

    pub(crate) fn heap(&self) -> Span {
        let start = self.span.offset + round_up(u64::from(self.n_items) * self.cell_len, PART);
        Span::new(start, self.faults().saturating_sub(start))
    }
}

#[inline]
fn cell_len(fixed: Option<usize>) -> u64 {
    fixed.map_or(size_of::<Cell>() as u64, |len| len as u64)
}

/// Where the bytes of one result lie: offset on the board, length.
pub(crate) type Cell = [u64; 2];

/// Why an item has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FaultKind {
    /// Payload: the encoded report.
    Panicked = 1,
    /// Payload: what the codec said.
    Codec = 2,
    /// Detail: the signal; payload: last words.
    Killed = 3,
    /// Detail: the code.
    Exited = 4,
    TimedOut = 5,
    MemoryExceeded = 6,
    Cancelled = 7,
    DeadlinePassed = 8,
}

/// One entry of a task's list of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) item: u32,
    pub(crate) kind: FaultKind,
    /// The process that the item took down or panicked in.
    pub(crate) pid: u32,
    pub(crate) detail: i32,
    pub(crate) payload: Span,
}

impl Fault {
    pub(crate) fn to_words(self) -> [u64; 4] {
        let name = u64::from(self.kind as u32) << 32 | u64::from(self.item);
        let detail = u64::from(self.pid) << 32 | u64::from(self.detail as u32);
        [name, detail, self.payload.offset, self.payload.len]
    }

    /// `None` for words that are no fault.
    pub(crate) fn from_words([name, detail, offset, len]: [u64; 4]) -> Option<Self> {
        let kind = match name >> 32 {
            1 => FaultKind::Panicked,
            2 => FaultKind::Codec,
            3 => FaultKind::Killed,
            4 => FaultKind::Exited,
            5 => FaultKind::TimedOut,
            6 => FaultKind::MemoryExceeded,
            7 => FaultKind::Cancelled,
            8 => FaultKind::DeadlinePassed,
            _ => return None,
        };
        let (pid, detail) = ((detail >> 32) as u32, detail as i32);
        Some(Self {
            item: name as u32,
            kind,
            pid,
            detail,
            payload: Span::new(offset, len),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parts_of_a_room_follow_each_other_and_fill_it() {
        for fixed in [None, Some(0), Some(8), Some(3)] {
            let span = Span::new(4096, Room::len(7, fixed, 100));
            let room = Room::new(span, 7, fixed);
            assert_eq!(room.cells(0).offset, span.offset);
            assert!(room.cell(6).offset + room.cell(6).len <= room.heap().offset);
            assert_eq!(room.heap().offset + room.heap().len, room.fault(0).offset);
            assert_eq!(room.fault(6).offset + FAULT_LEN, span.offset + span.len);
            assert_eq!(room.heap().len, 112);
        }
    }

    proptest! {
        #[test]
        fn every_cell_and_fault_has_its_own_place_in_the_room(
            n_items in 1_u32..20_000,
            fixed in prop::option::of(0_usize..1000),
            heap_len in 0_u64..1 << 20,
            start in 0_u64..1 << 40,
        ) {
            let span = Span::new(start * PART, Room::len(n_items, fixed, heap_len));
            let room = Room::new(span, n_items, fixed);
            let parts = [room.fault(0), room.fault(n_items - 1), room.cell(0), room.cell(n_items - 1), room.heap()];
            for part in parts {
                prop_assert!(span.contains(part), "{part:?}");
            }
            prop_assert!(n_items < 2 || room.fault(0).offset + room.fault(0).len <= room.fault(1).offset);
            prop_assert!(n_items < 2 || room.cell(0).offset + room.cell(0).len <= room.cell(1).offset);
            prop_assert!(room.heap().offset + room.heap().len <= room.fault(0).offset);
            prop_assert_eq!(room.cells(n_items).offset, room.cell(0).offset);
            prop_assert!(room.cells(n_items).offset + room.cells(n_items).len <= room.heap().offset);
            prop_assert!(room.heap().len >= heap_len);
            prop_assert!(room.heap().offset.is_multiple_of(PART), "the codec aligns plain data to 16");
            prop_assert!(fixed.is_some() || room.cell(n_items - 1).offset.is_multiple_of(8));
        }

        #[test]
        fn words_are_a_fault_or_none(words in any::<[u64; 4]>(), kind in 0_u64..10) {
            let [name, detail, offset, len] = words;
            let words = [kind << 32 | name & 0xffff_ffff, detail, offset, len];
            match Fault::from_words(words) {
                Some(fault) => prop_assert_eq!(fault.to_words(), words),
                None => prop_assert!(kind == 0 || kind > 7),
            }
        }
    }

    #[test]
    fn a_fault_survives_the_board() {
        let payload = Span::new(1 << 40, 77);
        let fault = Fault {
            item: 3,
            kind: FaultKind::Killed,
            pid: 4_000_000,
            detail: -9,
            payload,
        };
        assert_eq!(Fault::from_words(fault.to_words()), Some(fault));
        assert_eq!(Fault::from_words([0; 4]), None);
    }
}
