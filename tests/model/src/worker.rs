//! A worker's way through a task, step for step as in `worker/mod.rs`, `worker/chunk.rs` and `worker/chunk/account.rs`.

use crate::atomic::fence;
use crate::board::{
    Board, Fault, FaultKind, Ordering, Queue, Taker, TaskId, TaskIndex, TaskRow, Try, WorkerIndex,
};

/// `Claims` of `worker/claims.rs`.
pub(crate) struct Claims<'board> {
    board: &'board Board,
    takers: [Taker<'board>; 2],
}

impl<'board> Claims<'board> {
    pub(crate) fn new(board: &'board Board) -> Self {
        Self {
            board,
            takers: [board.retries(), board.queue()].map(Queue::taker),
        }
    }

    pub(crate) fn next(&mut self, index: WorkerIndex) -> Option<TaskId> {
        let (board, record) = (self.board, self.board.worker(index)?);
        let mut has_named = false;
        let mut claim = |task: TaskId| {
            record.set_current(Some(task));
            has_named = true;
            board
                .task(task.index)
                .is_some_and(|row| row.state.try_claim(task.generation, index))
        };
        let mut takers = self.takers.iter_mut();
        let claimed = takers.find_map(|taker| taker.take(&mut claim));
        if claimed.is_none() && has_named {
            record.set_current(None);
        }
        claimed
    }
}

/// Of a worker that remembers nothing of the queues.
pub(crate) fn claim(board: &Board, index: WorkerIndex) -> Option<TaskId> {
    Claims::new(board).next(index)
}

/// How an item ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Result(u32),
    Panic,
    /// Its result does not encode.
    Refusal,
    /// The process is killed while the item runs.
    Death,
}

/// What became of a worker in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The task is over, and the worker takes the next one.
    TookLeave,
    /// Its number of jobs is done before the task is.
    QuotaDone,
    /// It waits for the supervisor to kill it.
    Condemned,
    /// Its item took it down.
    Died,
}

/// `work` of `worker/mod.rs`, with the loop of a shim over its chunk; `job` is called with item and attempt.
pub(crate) fn work(
    board: &Board,
    index: WorkerIndex,
    task: TaskId,
    mut quota: u32,
    mut job: impl FnMut(u32, u32) -> End,
) -> Fate {
    let Some(row) = board.task(task.index) else {
        return Fate::TookLeave;
    };
    let progress = &row.progress;
    let n_items = row.n_items.load(Ordering::Relaxed);
    let guarded = row.guarded.load(Ordering::Relaxed) != 0;
    let mut next = progress.done.load(Ordering::Relaxed);
    let this_try = |item| Try {
        generation: task.generation,
        item,
        attempt: progress.attempts.of(item),
    };
    // Account::lower_guard; false where it would wait for its end.
    let lower_guard = |item| !guarded || progress.guard.lower(this_try(item));
    // Account::begin, the job, Chunk::put or Chunk::put_panic.
    while next < n_items && quota > 0 && !row.is_stopped() {
        if guarded {
            progress.guard.raise(this_try(next));
            fence(Ordering::SeqCst);
            if progress.stop.load(Ordering::Relaxed) != 0 {
                if !lower_guard(next) {
                    return Fate::Condemned;
                }
                break;
            }
        }
        quota -= 1;
        progress.started.store(next + 1, Ordering::Release);
        let kind = match job(next, progress.attempts.of(next)) {
            End::Death => return Fate::Died,
            End::Result(value) => {
                board.room(task.index).results[next as usize].store(value, Ordering::Relaxed);
                None
            }
            End::Refusal => Some(FaultKind::Codec),
            End::Panic => {
                let attempt = progress.attempts.of(next);
                if attempt < row.retries.load(Ordering::Relaxed) {
                    if !lower_guard(next) {
                        return Fate::Condemned;
                    }
                    progress.attempts.note(next, attempt + 1);
                    progress.started.store(next, Ordering::Release);
                    continue;
                }
                Some(FaultKind::Panicked)
            }
        };
        // Account::conclude, Account::advance.
        if !lower_guard(next) {
            return Fate::Condemned;
        }
        if let Some(kind) = kind {
            write_fault(board, row, fault(next, kind));
        }
        next += 1;
        progress.done.store(next, Ordering::Release);
    }
    if next >= n_items || row.is_stopped() {
        finish(board, index, task);
        return Fate::TookLeave;
    }
    Fate::QuotaDone
}

/// The end of `work` in `worker/mod.rs`; nobody sleeps in these models.
pub(crate) fn finish(board: &Board, index: WorkerIndex, task: TaskId) {
    let Some(row) = board.task(task.index) else {
        return;
    };
    row.state.finish(task.generation, index);
    board.push_finished(task.index);
    if let Some(record) = board.worker(index) {
        record.set_current(None);
    }
}

fn fault(item: u32, kind: FaultKind) -> Fault {
    Fault {
        item,
        kind,
        pid: 1,
        detail: 0,
        payload: crate::board::Span::new(0, 0),
    }
}

/// `write_fault` of `worker/fault.rs`, with one word for a fault.
pub(crate) fn write_fault(board: &Board, row: &TaskRow, fault: Fault) {
    let n_faults = row.progress.n_faults.load(Ordering::Relaxed);
    let place = last_of(board, row, fault.item).unwrap_or(n_faults);
    let faults = &board.room_of(row).faults;
    faults[place as usize].store(fault.to_words()[0], Ordering::Relaxed);
    row.progress.n_faults.store(place + 1, Ordering::Release);
}

/// `take_back_fault` of `worker/fault.rs`.
pub(crate) fn take_back_fault(board: &Board, row: &TaskRow, item: u32) {
    if let Some(place) = last_of(board, row, item) {
        row.progress.n_faults.store(place, Ordering::Release);
    }
}

fn last_of(board: &Board, row: &TaskRow, item: u32) -> Option<u32> {
    let n_faults = row.progress.n_faults.load(Ordering::Relaxed);
    let place = n_faults.checked_sub(1)?;
    let old = board.room_of(row).faults[place as usize].load(Ordering::Relaxed);
    (old as u32 == item).then_some(place)
}

/// A name for the task of a row in its first generation.
pub(crate) fn first(index: u32) -> TaskId {
    TaskId {
        index: TaskIndex(index),
        generation: 0,
    }
}
