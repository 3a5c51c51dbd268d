//! Who sleeps until there is a message, or room, is woken. There are no timeouts here: a lost wake-up is a deadlock.

use std::sync::Arc;

use super::awaited::Awaited;
use super::error::QueueError;
use super::layout::Shared;
use super::messages::{get, put};
use super::ring::Ring;
use crate::atomic::check;
use crate::kernel::{WOKEN, enter, spawn};
use crate::shared::Label;
use crate::sys::futex;

/// As a `get` and a `put` wait, without their first looks.
fn wait<T>(awaited: Awaited<'_>, attempt: impl Fn() -> Option<T>) -> T {
    loop {
        let bed = awaited.lie_down(None);
        if let Some(done) = attempt() {
            return done;
        }
        if let Some((word, asleep)) = bed {
            futex::wait(word, asleep, None);
        }
    }
}

fn get_at_last(ring: &Ring) -> Result<u64, QueueError> {
    let attempt = || get(ring).transpose();
    wait(Awaited::messages(ring), attempt)
}

fn put_at_last(ring: &Ring, number: u64) -> Result<(), QueueError> {
    let attempt = || Some(put(ring, number)).filter(|it| *it != Err(QueueError::Full));
    wait(Awaited::room(ring), attempt)
}

fn ring(bound: u32) -> Arc<Ring> {
    Arc::new(Ring::with_len(Label::of::<Shared>(), bound, 128).unwrap())
}

#[test]
fn a_getter_does_not_sleep_past_a_message() {
    check(Some(3), || {
        let ring = ring(u32::MAX);
        enter(1, 1, WOKEN);
        let getter = {
            let ring = Arc::clone(&ring);
            spawn(2, WOKEN, move || get_at_last(&ring))
        };
        put(&ring, 1).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(1));
    });
}

#[test]
fn a_putter_does_not_sleep_past_the_room_of_a_message_that_was_got() {
    check(Some(3), || {
        let ring = ring(1);
        enter(1, 1, WOKEN);
        put(&ring, 1).unwrap();
        let putter = {
            let ring = Arc::clone(&ring);
            spawn(2, WOKEN, move || put_at_last(&ring, 2))
        };
        assert_eq!(get(&ring), Ok(Some(1)));
        assert_eq!(putter.join().unwrap(), Ok(()));
    });
}

#[test]
fn nobody_sleeps_past_the_end() {
    check(Some(3), || {
        let ring = ring(u32::MAX);
        enter(1, 1, WOKEN);
        let getter = {
            let ring = Arc::clone(&ring);
            spawn(2, WOKEN, move || get_at_last(&ring))
        };
        ring.close();
        assert_eq!(getter.join().unwrap(), Err(QueueError::Closed));
    });
}
