//! Processes killed at random inside of put and get.

use super::*;
use crate::sys::testing::{in_child, watched};

/// A number below `n`, from a xorshift generator: the same every time.
pub(in crate::queue) fn below(state: &mut u64, n: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % n
}

const N_KILLS: u64 = 700;

fn len_of(number: u64) -> usize {
    (number * 37 % 300) as usize
}

/// Sleeps for up to a few hundred microseconds by spinning: kills fall on any instruction.
fn pause(random: &mut u64) {
    let end = Instant::now() + Duration::from_micros(below(random, 400));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn a_producer_killed_at_any_moment_loses_its_own_message_at_most() {
    watched(|| {
        let queue = small::<Vec<u64>>(u32::MAX);
        let mut random = 11;
        for producer in 0..N_KILLS {
            let child = in_child(|| {
                for number in 0.. {
                    // No room: nobody gets before the kill.
                    while queue.put(sealed(producer, number, len_of(number))).is_err() {
                        thread::yield_now();
                    }
                }
            });
            if producer % 2 == 0 {
                // It has begun.
                let first = unsealed(&queue.get().unwrap());
                assert_eq!(first, (producer, 0));
            }
            pause(&mut random);
            child.kill();
            queue
                .put(sealed(N_KILLS, producer, 5))
                .unwrap_or_else(|error| {
                    assert!(matches!(error, QueueError::System { .. }), "{error}");
                });
            let mut next = u64::from(producer % 2 == 0);
            while let Some(message) = queue.try_get().unwrap() {
                match unsealed(&message) {
                    (N_KILLS, number) => assert_eq!(number, producer),
                    (from, number) => {
                        // In order without a gap: whatever counts was put whole.
                        assert_eq!((from, number), (producer, next));
                        next += 1;
                    }
                }
            }
            assert!(queue.is_empty() && !queue.is_closed());
        }
    });
}

#[test]
fn a_consumer_killed_at_any_moment_loses_its_own_message_at_most() {
    watched(|| {
        let queue = small::<Vec<u64>>(u32::MAX);
        let (mut random, mut number, mut next, mut n_lost) = (5, 0, 0, 0);
        // What consumers have got, written after each get.
        let got = Queue::<u64>::new().unwrap();
        for _ in 0..N_KILLS {
            while queue.len() < 40 {
                queue.put(sealed(0, number, len_of(number))).unwrap();
                number += 1;
            }
            let child = in_child(|| {
                loop {
                    got.put(unsealed(&queue.get().unwrap()).1).unwrap();
                }
            });
            if number % 2 == 0 {
                while got.is_empty() {
                    thread::yield_now();
                }
            }
            pause(&mut random);
            child.kill();
            let mut n_lost_now = 0;
            let last = queue.try_get().unwrap().map(|it| unsealed(&it).1);
            let seen: Vec<_> = std::iter::from_fn(|| got.try_get().unwrap())
                .chain(last)
                .collect();
            for number in seen {
                assert!(number >= next, "a message was got twice");
                n_lost_now += number - next;
                next = number + 1;
            }
            n_lost_now += if last.is_none() { number - next } else { 0 };
            next = if last.is_none() { number } else { next };
            assert!(
                n_lost_now <= 1,
                "{n_lost_now} messages were lost by one kill"
            );
            n_lost += n_lost_now;
        }
        assert!(n_lost <= N_KILLS);
    });
}

#[test]
fn producers_and_consumers_that_are_killed_leave_the_others_undisturbed() {
    watched(|| {
        let queue = small::<Vec<u64>>(8);
        let is_done = small::<()>(u32::MAX);
        let steady = in_child(|| {
            for number in 0..30_000 {
                queue.put(sealed(0, number, len_of(number))).unwrap();
            }
            is_done.put(()).unwrap();
        });
        let reader = in_child(|| {
            let mut next = std::collections::HashMap::new();
            for message in &queue {
                let (producer, number) = unsealed(&message.unwrap());
                let next = next.entry(producer).or_insert(0);
                assert!(number >= *next, "got twice, or not in order");
                *next = number + 1;
            }
        });
        let (mut random, mut n_victims) = (77, 0);
        while is_done.is_empty() && n_victims < 2 * N_KILLS {
            n_victims += 1;
            let victim = in_child(|| match n_victims % 2 {
                0 => {
                    for number in 0.. {
                        let message = sealed(n_victims, number, len_of(number));
                        queue.put(message).unwrap();
                    }
                }
                _ => {
                    for message in &queue {
                        unsealed(&message.unwrap());
                    }
                }
            });
            pause(&mut random);
            victim.kill();
        }
        steady.succeeds();
        queue.close();
        reader.succeeds();
        assert_eq!(queue.get(), Err(QueueError::Closed));
    });
}
