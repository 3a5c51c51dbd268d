//! The supervisor in front of a board that a worker gone mad has written.

mod orders;

use super::verdict::{Blame, Cause, Death};
use crate::board::{Board, Layout, Ordering, TaskId, TaskIndex, WorkerIndex};

const LAYOUT: Layout = Layout {
    n_workers: 2,
    n_tasks: 4,
    setup_len: 0,
    arena_len: 8192,
    region_len: 8192,
};

fn next(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    seed.rotate_left(32)
}

/// Words that are likely to mean something, and words that are not.
fn odd_word(seed: &mut u64, near: &[u64]) -> u64 {
    let random = next(seed);
    match random % 8 {
        0 => random,
        1 => u64::MAX - (random >> 8) % 4,
        2 | 3 => (random >> 8) % 70,
        4 => (random >> 8) % 256 * 64,
        5 => (((random >> 8) % 4) << 32) | ((random >> 16) % 8),
        _ => near[(random >> 8) as usize % near.len()].wrapping_add((random >> 40) % 3 * 64),
    }
}

/// Everything a worker can reach, header and rings too.
fn scribble(board: &Board, seed: &mut u64) {
    let layout = board.layout();
    let near = [
        layout.arena().offset,
        layout.regions().offset,
        layout.len(),
        8192,
    ];
    // The header's queues and logs, the records, and the tables.
    for offset in (0..layout.len()).step_by(8) {
        let [word] = board.words::<1>(offset).expect("within the board");
        word.store(odd_word(seed, &near), Ordering::Relaxed);
    }
}

/// A board of nonsense on which the worker holds a task, so that the supervisor goes all the way.
fn hold(board: &Board, index: WorkerIndex, seed: &mut u64) -> TaskId {
    let task = TaskId {
        index: TaskIndex((next(seed) % 4) as u32),
        generation: 0,
    };
    let row = board.task(task.index).expect("one of four");
    row.state.publish(0);
    assert!(row.state.try_claim(0, index));
    board
        .worker(index)
        .expect("one of two")
        .set_current(Some(task));
    task
}

fn bury_on_nonsense(mut seed: u64) {
    let (board, _) = Board::create(LAYOUT).expect("memory for a small board");
    for round in 0..8 {
        scribble(&board, &mut seed);
        let index = WorkerIndex((next(&mut seed) % 2) as u16);
        let record = board.worker(index).expect("one of two");
        if round % 4 != 0 {
            hold(&board, index, &mut seed);
        }
        let death = Death {
            board: &board,
            record,
            index,
            pid: 1,
            cause: [
                Cause::Signal(9),
                Cause::Exit(3),
                Cause::TimedOut,
                Cause::Cancelled,
            ][(next(&mut seed) % 4) as usize],
        };
        if round % 2 == 0 {
            death.bury(Blame::Begun);
        } else {
            death.bury_with_only_task();
        }
    }
}

#[test]
fn nonsense_on_the_board_neither_stops_nor_breaks_a_burial() {
    let (seen, watch) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for seed in 0..400 {
            let result = std::panic::catch_unwind(|| bury_on_nonsense(seed));
            if seen.send(result.is_ok()).is_err() {
                return;
            }
        }
    });
    for seed in 0..400 {
        let is_sound = watch.recv_timeout(std::time::Duration::from_secs(20));
        assert_eq!(
            is_sound,
            Ok(true),
            "seed {seed}: a panic, or it goes round for ever"
        );
    }
}
