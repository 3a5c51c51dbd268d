//! The chain of finished tasks, and the rescan that makes up for a push that a death prevented.

use std::sync::Arc;

use loom::thread;

use crate::atomic::{Ordering, check, check_deaths};
use crate::board::{Board, TaskId, WorkerIndex};
use crate::program::{NewTask, Program};
use crate::supervisor::bury_killed;
use crate::worker::{claim, finish};

fn new(tag: u32) -> NewTask {
    NewTask {
        tag,
        n_items: 1,
        ..NewTask::default()
    }
}

/// Publishes a task and has it claimed.
fn held(board: &Board, program: &mut Program, tag: u32, worker: u16) -> TaskId {
    program.publish(board, new(tag));
    claim(board, WorkerIndex(worker)).unwrap()
}

fn finisher(board: &Arc<Board>, worker: u16, task: TaskId) -> thread::JoinHandle<()> {
    let board = Arc::clone(board);
    thread::spawn(move || finish(&board, WorkerIndex(worker), task))
}

#[test]
fn two_workers_push_and_the_program_takes_each_once() {
    check(Some(3), || {
        let (board, mut program) = (Arc::new(Board::new(2, 2, 1)), Program::new(2));
        let tasks = [1, 2].map(|worker| held(&board, &mut program, worker, worker as u16 - 1));
        let workers = [0, 1].map(|worker| finisher(&board, worker, tasks[usize::from(worker)]));
        program.drain(&board);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        program.drain(&board);
        assert_eq!(program.tags(), [1, 2]);
    });
}

#[test]
fn a_row_pushed_again_while_the_chain_is_walked_is_taken_again() {
    check(Some(3), || {
        let (board, mut program) = (Arc::new(Board::new(2, 2, 1)), Program::new(2));
        let tasks = [1, 2].map(|worker| held(&board, &mut program, worker, worker as u16 - 1));
        let other = finisher(&board, 1, tasks[1]);
        finish(&board, WorkerIndex(0), tasks[0]);
        program.drain(&board);
        if let Some(task) = program.publish(&board, new(3)) {
            assert_eq!(claim(&board, WorkerIndex(0)), Some(task));
            finish(&board, WorkerIndex(0), task);
        }
        program.drain(&board);
        other.join().unwrap();
        program.drain(&board);
        assert_eq!(program.tags(), [1, 2, 3]);
    });
}

#[test]
fn a_death_between_done_and_push_loses_nothing() {
    check_deaths(Some(3), |life| {
        let (board, mut program) = (Arc::new(Board::new(2, 2, 1)), Program::new(2));
        let tasks = [1, 2].map(|worker| held(&board, &mut program, worker, worker as u16 - 1));
        let mortal = {
            let (board, life, task) = (Arc::clone(&board), life.clone(), tasks[0]);
            thread::spawn(move || life.live(|| finish(&board, WorkerIndex(0), task)))
        };
        let living = finisher(&board, 1, tasks[1]);
        program.drain(&board);
        mortal.join().unwrap();
        bury_killed(&board, WorkerIndex(0));
        program.drain(&board);
        living.join().unwrap();
        // A worker that died before it had said `DONE` gave its task back.
        if let Some(task) = claim(&board, WorkerIndex(0)) {
            finish(&board, WorkerIndex(0), task);
        }
        program.drain(&board);
        assert_eq!(program.tags(), [1, 2]);
    });
}

#[test]
fn a_task_that_the_supervisor_finishes_is_taken_once() {
    check(Some(3), || {
        let (board, mut program) = (Arc::new(Board::new(2, 2, 1)), Program::new(2));
        let tasks = [1, 2].map(|worker| held(&board, &mut program, worker, worker as u16 - 1));
        // The first worker died when its item was done and its task was not.
        let progress = &board.task(tasks[0].index).unwrap().progress;
        progress.started.store(1, Ordering::Release);
        progress.done.store(1, Ordering::Release);
        let supervisor = {
            let board = Arc::clone(&board);
            thread::spawn(move || bury_killed(&board, WorkerIndex(0)))
        };
        let living = finisher(&board, 1, tasks[1]);
        program.drain(&board);
        supervisor.join().unwrap();
        living.join().unwrap();
        program.drain(&board);
        assert_eq!(program.tags(), [1, 2]);
    });
}

/// Another worker's death makes the program take a row whose living worker has yet to push it. That push may cut
/// the chain behind the row's next tenant; whoever waits then finds by an audit what was behind it.
#[test]
fn a_push_that_comes_after_a_rescan_loses_nothing() {
    check(Some(3), || {
        let (board, mut program) = (Arc::new(Board::new(3, 2, 1)), Program::new(2));
        let tasks = [1, 2].map(|worker| held(&board, &mut program, worker, worker as u16 - 1));
        let late = finisher(&board, 0, tasks[0]);
        // A third worker has died somewhere.
        board.header().rescan.fetch_add(1, Ordering::Release);
        program.drain(&board);
        finish(&board, WorkerIndex(1), tasks[1]);
        if let Some(task) = program.publish(&board, new(3)) {
            assert_eq!(claim(&board, WorkerIndex(1)), Some(task));
            finish(&board, WorkerIndex(1), task);
        }
        program.drain(&board);
        late.join().unwrap();
        program.drain(&board);
        // Of `Desk::audit`.
        program.rescan(&board);
        if !program.tags().contains(&3) {
            let task = program.publish(&board, new(3)).expect("all rows are free");
            assert_eq!(claim(&board, WorkerIndex(1)), Some(task));
            finish(&board, WorkerIndex(1), task);
            program.drain(&board);
        }
        assert_eq!(program.tags(), [1, 2, 3]);
    });
}
