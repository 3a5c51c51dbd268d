//! Queues in small rings, so that everything goes round the end often.

pub(super) mod crash;
mod crowd;
mod handles;
mod hostile;
mod memory;
mod model;
mod tasks;
mod waiting;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

use super::layout::Shared;
use super::position::Position;
use super::*;
use crate::sys;

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

/// An empty queue becomes as after many messages.
fn move_to<T>(queue: &Queue<T>, units: u32, n_messages: u32) {
    let Shared {
        putters, getters, ..
    } = queue.ring.shared();
    let position = Position(0).after(n_messages, units);
    for side in [putters, getters] {
        side.position.store(position.0, Ordering::Relaxed);
        side.memory.store(units, Ordering::Relaxed);
    }
}

/// Bytes of a queue's memory that this process has touched or reserved, and that were not given back, see
/// `proc_pid_smaps(5)`.
fn resident<T>(queue: &Queue<T>) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let begin = queue.ring.block().pointer(0, 0).addr().get() - sys::page_size();
    let mut lines = smaps.lines();
    lines.find(|line| line.starts_with(&format!("{begin:x}-")));
    let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
    let kibibytes: usize = resident.trim_end_matches("kB").trim().parse().unwrap();
    kibibytes * 1024
}
