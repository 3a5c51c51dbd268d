use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::error::ErrorKind;
use crate::shared::Atomic;
use crate::sync::{BoundedSemaphore, Event};
use crate::sys::testing::{in_child, watched};

#[test]
fn no_more_hold_permits_than_there_are() {
    watched(|| {
        let semaphore = Semaphore::new(2).unwrap();
        let n_inside = Atomic::new(0_u32).unwrap();
        let n_turns = Atomic::new(0_u32).unwrap();
        let take_turns = || {
            for _ in 0..300 {
                let _guard = semaphore.acquire().unwrap();
                assert!(n_inside.fetch_add(1, Ordering::Relaxed) < 2);
                n_turns.fetch_add(1, Ordering::Relaxed);
                thread::yield_now();
                n_inside.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let children = [in_child(take_turns), in_child(take_turns)];
        thread::scope(|scope| {
            scope.spawn(take_turns);
            scope.spawn(take_turns);
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(n_turns.load(Ordering::Relaxed), 1200);
        assert_eq!(semaphore.value(), 2);
    });
}

#[test]
fn a_killed_holder_ends_the_wait_for_its_permit() {
    watched(|| {
        let semaphore = Semaphore::new(1).unwrap();
        for ends_well in [false, true] {
            let is_held = Event::new().unwrap();
            let child = in_child(|| {
                std::mem::forget(semaphore.acquire().unwrap());
                is_held.set();
                if !ends_well {
                    loop {
                        thread::park();
                    }
                }
            });
            is_held.wait();
            thread::scope(|scope| {
                let waits = scope.spawn(|| drop(semaphore.acquire().unwrap()));
                if ends_well {
                    child.succeeds();
                } else {
                    child.kill();
                }
                waits.join().unwrap();
            });
            assert_eq!(semaphore.value(), 1);
        }
    });
}

#[test]
fn a_forgotten_permit_of_a_dead_process_stays_away() {
    watched(|| {
        let semaphore = Semaphore::new(1).unwrap();
        in_child(|| semaphore.acquire().unwrap().forget()).succeeds();
        assert!(semaphore.try_acquire().unwrap().is_none());
        in_child(|| semaphore.release().unwrap()).succeeds();
        assert!(semaphore.try_acquire().unwrap().is_some());
    });
}

#[test]
fn a_copy_of_a_guard_in_a_forked_child_gives_nothing_back() {
    watched(|| {
        let semaphore = Semaphore::new(1).unwrap();
        let mut guards = [(); 2].map(|()| Some(semaphore.try_acquire().unwrap()));
        assert!(guards[0].is_some());
        in_child(|| {
            let first = guards[0].take().unwrap().unwrap();
            drop(first);
            assert_eq!(semaphore.value(), 0);
        })
        .succeeds();
        in_child(|| {
            guards[0].take().unwrap().unwrap().forget();
            assert_eq!(semaphore.value(), 0);
        })
        .succeeds();
        drop(guards);
        assert_eq!(semaphore.value(), 1);
    });
}

#[test]
fn sizes_that_mean_nothing_are_refused() {
    for refused in [
        Semaphore::new(usize::MAX).unwrap_err(),
        Semaphore::new(1 << 31).unwrap_err(),
        BoundedSemaphore::new(0).unwrap_err(),
        BoundedSemaphore::new(usize::MAX).unwrap_err(),
        BoundedSemaphore::new(1).unwrap().release().unwrap_err(),
        Semaphore::new((1 << 31) - 1)
            .unwrap()
            .release()
            .unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    }
}
