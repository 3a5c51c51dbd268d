use std::thread;

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::shared::Atomic;
use crate::sys::testing::{in_child, watched};

/// Whether this process sleeps in the kernel (`S`), is stopped (`T`) and so on.
fn is_in_state(state: char, pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    after_name.trim_start().starts_with(state)
}

#[test]
fn it_is_set_and_cleared_for_all_handles() {
    let event = Event::new().unwrap();
    let clone = event.clone();
    let mut encoder = Encoder::new();
    encoder.value(&event).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    let received: Event = Decoder::new(&bytes).value().unwrap();
    assert!(!received.is_set() && !clone.is_set());
    event.set();
    event.set();
    assert!(received.is_set() && clone.is_set());
    clone.wait();
    assert!(received.wait_timeout(Duration::ZERO));
    received.clear();
    received.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
}

#[test]
fn everybody_who_waits_is_let_through() {
    watched(|| {
        let event = Event::new().unwrap();
        let children = [
            in_child(|| event.wait()),
            in_child(|| assert!(event.wait_timeout(Duration::MAX))),
        ];
        thread::scope(|scope| {
            let waits = [scope.spawn(|| event.wait()), scope.spawn(|| event.wait())];
            event.set();
            waits.into_iter().for_each(|thread| thread.join().unwrap());
        });
        children.into_iter().for_each(|child| child.succeeds());
    });
}

#[test]
fn a_set_that_is_cleared_at_once_lets_through_who_waits() {
    watched(|| {
        let event = Event::new().unwrap();
        let n_waiting = Atomic::new(0_u32).unwrap();
        let wait = || {
            n_waiting.fetch_add(1, Ordering::SeqCst);
            event.wait();
        };
        let children = [in_child(wait), in_child(wait)];
        while n_waiting.load(Ordering::SeqCst) < 2
            || !children.iter().all(|child| is_in_state('S', child.pid()))
        {
            thread::yield_now();
        }
        // Sleeping once may have been elsewhere than in `wait`; twenty times in a row means having got there.
        let mut n_looks = 0;
        while n_looks < 20 {
            n_looks = if children.iter().all(|child| is_in_state('S', child.pid())) {
                n_looks + 1
            } else {
                0
            };
            thread::sleep(Duration::from_millis(1));
        }
        // Stopped, they cannot look between the two.
        for child in &children {
            child.pidfd().kill(libc::SIGSTOP).unwrap();
            while !is_in_state('T', child.pid()) {
                thread::yield_now();
            }
        }
        event.set();
        event.clear();
        for child in &children {
            child.pidfd().kill(libc::SIGCONT).unwrap();
        }
        children.into_iter().for_each(|child| child.succeeds());
        assert!(!event.is_set());
    });
}

#[test]
fn a_timed_wait_never_ends_early() {
    watched(|| {
        let event = Event::new().unwrap();
        let timeout = Duration::from_millis(30);
        let start = Instant::now();
        // Announcements without a change wake, and end nothing.
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10 {
                    event.shared().notice.announce_all();
                    thread::sleep(Duration::from_millis(1));
                }
            });
            assert!(!event.wait_timeout(timeout));
        });
        assert!(start.elapsed() >= timeout);
    });
}

#[test]
fn what_came_before_a_set_is_seen_after_the_wait() {
    watched(|| {
        let event = Event::new().unwrap();
        let data = Atomic::new(0_u64).unwrap();
        let child = in_child(|| {
            event.wait();
            assert_eq!(data.load(Ordering::Relaxed), 7);
        });
        data.store(7, Ordering::Relaxed);
        event.set();
        child.succeeds();
    });
}

#[test]
fn a_waiter_that_is_killed_hangs_nobody() {
    watched(|| {
        let event = Event::new().unwrap();
        let doomed = in_child(|| event.wait());
        let other = in_child(|| event.wait());
        doomed.kill();
        event.set();
        other.succeeds();
    });
}
