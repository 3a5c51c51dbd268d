//! The semaphore: never more holders than permits, and after a death at any step as many permits as before.

#[path = "../../../runtime/src/sync/raw_semaphore.rs"]
mod raw_semaphore;

use std::sync::Arc;
use std::time::Instant;

use raw_semaphore::{NoPermit, RawSemaphore};

use crate::atomic::{AtomicU32, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, enter, spawn, spawn_mortal};

/// One permit, and what it guards by agreement.
#[derive(Default)]
struct Guarded {
    semaphore: RawSemaphore,
    inside: AtomicU32,
}

impl Guarded {
    fn new(permits: u32) -> Arc<Self> {
        let guarded = Arc::<Self>::default();
        guarded.semaphore.begin(permits, 0);
        guarded
    }

    fn go_inside(&self) {
        let place = self.semaphore.acquire(None).unwrap();
        self.inside.store(1, Ordering::Relaxed);
        self.inside.store(0, Ordering::Relaxed);
        self.semaphore.give_back(place);
    }

    /// So many permits can be acquired, and not one more.
    fn expect(&self, permits: u32) {
        let now = Instant::now();
        for _ in 0..permits {
            assert!(self.semaphore.acquire(Some(now)).is_ok(), "one is lost");
        }
        let more = self.semaphore.acquire(Some(now));
        assert_eq!(more, Err(NoPermit::TimedOut), "one too many");
    }
}

/// There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn two_take_turns_and_no_wake_up_is_lost() {
    check(Some(2), || {
        let guarded = Guarded::new(1);
        enter(1, 1, WOKEN);
        let shared = Arc::clone(&guarded);
        let other = spawn(2, WOKEN, move || shared.go_inside());
        guarded.go_inside();
        other.join().unwrap();
        guarded.expect(1);
    });
}

#[test]
fn a_death_at_any_step_of_a_holder_leaves_all_permits() {
    check_deaths(Some(2), |life| {
        let guarded = Guarded::new(1);
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&guarded);
        let mortal = spawn_mortal(2, life, move || shared.go_inside());
        guarded.go_inside();
        mortal.join().unwrap();
        guarded.expect(1);
    });
}

/// Done by one process alone: then all that was done before is exact.
#[test]
fn a_release_and_a_guard_forgotten_count_once_or_not_at_all() {
    check_deaths(Some(1), |life| {
        let guarded = Guarded::new(2);
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&guarded);
        let mortal = spawn_mortal(2, life, move || {
            let place = shared.semaphore.acquire(None).unwrap();
            shared.semaphore.forget(place);
        });
        // Either it has given its permit up, or, killed, given it back.
        let was_forgotten = mortal.join().unwrap();
        let now = Instant::now();
        let mut n = 0;
        while guarded.semaphore.acquire(Some(now)).is_ok() {
            n += 1;
        }
        assert!(n == 1 || (n == 2 && !was_forgotten), "{n}");
        assert!(guarded.semaphore.release());
        guarded.expect(1);
    });
}

#[test]
fn a_release_beside_a_death_comes_to_one_who_waits() {
    check_deaths(Some(2), |life| {
        let guarded = Guarded::new(0);
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&guarded);
        let mortal = spawn_mortal(2, life, move || {
            let now = Instant::now();
            if let Ok(place) = shared.semaphore.acquire(Some(now)) {
                shared.semaphore.give_back(place);
            }
        });
        assert!(guarded.semaphore.release());
        guarded.go_inside();
        mortal.join().unwrap();
        guarded.expect(1);
    });
}
