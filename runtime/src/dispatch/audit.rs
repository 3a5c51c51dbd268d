//! Nothing hangs because of a worker gone mad: what it may have written over is looked through while callers wait.
//!
//! In a pool whose workers keep to the protocol this finds nothing. It runs ten times a second while somebody waits, and
//! it acts on what it has seen twice, since between two words of a protocol that is kept there are moments that look like
//! one that is not.
//!
//! What it may find, and what it leaves to others:
//! - *A row that says what no process of ours wrote there*: a state that leads nowhere, a task claimed for a worker that
//!   does not exist or works on another, an order that is not the program's. No word of such a board can be believed,
//!   and workers may follow what it says for ever: the pool is given up, see [`super::Dispatch`].
//! - *A task that waits while everybody sleeps, or whose name nobody will come to*: the queue or a bell was written over. It is
//!   named again.
//! - *A task that waits, in a pool whose workers retire*: one is asked for, as if it were published now.
//! - *A task that is done and not on the chain*: it is taken.
//! - How far the items of a task have come is not looked at: whatever it says, the worker's own count or the supervisor's
//!   verdict brings the task to its end. Results may be wrong then.
//! - Workers that sleep put their own bits and names right every second (`worker/mod.rs`, `board/bells.rs`).

use super::desk::Desk;
use crate::board::{Board, Order, State, TaskId, TaskIndex, WorkerIndex};
use crate::sys;

/// What is wrong with a task on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It waits, and nobody will find its name in a queue: that was passed, or everybody sleeps.
    Forgotten,
    /// Its row is in no state that leads to its end, or asks for something else.
    WrittenOver,
}

/// What an audit tells of the tasks on the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) is_written_over: bool,
    pub(super) any_task: bool,
    pub(super) any_timeout: bool,
    /// Whether there is one that no worker has claimed.
    pub(super) any_waiting: bool,
}

/// Nanoseconds between two audits.
const PERIOD: u64 = 100_000_000;

impl Desk {
    /// Audits a board that so many workers are to work on, unless that was done a moment ago.
    pub(super) fn audit_if_due(&mut self, board: &Board, n_workers: usize) -> Findings {
        let now = sys::monotonic_nanos();
        if now.saturating_sub(self.last_audit) < PERIOD {
            return Findings::default();
        }
        self.last_audit = now;
        self.audit(board, n_workers)
    }

    /// Takes what is done, and names again what was forgotten.
    pub(super) fn audit(&mut self, board: &Board, n_workers: usize) -> Findings {
        let mut findings = Findings::default();
        for index in 0..self.n_rows_used() {
            let index = TaskIndex(index);
            self.take_if_done(board, index);
            let (Some(task), Some(order)) = (self.task_at(index), self.order_at(index)) else {
                continue;
            };
            let is_passed = || self.is_passed(board, task);
            let wrong = look(board, task, &order, n_workers, is_passed);
            let was_wrong = self.suspect(index, wrong);
            match wrong.filter(|_| wrong == was_wrong) {
                Some(Wrong::Forgotten) => self.name_again(board, task),
                Some(Wrong::WrittenOver) => findings.is_written_over = true,
                None => {}
            }
            findings.any_task = true;
            findings.any_timeout |= order.timeout_nanos > 0;
            findings.any_waiting |= is_waiting(board, task);
        }
        findings
    }
}

fn is_waiting(board: &Board, task: TaskId) -> bool {
    let row = board.task(task.index);
    row.is_some_and(|row| row.state.read(task.generation) == Some(State::Ready))
}

fn look(
    board: &Board,
    task: TaskId,
    order: &Order,
    n_workers: usize,
    is_passed: impl FnOnce() -> bool,
) -> Option<Wrong> {
    let row = board.task(task.index)?;
    let state = row.state.read(task.generation);
    if state == Some(State::Done) {
        // Finished since it was looked at.
        return None;
    }
    if !order.is_kept(task, row) {
        return Some(Wrong::WrittenOver);
    }
    match state {
        Some(State::Ready) => {
            let mut posts = 0..n_workers as u16;
            let all_asleep = posts.all(|worker| board.is_asleep(WorkerIndex(worker)));
            // Asked again afterwards: whoever takes a task passes its name.
            let is_forgotten = all_asleep || is_passed() && is_waiting(board, task);
            is_forgotten.then_some(Wrong::Forgotten)
        }
        Some(State::Claimed(worker)) => {
            let holds_it = board
                .worker(worker)
                .is_some_and(|record| record.current() == Some(task));
            (!holds_it).then_some(Wrong::WrittenOver)
        }
        None | Some(State::Free | State::Done) => Some(Wrong::WrittenOver),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::board::{Layout, Order, Ordering, Priority, QueueEnds, Room, Span, TaskRow, Try};
    use crate::dispatch::desk::Tenant;
    use crate::dispatch::mailbox::Mailbox;
    use crate::dispatch::outcome::{Remembered, Rest};

    const LAYOUT: Layout = Layout {
        n_workers: 1,
        n_tasks: 4,
        setup_len: 0,
        arena_len: 16 * 1024,
        region_len: 16 * 1024,
    };

    struct Scene {
        board: Board,
        desk: Desk,
        mailbox: Arc<Mailbox>,
        task: TaskId,
    }

    fn scene() -> Scene {
        scene_with(Priority::Normal)
    }

    fn scene_with(priority: Priority) -> Scene {
        let (board, _) = Board::create(LAYOUT).unwrap();
        let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::default());
        let (index, span) = desk.set_aside(&board, Room::len(1, Some(8), 0)).unwrap();
        let room = Span::new(span.offset, span.len);
        let remembered = Remembered {
            order: Order {
                n_items: 1,
                input: Span::new(span.offset, 0),
                room,
                retries: 1,
                ..Order::default()
            },
            fixed_output: Some(8),
            limits: None,
            tags: 1,
        };
        let tenant = Tenant::new(span, remembered, Vec::new(), desk.enter(&mailbox), 0);
        let task = desk.seat(&board, index, tenant.with_priority(priority));
        Scene {
            board,
            desk,
            mailbox,
            task,
        }
    }

    /// Each of these leads to no end, or to another one than was asked for.
    #[test]
    fn a_row_that_was_written_over_is_found_out() {
        type Madness = fn(&TaskRow, &Board, TaskId);
        let madness: [(&str, Madness); 12] = [
            ("another generation", |row, _, _| row.state.free(77)),
            ("free", |row, _, task| {
                row.state.free(task.generation.wrapping_sub(1));
            }),
            ("claimed for a worker that is none", |row, _, task| {
                row.state.try_claim(task.generation, WorkerIndex(9));
            }),
            ("claimed for a worker at rest", |row, board, task| {
                board.workers()[0].set_current(None);
                row.state.try_claim(task.generation, WorkerIndex(0));
            }),
            ("claimed for one at another task", |row, board, task| {
                row.state.try_claim(task.generation, WorkerIndex(0));
                let generation = task.generation + 1;
                let other = TaskId { generation, ..task };
                board.workers()[0].set_current(Some(other));
            }),
            ("items", |row, _, _| {
                row.n_items.store(1 << 30, Ordering::Relaxed)
            }),
            ("shim", |row, _, _| row.shim.store(4096, Ordering::Relaxed)),
            ("room", |row, _, _| row.room_len.store(1, Ordering::Relaxed)),
            ("time-out", |row, _, _| {
                row.timeout_nanos.store(1, Ordering::Relaxed)
            }),
            ("retries", |row, _, _| {
                row.retries.store(1 << 30, Ordering::Relaxed)
            }),
            ("no guard", |row, _, _| {
                row.guarded.store(7, Ordering::Relaxed)
            }),
            ("a guard of nobody", |row, _, task| {
                let generation = task.generation + 5;
                let (item, attempt) = (0, 0);
                row.progress.guard.raise(Try {
                    generation,
                    item,
                    attempt,
                });
            }),
        ];
        for (name, go_mad) in madness {
            let Scene {
                board,
                mut desk,
                task,
                ..
            } = scene();
            go_mad(&board.tasks()[task.index.0 as usize], &board, task);
            let first = desk.audit(&board, 1);
            assert!(!first.is_written_over, "{name}: seen once is not enough");
            assert!(desk.audit(&board, 1).is_written_over, "{name}");
        }
    }

    #[test]
    fn a_worker_that_keeps_to_the_protocol_is_believed() {
        let Scene {
            board,
            mut desk,
            task,
            ..
        } = scene();
        let row = &board.tasks()[task.index.0 as usize];
        board.workers()[0].set_current(Some(task));
        assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
        let (generation, item, attempt) = (task.generation, 0, 0);
        row.progress.guard.raise(Try {
            generation,
            item,
            attempt,
        });
        // As `Process::kill` has it.
        row.retries.store(0, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(!desk.audit(&board, 1).is_written_over);
        }
    }

    /// Its name stands in the queue of its priority, and no other tells when that is passed.
    #[test]
    fn a_row_withdrawn_serves_again_once_the_queue_of_its_priority_has_passed_its_name() {
        for (priority, other) in [
            (Priority::Low, Priority::Normal),
            (Priority::Normal, Priority::High),
            (Priority::High, Priority::Low),
        ] {
            let Scene {
                board,
                mut desk,
                task,
                ..
            } = scene_with(priority);
            for _ in 1..LAYOUT.n_tasks {
                desk.set_aside(&board, 64).unwrap();
            }
            assert!(desk.withdraw(&board, task, &Rest::Cancelled));
            board.queue(other).append(task);
            board.queue(other).taker().take(|_| true);
            assert!(!desk.has_room(&board, 64), "{priority:?}: its name stands");
            // So that it is not the emptiness that tells.
            board.queue(priority).append(task);
            assert_eq!(board.queue(priority).taker().take(|_| true), Some(task));
            assert!(desk.has_room(&board, 64), "{priority:?}");
        }
    }

    #[test]
    fn rows_withdrawn_serve_again_though_the_queue_was_written_over() {
        let Scene {
            board,
            mut desk,
            task,
            ..
        } = scene();
        for _ in 1..LAYOUT.n_tasks {
            desk.set_aside(&board, 64).unwrap();
        }
        assert!(!desk.has_room(&board, 64), "all rows are in use");
        assert!(desk.withdraw(&board, task, &Rest::Cancelled));
        assert!(!desk.has_room(&board, 64), "its name stands in the queue");
        // A head that never comes to where the name stood, and nothing more to come to: of the second of the queues, which
        // is that of normal priority.
        let ends = board.words::<17>(size_of::<QueueEnds>() as u64).unwrap();
        let head = &ends[0];
        let tail = &ends[16];
        tail.store(0, Ordering::Relaxed);
        assert_eq!(head.load(Ordering::Relaxed), 0);
        assert!(desk.has_room(&board, 64));
    }

    #[test]
    fn a_task_that_nobody_can_find_is_named_again() {
        let Scene {
            board,
            mut desk,
            task,
            ..
        } = scene();
        // The name is lost, and the worker has gone to sleep.
        board.queue(Priority::Normal).taker().take(|_| true);
        let record = &board.workers()[0];
        let mut n_looks = 0;
        board.sleep_worker(WorkerIndex(0), Duration::ZERO, |_| {
            n_looks += 1;
            if n_looks == 1 {
                desk.audit(&board, 1);
                assert!(board.queue(Priority::Normal).looks_empty());
                desk.audit(&board, 1);
            }
            None::<()>
        });
        assert_eq!(n_looks, 2, "it was rung for");
        assert_eq!(
            board.queue(Priority::Normal).taker().take(|_| true),
            Some(task)
        );
        assert_eq!(record.jobs_done.load(Ordering::Relaxed), 0);
    }

    /// Whoever sleeps cannot find it, and the others may be at work for long.
    #[test]
    fn a_task_whose_name_was_passed_by_is_named_again_beside_busy_workers() {
        for has_run_ahead in [false, true] {
            let Scene {
                board,
                mut desk,
                task,
                ..
            } = scene();
            let queue = board.queue(Priority::Normal);
            if has_run_ahead {
                // As after a tail far ahead, which the next task of the program has put right.
                queue.append_at(77, task);
                queue.taker().take(|_| false);
                queue.append_at(0, task);
            } else {
                queue.taker().take(|_| true);
            }
            let mut taker = queue.taker();
            assert_eq!(taker.take(|_| true), None);
            desk.audit(&board, 1);
            assert_eq!(taker.take(|_| true), None, "seen once is not enough");
            desk.audit(&board, 1);
            assert_eq!(taker.take(|_| true), Some(task));
        }
    }

    /// Its name in the queue was passed, and the other one will be come to.
    #[test]
    fn a_task_that_waits_to_be_tried_again_is_left_alone() {
        let Scene {
            board,
            mut desk,
            task,
            ..
        } = scene();
        let queue = board.queue(Priority::Normal);
        let row = &board.tasks()[task.index.0 as usize];
        let dead = WorkerIndex(0);
        let mut claim = |task: TaskId| row.state.try_claim(task.generation, dead);
        assert_eq!(queue.taker().take(&mut claim), Some(task));
        row.state.requeue(task.generation, dead);
        board.retries().append(task);
        for _ in 0..3 {
            desk.audit(&board, 1);
        }
        assert!(queue.looks_empty());
        assert_eq!(board.retries().taker().take(&mut claim), Some(task));
    }

    #[test]
    fn a_task_that_waits_for_a_busy_worker_is_left_alone() {
        let Scene {
            board,
            mut desk,
            mailbox,
            ..
        } = scene();
        for _ in 0..3 {
            desk.audit(&board, 1);
        }
        assert!(mailbox.is_empty());
        assert_eq!(desk.n_in_flight(), 1);
    }

    #[test]
    fn a_task_that_was_done_and_not_heard_of_is_taken() {
        let Scene {
            board,
            mut desk,
            mailbox,
            task,
        } = scene();
        let row = &board.tasks()[task.index.0 as usize];
        assert!(row.state.try_claim(task.generation, WorkerIndex(0)));
        assert!(row.state.finish(task.generation, WorkerIndex(0)));
        desk.audit(&board, 1);
        assert_eq!(mailbox.take().len(), 1);
    }
}
