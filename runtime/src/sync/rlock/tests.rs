use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::*;
use crate::sys::testing::{in_child, watched};

#[test]
fn the_last_guard_releases_in_whatever_order() {
    watched(|| {
        let lock = RLock::new().unwrap();
        let is_free = || in_child(|| assert!(lock.try_acquire().unwrap().is_some()));
        let is_taken = || in_child(|| assert!(lock.try_acquire().unwrap().is_none()));
        let first = lock.acquire().unwrap();
        let second = lock.try_acquire().unwrap().unwrap();
        let third = lock.acquire_timeout(Duration::MAX).unwrap().unwrap();
        drop(first);
        is_taken().succeeds();
        drop(third);
        is_taken().succeeds();
        drop(second);
        is_free().succeeds();
    });
}

#[test]
fn another_thread_waits_for_all_guards() {
    watched(|| {
        let lock = RLock::new().unwrap();
        let (outer, inner) = (lock.acquire().unwrap(), lock.acquire().unwrap());
        thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let timeout = Duration::from_millis(20);
                let start = std::time::Instant::now();
                assert!(lock.acquire_timeout(timeout).unwrap().is_none());
                assert!(start.elapsed() >= timeout);
                drop(lock.acquire().unwrap());
            });
            drop(inner);
            thread::sleep(Duration::from_millis(30));
            drop(outer);
            waits.join().unwrap();
        });
    });
}

#[test]
fn a_death_is_told_once_and_the_next_counts_anew() {
    watched(|| {
        let lock = RLock::new().unwrap();
        in_child(|| {
            for _ in 0..3 {
                std::mem::forget(lock.acquire().unwrap());
            }
        })
        .succeeds();
        assert!(matches!(lock.acquire(), Err(LockError::OwnerDied(_))));
        assert_eq!(lock.holder(), None);
        assert!(lock.acquire().is_ok());
    });
}

#[test]
fn only_a_panic_of_the_last_guard_poisons() {
    let lock = RLock::new().unwrap();
    let panic = || {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guards = (lock.acquire().unwrap(), lock.acquire().unwrap());
            panic!("while holding the lock");
        }));
        assert!(panicked.is_err());
    };
    let outer = lock.acquire().unwrap();
    panic();
    drop(outer);
    assert!(lock.acquire().is_ok());
    panic();
    assert!(matches!(lock.acquire(), Err(LockError::Poisoned(_))));
    assert!(lock.acquire().is_ok());
}

#[test]
fn a_copy_in_a_forked_child_releases_nothing_also_where_the_child_holds_it() {
    watched(|| {
        let lock = RLock::new().unwrap();
        let mut guard = Some(lock.acquire().unwrap());
        let child = in_child(|| {
            let own = lock.acquire().unwrap();
            drop(guard.take());
            assert_eq!(lock.holder(), Some(std::process::id()));
            drop(own);
        });
        drop(guard);
        child.succeeds();
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn more_guards_than_can_be_counted_are_refused() {
    let lock = RLock::new().unwrap();
    let guard = lock.acquire().unwrap();
    let depth = &shared(&lock.block).depth;
    depth.store(u32::MAX, Ordering::Relaxed);
    assert!(matches!(lock.acquire(), Err(LockError::AlreadyHeld)));
    depth.store(1, Ordering::Relaxed);
    drop(guard);
    assert_eq!(lock.holder(), None);
}
