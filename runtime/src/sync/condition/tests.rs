use std::sync::atomic::Ordering;
use std::thread;

use super::*;
use crate::shared::{Atomic, Value};
use crate::sync::Event;
use crate::sys::testing::{in_child, watched};

#[test]
fn a_notification_wakes_one_and_all_wake_all() {
    watched(|| {
        let condition = Condition::new().unwrap();
        let stock = Value::new(0_u32).unwrap();
        let n_taken = Atomic::new(0_u32).unwrap();
        let take = || {
            let guard = condition.acquire().unwrap();
            let guard = condition.wait_for(guard, || stock.get() > 0).unwrap();
            stock.update(|n| *n -= 1);
            n_taken.fetch_add(1, Ordering::Relaxed);
            drop(guard);
        };
        let put = |n: u32| {
            let _guard = condition.acquire().unwrap();
            stock.update(|stock| *stock += n);
            match n {
                1 => condition.notify(),
                _ => condition.notify_all(),
            }
        };
        let children = [in_child(take), in_child(take), in_child(take)];
        thread::scope(|scope| {
            scope.spawn(take);
            put(1);
            put(1);
            put(2);
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!((stock.get(), n_taken.load(Ordering::Relaxed)), (0, 4));
    });
}

#[test]
fn time_limits_are_kept_and_never_early() {
    watched(|| {
        let condition = Condition::new().unwrap();
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        let guard = condition.acquire().unwrap();
        let (guard, was_notified) = condition.wait_timeout(guard, timeout).unwrap();
        assert!(!was_notified && start.elapsed() >= timeout);
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20 {
                    condition.notify_all();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            let (_guard, is_true) = condition
                .wait_for_timeout(guard, timeout, || false)
                .unwrap();
            assert!(!is_true && start.elapsed() >= timeout);
        });
        let guard = condition.acquire().unwrap();
        let at_once = condition.wait_for_timeout(guard, Duration::ZERO, || true);
        assert!(at_once.unwrap().1);
    });
}

#[test]
fn a_guard_of_another_lock_is_refused_and_one_lock_may_have_two_conditions() {
    watched(|| {
        let lock = Lock::new().unwrap();
        let [one, other] = [(); 2].map(|()| Condition::with_lock(&lock).unwrap());
        let strange = Condition::new().unwrap();
        let guard = lock.acquire().unwrap();
        assert!(matches!(strange.wait(guard), Err(LockError::NotHeld)));
        let guard = one.acquire().unwrap();
        let (guard, was_notified) = other.wait_timeout(guard, Duration::ZERO).unwrap();
        assert!(!was_notified);
        let mut copied = Some(guard);
        in_child(|| {
            let copy = copied.take().unwrap();
            assert!(matches!(one.wait(copy), Err(LockError::NotHeld)));
        })
        .succeeds();
        assert_eq!(lock.holder(), Some(std::process::id()));
        drop(copied);
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn a_death_with_the_lock_is_told_to_who_waits() {
    watched(|| {
        let condition = Condition::new().unwrap();
        let guard = condition.acquire().unwrap();
        let child = in_child(|| {
            let guard = condition.acquire().unwrap();
            condition.notify();
            std::mem::forget(guard);
        });
        assert!(matches!(
            condition.wait(guard),
            Err(LockError::OwnerDied(_))
        ));
        child.succeeds();
        assert!(condition.acquire().is_ok());
    });
}

#[test]
fn a_killed_waiter_takes_no_notification_with_it() {
    watched(|| {
        let condition = Condition::new().unwrap();
        let done = Event::new().unwrap();
        let is_there = Atomic::new(0_u32).unwrap();
        let wait = || {
            let guard = condition.acquire().unwrap();
            is_there.fetch_add(1, Ordering::SeqCst);
            drop(condition.wait(guard).unwrap());
            done.set();
        };
        let waits = |n: u32| {
            while is_there.load(Ordering::SeqCst) < n {
                thread::yield_now();
            }
            // Who is there holds the lock until it waits.
            drop(condition.acquire().unwrap());
        };
        let doomed = in_child(wait);
        waits(1);
        let other = in_child(wait);
        waits(2);
        // It has the notification, and never comes to do anything about it.
        doomed.pidfd().kill(libc::SIGSTOP).unwrap();
        condition.notify();
        doomed.kill();
        other.succeeds();
        assert!(done.is_set());
    });
}
