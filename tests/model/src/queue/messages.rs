//! Putters, getters and who closes: no message is doubled, torn or lost.

use std::sync::Arc;

use loom::thread;

use super::error::QueueError;
use super::layout::Shared;
use super::message::Message;
use super::position::UNIT;
use super::ring::Ring;
use crate::atomic::check;
use crate::codec::Encoder;
use crate::kernel::{self, BY_ITSELF, enter};
use crate::shared::Label;

/// Units of the ring: the fewest with a step for what is given back.
const N_UNITS: usize = 16;

/// An unbounded queue. It begins again behind 2 units, and keeps the memory of 4.
pub(super) fn ring() -> Arc<Ring> {
    let len = N_UNITS * UNIT;
    Arc::new(Ring::with_len(Label::of::<Shared>(), u32::MAX, len).unwrap())
}

pub(super) fn spawn<T: 'static>(
    ring: &Arc<Ring>,
    number: u32,
    deeds: impl FnOnce(&Ring) -> T + 'static,
) -> thread::JoinHandle<T> {
    let ring = Arc::clone(ring);
    kernel::spawn(number, BY_ITSELF, move || deeds(&ring))
}

/// Puts a message of three units.
pub(super) fn put(ring: &Ring, number: u64) -> Result<(), QueueError> {
    let words = [number, number];
    ring.put(&Encoder { words: &words }, None)
}

/// The number of a message that is whole.
pub(super) fn get(ring: &Ring) -> Result<Option<u64>, QueueError> {
    let mut message = Message::default();
    let is_taken = ring.take(&mut message, None)?;
    Ok(is_taken.then(|| {
        let words: Vec<u64> = message
            .chunks_exact(UNIT)
            .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
            .collect();
        assert!(words.len() == 2 && words[0] == words[1], "torn: {words:?}");
        words[0]
    }))
}

/// All that wait, for the last of the processes.
pub(super) fn get_all(ring: &Ring) -> Vec<u64> {
    let numbers = std::iter::from_fn(|| get(ring).unwrap_or(None)).collect();
    assert_eq!(ring.n_waiting(), 0);
    numbers
}

#[test]
fn what_one_puts_another_gets_whole_and_in_order() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        let putter = spawn(&ring, 2, |ring| {
            for number in 1..=3 {
                put(ring, number).unwrap();
            }
        });
        let mut got: Vec<u64> = (0..3).filter_map(|_| get(&ring).unwrap()).collect();
        putter.join().unwrap();
        got.extend(get_all(&ring));
        assert_eq!(got, [1, 2, 3]);
    });
}

/// The ring is full but for what the getter gives back in the meantime, and goes round its end.
#[test]
fn a_putter_goes_round_the_end_into_what_was_given_back() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        for number in 1..=5 {
            put(&ring, number).unwrap();
        }
        let getter = spawn(&ring, 2, |ring| [get(ring).unwrap(), get(ring).unwrap()]);
        let mut sent = vec![1, 2, 3, 4, 5];
        for number in 6..=7 {
            match put(&ring, number) {
                Ok(()) => sent.push(number),
                Err(QueueError::System { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        let mut got: Vec<u64> = getter.join().unwrap().into_iter().flatten().collect();
        got.extend(get_all(&ring));
        assert_eq!(got, sent);
    });
}

#[test]
fn two_putters_and_two_getters_lose_and_double_nothing() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        let other = spawn(&ring, 2, |ring| {
            put(ring, 2).unwrap();
            get(ring).unwrap()
        });
        put(&ring, 1).unwrap();
        let mut got: Vec<u64> = get(&ring).unwrap().into_iter().collect();
        got.extend(other.join().unwrap());
        got.extend(get_all(&ring));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// What was put before the queue was closed is got; nothing is put after it.
#[test]
fn a_put_beside_a_close_counts_or_fails() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        // It is empty, and the next message begins again at its start.
        put(&ring, 1).unwrap();
        assert_eq!(get(&ring), Ok(Some(1)));
        let putter = spawn(&ring, 2, |ring| [put(ring, 2), put(ring, 3)]);
        let closer = spawn(&ring, 3, |ring| {
            ring.close();
            let n_waiting = ring.n_waiting();
            (0..n_waiting).map_while(|_| get(ring).unwrap()).collect()
        });
        let put = putter.join().unwrap();
        let mut got: Vec<u64> = closer.join().unwrap();
        assert!(ring.is_closed());
        got.extend(get_all(&ring));
        let n_put = put.iter().take_while(|put| put.is_ok()).count();
        assert_eq!(got, [2, 3][..n_put]);
        assert!(
            put[n_put..]
                .iter()
                .all(|put| *put == Err(QueueError::Closed))
        );
        assert_eq!(get(&ring), Err(QueueError::Closed));
    });
}

/// Who is told that a queue is closed and empty has not missed a message, however late its put went through.
#[test]
fn nothing_is_put_after_somebody_was_told_that_it_is_closed() {
    check(Some(3), || {
        let ring = ring();
        enter(1, 1, BY_ITSELF);
        let putter = spawn(&ring, 2, |ring| put(ring, 1));
        ring.close();
        let got = loop {
            match get(&ring) {
                Ok(None) => loom::thread::yield_now(),
                Ok(Some(number)) => break Some(number),
                Err(error) => {
                    assert_eq!(error, QueueError::Closed);
                    break None;
                }
            }
        };
        let put = putter.join().unwrap();
        assert_eq!(got, put.is_ok().then_some(1));
    });
}
