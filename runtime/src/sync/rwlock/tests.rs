use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use super::*;
use crate::shared::{Atomic, Value};
use crate::sync::Event;
use crate::sys::testing::{Child, in_child, watched};

/// A process that does this and holds the guard until it is killed.
fn holds<G>(get: impl FnOnce() -> G) -> Child {
    let is_held = Event::new().unwrap();
    let child = in_child(|| {
        let _guard = get();
        is_held.set();
        loop {
            thread::park();
        }
    });
    is_held.wait();
    child
}

#[test]
fn many_read_or_one_writes() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let numbers = [(); 2].map(|()| Atomic::new(0_u64).unwrap());
        let write = || {
            for _ in 0..200 {
                let _guard = lock.write().unwrap();
                numbers.iter().for_each(|number| {
                    let n = number.load(Ordering::Relaxed);
                    number.store(n + 1, Ordering::Relaxed);
                });
            }
        };
        let read = || {
            for _ in 0..400 {
                let _guard = lock.read().unwrap();
                let _again = lock.read().unwrap();
                let [one, other] = [0, 1].map(|n| numbers[n].load(Ordering::Relaxed));
                assert_eq!(one, other);
            }
        };
        let children = [in_child(write), in_child(read), in_child(read)];
        thread::scope(|scope| {
            scope.spawn(write);
            scope.spawn(read);
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(numbers[0].load(Ordering::Relaxed), 400);
    });
}

#[test]
fn readers_do_not_exclude_each_other_and_time_limits_are_not_early() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let reader = holds(|| lock.read().unwrap());
        drop(lock.read().unwrap());
        assert!(lock.try_read().unwrap().is_some());
        assert!(lock.try_write().unwrap().is_none());
        let timeout = Duration::from_millis(30);
        let start = Instant::now();
        assert!(lock.write_timeout(timeout).unwrap().is_none());
        assert!(start.elapsed() >= timeout);
        assert!(
            lock.try_read().unwrap().is_some(),
            "nobody waits to write any more"
        );
        reader.kill();
        let writer = holds(|| lock.write().unwrap());
        let start = Instant::now();
        assert!(lock.read_timeout(timeout).unwrap().is_none());
        assert!(start.elapsed() >= timeout);
        assert!(lock.try_read().unwrap().is_none());
        writer.kill();
    });
}

#[test]
fn a_writer_that_waits_goes_before_readers_that_come_later() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let order = Value::new(0_u32).unwrap();
        let guard = lock.read().unwrap();
        let writer = in_child(|| {
            let _guard = lock.write().unwrap();
            order.set(1);
        });
        while !lock.words.has_writer() {
            thread::yield_now();
        }
        let reader = in_child(|| {
            let _guard = lock.read().unwrap();
            assert_eq!(order.get(), 1);
        });
        let again = lock.read().unwrap();
        drop((guard, again));
        writer.succeeds();
        reader.succeeds();
    });
}

#[test]
fn killed_readers_are_not_waited_for() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let readers = [(); 3].map(|()| holds(|| lock.read().unwrap()));
        let writer = in_child(|| drop(lock.write().unwrap()));
        readers.into_iter().for_each(Child::kill);
        writer.succeeds();
    });
}

#[test]
fn a_killed_writer_is_told_to_all_until_a_writer_was_told() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        holds(|| lock.write().unwrap()).kill();
        for _ in 0..2 {
            assert!(matches!(lock.read(), Err(LockError::OwnerDied(_))));
        }
        assert!(matches!(lock.write(), Err(LockError::OwnerDied(_))));
        assert!(lock.read().is_ok() && lock.write().is_ok());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = lock.write().unwrap();
            panic!("while writing");
        }));
        assert!(panicked.is_err());
        assert!(matches!(lock.try_read(), Err(LockError::Poisoned(_))));
        assert!(matches!(lock.try_write(), Err(LockError::Poisoned(_))));
        assert!(lock.read().is_ok() && lock.write().is_ok());
    });
}

#[test]
fn a_panic_of_a_reader_is_told_to_nobody() {
    let lock = RwLock::new().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.read().unwrap();
        panic!("while reading");
    }));
    assert!(panicked.is_err());
    assert!(lock.write().is_ok());
}

#[test]
fn who_would_wait_for_itself_is_told() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let guard = lock.read().unwrap();
        assert!(matches!(lock.write(), Err(LockError::AlreadyHeld)));
        drop(guard);
        let guard = lock.write().unwrap();
        assert!(matches!(lock.write(), Err(LockError::AlreadyHeld)));
        assert!(matches!(lock.read(), Err(LockError::AlreadyHeld)));
        drop(guard);
        assert!(lock.try_write().unwrap().is_some());
    });
}

#[test]
fn copies_of_guards_in_a_forked_child_end_nothing() {
    watched(|| {
        let lock = RwLock::new().unwrap();
        let mut guard = Some(lock.read().unwrap());
        in_child(|| drop(guard.take())).succeeds();
        in_child(|| assert!(lock.try_write().unwrap().is_none())).succeeds();
        drop(guard);
        let mut guard = Some(lock.write().unwrap());
        in_child(|| drop(guard.take())).succeeds();
        in_child(|| assert!(lock.try_read().unwrap().is_none())).succeeds();
    });
}
