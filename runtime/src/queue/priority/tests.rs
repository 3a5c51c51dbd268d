use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::thread;
use std::time::Instant;

use super::super::fuzzing::is_an_orderly_error;
use super::super::tests::crash::below;
use super::*;
use crate::sys::exit_now;
use crate::sys::testing::{in_child, watched};
use crate::{ErrorKind, Value};

type Bytes = PriorityQueue<Vec<u8>, u32>;

fn small<T: ByValue, P: Rank>(bound: u32) -> PriorityQueue<T, P> {
    let label = PriorityQueue::<T, P>::label();
    PriorityQueue::of(Store::with_cells(label, bound, 1).unwrap())
}

/// Tells where it comes from and whether it is whole.
fn sealed(rank: u32, len: usize) -> Vec<u8> {
    (0..len)
        .map(|place| (place * 7 + rank as usize) as u8)
        .collect()
}

#[test]
fn the_smallest_comes_first_and_of_equals_who_came_first() {
    let queue = small::<u32, i64>(u32::MAX);
    for (number, priority) in [3, -1, 7, -1, 3, i64::MIN].into_iter().enumerate() {
        queue.put(priority, number as u32).unwrap();
    }
    let all: Vec<_> = std::iter::from_fn(|| queue.try_get().unwrap()).collect();
    assert_eq!(
        all,
        [(i64::MIN, 5), (-1, 1), (-1, 3), (3, 0), (3, 4), (7, 2)]
    );
}

#[test]
fn it_is_a_heap_whatever_is_put_and_got() {
    let queue: Bytes = small(u32::MAX);
    let (mut model, mut random) = (BinaryHeap::new(), 7);
    for turn in 0..10_000_u32 {
        if below(&mut random, 5) < 3 {
            let rank = below(&mut random, 50) as u32;
            let len = below(&mut random, 600) as usize;
            match queue.try_put(rank, sealed(rank, len)) {
                Ok(()) => model.push(Reverse((rank, turn, len))),
                Err(QueueError::System { kind, .. }) => {
                    assert_eq!(kind, std::io::ErrorKind::OutOfMemory);
                    assert!(model.len() > 1000, "there are 8192 cells");
                }
                Err(error) => panic!("{error}"),
            }
        } else {
            let expected = model
                .pop()
                .map(|Reverse((rank, _, len))| (rank, sealed(rank, len)));
            assert!(queue.try_get() == Ok(expected));
        }
        assert_eq!(queue.len(), model.len());
    }
    queue.close();
    while let Some(Reverse((rank, _, len))) = model.pop() {
        assert!(queue.get() == Ok((rank, sealed(rank, len))));
    }
    assert_eq!(queue.get(), Err(QueueError::Closed));
}

#[test]
fn a_message_larger_than_the_queue_is_an_error_that_says_so_and_harms_nothing() {
    let queue: Bytes = small(u32::MAX);
    queue.put(1, vec![1; 5000]).unwrap();
    let error = queue.put(0, vec![2; 2 << 20]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no room for a message of 2097160 bytes"),
        "{error}"
    );
    queue.put(0, vec![3; 700_000]).unwrap();
    assert!(queue.get() == Ok((0, vec![3; 700_000])));
    assert!(queue.get() == Ok((1, vec![1; 5000])));
}

#[test]
fn a_large_message_comes_through_and_its_memory_is_given_back() {
    let queue = PriorityQueue::<Vec<u8>, u8>::new().unwrap();
    for _ in 0..2 {
        queue.put(1, sealed(1, 30 << 20)).unwrap();
        assert!(queue.get() == Ok((1, sealed(1, 30 << 20))));
    }
}

#[test]
fn a_full_queue_waits_for_room_and_says_when_there_is_none() {
    watched(|| {
        let queue = small::<u8, u8>(1);
        queue.put(1, 1).unwrap();
        assert_eq!(queue.try_put(0, 2), Err(QueueError::Full));
        let (start, timeout) = (Instant::now(), Duration::from_millis(20));
        assert_eq!(queue.put_timeout(0, 2, timeout), Err(QueueError::Full));
        assert!(start.elapsed() >= timeout);
        thread::scope(|scope| {
            scope.spawn(|| queue.put(0, 3).unwrap());
            thread::sleep(Duration::from_millis(5));
            assert_eq!(queue.get(), Ok((1, 1)));
            assert_eq!(queue.get(), Ok((0, 3)));
        });
    });
    let none = PriorityQueue::<u8, u8>::bounded(0).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidInput);
}

#[test]
fn handles_in_messages_live_as_long_as_these_wait() {
    watched(|| {
        let (queue, value) = (PriorityQueue::new().unwrap(), Value::new(5_u64).unwrap());
        queue.put(1_u8, value).unwrap();
        queue.put(0, Value::new(7).unwrap()).unwrap();
        assert_eq!(queue.get().unwrap().1.get(), 7);
        assert_eq!(queue.get().unwrap().1.get(), 5);
    });
}

/// What each victim leaves is whole, in order, and no message is lost or doubled but its own.
#[test]
fn a_process_killed_inside_of_put_and_get_loses_its_own_message_at_most() {
    watched(|| {
        let queue: Bytes = small(u32::MAX);
        let mut random = 5;
        for _ in 0..500 {
            let n_before = queue.len();
            let victim = in_child(|| {
                for number in 0.. {
                    let rank = number * 31 % 100;
                    queue
                        .put(rank, sealed(rank, number as usize * 37 % 400))
                        .unwrap();
                    let (rank, bytes) = queue.get().unwrap();
                    assert!(bytes == sealed(rank, bytes.len()));
                }
            });
            let end = Instant::now() + Duration::from_micros(below(&mut random, 500));
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            victim.kill();
            queue.put(50, sealed(50, 300)).unwrap();
            let n = queue.len();
            assert!(
                (n_before..=n_before + 2).contains(&n),
                "{n_before} became {n}"
            );
            let mut last = 0;
            for _ in 0..n {
                let (rank, bytes) = queue.get().unwrap();
                assert!(rank >= last && bytes == sealed(rank, bytes.len()));
                last = rank;
            }
            assert_eq!(queue.try_get(), Ok(None));
            for rank in 0..below(&mut random, 10) as u32 {
                queue.put(rank, sealed(rank, 200)).unwrap();
            }
        }
    });
}

#[test]
fn what_the_dead_have_left_is_mended_though_another_lay_down_first() {
    watched(|| {
        let queue: Bytes = small(u32::MAX);
        queue.put(2, sealed(2, 300)).unwrap();
        let victim = in_child(|| {
            let _held = queue.hold(Patience::Endless);
            queue.store.damage(0, 0);
            exit_now(9);
        });
        assert_eq!(victim.code(), Some(9));
        assert_eq!(queue.len(), 0);
        queue.awaited().lie_down(None);
        assert!(queue.try_get() == Ok(Some((2, sealed(2, 300)))));
    });
}

/// The mark, by which a message is there, comes after the last of its bytes.
#[test]
fn a_process_that_ends_among_the_bytes_of_its_message_has_put_none() {
    watched(|| {
        let queue: Bytes = small(u32::MAX);
        queue.put(2, sealed(2, 300)).unwrap();
        let chunk = [7; 200];
        // After the last of them it ends before the next word is written.
        for n_written in 0..=5 {
            let victim = in_child(|| {
                let _held = queue.hold(Patience::Endless);
                let chunks = (0..=5).map(|number| match number == n_written {
                    true => exit_now(9),
                    false => &chunk[..],
                });
                let put = queue.store.put(1, 5 * chunk.len(), chunks);
                unreachable!("{put:?}");
            });
            assert_eq!(victim.code(), Some(9));
            queue.put(3, sealed(3, 700)).unwrap();
            assert_eq!(queue.len(), 2, "after {n_written} chunks");
            assert!(queue.get() == Ok((2, sealed(2, 300))));
            assert!(queue.get() == Ok((3, sealed(3, 700))));
            queue.put(2, sealed(2, 300)).unwrap();
        }
    });
}

/// A process gone mad writes anywhere but into the lock.
#[test]
fn garbage_is_an_error_and_never_a_panic_or_a_hang() {
    watched(|| {
        for seed in 1..200_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let queue: Bytes = small(u32::MAX);
            for rank in 0..200 {
                if below(&mut random, 10) == 0 {
                    queue
                        .store
                        .damage(below(&mut random, u64::MAX), below(&mut random, 1 << 20));
                }
                let result = match below(&mut random, 3) {
                    0 => queue.try_get().map(drop),
                    _ => queue.try_put(rank, sealed(rank, below(&mut random, 500) as usize)),
                };
                result.unwrap_or_else(|error| is_an_orderly_error(&error));
                if below(&mut random, 30) == 0 {
                    queue.store.make_anew();
                }
            }
            queue.close();
            let left = (0..=1 << 14).take_while(|_| queue.try_get() != Err(QueueError::Closed));
            assert!(left.count() < 1 << 14);
        }
    });
}
