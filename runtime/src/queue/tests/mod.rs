//! Queues in small rings, so that everything goes round the end often.

mod crash;
mod crowd;
mod hostile;
mod model;
mod waiting;

use super::*;

const KIB: usize = 1024;

/// In the shortest ring there can be.
fn small<T: ByValue>(bound: u32) -> Queue<T> {
    with_ring(bound, 64 * KIB)
}

fn with_ring<T: ByValue>(bound: u32, len: usize) -> Queue<T> {
    Queue::of(Ring::with_len(Queue::<T>::label(), bound, len).unwrap())
}

/// Bytes that tell where they come from and whether they are whole: producer, number, length, and a pattern of these.
fn sealed(producer: u64, number: u64, len: usize) -> Vec<u64> {
    let head = [producer, number, len as u64];
    let seal =
        |place: u64| (producer << 48 ^ number << 20 ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    head.into_iter().chain((0..len as u64).map(seal)).collect()
}

/// Producer and number of a message that is whole.
#[track_caller]
fn unsealed(message: &[u64]) -> (u64, u64) {
    let &[producer, number, len, ..] = message else {
        panic!("a message is cut short: {message:?}");
    };
    assert!(
        message == sealed(producer, number, len as usize),
        "a message is torn: {producer}, {number}, {len} in {}",
        message.len()
    );
    (producer, number)
}
