//! A region: the log of blocks in which one process keeps results too large for their task's room.
//!
//! Blocks are made at the tail and given back at the head, round and round. A block lives as long as its
//! task: it is free once the task's row has moved on to its next generation, which the program sees to when
//! it has read the results. So nobody sends a block back, and the next incarnation of a killed worker finds
//! all it needs in the blocks themselves. An empty log starts again at the front, on warm pages.
//!
//! A block is a line of 64 bytes (total length, task) and its payload. A block written but not yet within
//! `tail` does not exist; killing the writer there costs nothing.

use super::atomic::{AtomicU64, Ordering};
use super::task::TaskId;
use super::{ALIGN, Board, Span, round_up};

/// Where a log begins and ends, relative to its area; written by its owner only.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct LogEnds {
    head: AtomicU64,
    tail: AtomicU64,
    /// Bytes from the front that have had pages reserved.
    ensured: AtomicU64,
}

/// A log and the board it lies on.
#[derive(Debug)]
pub(crate) struct Log<'board> {
    pub(crate) board: &'board Board,
    pub(crate) ends: &'board LogEnds,
    pub(crate) area: Span,
}

/// Marks the unused rest before the end of the area; no task has this name.
const FILLER: u64 = u64::MAX;

impl Log<'_> {
    /// Room for `len` bytes that lives as long as `task`; the offset is on the board. `None`: the region is
    /// full of results that the program has not read, or memory is.
    pub(crate) fn allocate(&self, task: TaskId, len: u64) -> Option<Span> {
        let total = round_up(len, ALIGN).checked_add(ALIGN)?;
        self.reclaim();
        let (head, tail) = (
            self.ends.head.load(Ordering::Relaxed),
            self.ends.tail.load(Ordering::Relaxed),
        );
        let at = if tail < head {
            // Wrapped: one line stays free, so that a full log is not taken for an empty one.
            if tail.checked_add(total)? >= head {
                return None;
            }
            tail
        } else if tail.checked_add(total)? <= self.area.len {
            tail
        } else if total < head {
            if tail < self.area.len {
                self.write_head(tail, self.area.len - tail, FILLER)?;
            }
            0
        } else {
            return None;
        };
        self.ensure(at + total)?;
        self.write_head(at, total, task.to_word())?;
        self.ends.tail.store(at + total, Ordering::Release);
        Some(Span::new(self.area.offset + at + ALIGN, len))
    }

    /// Gives back the blocks at the head whose tasks are over.
    fn reclaim(&self) {
        let tail = self.ends.tail.load(Ordering::Relaxed);
        let mut head = self.ends.head.load(Ordering::Relaxed);
        while head != tail {
            if head == self.area.len {
                head = 0;
                continue;
            }
            let Some((total, name)) = self.read_head(head) else {
                break;
            };
            if name != FILLER && self.is_alive(TaskId::from_word(name)) {
                break;
            }
            head += total;
        }
        if head == tail {
            self.ends.tail.store(0, Ordering::Relaxed);
            head = 0;
        }
        self.ends.head.store(head, Ordering::Relaxed);
    }

    fn is_alive(&self, task: TaskId) -> bool {
        self.board
            .task(task.index)
            .is_some_and(|row| row.state.generation() == task.generation)
    }

    /// Reserves pages up to `end`, in growing steps, so that it is rarely asked.
    fn ensure(&self, end: u64) -> Option<()> {
        let ensured = self.ends.ensured.load(Ordering::Relaxed).min(self.area.len);
        if end > ensured {
            let wanted = (end + (end / 4).min(64 << 20)).min(self.area.len);
            let reserve = |to: u64| {
                self.board
                    .ensure(Span::new(self.area.offset + ensured, to - ensured))
            };
            let reached = if reserve(wanted).is_ok() {
                wanted
            } else {
                reserve(end).ok().map(|()| end)?
            };
            self.ends.ensured.store(reached, Ordering::Relaxed);
        }
        Some(())
    }

    fn write_head(&self, at: u64, total: u64, name: u64) -> Option<()> {
        self.ensure((at + ALIGN).min(self.area.len))?;
        let head: &[AtomicU64; 2] = self.board.words(self.area.offset + at)?;
        head[0].store(total, Ordering::Relaxed);
        head[1].store(name, Ordering::Relaxed);
        Some(())
    }

    /// Length and owner of the block at `at`; `None` for what no process of ours wrote.
    fn read_head(&self, at: u64) -> Option<(u64, u64)> {
        let offset = self.area.offset.checked_add(at)?;
        if !self.area.contains(Span::new(offset, ALIGN)) {
            return None;
        }
        let head: &[AtomicU64; 2] = self.board.words(offset)?;
        let (total, name) = (
            head[0].load(Ordering::Relaxed),
            head[1].load(Ordering::Relaxed),
        );
        let sound = total >= ALIGN && total.is_multiple_of(ALIGN) && total <= self.area.len - at;
        sound.then_some((total, name))
    }
}
