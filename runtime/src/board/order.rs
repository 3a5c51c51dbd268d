//! What a task's row tells its worker to do. The program writes it before it publishes the row, and remembers it.
//!
//! Workers and supervisor read the row. A worker gone mad may have written there, so that a job would be called that was
//! never asked for, or run without its limit: the program's audit compares the row with what it remembers.

use super::atomic::Ordering;
use super::task::{TaskRow, set, set_u64};
use super::{Span, TaskId};

/// The part of a row that is the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Order {
    pub(crate) n_items: u32,
    /// See [`TaskRow::shim`].
    pub(crate) shim: u64,
    pub(crate) job: u64,
    pub(crate) input: Span,
    /// Behind the input, see [`TaskRow::room`].
    pub(crate) room: Span,
    pub(crate) first_index: u64,
    /// 0: no limit.
    pub(crate) timeout_nanos: u64,
    pub(crate) retries: u32,
    pub(crate) guarded: bool,
    pub(crate) ends_at_fault: bool,
    pub(crate) flush_each: bool,
    /// See [`TaskRow::rings`].
    pub(crate) rings: bool,
}

impl Order {
    /// Program: fills a row that it owns.
    pub(crate) fn write(&self, row: &TaskRow) {
        let relaxed = Ordering::Relaxed;
        row.n_items.store(self.n_items, relaxed);
        row.input_offset.store(self.input.offset, relaxed);
        row.input_len.store(self.input.len, relaxed);
        row.room_len.store(self.room.len, relaxed);
        row.first_index.store(self.first_index, relaxed);
        row.rings.store(u32::from(self.rings), relaxed);
        set_u64(&row.shim, self.shim);
        set_u64(&row.job, self.job);
        set_u64(&row.timeout_nanos, self.timeout_nanos);
        set(&row.retries, self.retries);
        set(&row.guarded, self.guarded.into());
        set(&row.ends_at_fault, self.ends_at_fault.into());
        set(&row.flush_each, self.flush_each.into());
    }

    /// Program, before it publishes `task`, and while that is on the board: whether its row still says this. The
    /// supervisor may have taken retries away ([`crate::Process::kill`]).
    pub(crate) fn is_kept(&self, task: TaskId, row: &TaskRow) -> bool {
        let relaxed = Ordering::Relaxed;
        let retries = row.retries.load(relaxed);
        let is = |word: &super::AtomicU32, flag| word.load(relaxed) == u32::from(flag);
        let says = Self {
            n_items: row.n_items.load(relaxed),
            shim: row.shim.load(relaxed),
            job: row.job.load(relaxed),
            input: Span::new(row.input_offset.load(relaxed), row.input_len.load(relaxed)),
            room: row.room(),
            first_index: row.first_index.load(relaxed),
            timeout_nanos: row.timeout_nanos.load(relaxed),
            retries: self.retries,
            ..*self
        };
        says == *self
            && retries <= self.retries
            && is(&row.guarded, self.guarded)
            && is(&row.ends_at_fault, self.ends_at_fault)
            && is(&row.flush_each, self.flush_each)
            && is(&row.rings, self.rings)
            && row.progress.guard.may_be_of(task, self.n_items)
    }
}
