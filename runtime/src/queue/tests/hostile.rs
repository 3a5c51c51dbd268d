//! A process gone mad writes numbers at random into what all share, locks excepted, which see to themselves.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::crash::below;
use super::*;
use crate::queue::fuzzing::is_an_orderly_error;
use crate::sys::testing::watched;

/// Numbers that are wrong by a little, by much, or not at all.
fn odd_number(random: &mut u64, now: u64) -> u64 {
    match below(random, 8) {
        0 => now.wrapping_add(below(random, 40)),
        1 => now.wrapping_sub(below(random, 40)),
        2 => now ^ 1 << below(random, 64),
        3 => u64::MAX - below(random, 3),
        4 => below(random, 3),
        5 => below(random, 1 << 20),
        6 => now.wrapping_add(below(random, 1 << 16) << 32),
        _ => below(random, u64::MAX),
    }
}

fn damage<T>(queue: &Queue<T>, random: &mut u64) {
    let Shared {
        putters, getters, ..
    } = queue.ring.shared();
    let long: [&AtomicU64; 5] = [
        &putters.position,
        &getters.position,
        &putters.limit,
        &getters.limit,
        queue.ring.bytes.length_at(below(random, 1 << 13) as u32),
    ];
    let short: [&AtomicU32; 3] = [&putters.memory, &putters.kept, &getters.memory];
    if below(random, 2) == 0 {
        let which = below(random, long.len() as u64) as usize;
        let now = long[which].load(Ordering::Relaxed);
        long[which].store(odd_number(random, now), Ordering::Relaxed);
    } else {
        let which = below(random, short.len() as u64) as usize;
        let now = short[which].load(Ordering::Relaxed);
        short[which].store(odd_number(random, u64::from(now)) as u32, Ordering::Relaxed);
    }
}

#[test]
fn garbage_anywhere_is_an_error_and_never_a_panic_or_a_hang() {
    watched(|| {
        for seed in 1..400_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let queue = small::<Vec<u64>>(if seed % 3 == 0 { 4 } else { u32::MAX });
            for step in 0..200 {
                if below(&mut random, 20) == 0 {
                    damage(&queue, &mut random);
                }
                let len = below(&mut random, 700) as usize;
                let result = match below(&mut random, 2) {
                    0 => queue.try_put(sealed(seed, step, len)),
                    _ => queue.try_get().map(drop),
                };
                result.unwrap_or_else(|error| is_an_orderly_error(&error));
                assert!(queue.len() < 1 << 31);
            }
            // Whatever it looks like now, it can be emptied in finite time.
            queue.close();
            let n_left = (0..=1 << 14).take_while(|_| queue.try_get() != Err(QueueError::Closed));
            assert!(n_left.count() < 1 << 14);
        }
    });
}

#[test]
fn a_head_that_makes_less_than_no_room_is_an_error() {
    watched(|| {
        let queue = small::<u64>(u32::MAX);
        let (units, n_units) = (4096 + 1, queue.ring.bytes.len());
        move_to(&queue, units, 0);
        let Shared { putters, .. } = queue.ring.shared();
        let tail = Position(0).after(9, units + n_units);
        putters.position.store(tail.0, Ordering::Relaxed);
        is_an_orderly_error(&queue.try_put(7).unwrap_err());
    });
}

#[test]
fn while_others_write_garbage_all_the_time_calls_come_back() {
    watched(|| {
        for seed in 1..30_u64 {
            let queue = small::<Vec<u64>>(u32::MAX);
            thread::scope(|scope| {
                let mad = scope.spawn(|| {
                    let mut random = seed;
                    for _ in 0..3000 {
                        damage(&queue, &mut random);
                    }
                });
                let mut random = seed << 32;
                while !mad.is_finished() {
                    let len = below(&mut random, 700) as usize;
                    let put = queue.try_put(sealed(seed, 0, len));
                    put.unwrap_or_else(|error| is_an_orderly_error(&error));
                    let got = queue.try_get();
                    got.map_or_else(|error| is_an_orderly_error(&error), drop);
                }
            });
        }
    });
}

#[test]
fn a_length_that_cannot_be_is_told_once_and_closes_the_queue() {
    for len in [1 << 40, 1 << 13, 200, u64::MAX, u64::MAX - 1, u64::MAX / 8] {
        let queue = small::<Vec<u8>>(u32::MAX);
        queue.put(vec![1; 100]).unwrap();
        queue.ring.bytes.length_at(0).store(len, Ordering::Relaxed);
        let error = queue.get().unwrap_err();
        assert!(
            matches!(&error, QueueError::System { kind: io::ErrorKind::InvalidData, message }
                if message.contains("was damaged")),
            "{error:?}"
        );
        assert_eq!(queue.get(), Err(QueueError::Closed));
        assert_eq!(queue.put(vec![]), Err(QueueError::Closed));
    }
}

#[test]
fn a_skip_that_leads_past_the_tail_closes_the_queue() {
    let queue = small::<Vec<u8>>(u32::MAX);
    move_to(&queue, 512, 0);
    queue.put(vec![1; 100]).unwrap();
    let bytes = &queue.ring.bytes;
    bytes
        .length_at(512)
        .store(super::ring::SKIP, Ordering::Relaxed);
    bytes.length_at(0).store(1 << 20, Ordering::Relaxed);
    let error = queue.get().unwrap_err();
    assert!(matches!(
        error,
        QueueError::System {
            kind: io::ErrorKind::InvalidData,
            ..
        }
    ));
    assert!(queue.is_closed());
}

#[test]
fn positions_that_cannot_be_close_the_queue_for_putters_too() {
    let queue = small::<u8>(1);
    queue.put(1).unwrap();
    let head = &queue.ring.shared().getters.position;
    head.store(5 << 32, Ordering::Relaxed);
    let error = queue.put(2).unwrap_err();
    assert!(matches!(
        error,
        QueueError::System {
            kind: io::ErrorKind::InvalidData,
            ..
        }
    ));
    assert!(queue.is_closed());
}

#[test]
fn bytes_that_are_no_message_are_an_error_of_that_message_alone() {
    let queue = small::<String>(u32::MAX);
    queue.put("first".to_owned()).unwrap();
    queue.put("second".to_owned()).unwrap();
    // The text of the first, behind the two lengths.
    queue
        .ring
        .bytes
        .length_at(2)
        .store(u64::MAX, Ordering::Relaxed);
    assert!(matches!(queue.get(), Err(QueueError::Codec { .. })));
    assert_eq!(queue.get(), Ok("second".to_owned()));
    // More than a message has.
    let other: Queue<(String, u8)> = Queue::of(queue.ring.clone());
    other.put(("third".to_owned(), 3)).unwrap();
    assert!(matches!(queue.get(), Err(QueueError::Codec { .. })));
}

#[test]
fn a_block_of_another_length_is_no_queue() {
    for len in [0, 4096, 4096 + 32 * KIB, 4096 + 96 * KIB] {
        let block = crate::shared::Block::large(Queue::<u8>::label(), len, 0).unwrap();
        assert!(Ring::of(block).is_err());
    }
}
