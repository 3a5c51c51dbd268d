//! The supervisor: its verdict on the dead, and how it singles out the item that runs.

#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../runtime/src/supervisor/verdict.rs"]
mod verdict;

use std::sync::{Mutex, MutexGuard, PoisonError};

use verdict::{Blame, Cause, Death};

use crate::board::{Board, State, TaskId, Try, WorkerIndex};

mod crew {
    use crate::board::{TaskId, TaskIndex};

    pub(super) struct Crew;

    impl Crew {
        pub(super) const ONLY_TASK: TaskId = TaskId {
            index: TaskIndex(0),
            generation: 0,
        };
    }
}

/// As in `link.rs`: no thread is killed or panics with one of these locks held.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn death(board: &Board, index: WorkerIndex, cause: Cause) -> Death<'_> {
    let record = board
        .worker(index)
        .expect("the models name workers that they have");
    Death {
        board,
        record,
        index,
        pid: 1,
        cause,
    }
}

/// A signal that nobody of ours sent.
pub(crate) fn bury_killed(board: &Board, index: WorkerIndex) {
    death(board, index, Cause::Signal(9)).bury(Blame::Begun);
}

/// It was condemned for its time.
pub(crate) fn bury_timed_out(board: &Board, index: WorkerIndex) {
    death(board, index, Cause::TimedOut).bury(Blame::Begun);
}

/// It left by itself.
pub(crate) fn bury_departed(board: &Board, index: WorkerIndex) {
    death(board, index, Cause::Exit(0)).bury(Blame::Begun);
}

/// It was the one worker of a process.
pub(crate) fn bury_killed_process(board: &Board, index: WorkerIndex) {
    death(board, index, Cause::Signal(9)).bury_with_only_task();
}

/// What `Running::of` of `watch.rs` finds.
pub(crate) fn running(board: &Board, index: WorkerIndex) -> Option<(TaskId, Try)> {
    let task = board.worker(index)?.current()?;
    let row = board.task(task.index)?;
    let this_try = row.progress.guard.running()?;
    let holds_it = row.state.read(task.generation) == Some(State::Claimed(index));
    (holds_it && this_try.generation == task.generation).then_some((task, this_try))
}

/// `Worker::end` of `crew.rs`, up to the kill: whether there is to be one.
pub(crate) fn condemn(board: &Board, task: TaskId, this_try: Try) -> bool {
    board
        .task(task.index)
        .is_some_and(|row| row.progress.guard.condemn(this_try))
}
