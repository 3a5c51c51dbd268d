//! Who joins a queue waits for all that was put, and is told of takers that died at any step.

use std::sync::Arc;
use std::time::Duration;

use crate::atomic::{AtomicU32, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, enter, spawn_mortal};

use super::error::QueueError;
use super::messages::{get, get_all, put, ring, spawn};

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

/// The worker puts a second task before it is done with the first. What it did is seen by who has joined.
#[test]
fn who_joins_waits_for_tasks_that_tasks_have_put_and_sees_what_was_done() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        let n_done = Arc::new(AtomicU32::new(0));
        put(&ring, 1).unwrap();
        let worker = {
            let n_done = Arc::clone(&n_done);
            spawn(&ring, 2, move |ring| {
                assert_eq!(get(ring), Ok(Some(1)));
                put(ring, 2).unwrap();
                n_done.store(1, Ordering::Relaxed);
                ring.task_done().unwrap();
                assert_eq!(get(ring), Ok(Some(2)));
                n_done.store(2, Ordering::Relaxed);
                ring.task_done().unwrap();
                assert_eq!(ring.task_done(), Err(QueueError::NoTask));
            })
        };
        if ring.join(AT_ONCE) == Ok(true) {
            assert_eq!(n_done.load(Ordering::Relaxed), 2);
        }
        worker.join().unwrap();
        assert_eq!(ring.join(AT_ONCE), Ok(true));
    });
}

/// Two are done with the last two tasks at once. There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn who_joins_is_woken_by_the_last_of_two() {
    check(Some(2), || {
        let ring = ring();
        enter(1, 1, WOKEN);
        put(&ring, 1).unwrap();
        put(&ring, 2).unwrap();
        assert_eq!(get(&ring), Ok(Some(1)));
        let other = spawn(&ring, 2, |ring| {
            assert_eq!(get(ring), Ok(Some(2)));
            ring.task_done().unwrap();
        });
        let first = {
            let ring = Arc::clone(&ring);
            crate::kernel::spawn(1, WOKEN, move || ring.task_done().unwrap())
        };
        assert_eq!(ring.join(None), Ok(true));
        other.join().unwrap();
        first.join().unwrap();
    });
}

/// One takes, and may be killed on the way; whoever joins is told of no more and of no fewer than it has taken.
fn a_taker_dies(n_tasks: u64, is_done: bool, another_takes: bool) {
    check_deaths(Some(2), move |life| {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        for task in 1..=n_tasks {
            put(&ring, task).unwrap();
        }
        let taker = {
            let ring = Arc::clone(&ring);
            spawn_mortal(2, life, move || {
                get(&ring).unwrap();
                if is_done {
                    ring.task_done().unwrap();
                }
                crate::kernel::end();
            })
        };
        let mut got: Vec<u64> = match another_takes {
            true => get(&ring).unwrap().into_iter().collect(),
            false => Vec::new(),
        };
        let lived = taker.join().unwrap();
        let n_waiting = u64::from(ring.n_waiting());
        let n_taken = n_tasks - n_waiting - got.len() as u64;
        // The first look asks who lives, as it is the last one too.
        let told = ring.join(AT_ONCE);
        match told {
            Err(QueueError::TasksLost { n }) => {
                assert_eq!(n as u64, n_taken, "told of more than it had");
                assert!(!(lived && is_done));
            }
            Ok(false) => assert!(n_taken == 0 || is_done),
            other => assert!(other == Ok(true) && n_waiting == 0 && got.is_empty()),
        }
        got.extend(get_all(&ring));
        for _ in &got {
            ring.task_done().unwrap();
        }
        assert_eq!(ring.task_done(), Err(QueueError::NoTask));
        assert_eq!(ring.join(AT_ONCE), Ok(true));
    });
}

#[test]
fn a_taker_that_dies_at_any_step_is_told_exactly() {
    a_taker_dies(2, false, false);
}

#[test]
fn a_taker_that_dies_as_it_is_done_is_told_exactly() {
    a_taker_dies(1, true, false);
}

#[test]
fn a_taker_that_dies_beside_another_is_told_exactly() {
    a_taker_dies(3, false, true);
}
