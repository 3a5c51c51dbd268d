//! The guard: an item has its result, or is condemned, or never begins; and nobody else is condemned with it.

use std::sync::Arc;

use loom::thread;

use crate::atomic::{AtomicU32, Ordering, check, fence};
use crate::board::{Board, FaultKind, TaskId, WorkerIndex};
use crate::program::{NewTask, Program, Verdict};
use crate::supervisor::{bury_timed_out, condemn, running};
use crate::worker::{End, Fate, claim, work};

const WORKER: WorkerIndex = WorkerIndex(0);
const TIMED_OUT: Verdict = Verdict::Fault(FaultKind::TimedOut as u32);

/// A board with one guarded task that the worker holds.
fn held(n_items: u32, retries: u32) -> (Arc<Board>, Program, TaskId) {
    let board = Arc::new(Board::new(2, 1, n_items as usize));
    let mut program = Program::new(1);
    program.publish(
        &board,
        NewTask {
            tag: 1,
            n_items,
            retries,
            guarded: true,
            ..NewTask::default()
        },
    );
    let task = claim(&board, WORKER).unwrap();
    (board, program, task)
}

fn worker(
    board: &Arc<Board>,
    task: TaskId,
    job: impl FnMut(u32, u32) -> End + 'static,
) -> thread::JoinHandle<Fate> {
    let board = Arc::clone(board);
    thread::spawn(move || work(&board, WORKER, task, 9, job))
}

/// One look of the supervisor at the worker, which finds every running item to be over its time.
fn look(board: &Board) -> Option<u32> {
    running(board, WORKER)
        .filter(|&(task, this_try)| condemn(board, task, this_try))
        .map(|(_, this_try)| this_try.item)
}

#[test]
fn an_item_has_its_result_or_is_condemned() {
    check(Some(4), || {
        let (board, mut program, task) = held(2, 0);
        let worker = worker(&board, task, |item, _| End::Result(item));
        let condemned = look(&board);
        let fate = worker.join().unwrap();
        assert_eq!(fate == Fate::Condemned, condemned.is_some());
        if condemned.is_some() {
            bury_timed_out(&board, WORKER);
            while let Some(task) = claim(&board, WorkerIndex(1)) {
                work(&board, WorkerIndex(1), task, 9, |item, _| End::Result(item));
            }
        }
        program.drain(&board);
        let verdict = |item| {
            if condemned == Some(item) {
                TIMED_OUT
            } else {
                Verdict::Result(item)
            }
        };
        match condemned {
            // Before the item was counted as begun it is not to blame: it is had again.
            Some(item) if program.delivered[0].1[item as usize] == Verdict::Result(item) => {}
            _ => assert_eq!(program.delivered, [(1, vec![verdict(0), verdict(1)])]),
        }
    });
}

/// `Dispatch::cancel_running`, then `Crew::cancel` in another process: what the socket between them orders, a
/// fence orders here, since loom takes `SeqCst` on a load or store for no more than release and acquire.
fn cancel(board: &Board, program: &Program, task: TaskId) -> Option<u32> {
    if !program.stop(board, task) {
        return None;
    }
    fence(Ordering::SeqCst);
    running(board, WORKER)
        .filter(|&(runs, this_try)| runs == task && condemn(board, task, this_try))
        .map(|(_, this_try)| this_try.item)
}

#[test]
fn an_item_of_a_cancelled_task_is_over_or_condemned_or_never_begins() {
    check(Some(5), || {
        let (board, mut program, task) = held(2, 0);
        let cancelled_in_vain = Arc::new(AtomicU32::default());
        let flag = Arc::clone(&cancelled_in_vain);
        let worker = worker(&board, task, move |item, _| {
            assert_eq!(
                flag.load(Ordering::Acquire),
                0,
                "an item runs that nobody ends"
            );
            End::Result(item)
        });
        let condemned = cancel(&board, &program, task);
        if condemned.is_none() {
            cancelled_in_vain.store(1, Ordering::Release);
        }
        let fate = worker.join().unwrap();
        if fate == Fate::Condemned {
            assert!(condemned.is_some());
            bury_timed_out(&board, WORKER);
        }
        program.drain(&board);
        let verdicts = &program.delivered[0].1;
        for (item, verdict) in (0..).zip(verdicts) {
            let is_settled = match verdict {
                Verdict::Result(value) => *value == item && condemned != Some(item),
                Verdict::Fault(_) => condemned == Some(item),
                Verdict::Unfinished => true,
            };
            assert!(is_settled, "item {item}: {verdict:?}");
        }
        let n_blamed = verdicts
            .iter()
            .filter(|verdict| matches!(verdict, Verdict::Fault(_)))
            .count();
        assert!(n_blamed <= 1);
    });
}

/// Between the supervisor's mark and its signal there is time for a whole other task.
#[test]
fn a_condemned_worker_goes_no_further_when_its_task_is_cancelled() {
    check(None, || {
        let (board, program, task) = held(1, 0);
        let worker = worker(&board, task, |item, _| End::Result(item));
        let condemned = cancel(&board, &program, task);
        let fate = worker.join().unwrap();
        assert_eq!(
            fate == Fate::Condemned,
            condemned.is_some(),
            "it may take another task and be killed for it"
        );
    });
}

#[test]
fn a_condemned_worker_goes_no_further_when_its_item_panics_and_is_tried_again() {
    check(Some(4), || {
        let (board, _, task) = held(1, 1);
        let worker = worker(&board, task, |item, attempt| {
            if attempt == 0 {
                End::Panic
            } else {
                End::Result(item)
            }
        });
        let condemned = look(&board);
        let fate = worker.join().unwrap();
        assert_eq!(
            fate == Fate::Condemned,
            condemned.is_some(),
            "it may take another task and be killed for it"
        );
    });
}

/// Each try has the whole of its time.
#[test]
fn a_second_try_is_not_condemned_for_the_first() {
    check(Some(4), || {
        let (board, _, task) = held(1, 1);
        let n_tries = Arc::<AtomicU32>::default();
        let count = Arc::clone(&n_tries);
        let worker = worker(&board, task, move |item, attempt| {
            count.fetch_add(1, Ordering::Relaxed);
            if attempt == 0 {
                End::Panic
            } else {
                End::Result(item)
            }
        });
        let condemned =
            running(&board, WORKER).filter(|&(task, this_try)| condemn(&board, task, this_try));
        worker.join().unwrap();
        if let Some((_, this_try)) = condemned {
            assert_eq!(
                n_tries.load(Ordering::Relaxed),
                this_try.attempt + 1,
                "another try than the one that was looked at was ended"
            );
        }
    });
}

/// The supervisor looks at item 0 of a task; before it strikes, the task is over and the row has a new tenant.
#[test]
fn the_next_tenant_of_a_row_is_not_condemned_for_the_last() {
    check(Some(4), || {
        let (board, mut program, task) = held(1, 0);
        let worker = worker(&board, task, |item, _| End::Result(item));
        let supervisor = {
            let board = Arc::clone(&board);
            thread::spawn(move || look(&board))
        };
        program.drain(&board);
        let other = WorkerIndex(1);
        let next = NewTask {
            tag: 2,
            n_items: 1,
            guarded: true,
            ..NewTask::default()
        };
        if let Some(next) = program.publish(&board, next) {
            assert_eq!(claim(&board, other), Some(next));
            let fate = work(&board, other, next, 9, |item, _| End::Result(item));
            assert_eq!(
                fate,
                Fate::TookLeave,
                "it waits to be killed, but another worker is"
            );
        }
        supervisor.join().unwrap();
        worker.join().unwrap();
    });
}
