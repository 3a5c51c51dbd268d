use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::shared::Atomic;
use crate::sync::Event;
use crate::sys::testing::{in_child, watched};

#[test]
fn it_is_done_once_by_processes_and_threads_together() {
    watched(|| {
        for _ in 0..50 {
            let once = Once::new().unwrap();
            let n_calls = Atomic::new(0_u32).unwrap();
            let call = || {
                once.call_once(|| {
                    n_calls.fetch_add(1, Ordering::Relaxed);
                })
                .unwrap();
                assert_eq!(n_calls.load(Ordering::Relaxed), 1);
            };
            let children = [in_child(call), in_child(call)];
            thread::scope(|scope| {
                scope.spawn(call);
                scope.spawn(call);
            });
            children.into_iter().for_each(|child| child.succeeds());
        }
    });
}

#[test]
fn a_killed_runner_is_told_until_it_is_done_by_force() {
    watched(|| {
        let once = Once::new().unwrap();
        let is_at_it = Event::new().unwrap();
        let runner = in_child(|| {
            let _never = once.call_once(|| {
                is_at_it.set();
                loop {
                    thread::park();
                }
            });
        });
        is_at_it.wait();
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        assert!(!once.call_once_timeout(timeout, || unreachable!()).unwrap());
        assert!(start.elapsed() >= timeout);
        runner.kill();
        for _ in 0..2 {
            let told = once.call_once(|| unreachable!());
            assert!(matches!(told, Err(LockError::OwnerDied(()))));
        }
        assert!(!once.is_completed());
        once.call_once_force(|state| assert!(state.is_poisoned()))
            .unwrap();
        once.call_once(|| unreachable!()).unwrap();
        once.call_once_force(|_| unreachable!()).unwrap();
    });
}

#[test]
fn a_panic_is_told_and_calling_it_from_itself_too() {
    let once = Once::new().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| once.call_once(|| panic!("at it"))));
    assert!(panicked.is_err());
    for _ in 0..2 {
        let told = once.call_once_timeout(Duration::MAX, || unreachable!());
        assert!(matches!(told, Err(LockError::Poisoned(()))));
    }
    once.call_once_force(|_| {
        let within = once.call_once(|| unreachable!());
        assert!(matches!(within, Err(LockError::AlreadyHeld)));
    })
    .unwrap();
    assert!(once.is_completed());
}

#[test]
fn a_process_forked_by_who_is_at_it_does_not_end_it() {
    watched(|| {
        let once = Once::new().unwrap();
        once.call_once(|| {
            in_child(|| once.words.complete()).succeeds();
            assert!(!once.is_completed());
        })
        .unwrap();
        assert!(once.is_completed());
    });
}
