//! The barrier: all of a round are told the same, and nobody waits for the dead.

#[path = "../../../runtime/src/sync/raw_barrier.rs"]
mod raw_barrier;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32 as Flag, Ordering::Relaxed};
use std::time::Instant;

use raw_barrier::{NotMet, RawBarrier};

use crate::atomic::{check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, end, enter, spawn, spawn_mortal};

fn barrier_of(parties: u32) -> Arc<RawBarrier> {
    let barrier = Arc::<RawBarrier>::default();
    barrier.begin(parties);
    barrier
}

/// There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn two_meet_and_meet_again() {
    check(Some(1), || {
        let barrier = barrier_of(2);
        enter(1, 1, WOKEN);
        let meet = |barrier: Arc<RawBarrier>| {
            let first = barrier.wait(None).unwrap();
            first + 2 * barrier.wait(None).unwrap()
        };
        let shared = Arc::clone(&barrier);
        let other = spawn(2, WOKEN, move || meet(shared));
        assert_eq!(meet(barrier) + other.join().unwrap(), 3);
    });
}

/// The survivor's time is over at once, so that it always ends; the other waits as long as it takes.
#[test]
fn two_are_told_the_same_or_one_is_dead() {
    check_deaths(Some(2), |life| {
        let barrier = barrier_of(2);
        enter(1, 1, BY_ITSELF);
        // 1: it was met, 2: broken. For the check only.
        let told = Arc::new(Flag::new(0));
        let mortal = {
            let (barrier, told) = (Arc::clone(&barrier), Arc::clone(&told));
            spawn_mortal(2, life, move || {
                told.store(if barrier.wait(None).is_ok() { 1 } else { 2 }, Relaxed);
            })
        };
        let ours = barrier.wait(Some(Instant::now()));
        if mortal.join().unwrap() {
            assert_eq!(told.load(Relaxed) == 1, ours.is_ok());
        }
        assert_eq!(barrier.is_broken(), ours.is_err());
        barrier.reset();
        assert_eq!(barrier.n_waiting(), 0);
        let shared = Arc::clone(&barrier);
        let third = spawn(3, BY_ITSELF, move || shared.wait(None));
        assert!(barrier.wait(None).is_ok() && third.join().unwrap().is_ok());
    });
}

/// Process 3 has died while it waited. Whoever finds out may be killed, too.
#[test]
fn who_waits_learns_of_a_death() {
    check_deaths(Some(1), |life| {
        let barrier = barrier_of(4);
        enter(3, 3, BY_ITSELF);
        barrier.come().unwrap();
        end();
        enter(1, 1, BY_ITSELF);
        let mortal = {
            let barrier = Arc::clone(&barrier);
            spawn_mortal(2, life, move || {
                let _told = barrier.wait(None);
            })
        };
        // Two places, one of them the dead one's: no room for both at one time.
        let told = barrier.wait(None);
        assert!(
            matches!(told, Err(NotMet::Broken | NotMet::NoPlace)),
            "{told:?}"
        );
        mortal.join().unwrap();
    });
}
