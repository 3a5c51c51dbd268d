//! Where the memory of a ring comes from and goes to.

use super::ring::SKIP;
use super::*;

const MIB: usize = 1 << 20;

/// What a queue has beside what it keeps: its first pages, a step, what is reserved ahead at least.
const A_LITTLE: usize = 16 * KIB + 256 * KIB + 64 * KIB;

#[test]
fn an_empty_queue_begins_again_at_the_start_and_takes_no_new_memory() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 16 * MIB);
    for len in 0..20_000_usize {
        queue.put(vec![len as u8; len % 5000]).unwrap();
        assert!(queue.get() == Ok(vec![len as u8; len % 5000]));
    }
    // 50 MB have passed: three times the ring.
    assert!(
        resident(&queue) <= 256 * KIB + A_LITTLE,
        "{}",
        resident(&queue)
    );
}

#[test]
fn the_memory_of_a_long_backlog_is_given_back() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 32 * MIB);
    for turn in 0..3 {
        for _ in 0..240 {
            queue.put(vec![turn; 100 * KIB]).unwrap();
        }
        assert!(resident(&queue) > 24_000_000);
        for _ in 0..240 {
            assert!(queue.get() == Ok(vec![turn; 100 * KIB]));
        }
        // The kept piece is a quarter of the ring; a quarter of what had waited was reserved ahead.
        let most = 8 * MIB + 6 * MIB + A_LITTLE;
        assert!(resident(&queue) <= most, "{}", resident(&queue));
        queue.put(vec![1; 300 * KIB]).unwrap();
        assert!(
            resident(&queue) <= 8 * MIB + A_LITTLE,
            "{}",
            resident(&queue)
        );
        queue.get().unwrap();
    }
}

#[test]
fn what_a_dead_getter_had_not_given_back_the_next_does() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 32 * MIB);
    for _ in 0..160 {
        queue.put(vec![1; 100 * KIB]).unwrap();
    }
    for _ in 0..159 {
        queue.get().unwrap();
    }
    let given_back = &queue.ring.shared().getters.memory;
    given_back.store(0, Ordering::Relaxed);
    for turn in 0..100 {
        queue.put(vec![turn; 900 * KIB]).unwrap();
        queue.get().unwrap();
    }
    assert!(given_back.load(Ordering::Relaxed) > 0);
    assert_eq!(queue.get().unwrap().len(), 900 * KIB);
}

/// Of the three stores by which a putter begins again at the start, it does one or two.
#[test]
fn a_putter_that_dies_while_it_begins_again_leaves_a_valid_queue() {
    for (n_stores, getter_is_at_work) in [(1, false), (1, true), (2, false), (2, true)] {
        let queue = small::<Vec<u8>>(u32::MAX);
        let Shared {
            putters, getters, ..
        } = queue.ring.shared();
        // A getter died too, on an earlier lap, and has given nothing back.
        let n_units = queue.ring.bytes.len();
        move_to(&queue, 2 * n_units + 1100, 5);
        getters.memory.store(2 * n_units - 512, Ordering::Relaxed);
        let tail = Position(putters.position.load(Ordering::Relaxed));
        if n_stores > 1 {
            queue.ring.move_tail_to_next_lap(tail);
        } else {
            let skipped = queue.ring.bytes.length_at(tail.units());
            skipped.store(SKIP, Ordering::Relaxed);
        }
        assert!(queue.is_empty());
        assert_eq!(queue.try_get(), Ok(None));
        if getter_is_at_work {
            // A getter is at work, so that the next putter cannot finish what the dead one began.
            let lock = &getters.lock;
            lock.acquire(None).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| queue.put(vec![8; 10]).unwrap());
                thread::sleep(Duration::from_millis(20));
                lock.release(false);
            });
        } else {
            queue.put(vec![8; 10]).unwrap();
        }
        // All of the ring is to be had again.
        queue.put(vec![9; 58 * KIB]).unwrap();
        assert_eq!(queue.get(), Ok(vec![8; 10]));
        assert_eq!(queue.get(), Ok(vec![9; 58 * KIB]));
        assert_eq!(
            getters.position.load(Ordering::Relaxed),
            putters.position.load(Ordering::Relaxed)
        );
    }
}

/// Whoever has moved the head and dies has not given back what lies behind it.
#[test]
fn room_that_the_dead_have_not_given_back_is_to_be_had() {
    for n_waiting in [0, 1] {
        let queue = small::<Vec<u8>>(u32::MAX);
        move_to(&queue, 8192, 7);
        (0..n_waiting).for_each(|_| queue.put(vec![1; 10]).unwrap());
        let getters = &queue.ring.shared().getters;
        getters.memory.store(512, Ordering::Relaxed);
        queue.put(vec![2; 6000]).unwrap();
        (0..n_waiting).for_each(|_| assert_eq!(queue.get(), Ok(vec![1; 10])));
        assert_eq!(queue.get(), Ok(vec![2; 6000]));
    }
}

#[test]
fn a_getter_follows_a_skip_that_was_left_standing() {
    let queue = small::<Vec<u8>>(u32::MAX);
    queue.put(vec![1; 100]).unwrap();
    queue.get().unwrap();
    let Shared {
        putters, getters, ..
    } = queue.ring.shared();
    let head = Position(getters.position.load(Ordering::Relaxed));
    let bytes = &queue.ring.bytes;
    let lap = head.units() + bytes.rest_of_lap(head.units());
    bytes.length_at(head.units()).store(SKIP, Ordering::Relaxed);
    bytes.length_at(lap).store(3, Ordering::Relaxed);
    bytes.write(lap, [&[4, 5, 6][..]].into_iter());
    putters
        .position
        .store(head.after(1, lap + 2).0, Ordering::Relaxed);
    let mut message = Message::default();
    assert!(queue.ring.take(&mut message, None).unwrap());
    assert_eq!(*message, [4, 5, 6]);
    assert_eq!(queue.try_get(), Ok(None));
}

/// A ring of the greatest length: after two laps the numbers begin anew.
#[test]
fn memory_that_was_given_back_is_not_taken_for_reserved_two_laps_later() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 16 << 30);
    let fill = |n: usize| (0..n).for_each(|_| queue.put(vec![1; 100 * KIB]).unwrap());
    fill(70);
    (0..70).for_each(|_| drop(queue.get().unwrap()));
    let putters = &queue.ring.shared().putters;
    let lap = |units: u32| units >> 31;
    let begin = Position(putters.position.load(Ordering::Relaxed)).units();
    // Empty whenever the next message is put, so that each 256 KiB begin a lap.
    for n_laps in 1..=5 {
        let before = Position(putters.position.load(Ordering::Relaxed)).units();
        while lap(Position(putters.position.load(Ordering::Relaxed)).units()) == lap(before) {
            queue.put(vec![2; 10 * KIB]).unwrap();
            queue.get().unwrap();
        }
        let tail = Position(putters.position.load(Ordering::Relaxed)).units();
        let ahead = putters.memory.load(Ordering::Relaxed).wrapping_sub(tail);
        let claimed = if ahead <= 1 << 31 {
            ahead as usize * 8
        } else {
            0
        };
        assert!(
            claimed <= resident(&queue),
            "{claimed} bytes count as reserved after {n_laps} laps from {begin}, {} are there",
            resident(&queue)
        );
    }
}

#[test]
fn as_many_messages_wait_as_can_be_counted_and_no_more() {
    let queue = with_ring::<()>(u32::MAX, 16 << 30);
    let most = u32::MAX / 2;
    let putters = &queue.ring.shared().putters;
    putters
        .position
        .store(Position(0).after(most - 1, most - 1).0, Ordering::Relaxed);
    queue.put(()).unwrap();
    assert_eq!(queue.len(), most as usize);
    let error = queue.put(()).unwrap_err();
    assert!(error.to_string().contains("no room"), "{error}");
    assert_eq!(queue.len(), most as usize);
}
