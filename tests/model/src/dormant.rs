//! Posts whose worker has retired: no task waits while there is one, whatever the workers at the others do.
//!
//! The number of dormant posts is the crate's own; the sleep of `Board::sleep_worker_counted` and the question of
//! `Board::wants_dormant` are written again, step for step, for workers that nobody rings for: each one's time is over as soon as it
//! sleeps.

#[path = "../../../runtime/src/board/dormant.rs"]
mod real;

use std::sync::Arc;

use loom::thread;

use crate::atomic::{self, AtomicU32, AtomicU64, Ordering, check, fence};
use crate::board::{Board, TaskId, WorkerIndex};
use crate::worker::{claim, first};
use real::Dormant;

struct Pool {
    board: Board,
    /// A bit per worker.
    sleepers: AtomicU64,
    dormant: Dormant,
    /// Requests on their way to the supervisor.
    n_asked: AtomicU32,
}

impl Pool {
    fn new(n_workers: usize, n_tasks: usize) -> Arc<Self> {
        Arc::new(Self {
            board: Board::new(n_workers, n_tasks, 1),
            sleepers: AtomicU64::default(),
            dormant: Dormant::default(),
            n_asked: AtomicU32::default(),
        })
    }

    /// A worker's last look: a task, which keeps it for long, or it retires.
    fn look_or_retire(&self, index: WorkerIndex) -> Option<TaskId> {
        self.sleepers.fetch_or(1 << index.0, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let _is_wanted = self.has_queued();
        self.sleepers.fetch_and(!(1 << index.0), Ordering::AcqRel);
        fence(Ordering::SeqCst);
        claim(&self.board, index)
    }

    fn has_queued(&self) -> bool {
        !self.board.queue().looks_empty()
    }

    fn publish(&self, index: u32) {
        self.board.tasks()[index as usize].state.publish(0);
        self.board.queue().append(first(index));
        fence(Ordering::SeqCst);
        let n_tasks = self.board.queue().looks_long();
        let n_sleeping = self.sleepers.load(Ordering::Relaxed).count_ones();
        if n_tasks > u64::from(n_sleeping) && self.dormant.take_one() {
            self.n_asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The supervisor, when a worker has ended: `n_dormant` posts are. Whether one more worker is to come.
    fn bury(&self, n_dormant: u32) -> bool {
        self.dormant.say(n_dormant);
        n_dormant > 0 && self.has_queued()
    }
}

fn is_claimed(pool: &Pool, index: u32) -> bool {
    !pool.board.tasks()[index as usize].state.withdraw(0)
}

#[test]
fn a_task_does_not_escape_a_worker_that_retires() {
    check(None, || {
        let pool = Pool::new(2, 1);
        let worker = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.look_or_retire(WorkerIndex(0)))
        };
        let publisher = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.publish(0))
        };
        let has_retired = worker.join().unwrap().is_none();
        let mut comes = has_retired && pool.bury(1);
        publisher.join().unwrap();
        comes |= has_retired && pool.n_asked.load(Ordering::Relaxed) > 0;
        if comes {
            claim(&pool.board, WorkerIndex(1));
        }
        assert!(is_claimed(&pool, 0));
    });
}

/// One worker may take only one of them, and the other one is not to wait for that.
#[test]
fn a_second_task_does_not_wait_for_the_first_while_a_post_is_dormant() {
    check(Some(3), || {
        let pool = Pool::new(3, 2);
        let mut n_dormant = 1;
        pool.dormant.say(n_dormant);
        let worker = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.look_or_retire(WorkerIndex(0)))
        };
        let publisher = {
            let pool = Arc::clone(&pool);
            thread::spawn(move || [0, 1].into_iter().for_each(|index| pool.publish(index)))
        };
        let mut come = 0;
        if worker.join().unwrap().is_none() {
            n_dormant += 1;
            come += u32::from(pool.bury(n_dormant));
        }
        publisher.join().unwrap();
        come += pool.n_asked.load(Ordering::Relaxed);
        for place in 0..come.min(n_dormant) {
            claim(&pool.board, WorkerIndex(1 + place as u16));
        }
        assert!(is_claimed(&pool, 0) && is_claimed(&pool, 1));
    });
}
