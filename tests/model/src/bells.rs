//! Spinning, sleeping and waking, step for step as in `board/bells.rs`: no wake-up is lost.
//!
//! The futex is a lock and a condition variable; there are no timeouts, so a lost wake-up is a deadlock, which
//! loom reports.

use std::cell::RefCell;
use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use crate::atomic::{AtomicU32, AtomicU64, Ordering, check, fence};
use crate::board::{Board, TaskId, WorkerIndex};
use crate::program::{NewTask, Program};
use crate::worker::{Claims, End, claim, finish, first, work};

#[derive(Default)]
struct Futex {
    lock: Mutex<()>,
    sleepers: Condvar,
}

impl Futex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let guard = self.lock.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            drop(self.sleepers.wait(guard).unwrap());
        }
    }

    fn wake(&self) {
        let _guard = self.lock.lock().unwrap();
        self.sleepers.notify_all();
    }
}

#[derive(Default)]
struct Bell {
    word: AtomicU32,
    futex: Futex,
}

const SLEEPS: u64 = 0x5555_5555_5555_5555;
const RUNG_FOR: u64 = SLEEPS << 1;

struct Bells {
    board: Board,
    /// Two bits per worker.
    sleepers: AtomicU64,
    spinning: AtomicU64,
    bells: Vec<Bell>,
    done_bell: Bell,
    n_waiting: AtomicU32,
    watched: AtomicU32,
    /// As many are rung for at once.
    n_cores: u32,
    /// No more workers are to be awake; 0 for no limit.
    most_awake: u32,
    n_done: AtomicU32,
    closing: AtomicU32,
}

impl Bells {
    fn new(n_workers: usize, n_tasks: usize) -> Arc<Self> {
        Self::with_most_awake(0, n_workers, n_tasks)
    }

    fn with_most_awake(most_awake: u32, n_workers: usize, n_tasks: usize) -> Arc<Self> {
        Arc::new(Self {
            board: Board::new(n_workers, n_tasks, 1),
            sleepers: AtomicU64::default(),
            spinning: AtomicU64::default(),
            bells: (0..n_workers).map(|_| Bell::default()).collect(),
            done_bell: Bell::default(),
            n_waiting: AtomicU32::default(),
            watched: AtomicU32::new(1),
            n_cores: 1,
            most_awake,
            n_done: AtomicU32::default(),
            closing: AtomicU32::default(),
        })
    }

    fn wake_worker(&self) {
        fence(Ordering::SeqCst);
        let sleepers = self.sleepers.load(Ordering::Relaxed);
        let n_rung_for = (sleepers & RUNG_FOR).count_ones();
        let n_sleeping = (sleepers & SLEEPS).count_ones();
        if n_sleeping == 0 || n_rung_for >= self.n_cores {
            return;
        }
        if self.most_awake > 0 && self.bells.len() as u32 - n_sleeping >= self.most_awake {
            return;
        }
        let n_looking = n_rung_for + self.spinning.load(Ordering::Relaxed).count_ones();
        if self.board.queue().looks_long() > u64::from(n_looking) {
            self.wake_sleeper();
        }
    }

    fn wake_sleeper(&self) {
        let mut bits = self.sleepers.load(Ordering::Relaxed);
        while bits & SLEEPS != 0 {
            let shift = (bits & SLEEPS).trailing_zeros();
            let turned = bits ^ (0b11 << shift);
            match self
                .sleepers
                .compare_exchange(bits, turned, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => {
                    let bell = &self.bells[shift as usize / 2];
                    bell.word.fetch_add(1, Ordering::Release);
                    bell.futex.wake();
                    return;
                }
                Err(now) => bits = now,
            }
        }
    }

    /// For one look instead of many.
    fn spin_worker<T>(&self, worker: WorkerIndex, look: impl Fn() -> Option<T>) -> Option<T> {
        let bit = 1 << worker.0;
        self.spinning.fetch_or(bit, Ordering::AcqRel);
        let found = look();
        self.spinning.fetch_and(!bit, Ordering::AcqRel);
        if found.is_some() {
            self.wake_worker();
        }
        found
    }

    fn needs(&self, worker: WorkerIndex) -> bool {
        if self.most_awake == 0 {
            return true;
        }
        let sleepers = self.sleepers.load(Ordering::Relaxed);
        let n_awake = self.bells.len() as u32 - (sleepers & SLEEPS).count_ones();
        let is_awake = sleepers & SLEEPS & (0b11 << (worker.0 * 2)) == 0;
        n_awake < self.most_awake + u32::from(is_awake)
    }

    fn sleep_worker<T>(&self, worker: WorkerIndex, look: impl Fn(bool) -> Option<T>) -> Option<T> {
        let bell = &self.bells[usize::from(worker.0)];
        let seen = bell.word.load(Ordering::Acquire);
        let pair = 0b11 << (worker.0 * 2);
        self.sleepers.fetch_or(SLEEPS & pair, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let mut found = look(self.needs(worker));
        if found.is_none() {
            bell.futex.wait(&bell.word, seen);
        }
        let bits = self.sleepers.fetch_and(!pair, Ordering::AcqRel);
        let was_rung_for = bits & RUNG_FOR & pair != 0;
        let mut others_may_wait = was_rung_for;
        if found.is_none() {
            fence(Ordering::SeqCst);
            found = look(true);
            if found.is_some() && !was_rung_for {
                self.sleepers.fetch_and(SLEEPS, Ordering::AcqRel);
                self.spinning.store(0, Ordering::Release);
                others_may_wait = true;
            }
        }
        if found.is_some() && others_may_wait {
            self.wake_worker();
        }
        found
    }

    fn wake_all_workers(&self) {
        for bell in &self.bells {
            bell.word.fetch_add(1, Ordering::Release);
            bell.futex.wake();
        }
    }

    fn wake_callers(&self) {
        fence(Ordering::SeqCst);
        if self.n_waiting.load(Ordering::Relaxed) > 0 {
            self.done_bell.word.fetch_add(1, Ordering::Release);
            self.done_bell.futex.wake();
        }
    }

    fn sleep_caller(&self, ready: impl FnOnce() -> bool) {
        let seen = self.done_bell.word.load(Ordering::Acquire);
        self.n_waiting.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        if !ready() {
            self.done_bell.futex.wait(&self.done_bell.word, seen);
        }
        self.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }

    fn claim_if(&self, may_claim: bool, index: WorkerIndex) -> Option<TaskId> {
        may_claim.then(|| claim(&self.board, index)).flatten()
    }

    /// A worker that leaves once it has done a task.
    fn do_one(&self, index: WorkerIndex) {
        let look = |may_claim| self.claim_if(may_claim, index);
        loop {
            let found = look(self.needs(index));
            if let Some(task) = found.or_else(|| self.sleep_worker(index, look)) {
                work(&self.board, index, task, 9, |_, _| End::Result(1));
                return;
            }
        }
    }

    /// A worker that leaves once all tasks are done. It remembers how far it saw the queue.
    fn do_all(&self, index: WorkerIndex) {
        let n_tasks = self.board.tasks().len() as u32;
        let claims = RefCell::new(Claims::new(&self.board));
        let next = || claims.borrow_mut().next(index);
        let look = |may_claim: bool| match may_claim.then(next).flatten() {
            None if self.n_done.load(Ordering::Acquire) == n_tasks => Some(None),
            found => found.map(Some),
        };
        loop {
            let found = look(self.needs(index));
            match found.or_else(|| self.sleep_worker(index, look)) {
                Some(Some(task)) => {
                    work(&self.board, index, task, 9, |_, _| End::Result(1));
                    if self.n_done.fetch_add(1, Ordering::AcqRel) + 1 == n_tasks {
                        self.wake_all_workers();
                    }
                }
                Some(None) => return,
                None => {}
            }
        }
    }

    /// `wait_for_task` of `worker/mod.rs` where there is none, without its spinning.
    fn wait_for_the_end(&self, index: WorkerIndex) {
        let look = |may_claim| {
            let is_closing = self.closing.load(Ordering::Acquire) != 0;
            if is_closing {
                return Some(None);
            }
            self.claim_if(may_claim, index).map(Some)
        };
        loop {
            let found = look(self.needs(index));
            if let Some(next) = found.or_else(|| self.sleep_worker(index, look)) {
                assert_eq!(next, None, "there is no task");
                return;
            }
        }
    }

    /// A worker that has worked before and leaves once it has done a task.
    fn spin_and_do_one(&self, index: WorkerIndex) {
        let look = |may_claim| self.claim_if(may_claim, index);
        let mut found = self.spin_worker(index, || look(true));
        while found.is_none() {
            found = self.sleep_worker(index, look);
        }
        work(&self.board, index, found.unwrap(), 9, |_, _| End::Result(1));
    }

    fn publish(&self, index: u32) {
        self.board.tasks()[index as usize]
            .n_items
            .store(1, Ordering::Relaxed);
        self.board.tasks()[index as usize].state.publish(0);
        self.board.queue().append(first(index));
        self.wake_worker();
    }
}

#[test]
fn a_worker_that_goes_to_sleep_does_not_miss_a_task() {
    check(None, || {
        let bells = Bells::new(1, 1);
        let worker = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.do_one(WorkerIndex(0)))
        };
        bells.publish(0);
        worker.join().unwrap();
    });
}

/// `most_awake`: 0 for no limit.
fn two_tasks_do_not_escape(most_awake: u32) {
    check(Some(1), move || {
        let bells = Bells::with_most_awake(most_awake, 2, 2);
        let workers = [0, 1].map(|index| {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.do_all(WorkerIndex(index)))
        });
        bells.publish(0);
        bells.publish(1);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn two_tasks_do_not_escape_two_workers_that_go_to_sleep() {
    two_tasks_do_not_escape(0);
}

/// What is left to those that are awake is done by them, or by who is rung for when they are not.
#[test]
fn two_tasks_for_few_do_not_escape_two_workers_that_go_to_sleep() {
    two_tasks_do_not_escape(1);
}

/// As long as the first task takes, or until the sleeper looks by itself after a second.
#[test]
fn a_second_task_does_not_wait_for_the_first_while_a_worker_sleeps() {
    check(Some(2), || {
        let bells = Bells::new(2, 2);
        let workers = [0, 1].map(|index| {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.do_one(WorkerIndex(index)))
        });
        bells.publish(0);
        bells.publish(1);
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn a_worker_that_ceases_to_spin_does_not_miss_a_task() {
    check(Some(3), || {
        let bells = Bells::new(1, 1);
        let worker = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.spin_and_do_one(WorkerIndex(0)))
        };
        bells.publish(0);
        worker.join().unwrap();
    });
}

/// Whoever spins is counted on for one of them, whichever it finds.
#[test]
fn a_second_task_does_not_wait_for_the_first_where_one_spins_and_one_sleeps() {
    check(Some(2), || {
        let bells = Bells::new(2, 2);
        let spinner = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.spin_and_do_one(WorkerIndex(0)))
        };
        let sleeper = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.do_one(WorkerIndex(1)))
        };
        bells.publish(0);
        bells.publish(1);
        spinner.join().unwrap();
        sleeper.join().unwrap();
    });
}

/// Its supervisor sees to it: nobody else may be awake.
#[test]
fn what_was_left_to_a_worker_that_dies_while_it_spins_is_done_by_a_sleeper() {
    check(Some(2), || {
        let bells = Bells::new(2, 1);
        let sleeper = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.do_one(WorkerIndex(1)))
        };
        // It has looked for the last time.
        bells.spinning.fetch_or(1, Ordering::AcqRel);
        let supervisor = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || {
                bells.spinning.fetch_and(!1, Ordering::AcqRel);
                bells.wake_worker();
            })
        };
        bells.publish(0);
        supervisor.join().unwrap();
        sleeper.join().unwrap();
    });
}

/// Or it leaves a second later, when it looks by itself.
#[test]
fn a_worker_that_goes_to_sleep_does_not_miss_the_end_of_the_pool() {
    check(None, || {
        let bells = Bells::new(1, 1);
        let worker = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || bells.wait_for_the_end(WorkerIndex(0)))
        };
        bells.closing.store(1, Ordering::Release);
        bells.wake_all_workers();
        worker.join().unwrap();
    });
}

/// Callers share the program's books under its lock.
fn wait_for_outcome(bells: &Bells, program: &Mutex<Program>, tag: u32) {
    let ready = || {
        let mut program = program.lock().unwrap();
        program.drain(&bells.board);
        program.tags().contains(&tag)
    };
    while !ready() {
        bells.sleep_caller(ready);
    }
}

#[test]
fn a_caller_that_goes_to_sleep_does_not_miss_an_outcome() {
    check(None, || {
        let bells = Bells::new(1, 1);
        let mut program = Program::new(1);
        program.publish(
            &bells.board,
            NewTask {
                tag: 1,
                n_items: 1,
                ..NewTask::default()
            },
        );
        let task = claim(&bells.board, WorkerIndex(0)).unwrap();
        let worker = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || {
                finish(&bells.board, WorkerIndex(0), task);
                bells.wake_callers();
            })
        };
        wait_for_outcome(&bells, &Mutex::new(program), 1);
        worker.join().unwrap();
    });
}

/// Of tasks that do not ring one by one it hears when their worker finds no other, see `CallersBell` in `worker/mod.rs`.
#[test]
fn a_caller_that_goes_to_sleep_hears_of_several_tasks_together() {
    check(Some(3), || {
        let bells = Bells::new(1, 2);
        let mut program = Program::new(2);
        for tag in [1, 2] {
            program.publish(
                &bells.board,
                NewTask {
                    tag,
                    n_items: 1,
                    ..NewTask::default()
                },
            );
        }
        let worker = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || {
                while let Some(task) = claim(&bells.board, WorkerIndex(0)) {
                    finish(&bells.board, WorkerIndex(0), task);
                }
                bells.wake_callers();
            })
        };
        let program = Mutex::new(program);
        wait_for_outcome(&bells, &program, 2);
        wait_for_outcome(&bells, &program, 1);
        worker.join().unwrap();
    });
}

/// In `Dispatch::try_publish` and the end of `Watch::look`: either the look sees a task that was published
/// meanwhile, or its publisher sees that nobody looks and says so.
#[test]
fn the_watch_does_not_end_while_a_task_with_a_limit_comes() {
    check(None, || {
        let bells = Bells::new(1, 1);
        let supervisor = {
            let bells = Arc::clone(&bells);
            thread::spawn(move || {
                bells.watched.store(0, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                !bells.board.queue().looks_empty()
            })
        };
        bells.publish(0);
        let tells = bells.watched.load(Ordering::SeqCst) == 0;
        let sees = supervisor.join().unwrap();
        assert!(tells || sees, "nobody looks at the clock");
    });
}
