use std::thread;
use std::time::Duration;

use super::*;
use crate::sys::testing::watched;

/// Past the largest pid of any Linux.
const DEAD: u64 = 1 << 55;

fn with(permits: u32, bound: u32) -> RawSemaphore {
    let semaphore = RawSemaphore::default();
    semaphore.begin(permits, bound);
    semaphore
}

fn at_once(semaphore: &RawSemaphore) -> Result<usize, NoPermit> {
    semaphore.acquire(Some(Instant::now()))
}

/// As many dead processes hold a permit each as there are places.
fn fill_with(who: u64, semaphore: &RawSemaphore) {
    while let Some(place) = semaphore.holders.take(ANY) {
        semaphore.holders.at(place).n.store(1, Ordering::Relaxed);
        semaphore
            .holders
            .at(place)
            .who
            .store(who, Ordering::Relaxed);
    }
    semaphore.recount();
}

#[test]
fn permits_of_the_dead_are_taken_back_by_who_needs_them() {
    watched(|| {
        let semaphore = with(2, 0);
        let place = at_once(&semaphore).unwrap();
        assert_eq!(at_once(&semaphore), Ok(place));
        assert_eq!(at_once(&semaphore), Err(NoPermit::TimedOut));
        semaphore
            .holders
            .at(place)
            .who
            .store(DEAD, Ordering::Relaxed);
        assert!(at_once(&semaphore).is_ok() && at_once(&semaphore).is_ok());
        assert_eq!(at_once(&semaphore), Err(NoPermit::TimedOut));
    });
}

#[test]
fn the_dead_leave_room_and_the_living_do_not() {
    watched(|| {
        let semaphore = with(1000, 0);
        fill_with(1 << 32, &semaphore);
        assert!(semaphore.n_free() > 0);
        assert_eq!(at_once(&semaphore), Err(NoPermit::NoPlace));
        for place in semaphore.holders.used() {
            place.who.store(DEAD, Ordering::Relaxed);
        }
        assert!(at_once(&semaphore).is_ok());
        assert_eq!(semaphore.n_free(), 999);
    });
}

#[test]
fn what_a_dead_one_did_not_count_is_counted_again() {
    watched(|| {
        let semaphore = with(3, 0);
        at_once(&semaphore).unwrap();
        for wrong in [0, 1, 3, u32::MAX] {
            semaphore.free.store(wrong, Ordering::Relaxed);
            semaphore.recount();
            assert_eq!(semaphore.n_free(), 2);
        }
        semaphore.permits.store(0, Ordering::Relaxed);
        semaphore.recount();
        assert_eq!(semaphore.n_free(), 0);
    });
}

#[test]
fn a_forgotten_permit_is_released_and_no_more_than_the_bound() {
    watched(|| {
        let semaphore = with(2, 2);
        assert!(!semaphore.release());
        let place = at_once(&semaphore).unwrap();
        assert!(!semaphore.release(), "a guard gives its own back");
        semaphore.forget(place);
        assert_eq!(semaphore.n_free(), 1);
        assert!(semaphore.release() && !semaphore.release());
        let most = with(MOST_PERMITS, 0);
        assert!(!most.release());
        assert_eq!(most.n_free(), MOST_PERMITS);
    });
}

#[test]
fn a_timed_wait_never_ends_early_whoever_wakes_it() {
    watched(|| {
        let semaphore = with(0, 0);
        let timeout = Duration::from_millis(30);
        let start = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10 {
                    semaphore.notice.announce_all();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(semaphore.acquire(Some(start + timeout)).is_err());
        });
        assert!(start.elapsed() >= timeout);
    });
}
