//! Nothing hangs because of a worker gone mad: what it may have written over is looked through while callers wait.
//!
//! In a pool whose workers keep to the protocol and are not killed in the middle of it this finds nothing. It runs
//! ten times a second while somebody waits, and it acts on what it has seen twice, since between two words of a
//! protocol that is kept there are moments that look like one that is not.

use super::desk::Desk;
use super::outcome::Rest;
use crate::board::{Board, State, TaskId, TaskIndex, WorkerIndex};
use crate::sys;

/// What is wrong with a task on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It waits and everybody sleeps: its name is not in the queue.
    Forgotten,
    /// Its row is in no state that leads to its end.
    Overwritten,
}

/// Nanoseconds between two audits.
const PERIOD: u64 = 100_000_000;

impl Desk {
    /// Audits, unless that was done a moment ago.
    pub(super) fn audit_if_due(&mut self, board: &Board) {
        let now = sys::monotonic_nanos();
        if now.saturating_sub(self.last_audit) >= PERIOD {
            self.last_audit = now;
            self.audit(board);
        }
    }

    /// Answers tasks whose rows were overwritten, and names those again that were forgotten.
    pub(super) fn audit(&mut self, board: &Board) {
        for index in 0..self.n_rows_used() {
            let index = TaskIndex(index);
            self.take_if_done(board, index);
            let Some(task) = self.task_at(index) else {
                continue;
            };
            let wrong = look(board, task);
            let was_wrong = self.suspect(index, wrong);
            match wrong.filter(|_| wrong == was_wrong) {
                Some(Wrong::Forgotten) => self.name_again(board, task),
                Some(Wrong::Overwritten) => {
                    let rest = Rest::Lost("a worker has written over the task".into());
                    self.deliver_and_free(board, index, rest);
                }
                None => {}
            }
        }
    }
}

fn look(board: &Board, task: TaskId) -> Option<Wrong> {
    match board.task(task.index)?.state.read(task.generation) {
        None | Some(State::Free) => Some(Wrong::Overwritten),
        // Finished since it was looked at.
        Some(State::Done) => None,
        Some(State::Ready) => {
            let n_workers = board.workers().len() as u16;
            let all_asleep = (0..n_workers).all(|worker| board.is_asleep(WorkerIndex(worker)));
            all_asleep.then_some(Wrong::Forgotten)
        }
        Some(State::Claimed(worker)) => {
            let holds_it = board
                .worker(worker)
                .is_some_and(|record| record.current() == Some(task));
            (!holds_it).then_some(Wrong::Overwritten)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::board::{Layout, Ordering, Room, Span};
    use crate::dispatch::desk::{Mailbox, Tenant};
    use crate::dispatch::outcome::{Limits, Remembered};

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
        let (board, _) = Board::create(LAYOUT).unwrap();
        let (mut desk, mailbox) = (Desk::new(LAYOUT), Arc::default());
        let (index, span) = desk.set_aside(&board, Room::len(1, Some(8), 0)).unwrap();
        let room = Span::new(span.offset, span.len);
        let remembered = Remembered {
            n_items: 1,
            room,
            fixed_output: Some(8),
            limits: Limits::default(),
            tags: 1,
        };
        let task = desk.seat(
            &board,
            index,
            Tenant::new(span, remembered, Vec::new(), &mailbox, 0),
        );
        Scene {
            board,
            desk,
            mailbox,
            task,
        }
    }

    #[test]
    fn a_task_that_was_overwritten_is_answered() {
        let Scene {
            board,
            mut desk,
            mailbox,
            task,
        } = scene();
        board.tasks()[task.index.0 as usize].state.free(77);
        desk.audit(&board);
        assert!(mailbox.is_empty(), "seen once is not enough");
        desk.audit(&board);
        assert_eq!(mailbox.take().len(), 1);
        assert_eq!(desk.n_in_flight(), 0);
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
        board.queue().take(|_| true);
        let record = &board.workers()[0];
        let mut n_looks = 0;
        board.sleep_worker(WorkerIndex(0), Duration::ZERO, || {
            n_looks += 1;
            if n_looks == 1 {
                desk.audit(&board);
                assert!(board.queue().looks_empty());
                desk.audit(&board);
            }
            None::<()>
        });
        assert_eq!(n_looks, 2, "it was rung for");
        assert_eq!(board.queue().take(|_| true), Some(task));
        assert_eq!(record.jobs_done.load(Ordering::Relaxed), 0);
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
            desk.audit(&board);
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
        desk.audit(&board);
        assert_eq!(mailbox.take().len(), 1);
    }
}
