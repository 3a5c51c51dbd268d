use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::Ordering;

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::shared::Atomic;
use crate::sync::Event;
use crate::sys::testing::{alone, in_child, watched};

/// Another handle, made from the bytes of this one.
fn sent(lock: &Lock) -> Lock {
    let mut encoder = Encoder::new();
    encoder.value(lock).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    Decoder::new(&bytes).value().unwrap()
}

fn panic_holding(lock: &Lock) {
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.acquire().unwrap();
        panic!("while holding the lock");
    }));
    assert!(panicked.is_err());
}

#[test]
fn one_thread_of_one_process_holds_it_at_a_time() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let n_inside = Atomic::new(0_u32).unwrap();
        let n_turns = Atomic::new(0_u32).unwrap();
        let take_turns = || {
            for _ in 0..300 {
                let _guard = lock.acquire().unwrap();
                assert_eq!(n_inside.fetch_add(1, Ordering::Relaxed), 0);
                n_turns.fetch_add(1, Ordering::Relaxed);
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
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn attempts_with_a_limit_end_with_none_and_not_early() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let guard = lock.acquire().unwrap();
        let pid = Some(std::process::id());
        in_child(|| {
            assert_eq!(lock.holder(), pid);
            assert!(lock.try_acquire().unwrap().is_none());
            let start = Instant::now();
            let wait = Duration::from_millis(30);
            assert!(lock.acquire_timeout(wait).unwrap().is_none());
            assert!(start.elapsed() >= wait);
        })
        .succeeds();
        drop(guard);
        assert!(lock.acquire_timeout(Duration::ZERO).unwrap().is_some());
        assert!(lock.acquire_timeout(Duration::MAX).unwrap().is_some());
    });
}

#[test]
fn a_limit_past_the_end_of_the_clock_is_none() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let guard = lock.acquire().unwrap();
        thread::scope(|scope| {
            let waits = scope.spawn(|| lock.acquire_timeout(Duration::MAX).unwrap().is_some());
            thread::sleep(Duration::from_millis(20));
            drop(guard);
            assert!(waits.join().unwrap());
        });
    });
}

#[test]
fn a_thread_that_holds_it_is_told_instead_of_hanging() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let guard = lock.acquire().unwrap();
        for answer in [
            lock.acquire().map(Some),
            lock.try_acquire(),
            lock.acquire_timeout(Duration::MAX),
        ] {
            assert!(matches!(answer, Err(LockError::AlreadyHeld)));
        }
        drop(guard);
        assert!(lock.acquire().is_ok());
    });
}

#[test]
fn a_panic_of_the_holder_is_told_to_the_next_one_and_to_no_other() {
    let lock = Lock::new().unwrap();
    panic_holding(&lock);
    let Err(LockError::Poisoned(guard)) = lock.acquire() else {
        panic!("nobody told of the panic");
    };
    drop(guard);
    assert!(lock.acquire().is_ok());
    panic_holding(&lock);
    assert!(matches!(lock.try_acquire(), Err(LockError::Poisoned(_))));
    panic_holding(&lock);
    assert!(matches!(
        lock.acquire_timeout(Duration::ZERO),
        Err(LockError::Poisoned(_))
    ));
    assert!(lock.try_acquire().unwrap().is_some());
}

#[test]
fn what_is_acquired_while_a_panic_passes_by_leaves_no_poison() {
    struct TakesTurn(Lock);
    impl Drop for TakesTurn {
        fn drop(&mut self) {
            drop(self.0.acquire().unwrap());
        }
    }
    let lock = Lock::new().unwrap();
    let takes_turn = TakesTurn(lock.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _takes_turn = takes_turn;
        panic!("on the way");
    }));
    assert!(panicked.is_err());
    assert!(lock.acquire().is_ok());
}

#[test]
fn the_death_of_a_holder_ends_the_wait_and_is_told_once() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let is_held = Event::new().unwrap();
        let child = in_child(|| {
            let _guard = lock.acquire();
            is_held.set();
            loop {
                thread::park();
            }
        });
        is_held.wait();
        assert_eq!(lock.holder(), Some(child.pid()));
        thread::scope(|scope| {
            let waits = scope.spawn(|| matches!(lock.acquire(), Err(LockError::OwnerDied(_))));
            child.kill();
            assert!(waits.join().unwrap());
        });
        assert!(lock.acquire().is_ok());
    });
}

#[test]
fn a_forgotten_guard_keeps_it_held_until_the_process_ends() {
    watched(|| {
        let lock = Lock::new().unwrap();
        in_child(|| {
            std::mem::forget(lock.acquire().unwrap());
            assert!(matches!(lock.acquire(), Err(LockError::AlreadyHeld)));
        })
        .succeeds();
        assert!(matches!(lock.acquire(), Err(LockError::OwnerDied(_))));
    });
}

#[test]
fn what_was_sent_is_the_same_lock() {
    let lock = Lock::new().unwrap();
    let received = sent(&lock);
    let guard = lock.acquire().unwrap();
    drop(lock);
    assert!(matches!(received.acquire(), Err(LockError::AlreadyHeld)));
    drop(guard);
    assert!(received.acquire().is_ok());
}

#[test]
fn a_guard_that_outlives_the_last_handle_keeps_the_lock_in_its_place() {
    // No other test takes the place meanwhile.
    alone(|| {
        let lock = Lock::new().unwrap();
        let guard = lock.acquire().unwrap();
        let place = guard.lock;
        drop(lock);
        let others: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
        assert!(others.iter().all(|other| !ptr::eq(other.lock, place)));
        drop(guard);
        let later: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
        assert!(later.iter().any(|other| ptr::eq(other.lock, place)));
        assert!(later.iter().all(|other| other.acquire().is_ok()));
    });
}

#[test]
fn a_guard_keeps_the_lock_also_where_another_handle_was_kept_for_the_guard_before() {
    // No other test takes the place meanwhile.
    alone(|| {
        let lock = Lock::new().unwrap();
        let guard = lock.acquire().unwrap();
        let place = guard.lock;
        let other = sent(&lock);
        drop(lock);
        // As if the guard had let go and was not yet looking behind itself, when the other thread locks.
        place.release(false);
        let next = other.acquire().unwrap();
        drop(other);
        outlived::look_behind(place);
        std::mem::forget(guard);
        let others: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
        assert!(others.iter().all(|other| !ptr::eq(other.lock, place)));
        drop(next);
        let later: Vec<Lock> = (0..100).map(|_| Lock::new().unwrap()).collect();
        assert!(later.iter().any(|other| ptr::eq(other.lock, place)));
    });
}

#[test]
fn of_a_last_handle_and_a_guard_that_go_at_once_nothing_is_left() {
    watched(|| {
        let mut places = std::collections::HashSet::new();
        let ends = std::sync::Barrier::new(2);
        let (to_other, handles) = std::sync::mpsc::channel::<Lock>();
        thread::scope(|scope| {
            scope.spawn(|| {
                for handle in handles {
                    ends.wait();
                    drop(handle);
                    ends.wait();
                }
            });
            for _ in 0..2000 {
                let lock = Lock::new().unwrap();
                let guard = lock.acquire().unwrap();
                places.insert(ptr::from_ref(guard.lock).addr());
                to_other.send(lock).unwrap();
                ends.wait();
                drop(guard);
                ends.wait();
            }
            drop(to_other);
        });
        // Those of other tests beside this one may make it change its place.
        assert!(places.len() < 500, "{}", places.len());
    });
}

/// In which a thread that does not wait would have come further.
const A_WHILE: Duration = Duration::from_millis(20);

/// It rings the bell of the lock after that, and then nobody else may have the lock's place yet.
#[test]
fn a_guard_lets_go_of_a_contended_lock_only_where_no_last_handle_goes() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let turn = std::sync::Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                let guard = lock.acquire().unwrap();
                assert!(lock.lock.mark_for_holder_here());
                turn.wait();
                turn.wait();
                drop(guard);
            });
            turn.wait();
            outlived::hold_up(|| {
                turn.wait();
                thread::sleep(A_WHILE);
                assert!(lock.holder().is_some());
            });
        });
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn a_last_handle_frees_the_place_only_where_no_guard_lets_go_of_a_contended_lock() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let place = ptr::from_ref(lock.lock).addr();
        let is_its = |other: &Lock| ptr::from_ref(other.lock).addr() == place;
        let turn = std::sync::Barrier::new(2);
        let locks = || -> Vec<Lock> { (0..100).map(|_| Lock::new().unwrap()).collect() };
        let others = thread::scope(|scope| {
            scope.spawn(|| {
                turn.wait();
                drop(lock);
            });
            outlived::hold_up(|| {
                turn.wait();
                thread::sleep(A_WHILE);
                locks()
            })
        });
        assert!(!others.iter().any(is_its));
        assert!(locks().iter().any(is_its));
    });
}
