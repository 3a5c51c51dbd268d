//! Limits on time and memory: looks at the workers of a crew while one of them has a task with a limit.
//!
//! The clock of an item starts when it is first seen to be running. So a worker need not read the clock for
//! every item, cannot lie about it, and may be stopped; an item never has less than its time, and more by at
//! most one look: an eighth of the limit, 50 ms at the most.

use crate::board::{Board, Ordering, State, TaskId, TaskRow, Try, WorkerIndex, fence};
use crate::sys;

use super::crew::Worker;
use super::verdict::Cause;

const MILLISECOND: u64 = 1_000_000;
const SHORTEST_LOOK: u64 = MILLISECOND;
const LONGEST_LOOK: u64 = 50 * MILLISECOND;
/// At full speed a process touches fresh memory at about two bytes a nanosecond.
const MEMORY_LOOK: u64 = 4 * MILLISECOND;

/// The item that a worker was last seen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    task: TaskId,
    this_try: Try,
    since: u64,
}

#[derive(Debug)]
pub(super) struct Watch {
    memory_limit: u64,
    next_look: Option<u64>,
    /// Looks in a row at which no item with a limit ran.
    n_vain: u32,
}

impl Watch {
    pub(super) fn new(memory_limit: u64) -> Self {
        Self {
            memory_limit,
            next_look: None,
            n_vain: 0,
        }
    }

    pub(super) fn begin(&mut self, board: &Board, now: u64) {
        board.header().watched.store(1, Ordering::SeqCst);
        self.next_look = Some(now);
        self.n_vain = 0;
    }

    pub(super) fn next_look(&self) -> Option<u64> {
        self.next_look
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        self.next_look.is_some_and(|at| at <= now)
    }

    /// Kills whoever is over a limit, and settles when to look next: never again, where all is idle.
    pub(super) fn look<'w>(
        &mut self,
        board: &Board,
        workers: impl Iterator<Item = (WorkerIndex, &'w mut Worker)>,
        now: u64,
    ) {
        let mut next = None;
        let mut not_later = |at: u64| next = Some(next.map_or(at, |next: u64| next.min(at)));
        for (index, worker) in workers {
            let Some(running) = Running::of(board, index) else {
                worker.sight = None;
                continue;
            };
            let sight = match worker.sight {
                Some(before)
                    if (before.task, before.this_try) == (running.task, running.this_try) =>
                {
                    before
                }
                _ => Sight {
                    task: running.task,
                    this_try: running.this_try,
                    since: now,
                },
            };
            worker.sight = Some(sight);
            let timeout = running.row.timeout_nanos.load(Ordering::Relaxed);
            if timeout > 0 {
                let deadline = sight.since.saturating_add(timeout);
                if deadline <= now {
                    worker.end(&running, Cause::TimedOut);
                    continue;
                }
                not_later(deadline.min(now + (timeout / 8).clamp(SHORTEST_LOOK, LONGEST_LOOK)));
            }
            if self.memory_limit > 0 {
                if is_over_memory(worker.pid, self.memory_limit) {
                    worker.end(&running, Cause::MemoryExceeded);
                    continue;
                }
                not_later(now + MEMORY_LOOK);
            }
        }
        self.n_vain = if next.is_some() { 0 } else { self.n_vain + 1 };
        if next.is_none() && !board.is_idle() {
            // Tasks wait, or run without a limit: those with one may come next, sooner rather than later.
            next = Some(now + (SHORTEST_LOOK << self.n_vain.min(6)).min(LONGEST_LOOK));
        }
        if next.is_none() {
            board.header().watched.store(0, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            // SeqCst: either this look sees a task that was published meanwhile, or its publisher sees the 0.
            if !board.is_idle() {
                board.header().watched.store(1, Ordering::SeqCst);
                next = Some(now + SHORTEST_LOOK);
            }
        }
        self.next_look = next;
    }
}

/// A try at an item that a worker has begun and not ended.
pub(super) struct Running<'board> {
    pub(super) task: TaskId,
    pub(super) row: &'board TaskRow,
    pub(super) this_try: Try,
}

impl<'board> Running<'board> {
    /// `None` too for a worker that has only named a task which another holds.
    pub(super) fn of(board: &'board Board, index: WorkerIndex) -> Option<Self> {
        let task = board.worker(index)?.current()?;
        let row = board.task(task.index)?;
        let this_try = row.progress.guard.running()?;
        let holds_it = row.state.read(task.generation) == Some(State::Claimed(index));
        (holds_it && this_try.generation == task.generation).then_some(Self {
            task,
            row,
            this_try,
        })
    }
}

/// The cheap figure counts pages that are shared copy-on-write too; the exact one decides.
fn is_over_memory(pid: u32, limit: u64) -> bool {
    sys::resident_anonymous(pid).is_ok_and(|bytes| bytes > limit)
        && sys::private_memory(pid).is_ok_and(|bytes| bytes > limit)
}
