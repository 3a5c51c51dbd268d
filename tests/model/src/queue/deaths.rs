//! Putters and getters that die at any step: what they had begun does not count, and a second one goes on.

use std::sync::{Arc, Mutex};

use loom::thread;

use super::messages::{get, get_all, put, ring, spawn};
use super::ring::Ring;
use crate::atomic::{Life, Ordering, check_deaths};
use crate::kernel::{BY_ITSELF, end, enter};

/// Process 2, with this life; `None`: it was killed on the way.
fn spawn_mortal<T: 'static>(
    ring: &Arc<Ring>,
    life: &Life,
    deeds: impl FnOnce(&Ring) -> T + 'static,
) -> thread::JoinHandle<Option<T>> {
    let life = life.clone();
    spawn(ring, 2, move |ring| {
        let done = life.live(|| deeds(ring));
        end();
        done
    })
}

/// A queue in which this many messages, numbered from 1, were put and got.
fn used(n: u64) -> Arc<Ring> {
    let ring = ring();
    enter(1, 1, BY_ITSELF);
    for number in 1..=n {
        put(&ring, number).unwrap();
    }
    for number in 1..=n {
        assert_eq!(get(&ring), Ok(Some(number)));
    }
    ring
}

/// What the mortal has put: 11, 12, …, all of them if it lived, else those up to some number.
fn check_mortals(got: &[u64], n: u64, lived: bool) {
    let mortals: Vec<u64> = got.iter().copied().filter(|it| *it > 10).collect();
    let all: Vec<u64> = (11..=10 + n).collect();
    assert!(all.starts_with(&mortals), "{got:?}");
    assert!(!lived || mortals == all, "{got:?}");
}

fn a_putter_dies_beside_a_getter(n_before: u64) {
    check_deaths(Some(2), move |life| {
        let ring = used(n_before);
        let putter = spawn_mortal(&ring, life, |ring| {
            put(ring, 11).unwrap();
            put(ring, 12).unwrap();
        });
        let mut got: Vec<u64> = get(&ring).unwrap().into_iter().collect();
        let lived = putter.join().unwrap().is_some();
        put(&ring, 1).unwrap();
        got.extend(get_all(&ring));
        check_mortals(&got, 2, lived);
        assert_eq!(got.iter().filter(|it| **it == 1).count(), 1);
        assert_eq!(got.last(), Some(&1));
    });
}

#[test]
fn a_putter_that_dies_at_any_step_loses_its_own_message_at_most() {
    a_putter_dies_beside_a_getter(0);
}

/// The queue is empty, and was used: the message begins again at the start.
#[test]
fn a_putter_that_dies_as_the_queue_begins_again_leaves_a_valid_queue() {
    a_putter_dies_beside_a_getter(1);
}

/// As before, with a second putter that takes the lock over, and finds the positions apart.
fn a_putter_dies_beside_a_putter(n_before: u64) {
    check_deaths(Some(2), move |life| {
        let ring = used(n_before);
        let putter = spawn_mortal(&ring, life, |ring| put(ring, 11).unwrap());
        put(&ring, 1).unwrap();
        let mut got: Vec<u64> = get(&ring).unwrap().into_iter().collect();
        let lived = putter.join().unwrap().is_some();
        put(&ring, 2).unwrap();
        got.extend(get_all(&ring));
        check_mortals(&got, 1, lived);
        got.retain(|it| *it < 10);
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_second_putter_takes_over_from_one_that_dies_at_any_step() {
    a_putter_dies_beside_a_putter(0);
}

#[test]
fn a_second_putter_takes_over_from_one_that_dies_as_the_queue_begins_again() {
    a_putter_dies_beside_a_putter(1);
}

/// Two deaths: a getter's before it gave back what it had got, round the end of the ring, and then a putter's as the queue
/// begins again.
#[test]
fn a_queue_that_begins_again_behind_a_dead_getter_is_not_taken_for_damaged() {
    check_deaths(Some(2), |life| {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        for number in 1..=5 {
            put(&ring, number).unwrap();
        }
        for number in 1..=4 {
            assert_eq!(get(&ring), Ok(Some(number)));
        }
        put(&ring, 6).unwrap();
        assert_eq!(get(&ring), Ok(Some(5)));
        let given_back = &ring.shared().getters.memory;
        let before = given_back.load(Ordering::Relaxed);
        assert_eq!(get(&ring), Ok(Some(6)));
        given_back.store(before, Ordering::Relaxed);
        let putter = spawn_mortal(&ring, life, |ring| put(ring, 11).unwrap());
        put(&ring, 1).unwrap();
        let lived = putter.join().unwrap().is_some();
        let got = get_all(&ring);
        check_mortals(&got, 1, lived);
        assert_eq!(got.iter().filter(|it| **it == 1).count(), 1);
        assert!(!ring.is_closed());
    });
}

/// Of what the dead one got, one message at most is not told of. The putter goes round the end of the ring.
#[test]
fn a_getter_that_dies_at_any_step_loses_its_own_message_at_most() {
    check_deaths(Some(2), |life| {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        for number in 1..=4 {
            put(&ring, number).unwrap();
        }
        // No step of the process: what it tells of as soon as it has it.
        let told = Arc::<Mutex<Vec<u64>>>::default();
        let getter = {
            let told = Arc::clone(&told);
            spawn_mortal(&ring, life, move |ring| {
                for _ in 0..2 {
                    let message = get(ring).unwrap();
                    told.lock().unwrap().extend(message);
                }
            })
        };
        let mut sent = vec![1, 2, 3, 4];
        for number in 5..=6 {
            if put(&ring, number).is_ok() {
                sent.push(number);
            }
        }
        let lived = getter.join().unwrap().is_some();
        let told = told.lock().unwrap();
        let got = get_all(&ring);
        assert!(sent.starts_with(&told) && sent.ends_with(&got));
        let n_lost = sent
            .len()
            .checked_sub(told.len() + got.len())
            .expect("a message was got twice");
        assert!(
            n_lost <= usize::from(!lived),
            "{told:?} and {got:?} of {sent:?}"
        );
    });
}

/// Both in turn get what one of them may not live to tell of.
#[test]
fn a_second_getter_takes_over_from_one_that_dies_at_any_step() {
    check_deaths(Some(2), |life| {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        for number in 1..=4 {
            put(&ring, number).unwrap();
        }
        let getter = spawn_mortal(&ring, life, |ring| get(ring).unwrap());
        let mut got = vec![get(&ring).unwrap().unwrap(), get(&ring).unwrap().unwrap()];
        let told = getter.join().unwrap();
        got.extend(get_all(&ring));
        got.extend(told.flatten());
        got.sort_unstable();
        let n_lost = 4 - got.len();
        got.dedup();
        assert_eq!(got.len(), 4 - n_lost, "a message was got twice");
        assert!(n_lost <= usize::from(told.is_none()));
    });
}
