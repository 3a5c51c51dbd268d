//! What a worker's death means for the task it held.

use std::fmt;

use super::crew::Crew;
use crate::board::{
    Board, Fault, FaultKind, Ordering, Span, State, TaskId, TaskRow, WorkerIndex, WorkerRecord,
};
use crate::sys;
use crate::worker::{take_back_fault, write_fault};

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Signal(i32),
    Exit(i32),
    TimedOut,
    MemoryExceeded,
    Cancelled,
    /// The whole map's.
    DeadlinePassed,
}

impl Cause {
    /// Whether the program wants no other try.
    fn is_final(self) -> bool {
        matches!(self, Self::Cancelled | Self::DeadlinePassed)
    }

    /// What a raw status of `waitpid(2)` says.
    pub(super) fn of_status(status: i32) -> Self {
        let signal = status & 0x7f;
        if signal == 0 {
            Self::Exit(status >> 8 & 0xff)
        } else {
            Self::Signal(signal)
        }
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
            Self::DeadlinePassed => f.write_str("ended by a deadline"),
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

/// A worker that is dead and reaped: nobody but this process can touch what it held.
pub(super) struct Death<'board> {
    pub(super) board: &'board Board,
    pub(super) record: &'board WorkerRecord,
    pub(super) index: WorkerIndex,
    pub(super) pid: u32,
    pub(super) cause: Cause,
}

/// Which item a death is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// The one that had begun, if any.
    Begun,
    /// The next one, begun or not.
    Next,
}

/// So many deaths in a row that no item can be blamed for are held against the next one.
const MAX_BLAMELESS: u32 = 30;

/// Counts deaths of workers that held a task of which no item had begun.
///
/// A few come from outside, and between two items. But what a worker does between its claim and its first item may be
/// what kills it, where a worker gone mad has written over the task: then it would kill all that come after it, for
/// ever.
#[derive(Debug, Default)]
pub(super) struct Blameless {
    in_a_row: u32,
}

impl Blameless {
    pub(super) fn blame(&self) -> Blame {
        if self.in_a_row < MAX_BLAMELESS {
            Blame::Begun
        } else {
            Blame::Next
        }
    }

    pub(super) fn note(&mut self, cause: Cause, burial: Burial) {
        self.in_a_row = match (cause, burial) {
            // It has done its number of jobs.
            (Cause::Exit(0), _) => return,
            (_, Burial::Requeued) if self.in_a_row < MAX_BLAMELESS => self.in_a_row + 1,
            _ => 0,
        };
    }
}

impl Death<'_> {
    /// Settles the task that the worker held.
    pub(super) fn bury(&self, blame: Blame) -> Burial {
        let Some(task) = self.record.current() else {
            return Burial::HeldNothing;
        };
        let Some(row) = self.board.task(task.index) else {
            return Burial::HeldNothing;
        };
        match row.state.read(task.generation) {
            Some(State::Claimed(holder)) if holder == self.index => self.settle(task, row, blame),
            Some(State::Done) => {
                // Whether it had come to the chain of finished tasks, nobody knows.
                self.board.header().rescan.fetch_add(1, Ordering::Release);
                Burial::Finished
            }
            // It had named the task and died before it could claim it, or after the program had read it.
            _ => Burial::HeldNothing,
        }
    }

    /// As [`bury`](Self::bury) with [`Blame::Next`], for the worker of a process, whose end is that of its one item whether that had
    /// begun or not: who terminates a process does not want another.
    pub(super) fn bury_with_only_task(&self) -> Burial {
        let task = Crew::ONLY_TASK;
        let Some(row) = self.board.task(task.index) else {
            return Burial::HeldNothing;
        };
        // Where the worker has not claimed it, nobody else will. Named first, as a worker does it: a task whose holder
        // names another looks to the program's audit as if its board had been written over.
        self.record.set_current(Some(task));
        row.state.try_claim(task.generation, self.index);
        match row.state.read(task.generation) {
            Some(State::Claimed(_)) => self.settle(task, row, Blame::Next),
            _ => self.bury(Blame::Next),
        }
    }

    fn settle(&self, task: TaskId, row: &TaskRow, blame: Blame) -> Burial {
        let progress = &row.progress;
        let n_items = row.n_items.load(Ordering::Relaxed);
        // Acquire: everything the worker wrote before it counted.
        let done = progress.done.load(Ordering::Acquire);
        let is_blamed = blame == Blame::Next || progress.started.load(Ordering::Acquire) > done;
        let mut burial = Burial::Requeued;
        progress.guard.clear();
        if is_blamed && done < n_items {
            let attempt = progress.attempts.of(done);
            if attempt < row.retries.load(Ordering::Relaxed) && !self.cause.is_final() {
                take_back_fault(self.board, row, done);
                progress.attempts.note(done, attempt.saturating_add(1));
                burial = Burial::ToBeTriedAgain {
                    attempt: attempt + 1,
                };
            } else {
                write_fault(self.board, row, self.fault(done, task));
                progress.done.store(done + 1, Ordering::Release);
            }
        }
        let done = progress.done.load(Ordering::Relaxed);
        progress.started.store(done, Ordering::Release);
        if done >= n_items || row.is_stopped() {
            row.state.finish(task.generation, self.index);
            self.board.push_finished(task.index);
            return Burial::Finished;
        }
        row.state.requeue(task.generation, self.index);
        self.board.retries().append(task);
        burial
    }

    fn fault(&self, item: u32, task: TaskId) -> Fault {
        let (kind, detail) = match self.cause {
            Cause::Signal(signal) => (FaultKind::Killed, signal),
            Cause::Exit(code) => (FaultKind::Exited, code),
            Cause::TimedOut => (FaultKind::TimedOut, 0),
            Cause::MemoryExceeded => (FaultKind::MemoryExceeded, 0),
            Cause::Cancelled => (FaultKind::Cancelled, 0),
            Cause::DeadlinePassed => (FaultKind::DeadlinePassed, 0),
        };
        Fault {
            item,
            kind,
            pid: self.pid,
            detail,
            payload: self.keep_last_words(task),
        }
    }

    /// Copies the last words to where they stay until the program has read them.
    fn keep_last_words(&self, task: TaskId) -> Span {
        let words = self.record.words.read();
        let nothing = Span::new(0, 0);
        if words.is_empty() {
            return nothing;
        }
        let Some(span) = self
            .board
            .supervisor_log()
            .allocate(task, words.len() as u64)
        else {
            return nothing;
        };
        if self.board.write(span.offset, words.as_bytes()) {
            span
        } else {
            nothing
        }
    }
}
