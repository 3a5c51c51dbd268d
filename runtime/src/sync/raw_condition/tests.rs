use std::time::{Duration, Instant};

use super::*;
use crate::sys::testing::watched;

/// Past the largest pid of any Linux.
const DEAD: u64 = 1 << 55;

fn n(condition: &RawCondition, place: usize) -> u32 {
    condition.waiters.at(place).n.load(Ordering::Relaxed)
}

fn kill(condition: &RawCondition, place: usize) {
    let who = &condition.waiters.at(place).who;
    who.store(DEAD, Ordering::Relaxed);
}

fn at_once() -> Vigil {
    Vigil::until(Some(Instant::now()))
}

#[test]
fn those_who_wait_are_notified_in_turn() {
    let condition = RawCondition::default();
    condition.notify_one();
    let places = [(); 3].map(|()| condition.enter().unwrap());
    condition.notify_one();
    assert_eq!(places.map(|place| n(&condition, place)), [2, 1, 1]);
    condition.leave(places[0]);
    assert_eq!(condition.enter(), Some(places[0]));
    condition.notify_one();
    condition.notify_one();
    assert_eq!(places.map(|place| n(&condition, place)), [1, 2, 2]);
    condition.notify_all();
    condition.notify_one();
    assert_eq!(places.map(|place| n(&condition, place)), [2, 2, 2]);
}

#[test]
fn a_dead_ones_notification_goes_to_another_and_once() {
    watched(|| {
        let condition = RawCondition::default();
        let [dead, one, other] = [(); 3].map(|()| condition.enter().unwrap());
        condition.notify_one();
        kill(&condition, dead);
        assert!(condition.wait(one, &mut at_once()));
        assert!(!condition.wait(other, &mut at_once()));
    });
}

#[test]
fn what_a_waiter_has_is_not_taken_over_while_it_lives() {
    watched(|| {
        let condition = RawCondition::default();
        let [first, second] = [(); 2].map(|()| condition.enter().unwrap());
        condition.notify_one();
        assert!(!condition.wait(second, &mut at_once()));
        assert!(condition.wait(first, &mut at_once()));
    });
}

#[test]
fn the_dead_leave_room_and_their_notifications() {
    watched(|| {
        let condition = RawCondition::default();
        let living = condition.enter().unwrap();
        let mut last = living;
        while let Some(place) = condition.enter() {
            last = place;
        }
        assert_eq!(condition.enter(), None, "all live");
        condition.next.store(last as u32, Ordering::Relaxed);
        condition.notify_one();
        kill(&condition, last);
        assert_eq!(condition.enter(), Some(last));
        assert_eq!(n(&condition, living), NOTIFIED);
    });
}

#[test]
fn a_timed_wait_never_ends_early() {
    watched(|| {
        let condition = RawCondition::default();
        let place = condition.enter().unwrap();
        let (start, timeout) = (Instant::now(), Duration::from_millis(30));
        assert!(!condition.wait(place, &mut Vigil::until(Some(start + timeout))));
        assert!(start.elapsed() >= timeout);
    });
}
