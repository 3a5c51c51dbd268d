//! `task_done` and `join`: who waits for all that was put, and is told of those who ended with something of it.

use std::sync::atomic::AtomicBool;

use super::crash::below;
use super::*;
use crate::queue::takers::OwnPlace;
use crate::sys::exit_now;
use crate::sys::testing::{in_child, watched};

const AT_ONCE: Duration = Duration::ZERO;

#[test]
fn a_queue_of_which_nothing_was_ever_put_is_done() {
    let queue = small::<u64>(u32::MAX);
    assert_eq!(queue.join(), Ok(()));
    assert_eq!(queue.task_done(), Err(QueueError::NoTask));
}

#[test]
fn what_waits_and_what_was_got_is_not_done_until_it_is_said() {
    let queue = small::<u64>(u32::MAX);
    queue.put(1).unwrap();
    assert_eq!(queue.join_timeout(AT_ONCE), Ok(false));
    assert_eq!(queue.task_done(), Err(QueueError::NoTask), "it was not got");
    queue.get().unwrap();
    let (start, timeout) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(queue.join_timeout(timeout), Ok(false));
    assert!(start.elapsed() >= timeout);
    queue.task_done().unwrap();
    assert_eq!(queue.join(), Ok(()));
    assert_eq!(queue.task_done(), Err(QueueError::NoTask));
}

#[test]
fn a_message_that_cannot_be_read_is_dealt_with() {
    let queue = small::<u64>(u32::MAX);
    let other = Queue::<bool> {
        ring: queue.ring.clone(),
        messages: PhantomData,
    };
    queue.put(7).unwrap();
    assert!(matches!(other.get(), Err(QueueError::Codec { .. })));
    assert_eq!(queue.join(), Ok(()));
}

#[test]
fn threads_of_one_process_may_say_so_for_each_other() {
    watched(|| {
        let queue = small::<u64>(u32::MAX);
        let is_over = AtomicBool::new(false);
        (0..3000).for_each(|n| queue.put(n).unwrap());
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while queue.try_get().unwrap().is_some() {
                        queue.task_done().unwrap();
                    }
                    // Whoever joined was not told too early.
                    assert!(!is_over.load(Ordering::Relaxed) || queue.is_empty());
                });
            }
            queue.join().unwrap();
            is_over.store(true, Ordering::Relaxed);
            assert!(queue.is_empty());
        });
        assert_eq!(queue.task_done(), Err(QueueError::NoTask));
    });
}

#[test]
fn what_a_dead_getter_has_counted_and_not_taken_is_not_lost_though_a_putter_lay_down_first() {
    watched(|| {
        let queue = small::<u64>(1);
        queue.put(1).unwrap();
        let victim = in_child(|| {
            let _held = queue.ring.hold_getters(None);
            let head = Position(0).after(1, 2);
            queue.ring.takers().begin(&OwnPlace::default(), head);
            exit_now(9);
        });
        assert_eq!(victim.code(), Some(9));
        Awaited::room(&queue.ring).lie_down(None);
        assert_eq!(queue.get(), Ok(1));
        queue.task_done().unwrap();
        assert_eq!(queue.join(), Ok(()));
    });
}

#[test]
fn another_process_cannot_say_so_and_who_ends_without_a_word_is_told_to_all_who_wait() {
    watched(|| {
        let queue = small::<u64>(u32::MAX);
        (0..5).for_each(|n| queue.put(n).unwrap());
        queue.get().unwrap();
        // As one who has begun to wait before anybody was told.
        let told = queue.ring.takers().told();
        let waiter = queue.clone();
        let waiter = thread::spawn(move || waiter.join());
        in_child(|| {
            let refused = queue.task_done();
            assert_eq!(refused, Err(QueueError::NoTask), "the parent has it");
            for _ in 0..3 {
                queue.get().unwrap();
            }
            queue.task_done().unwrap();
        })
        .succeeds();
        let lost = Err(QueueError::TasksLost { n: 2 });
        assert_eq!(waiter.join().unwrap(), lost);
        assert_eq!(queue.ring.takers().lost_since(told), 2);
        assert_eq!(queue.join_timeout(AT_ONCE), Ok(false), "told once");
        queue.get().unwrap();
        queue.task_done().unwrap();
        queue.task_done().unwrap();
        assert_eq!(queue.join(), Ok(()));
    });
}

#[test]
fn more_processes_than_there_are_places_count_as_well() {
    watched(|| {
        let queue = small::<u64>(u32::MAX);
        let done = small::<()>(u32::MAX);
        let n = 260;
        let children: Vec<_> = (0..n)
            .map(|_| {
                in_child(|| {
                    queue.get().unwrap();
                    done.put(()).unwrap();
                    // All live until all have got one.
                    while done.len() < n {
                        thread::sleep(Duration::from_millis(5));
                    }
                    queue.task_done().unwrap();
                })
            })
            .collect();
        for number in 0..n as u64 {
            queue.put(number).unwrap();
        }
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(queue.join(), Ok(()));
        // The dead leave room.
        queue.put(1).unwrap();
        queue.get().unwrap();
        assert_eq!(queue.join_timeout(AT_ONCE), Ok(false));
        queue.task_done().unwrap();
        assert_eq!(queue.join(), Ok(()));
    });
}

/// Takers are killed at any instruction: what is told, what is done and what is left is all that was put.
#[test]
fn every_message_is_done_or_told_however_takers_die() {
    watched(|| {
        let queue = small::<u64>(u32::MAX);
        let n_done = Queue::<()>::new().unwrap();
        let (mut random, mut n_put, mut n_told, mut n_rounds) = (3, 0, 0, 0);
        // On slow or few cores until one was hit with a message in hand.
        while n_rounds < 400 || n_told == 0 {
            n_rounds += 1;
            // Enough for most of the time that they have.
            while queue.len() < 1000 {
                queue.put(n_put).unwrap();
                n_put += 1;
            }
            let takers = [(); 2].map(|()| {
                in_child(|| {
                    loop {
                        queue.get().unwrap();
                        n_done.put(()).unwrap();
                        queue.task_done().unwrap();
                    }
                })
            });
            thread::sleep(Duration::from_micros(200 + below(&mut random, 600)));
            let [first, second] = takers;
            first.kill();
            second.kill();
            match queue.join_timeout(AT_ONCE) {
                Ok(_) => {}
                Err(QueueError::TasksLost { n }) => {
                    assert!((1..=2).contains(&n));
                    n_told += n;
                }
                Err(error) => panic!("{error}"),
            }
        }
        let mut n_left = 0;
        while queue.try_get().unwrap().is_some() {
            queue.task_done().unwrap();
            n_left += 1;
        }
        assert_eq!(queue.join(), Ok(()), "none is missing");
        assert_eq!(queue.task_done(), Err(QueueError::NoTask));
        // Between the two of each message a death counts it twice, at most.
        let n_dealt_with = n_done.len() + n_told + n_left;
        assert!((n_put as usize..=n_put as usize + n_told).contains(&n_dealt_with));
    });
}
