//! What waits, for how long, and what ends it.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::*;
use crate::sys::testing::{in_child, watched};

const A_MOMENT: Duration = Duration::from_millis(30);

#[test]
fn timed_calls_never_end_early() {
    watched(|| {
        let queue = small(1);
        for timeout in [
            Duration::ZERO,
            Duration::from_micros(300),
            A_MOMENT,
            5 * A_MOMENT,
        ] {
            let start = Instant::now();
            assert_eq!(queue.get_timeout(timeout), Ok(None));
            assert!(start.elapsed() >= timeout);
            queue.put(1).unwrap();
            let start = Instant::now();
            assert_eq!(queue.put_timeout(2, timeout), Err(QueueError::Full));
            assert!(start.elapsed() >= timeout);
            assert_eq!(queue.get_timeout(Duration::MAX), Ok(Some(1)));
            assert_eq!(queue.put_timeout(1, Duration::MAX), Ok(()));
            assert_eq!(queue.get(), Ok(1));
        }
    });
}

#[test]
fn a_timed_get_does_not_end_for_what_others_take() {
    watched(|| {
        let queue = small(u32::MAX);
        let start = Instant::now();
        thread::scope(|scope| {
            let slow = scope.spawn(|| queue.get_timeout(5 * A_MOMENT));
            while start.elapsed() < 4 * A_MOMENT {
                queue.put(1).unwrap();
                let _mine_or_the_others = queue.try_get().unwrap();
            }
            if slow.join().unwrap() == Ok(None) {
                assert!(start.elapsed() >= 5 * A_MOMENT);
            }
        });
    });
}

#[test]
fn a_full_queue_makes_producers_wait_until_there_is_room() {
    watched(|| {
        let queue = small(2);
        let child = in_child(|| (0..1000).for_each(|i| queue.put(i).unwrap()));
        while queue.len() < 2 {
            thread::yield_now();
        }
        thread::sleep(A_MOMENT);
        assert_eq!(queue.len(), 2);
        for i in 0..1000 {
            assert!(queue.len() <= 2);
            assert_eq!(queue.get(), Ok(i));
        }
        child.succeeds();
    });
}

#[test]
fn close_wakes_all_who_wait_in_any_process() {
    watched(|| {
        let (empty, full) = (small::<u8>(u32::MAX), small(1));
        full.put(1).unwrap();
        let getter = || in_child(|| assert_eq!(empty.get(), Err(QueueError::Closed)));
        let putter = || in_child(|| assert_eq!(full.put(2), Err(QueueError::Closed)));
        let children = [getter(), putter(), getter(), putter()];
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(empty.get(), Err(QueueError::Closed)));
            scope.spawn(|| assert_eq!(full.put(2), Err(QueueError::Closed)));
            thread::sleep(A_MOMENT);
            empty.close();
            full.close();
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(full.get(), Ok(1));
        assert_eq!(full.get(), Err(QueueError::Closed));
    });
}

#[test]
fn no_put_that_had_success_is_lost_to_a_close() {
    watched(|| {
        for _ in 0..100 {
            let queue = small(u32::MAX);
            let is_put = AtomicBool::new(false);
            thread::scope(|scope| {
                let putter = scope.spawn(|| {
                    is_put.store(true, Ordering::Release);
                    (0..).take_while(|&i| queue.put(i).is_ok()).count()
                });
                while !is_put.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                queue.close();
                let n_got = queue.iter().map(Result::unwrap).count();
                assert_eq!(n_got, putter.join().unwrap());
            });
        }
    });
}

#[test]
fn a_bound_of_nothing_is_an_error_that_says_what_to_write() {
    let error = Queue::<u8>::bounded(0).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`Queue::bounded(1)`"), "{error}");
}

#[test]
fn a_message_that_cannot_be_written_or_read_is_the_only_one_lost() {
    #[derive(Debug, PartialEq)]
    struct Odd(u8);

    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                0 => Err(serde::ser::Error::custom("no zeros")),
                n => n.serialize(to),
            }
        }
    }

    impl<'de> Deserialize<'de> for Odd {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            match u8::deserialize(from)? {
                n if n % 2 == 0 => Err(D::Error::custom("only odd ones")),
                n => Ok(Self(n)),
            }
        }
    }

    let queue = small(u32::MAX);
    let error = queue.put(Odd(0)).unwrap_err();
    assert!(matches!(&error, QueueError::Codec { message } if message.contains("no zeros")));
    for n in 1..=3 {
        queue.put(Odd(n)).unwrap();
    }
    queue.close();
    let got: Vec<_> = queue.iter().collect();
    assert_eq!(got.len(), 3);
    assert_eq!(got[0], Ok(Odd(1)));
    assert!(matches!(&got[1], Err(QueueError::Codec { message }) if message.contains("only odd")));
    assert_eq!(got[2], Ok(Odd(3)));
}
