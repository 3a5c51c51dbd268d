//! The account of a task: a worker dies at any step, and the supervisor's verdict is right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Count, Ordering::Relaxed};

use loom::thread;

use crate::atomic::{check, check_deaths};
use crate::board::{Board, FaultKind, WorkerIndex};
use crate::program::{NewTask, Program, Verdict};
use crate::supervisor::{bury_departed, bury_killed, bury_killed_process};
use crate::worker::{End, claim, work};

const N_ITEMS: u32 = 3;
const KILLED: Verdict = Verdict::Fault(FaultKind::Killed as u32);
const PANICKED: Verdict = Verdict::Fault(FaultKind::Panicked as u32);

fn task(retries: u32, guarded: bool) -> NewTask {
    NewTask {
        tag: 1,
        n_items: N_ITEMS,
        retries,
        guarded,
        ..NewTask::default()
    }
}

/// A worker that may die at any step, its burial, and a second one that does the rest; the program looks in
/// between. Returns the verdicts and how often each item was begun.
fn one_death(
    life: &crate::atomic::Life,
    new: NewTask,
    job: fn(u32, u32) -> End,
) -> (Vec<Verdict>, [u32; N_ITEMS as usize]) {
    let board = Arc::new(Board::new(1, 1, N_ITEMS as usize));
    let mut program = Program::new(1);
    program.publish(&board, new);
    let begun: Arc<[Count; N_ITEMS as usize]> = Arc::default();
    let worker = {
        let (board, life, begun) = (Arc::clone(&board), life.clone(), Arc::clone(&begun));
        thread::spawn(move || {
            life.live(|| {
                let task = claim(&board, WorkerIndex(0)).unwrap();
                work(&board, WorkerIndex(0), task, 9, |item, attempt| {
                    begun[item as usize].fetch_add(1, Relaxed);
                    job(item, attempt)
                });
            });
        })
    };
    program.drain(&board);
    worker.join().unwrap();
    bury_killed(&board, WorkerIndex(0));
    program.drain(&board);
    if let Some(task) = claim(&board, WorkerIndex(0)) {
        work(&board, WorkerIndex(0), task, 9, |item, attempt| {
            begun[item as usize].fetch_add(1, Relaxed);
            job(item, attempt)
        });
    }
    program.drain(&board);
    assert_eq!(program.delivered.len(), 1, "the task is answered once");
    let (_, verdicts) = program.delivered.swap_remove(0);
    (verdicts, begun.each_ref().map(|count| count.load(Relaxed)))
}

#[test]
fn items_done_are_kept_one_is_blamed_and_the_rest_is_done() {
    for guarded in [false, true] {
        check_deaths(None, move |life| {
            let (verdicts, begun) =
                one_death(life, task(0, guarded), |item, _| End::Result(item + 10));
            let n_blamed = verdicts
                .iter()
                .filter(|&&verdict| verdict == KILLED)
                .count();
            assert!(n_blamed <= 1);
            for (item, verdict) in (0..).zip(verdicts) {
                assert!(
                    verdict == KILLED || verdict == Verdict::Result(item + 10),
                    "item {item}: {verdict:?}"
                );
                assert!(begun[item as usize] <= 1, "no item runs twice unasked");
            }
        });
    }
}

#[test]
fn an_item_that_may_be_tried_again_is() {
    check_deaths(None, |life| {
        let (verdicts, begun) = one_death(life, task(1, true), |item, _| End::Result(item + 10));
        assert_eq!(verdicts, [10, 11, 12].map(Verdict::Result));
        assert!(begun.iter().sum::<u32>() <= N_ITEMS + 1, "{begun:?}");
    });
}

/// The worker may die right after its second try has succeeded, before the item is counted.
#[test]
fn no_item_has_more_tries_than_it_is_allowed() {
    check_deaths(None, |life| {
        let job = |item, attempt| match attempt {
            0 => End::Panic,
            _ => End::Result(item + 10),
        };
        let (_, begun) = one_death(life, task(1, false), job);
        assert!(begun.iter().all(|&n_tries| n_tries <= 2), "{begun:?}");
    });
}

#[test]
fn an_item_that_panics_has_one_fault_whatever_its_worker_dies_of() {
    check_deaths(None, |life| {
        let job = |item, _| {
            if item == 1 {
                End::Panic
            } else {
                End::Result(item + 10)
            }
        };
        let (verdicts, _) = one_death(life, task(0, false), job);
        assert!(matches!(verdicts[1], KILLED | PANICKED), "{verdicts:?}");
        let n_killed = verdicts
            .iter()
            .filter(|&&verdict| verdict == KILLED)
            .count();
        assert!(n_killed <= 1);
        assert!(verdicts[0] == Verdict::Result(10) || verdicts[0] == KILLED);
        assert!(verdicts[2] == Verdict::Result(12) || verdicts[2] == KILLED);
    });
}

/// With tries left the supervisor tries again what its worker did not live to count, though its fault was written.
#[test]
fn an_item_that_is_tried_again_has_no_fault_of_an_earlier_try() {
    for ends_at_fault in [false, true] {
        check_deaths(None, move |life| {
            let new = NewTask {
                ends_at_fault,
                ..task(1, true)
            };
            let (verdicts, begun) = one_death(life, new, |item, attempt| match (item, attempt) {
                (0, 0) => End::Refusal,
                _ => End::Result(item + 10),
            });
            let refused = Verdict::Fault(FaultKind::Codec as u32);
            let is_tried_again = verdicts[0] == Verdict::Result(10);
            assert!(is_tried_again || verdicts[0] == refused, "{verdicts:?}");
            // A death before its job is called counts as a try, too.
            assert!(begun[0] < 2 || is_tried_again, "{verdicts:?}, {begun:?}");
            let goes_on = is_tried_again || !ends_at_fault;
            let goes_on_as = |value| {
                if goes_on {
                    Verdict::Result(value)
                } else {
                    Verdict::Unfinished
                }
            };
            assert_eq!(verdicts[1..], [11, 12].map(goes_on_as));
        });
    }
}

#[test]
fn an_item_that_takes_its_worker_down_is_the_one_that_is_blamed() {
    check(None, || {
        let board = Board::new(1, 1, N_ITEMS as usize);
        let mut program = Program::new(1);
        program.publish(&board, task(1, true));
        let mut n_deaths = 0;
        while let Some(task) = claim(&board, WorkerIndex(0)) {
            let job = |item, _| {
                if item == 1 {
                    End::Death
                } else {
                    End::Result(item + 10)
                }
            };
            if work(&board, WorkerIndex(0), task, 9, job) == crate::worker::Fate::Died {
                n_deaths += 1;
                bury_killed(&board, WorkerIndex(0));
            }
        }
        program.drain(&board);
        assert_eq!(n_deaths, 2, "it was tried again once");
        assert_eq!(
            program.delivered,
            [(1, vec![Verdict::Result(10), KILLED, Verdict::Result(12)])]
        );
    });
}

#[test]
fn after_a_fault_that_ends_its_task_no_item_begins() {
    check_deaths(None, |life| {
        let new = NewTask {
            ends_at_fault: true,
            ..task(0, true)
        };
        let (verdicts, begun) = one_death(life, new, |item, _| {
            if item == 1 {
                End::Panic
            } else {
                End::Result(item)
            }
        });
        let end = verdicts
            .iter()
            .position(|verdict| matches!(verdict, Verdict::Fault(_)))
            .unwrap();
        assert!(end <= 1, "{verdicts:?}");
        for (item, verdict) in verdicts.iter().enumerate().skip(end + 1) {
            assert_eq!((*verdict, begun[item]), (Verdict::Unfinished, 0));
        }
    });
}

#[test]
fn the_end_of_a_process_is_that_of_its_one_item() {
    check_deaths(None, |life| {
        let board = Arc::new(Board::new(1, 1, 1));
        let mut program = Program::new(1);
        program.publish(
            &board,
            NewTask {
                tag: 1,
                n_items: 1,
                guarded: true,
                ..NewTask::default()
            },
        );
        let worker = {
            let (board, life) = (Arc::clone(&board), life.clone());
            thread::spawn(move || {
                life.live(|| {
                    let task = claim(&board, WorkerIndex(0)).unwrap();
                    work(&board, WorkerIndex(0), task, 9, |_, _| End::Result(7));
                })
            })
        };
        program.drain(&board);
        let has_ended = worker.join().unwrap().is_some();
        bury_killed_process(&board, WorkerIndex(0));
        program.drain(&board);
        assert_eq!(program.delivered.len(), 1);
        let verdict = program.delivered[0].1[0];
        assert!(
            verdict == Verdict::Result(7) || (verdict == KILLED && !has_ended),
            "{verdict:?}"
        );
    });
}

#[test]
fn a_death_before_an_item_is_tried_again_is_not_held_against_it() {
    check(None, || {
        let board = Board::new(1, 1, N_ITEMS as usize);
        let mut program = Program::new(1);
        program.publish(&board, task(1, true));
        let first = claim(&board, WorkerIndex(0)).unwrap();
        work(&board, WorkerIndex(0), first, 9, |_, _| End::Death);
        bury_killed(&board, WorkerIndex(0));
        claim(&board, WorkerIndex(0)).unwrap();
        bury_killed(&board, WorkerIndex(0));
        let last = claim(&board, WorkerIndex(0)).unwrap();
        work(&board, WorkerIndex(0), last, 9, |item, _| End::Result(item));
        program.drain(&board);
        assert_eq!(
            program.delivered,
            [(1, [0, 1, 2].map(Verdict::Result).to_vec())]
        );
    });
}

/// With `max_jobs_per_worker(1)` and `retries(1)`.
#[test]
fn a_panic_on_the_last_job_of_a_worker_is_tried_again_by_the_next() {
    check(None, || {
        let board = Board::new(1, 1, 1);
        let mut program = Program::new(1);
        program.publish(
            &board,
            NewTask {
                tag: 1,
                n_items: 1,
                retries: 1,
                ..NewTask::default()
            },
        );
        while let Some(task) = claim(&board, WorkerIndex(0)) {
            let job = |_, attempt| {
                if attempt == 0 {
                    End::Panic
                } else {
                    End::Result(7)
                }
            };
            work(&board, WorkerIndex(0), task, 1, job);
            bury_departed(&board, WorkerIndex(0));
        }
        program.drain(&board);
        assert_eq!(program.delivered, [(1, vec![Verdict::Result(7)])]);
    });
}
