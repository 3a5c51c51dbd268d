//! The queue: every task is had once, whoever dies on the way to it.

use std::sync::Arc;

use loom::thread;

use crate::atomic::{check, check_deaths};
use crate::board::{Board, WorkerIndex};
use crate::program::{NewTask, Program, Verdict};
use crate::supervisor::bury_killed;
use crate::worker::{Claims, End, Fate, work};

fn new(tag: u32) -> NewTask {
    NewTask {
        tag,
        n_items: 1,
        ..NewTask::default()
    }
}

/// Takes one task, if there is one, and gives its tag.
fn serve(board: &Board, index: WorkerIndex) -> bool {
    serve_next(board, &mut Claims::new(board), index)
}

fn serve_next(board: &Board, claims: &mut Claims<'_>, index: WorkerIndex) -> bool {
    let Some(task) = claims.next(index) else {
        return false;
    };
    let tag = board
        .task(task.index)
        .unwrap()
        .job
        .load(crate::atomic::Ordering::Relaxed) as u32;
    assert_eq!(
        work(board, index, task, 9, |_, _| End::Result(tag)),
        Fate::TookLeave
    );
    true
}

fn spawn<T: 'static>(
    board: &Arc<Board>,
    deeds: impl FnOnce(&Board) -> T + 'static,
) -> thread::JoinHandle<T> {
    let board = Arc::clone(board);
    thread::spawn(move || deeds(&board))
}

fn join<T>(thread: thread::JoinHandle<T>) {
    thread.join().unwrap();
}

/// The last living worker does what is left; then the program looks.
fn end(board: &Board, mut program: Program, expected: &[u32]) -> Program {
    while serve(board, WorkerIndex(0)) {}
    program.drain(board);
    assert_eq!(program.tags(), expected);
    program
}

#[test]
fn two_workers_take_each_task_once_while_the_program_appends() {
    check(Some(2), || {
        let board = Arc::new(Board::new(3, 2, 1));
        let mut program = Program::new(2);
        program.publish(&board, new(1));
        let workers =
            [1, 2].map(|index| spawn(&board, move |board| serve(board, WorkerIndex(index))));
        program.publish(&board, new(2));
        workers.into_iter().for_each(join);
        let program = end(&board, program, &[1, 2]);
        for (tag, verdicts) in program.delivered {
            assert_eq!(verdicts, [Verdict::Result(tag)]);
        }
    });
}

/// It knows of an older tail, while the other one passes names that it has seen and rows get new tenants.
#[test]
fn a_worker_that_remembers_the_tail_takes_each_task_once() {
    check(Some(2), || {
        let board = Arc::new(Board::new(3, 2, 1));
        let mut program = Program::new(2);
        program.publish(&board, new(1));
        program.publish(&board, new(2));
        let one = spawn(&board, |board| {
            let mut claims = Claims::new(board);
            for _ in 0..2 {
                serve_next(board, &mut claims, WorkerIndex(1));
            }
        });
        let other = spawn(&board, |board| serve(board, WorkerIndex(2)));
        program.drain(&board);
        let third = program.publish(&board, new(3));
        join(one);
        join(other);
        let n_tasks = if third.is_some() { 3 } else { 2 };
        end(&board, program, &[1, 2, 3][..n_tasks]);
    });
}

#[test]
fn a_task_whose_worker_dies_at_any_step_is_done_or_answered_once() {
    check_deaths(Some(2), |life| {
        let board = Arc::new(Board::new(3, 2, 1));
        let mut program = Program::new(2);
        program.publish(&board, new(1));
        program.publish(&board, new(2));
        let (life, mortal) = (life.clone(), WorkerIndex(1));
        let mortal_thread = spawn(&board, move |board| life.live(|| serve(board, mortal)));
        let living = spawn(&board, |board| serve(board, WorkerIndex(2)));
        mortal_thread.join().unwrap();
        // The supervisor, while the other worker goes on.
        bury_killed(&board, mortal);
        living.join().unwrap();
        let program = end(&board, program, &[1, 2]);
        let n_blamed = program
            .delivered
            .iter()
            .filter(|(tag, verdicts)| verdicts[0] != Verdict::Result(*tag))
            .count();
        assert!(n_blamed <= 1);
    });
}

#[test]
fn two_workers_that_die_on_the_way_to_one_task_lose_nothing() {
    check_deaths(Some(2), |life| {
        let board = Arc::new(Board::new(3, 1, 1));
        let mut program = Program::new(1);
        program.publish(
            &board,
            NewTask {
                retries: 9,
                ..new(1)
            },
        );
        let threads = [1, 2].map(|index| {
            let life = life.clone();
            spawn(&board, move |board| {
                life.live(|| serve(board, WorkerIndex(index)))
            })
        });
        for (index, worker) in [1, 2].into_iter().zip(threads) {
            worker.join().unwrap();
            bury_killed(&board, WorkerIndex(index));
        }
        let program = end(&board, program, &[1]);
        assert_eq!(program.delivered[0].1, [Verdict::Result(1)]);
    });
}

#[test]
fn a_late_taker_never_has_a_row_under_an_old_name() {
    check(Some(2), || {
        let board = Arc::new(Board::new(3, 1, 1));
        let mut program = Program::new(1);
        let mut task = program.publish(&board, new(1)).unwrap();
        let workers =
            [1, 2].map(|index| spawn(&board, move |board| serve(board, WorkerIndex(index))));
        let mut withdrawn = Vec::new();
        for tag in 2..=3 {
            // The row is free again once a worker has passed its old name.
            if program.withdraw(&board, task) {
                withdrawn.push(tag - 1);
            }
            program.drain(&board);
            match program.publish(&board, new(tag)) {
                Some(next) => task = next,
                None => break,
            }
        }
        workers.into_iter().for_each(join);
        while serve(&board, WorkerIndex(0)) {}
        program.drain(&board);
        for (tag, verdicts) in program.delivered {
            let verdict = if withdrawn.contains(&tag) {
                Verdict::Unfinished
            } else {
                Verdict::Result(tag)
            };
            assert_eq!(verdicts, [verdict], "task {tag}");
        }
    });
}

#[test]
fn a_waiting_task_outlasts_any_number_of_withdrawn_ones() {
    check(Some(3), || {
        let board = Arc::new(Board::new(2, 2, 1));
        let mut program = Program::new(2);
        program.publish(&board, new(0));
        let worker = spawn(&board, |board| serve(board, WorkerIndex(1)));
        let mut tags = vec![0];
        for tag in 1..=9 {
            if let Some(task) = program.publish(&board, new(tag)) {
                tags.push(tag);
                program.withdraw(&board, task);
            }
        }
        join(worker);
        end(&board, program, &tags);
    });
}
