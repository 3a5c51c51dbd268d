//! The condition: a notification reaches one who waits and lives, whoever dies with it on the way.

#[path = "../../../runtime/src/sync/raw_condition.rs"]
mod raw_condition;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use raw_condition::RawCondition;

use crate::atomic::{AtomicU32, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, end, enter, spawn, spawn_mortal};
use crate::sync::{RawLock, Vigil};

#[derive(Default)]
struct Shared {
    lock: RawLock,
    condition: RawCondition,
    flag: AtomicU32,
    /// For the check only: no step of any process.
    is_leaving: AtomicBool,
}

/// There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn who_waits_for_a_change_is_woken_by_it() {
    check(Some(2), || {
        let shared = Arc::<Shared>::default();
        enter(1, 1, WOKEN);
        let waiter = {
            let shared = Arc::clone(&shared);
            spawn(2, WOKEN, move || {
                shared.lock.acquire(None).unwrap();
                while shared.flag.load(Ordering::Relaxed) == 0 {
                    let place = shared.condition.enter().unwrap();
                    shared.lock.release(false);
                    shared.condition.wait(place, &mut Vigil::until(None));
                    shared.lock.acquire(None).unwrap();
                    shared.condition.leave(place);
                }
                shared.lock.release(false);
            })
        };
        shared.lock.acquire(None).unwrap();
        shared.flag.store(1, Ordering::Relaxed);
        shared.condition.notify_one();
        shared.lock.release(false);
        waiter.join().unwrap();
    });
}

/// Process 2 waits before process 3, so the one notification is its.
#[test]
fn a_waiter_that_dies_at_any_step_takes_no_notification_with_it() {
    check_deaths(Some(3), |life| {
        let shared = Arc::<Shared>::default();
        enter(2, 2, BY_ITSELF);
        let first = shared.condition.enter().unwrap();
        enter(3, 3, BY_ITSELF);
        let second = shared.condition.enter().unwrap();
        let mortal = {
            let shared = Arc::clone(&shared);
            spawn_mortal(2, life, move || {
                shared.condition.wait(first, &mut Vigil::until(None));
                shared.is_leaving.store(true, Relaxed);
                shared.condition.leave(first);
            })
        };
        shared.condition.notify_one();
        let lived = mortal.join().unwrap();
        let at_once = Some(Instant::now());
        let is_notified = shared.condition.wait(second, &mut Vigil::until(at_once));
        if lived {
            assert!(!is_notified, "one notification for two");
        } else if !shared.is_leaving.load(Relaxed) {
            assert!(is_notified, "it was lost");
        }
    });
}

/// Process 2 has died with a notification. Process 4 finds the table full, and is killed where it makes room.
#[test]
fn a_dead_ones_notification_is_found_by_who_waits_or_by_who_makes_room() {
    check_deaths(Some(2), |life| {
        let shared = Arc::<Shared>::default();
        enter(2, 2, BY_ITSELF);
        shared.condition.enter().unwrap();
        enter(3, 3, BY_ITSELF);
        let place = shared.condition.enter().unwrap();
        shared.condition.notify_one();
        enter(2, 2, BY_ITSELF);
        end();
        enter(3, 3, BY_ITSELF);
        let mortal = {
            let shared = Arc::clone(&shared);
            spawn_mortal(4, life, move || {
                if let Some(place) = shared.condition.enter() {
                    shared.condition.leave(place);
                }
            })
        };
        // As long as it takes.
        shared.condition.wait(place, &mut Vigil::until(None));
        shared.condition.leave(place);
        mortal.join().unwrap();
        assert!(shared.condition.enter().is_some());
        assert!(shared.condition.enter().is_some(), "a place is lost");
    });
}
