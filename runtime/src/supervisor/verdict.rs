//! What a worker's death means for the task it held.

use std::fmt;

use crate::board::{Board, Fault, FaultKind, Ordering, Span, State, TaskId, TaskRow, WorkerIndex, WorkerRecord};
use crate::sys;
use crate::worker::write_fault;

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Signal(i32),
    Exit(i32),
    TimedOut,
    MemoryExceeded,
    Cancelled,
}

impl Cause {
    /// What a raw status of `waitpid(2)` says.
    pub(super) fn of_status(status: i32) -> Self {
        let signal = status & 0x7f;
        if signal == 0 { Self::Exit(status >> 8 & 0xff) } else { Self::Signal(signal) }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => match sys::signal_name(*signal) {
                Some(name) => write!(f, "killed by signal {signal} ({name})"),
                None => write!(f, "killed by signal {signal}"),
            },
            Self::Exit(code) => write!(f, "exited with code {code}"),
            Self::TimedOut => f.write_str("ran too long"),
            Self::MemoryExceeded => f.write_str("used too much memory"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

/// What was done about the dead worker's task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Burial {
    /// It held no task.
    HeldNothing,
    /// Its task has all its verdicts.
    Finished,
    /// The items it had not begun are to be had again.
    Requeued,
    /// So is the item it died of, which may be tried again.
    ToBeTriedAgain { attempt: u32 },
}

impl Burial {
    /// Whether there is something for another worker to do.
    pub(super) fn left_work(self) -> bool {
        matches!(self, Self::Requeued | Self::ToBeTriedAgain { .. })
    }
}

/// Settles the task of a worker that is dead and reaped: nobody but this process can touch it now.
pub(super) fn bury(board: &Board, index: WorkerIndex, pid: u32, cause: Cause) -> Burial {
    let held = board.worker(index).and_then(|record| Some((record, record.current()?)));
    let Some((record, task)) = held else { return Burial::HeldNothing };
    let Some(row) = board.task(task.index) else { return Burial::HeldNothing };
    match row.state.read(task.generation) {
        Some(State::Claimed(holder)) if holder == index => settle(board, record, index, task, row, pid, cause),
        Some(State::Done) => {
            // Whether it had come to the chain of finished tasks, nobody knows.
            board.header().rescan.fetch_add(1, Ordering::Release);
            Burial::Finished
        }
        // It had named the task and died before it could claim it, or after the program had read it.
        _ => Burial::HeldNothing,
    }
}

fn settle(
    board: &Board,
    record: &WorkerRecord,
    index: WorkerIndex,
    task: TaskId,
    row: &TaskRow,
    pid: u32,
    cause: Cause,
) -> Burial {
    let progress = &row.progress;
    let n_items = row.n_items.load(Ordering::Relaxed);
    // Acquire: everything the worker wrote before it counted.
    let done = progress.done.load(Ordering::Acquire);
    let has_begun = progress.started.load(Ordering::Acquire) > done && done < n_items;
    let mut burial = Burial::Requeued;
    progress.guard.clear();
    if has_begun {
        let attempt = progress.attempt.load(Ordering::Relaxed);
        if attempt < row.retries.load(Ordering::Relaxed) && cause != Cause::Cancelled {
            progress.attempt.store(attempt + 1, Ordering::Relaxed);
            burial = Burial::ToBeTriedAgain { attempt: attempt + 1 };
        } else {
            let payload = keep_last_words(board, record, task);
            write_fault(board, row, fault(done, pid, cause, payload));
            progress.attempt.store(0, Ordering::Relaxed);
            progress.done.store(done + 1, Ordering::Release);
        }
    }
    let done = progress.done.load(Ordering::Relaxed);
    progress.started.store(done, Ordering::Release);
    let is_over = done >= n_items || progress.stop.load(Ordering::Relaxed) != 0;
    if is_over {
        row.state.finish(task.generation, index);
        board.header().finished.0.push(task.index, &row.next_finished);
        return Burial::Finished;
    }
    row.state.requeue(task.generation, index);
    board.retries().append(task);
    burial
}

fn fault(item: u32, pid: u32, cause: Cause, payload: Span) -> Fault {
    let (kind, detail) = match cause {
        Cause::Signal(signal) => (FaultKind::Killed, signal),
        Cause::Exit(code) => (FaultKind::Exited, code),
        Cause::TimedOut => (FaultKind::TimedOut, 0),
        Cause::MemoryExceeded => (FaultKind::MemoryExceeded, 0),
        Cause::Cancelled => (FaultKind::Cancelled, 0),
    };
    Fault { item, kind, pid, detail, payload }
}

/// Copies the dead worker's last words to where they stay until the program has read them.
fn keep_last_words(board: &Board, record: &WorkerRecord, task: TaskId) -> Span {
    let words = record.words.read();
    let nothing = Span::new(0, 0);
    if words.is_empty() {
        return nothing;
    }
    let Some(span) = board.supervisor_log().allocate(task, words.len() as u64) else { return nothing };
    if board.write(span.offset, words.as_bytes()) { span } else { nothing }
}
