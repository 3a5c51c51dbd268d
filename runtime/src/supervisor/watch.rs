//! Limits on time and memory: looks at the workers of a crew while one of them has a task with a limit.
//!
//! The clock of an item starts when it is first seen to be running. So a worker need not read the clock for
//! every item, cannot lie about it, and may be stopped; an item never has less than its time, and more by at
//! most one look: an eighth of the limit, 50 ms at the most.
//!
//! Memory is looked at when a worker could next be beyond its limit if it touched fresh pages as fast as any can: rarely
//! while it has little, every millisecond when it is close. No limit of the kernel's means the same (`RLIMIT_DATA`
//! counts what is reserved and fails the allocation, a memory cgroup needs rights), so this one is kept by looking.
//!
//! CPU time is that of all threads of the worker since the item was first seen.
//!
//! A worker may be stopped between two items, where none of this limits it: then it is killed, which costs no item.

use crate::board::{Board, Ordering, State, TaskId, TaskRow, Try, WorkerIndex, fence};
use crate::sys;

use super::message::WorkerLimits;
use super::verdict::Cause;
use super::worker::Worker;

const MILLISECOND: u64 = 1_000_000;
const SHORTEST_LOOK: u64 = MILLISECOND;
const LONGEST_LOOK: u64 = 50 * MILLISECOND;
/// In bytes a nanosecond: fresh huge pages, from two processors. Ordinary ones come at about two.
const FASTEST_GROWTH: u64 = 16;

/// The item that a worker was last seen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    task: TaskId,
    this_try: Try,
    since: u64,
    /// What the worker had used by then.
    cpu_nanos: u64,
}

#[derive(Debug)]
pub(super) struct Watch {
    limits: WorkerLimits,
    next_look: Option<u64>,
    /// Looks in a row at which no item with a limit ran.
    n_vain: u32,
}

impl Watch {
    pub(super) fn new(limits: WorkerLimits) -> Self {
        Self {
            limits,
            next_look: None,
            n_vain: 0,
        }
    }

    pub(super) fn begin(&mut self, board: &Board, now: u64) {
        board.header().watched.store(1, Ordering::SeqCst);
        if self.next_look.is_none() {
            self.next_look = Some(now);
            self.n_vain = 0;
        }
    }

    pub(super) fn next_look(&self) -> Option<u64> {
        self.next_look
    }

    pub(super) fn is_due(&self, now: u64) -> bool {
        self.next_look.is_some_and(|at| at <= now)
    }

    /// Ends whoever is over a limit, and settles when to look next: never again, where all is idle.
    pub(super) fn look<'w>(
        &mut self,
        board: &Board,
        workers: impl Iterator<Item = (WorkerIndex, &'w mut Worker)>,
        now: u64,
    ) {
        let mut next = None;
        let mut not_later = |at: u64| next = Some(next.map_or(at, |next: u64| next.min(at)));
        let WorkerLimits {
            memory: memory_limit,
            cpu_nanos: cpu_limit,
            grace_nanos: grace,
            ..
        } = self.limits;
        for (index, worker) in workers {
            if let Some(cause) = worker.ended_for() {
                if memory_limit > 0 && worker.kill_at().is_some() {
                    // Its grace is for tidying up, not for growing on.
                    let used = memory_of(worker.pid, memory_limit);
                    if used > memory_limit.saturating_add(memory_limit / 4) {
                        worker.kill(cause);
                    }
                    not_later(now + SHORTEST_LOOK);
                }
                continue;
            }
            let Some(running) = Running::of(board, index) else {
                worker.sight = None;
                let holds_one = board.worker(index).is_some_and(|w| w.current().is_some());
                if holds_one || board.has_queued() {
                    worker.kill_if_stopped(now);
                }
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
                    cpu_nanos: if cpu_limit > 0 {
                        cpu_nanos_of(worker.pid)
                    } else {
                        0
                    },
                },
            };
            worker.sight = Some(sight);
            let timeout = running.row.timeout_nanos.load(Ordering::Relaxed);
            if timeout > 0 {
                let deadline = sight.since.saturating_add(timeout);
                if deadline <= now {
                    worker.end(&running, Cause::TimedOut, grace);
                    continue;
                }
                not_later(deadline.min(now + (timeout / 8).clamp(SHORTEST_LOOK, LONGEST_LOOK)));
            }
            if cpu_limit > 0 {
                let used = cpu_nanos_of(worker.pid).saturating_sub(sight.cpu_nanos);
                if used >= cpu_limit {
                    worker.end(&running, Cause::Signal(sys::SIGXCPU), grace);
                    continue;
                }
                // It may have several threads.
                not_later(now + ((cpu_limit - used) / 2).clamp(SHORTEST_LOOK, LONGEST_LOOK));
            }
            if memory_limit > 0 {
                let used = memory_of(worker.pid, memory_limit);
                if used > memory_limit {
                    worker.end(&running, Cause::MemoryExceeded, grace);
                    continue;
                }
                not_later(now + time_to_touch(memory_limit - used));
            }
        }
        self.n_vain = if next.is_some() { 0 } else { self.n_vain + 1 };
        if next.is_none() && !board.is_idle() {
            // Tasks wait, or run without a limit: those with one may come next, sooner rather than later.
            let longest = match memory_limit {
                0 => LONGEST_LOOK,
                limit => time_to_touch(limit),
            };
            next = Some(now + (SHORTEST_LOOK << self.n_vain.min(6)).min(longest));
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

/// How soon a worker may have so many bytes more.
fn time_to_touch(bytes: u64) -> u64 {
    (bytes / FASTEST_GROWTH).clamp(SHORTEST_LOOK, LONGEST_LOOK)
}

/// Private bytes. The cheap figure counts pages that are shared copy-on-write too; beyond the limit the exact one
/// decides. One that cannot be read may well be at the limit.
fn memory_of(pid: u32, limit: u64) -> u64 {
    let used = sys::resident_anonymous(pid).and_then(|bytes| {
        if bytes > limit {
            sys::private_memory(pid)
        } else {
            Ok(bytes)
        }
    });
    used.unwrap_or(limit)
}

fn cpu_nanos_of(pid: u32) -> u64 {
    sys::cpu_of(pid).map_or(0, |time| time.as_nanos() as u64)
}
