//! One row: who gets it, and what the one who gets it sees.

use std::sync::Arc;

use loom::thread;

use crate::atomic::{AtomicU32, Ordering, check};
use crate::board::{StateWord, WorkerIndex};

/// A row and its bytes, which nothing but the state word makes visible.
#[derive(Default)]
struct Row {
    state: StateWord,
    input: AtomicU32,
    output: AtomicU32,
}

/// What a worker read, if it got the row in this generation.
fn work(row: &Row, generation: u32, worker: u16) -> Option<u32> {
    row.state
        .try_claim(generation, WorkerIndex(worker))
        .then(|| {
            let input = row.input.load(Ordering::Relaxed);
            row.output.store(input * 10, Ordering::Relaxed);
            assert!(
                row.state.finish(generation, WorkerIndex(worker)),
                "nobody else may end it"
            );
            input
        })
}

#[test]
fn two_workers_and_a_withdrawal_one_wins() {
    check(None, || {
        let row = Arc::new(Row::default());
        row.input.store(1, Ordering::Relaxed);
        row.state.publish(0);
        let workers = [1, 2].map(|worker| {
            let row = Arc::clone(&row);
            thread::spawn(move || work(&row, 0, worker))
        });
        let withdrawn = row.state.withdraw(0);
        let found = workers.map(|worker| worker.join().unwrap());
        let n_claims = found.iter().flatten().count();
        assert_eq!(n_claims + usize::from(withdrawn), 1);
        assert!(found.iter().flatten().all(|&input| input == 1));
    });
}

#[test]
fn the_next_tenant_is_claimed_under_its_own_name_and_read_whole() {
    check(None, || {
        let row = Arc::new(Row::default());
        row.input.store(1, Ordering::Relaxed);
        row.state.publish(0);
        let late = {
            let row = Arc::clone(&row);
            thread::spawn(move || work(&row, 0, 1))
        };
        let next = {
            let row = Arc::clone(&row);
            thread::spawn(move || work(&row, 1, 2))
        };
        let withdrawn = row.state.withdraw(0);
        if withdrawn {
            row.input.store(2, Ordering::Relaxed);
            row.state.publish(1);
        }
        let (late, next) = (late.join().unwrap(), next.join().unwrap());
        assert_eq!(
            late,
            (!withdrawn).then_some(1),
            "a name of the past claims nothing"
        );
        assert!(next.is_none_or(|input| withdrawn && input == 2));
    });
}

#[test]
fn whoever_sees_that_it_is_done_sees_the_results() {
    check(None, || {
        let row = Arc::new(Row::default());
        row.input.store(1, Ordering::Relaxed);
        row.state.publish(0);
        let worker = {
            let row = Arc::clone(&row);
            thread::spawn(move || work(&row, 0, 1))
        };
        if row.state.read(0) == Some(crate::board::State::Done) {
            assert_eq!(row.output.load(Ordering::Relaxed), 10);
            row.input.store(2, Ordering::Relaxed);
            row.state.free(0);
            row.state.publish(1);
            assert_eq!(work(&row, 1, 2), Some(2));
        }
        worker.join().unwrap();
    });
}
