//! The account of a task's items on the board: which have begun, which have their verdict.
//!
//! Responsible for the order of its steps. An item is counted as begun before its arguments are read and as done when its
//! verdict lies in the task's room, so that a death at any instruction leaves the supervisor an exact account. After a
//! panic the worker goes on from what stands here; it keeps a count of its own beside it only so far as that brings the task
//! to its end whatever is written over this one.
//!
//! Not responsible for results, nor for how many items a worker may begin.
//!
//! What only few items need is `#[cold]`: it stands out of the way of the others, for which each jump that is taken costs
//! as much as a step of the account.

use std::time::Duration;

use crate::board::{
    Board, Fault, FaultKind, Log, Ordering, Span, TaskId, TaskRow, Try, WorkerRecord, fence, set,
};
use crate::sys;
use crate::worker::{fault::write_fault, job_index};

/// A task that this worker holds. An item is named by its place in the task.
#[derive(Clone, Copy)]
pub(super) struct Account<'board> {
    pub(super) board: &'board Board,
    pub(super) row: &'board TaskRow,
    pub(super) record: &'board WorkerRecord,
    pub(super) log: Log<'board>,
    pub(super) task: TaskId,
    pub(super) n_items: u32,
    /// Of the whole map, of the task's first item.
    first_index: u64,
    guarded: bool,
    pub(super) flush_each: bool,
}

impl<'board> Account<'board> {
    /// `None` for a task that the board does not have.
    pub(super) fn new(
        board: &'board Board,
        record: &'board WorkerRecord,
        log: Log<'board>,
        task: TaskId,
    ) -> Option<Self> {
        let row = board.task(task.index)?;
        set(&row.progress.worker_pid, sys::pid());
        Some(Self {
            board,
            row,
            record,
            log,
            task,
            n_items: row.n_items.load(Ordering::Relaxed),
            first_index: row.first_index.load(Ordering::Relaxed),
            guarded: row.guarded.load(Ordering::Relaxed) != 0,
            flush_each: row.flush_each.load(Ordering::Relaxed) != 0,
        })
    }

    /// Items that have begun.
    pub(super) fn started(&self) -> usize {
        self.row.progress.started.load(Ordering::Relaxed) as usize
    }

    /// Items that have their verdict, in order: the present item, or the next, is the one with this number.
    pub(super) fn done(&self) -> usize {
        self.row.progress.done.load(Ordering::Relaxed) as usize
    }

    /// Begins an item; false where no further one is wanted.
    #[inline]
    pub(super) fn begin(&self, item: usize) -> bool {
        if self.row.is_stopped() || self.guarded && !self.raise_guard(item) {
            return false;
        }
        // A task that is no map's has one item, and the index that stands for none.
        job_index::set(self.first_index.wrapping_add(item as u64));
        // Release, like every store of the progress: the supervisor of a dead worker reads it.
        let started = &self.row.progress.started;
        started.store(item as u32 + 1, Ordering::Release);
        true
    }

    /// The item has a result, which lies in its place.
    #[inline]
    pub(super) fn count(&self, item: usize) {
        self.conclude(item);
        self.advance(item);
    }

    /// The item is to be tried again.
    pub(super) fn take_back(&self, item: usize, attempt: u32) {
        self.lower_guard(item);
        let progress = &self.row.progress;
        progress
            .attempts
            .note(item as u32, attempt.saturating_add(1));
        // Between two tries the item has not begun: the worker may be out of quota.
        progress.started.store(item as u32, Ordering::Release);
    }

    /// The item has no result; the text says why.
    #[cold]
    pub(super) fn fault(&self, item: usize, kind: FaultKind, text: &[u8]) {
        let payload = self
            .log
            .allocate(self.task, text.len() as u64)
            .filter(|span| self.board.write(span.offset, text));
        self.add_fault(item, kind, payload.unwrap_or(Span::new(0, 0)));
    }

    pub(super) fn add_fault(&self, item: usize, kind: FaultKind, payload: Span) {
        let fault = Fault {
            item: item as u32,
            kind,
            pid: sys::pid(),
            detail: 0,
            payload,
        };
        // First: an item that the supervisor has ended has the supervisor's verdict, or another try.
        self.conclude(item);
        write_fault(self.board, self.row, fault);
        self.advance(item);
    }

    /// The item is over: what it printed is on its way, and the supervisor ends it no more.
    #[inline]
    fn conclude(&self, item: usize) {
        if self.flush_each || self.guarded {
            self.flush_and_lower_guard(item);
        }
    }

    #[cold]
    fn flush_and_lower_guard(&self, item: usize) {
        if self.flush_each {
            sys::flush_stdio();
        }
        self.lower_guard(item);
    }

    #[inline]
    fn advance(&self, item: usize) {
        if !self.record.words.is_empty() {
            self.clear_words();
        }
        let done = &self.row.progress.done;
        done.store(item as u32 + 1, Ordering::Release);
    }

    /// Of a panic that the job dealt with by itself.
    #[cold]
    fn clear_words(&self) {
        self.record.words.clear();
    }

    /// From here on the supervisor may end the item; false where no further item is to begin.
    #[cold]
    fn raise_guard(&self, item: usize) -> bool {
        let progress = &self.row.progress;
        progress.guard.raise(self.this_try(item));
        // SeqCst: pairs with the store of `stop` in `Desk::stop`.
        fence(Ordering::SeqCst);
        let goes_on = progress.stop.load(Ordering::Relaxed) == 0;
        if !goes_on {
            self.lower_guard(item);
        }
        goes_on
    }

    pub(super) fn this_try(&self, item: usize) -> Try {
        let item = item as u32;
        Try {
            generation: self.task.generation,
            item,
            attempt: self.row.progress.attempts.of(item),
        }
    }

    /// The item ends here, unless the supervisor has ended it already.
    fn lower_guard(&self, item: usize) {
        if self.guarded && !self.row.progress.guard.lower(self.this_try(item)) {
            end_as_condemned();
        }
    }
}

/// The supervisor has settled this item's verdict: this process is to be killed, at once or after a grace in which it
/// has nothing left to do.
fn end_as_condemned() -> ! {
    sys::process::kill_self();
    // Where that is refused, by a filter of system calls, the supervisor's signal comes.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
