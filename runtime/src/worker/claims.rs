//! A worker's way to its next task.
//!
//! It looks through the queues in the order of what comes first, and takes the oldest task to be had by one compare-exchange.
//! Nobody else learns what it remembers of the queues: that only saves looking.

use crate::board::{Board, Queue, Taker, TaskId, WorkerIndex, WorkerRecord};

/// So many places ahead a worker has the lines of a task fetched: while it takes the next ones and runs them, these come.
const AHEAD: u64 = 2;

#[derive(Debug)]
pub(super) struct Claims<'board> {
    board: &'board Board,
    takers: Vec<Taker<'board>>,
}

impl<'board> Claims<'board> {
    pub(super) fn new(board: &'board Board) -> Self {
        Self {
            board,
            takers: board.queues().map(Queue::taker).collect(),
        }
    }

    /// Takes the oldest task to be had of those that come first.
    pub(super) fn next(&mut self, record: &WorkerRecord, index: WorkerIndex) -> Option<TaskId> {
        let board = self.board;
        let mut has_named = false;
        let mut claim = |task: TaskId| {
            let Some(row) = board.task(task.index) else {
                return false;
            };
            row.prefetch();
            board.prefetch_link(task.index);
            record.set_current(Some(task));
            has_named = true;
            row.state.try_claim(task.generation, index)
        };
        let claimed = self.takers.iter_mut().find_map(|taker| {
            let task = taker.take(&mut claim)?;
            let upcoming = taker.upcoming(AHEAD);
            if let Some(row) = upcoming.and_then(|task| board.task(task.index)) {
                row.prefetch();
            }
            Some(task)
        });
        if claimed.is_none() && has_named {
            record.set_current(None);
        }
        claimed
    }
}
