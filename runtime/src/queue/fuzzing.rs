//! For fuzzing: a queue in memory that a process gone mad has written.

use std::io;
use std::sync::atomic::Ordering;

use super::layout::Shared;
use super::{Queue, QueueError, Ring};
use crate::fuzzing::Script;

/// The shortest ring there can be.
const LEN: usize = 64 * 1024;

/// Puts, gets and damage in any order: each call comes back, with an orderly error at worst, and afterwards the queue can
/// be emptied in finite time.
pub fn use_damaged_queue(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let Some(bound) = script.below(3) else {
        return;
    };
    let bound = [1, 4, u32::MAX][bound as usize];
    let ring = Ring::with_len(Queue::<Vec<u64>>::label(), bound, LEN).expect("memory for a ring");
    let queue = Queue::of(ring);
    while step(&queue, &mut script).is_some() {
        assert!(queue.len() < 1 << 31);
    }
    queue.close();
    let n_left = (0..=1 << 14).take_while(|_| queue.try_get() != Err(QueueError::Closed));
    assert!(n_left.count() < 1 << 14);
}

fn step(queue: &Queue<Vec<u64>>, script: &mut Script<'_>) -> Option<()> {
    let result = match script.below(4)? {
        0 => {
            let len = usize::from(script.byte()?) * 5;
            queue.try_put((0..len as u64).collect())
        }
        1 => queue.try_get().map(drop),
        _ => {
            damage(queue, script)?;
            Ok(())
        }
    };
    result.unwrap_or_else(|error| is_an_orderly_error(&error));
    Some(())
}

/// What a call on such a queue may give; anything else ends the test.
pub(super) fn is_an_orderly_error(error: &QueueError) {
    let is_orderly = match error {
        QueueError::Closed | QueueError::Full | QueueError::Codec { .. } => true,
        // Of calls that are not made here.
        QueueError::TasksLost { .. } | QueueError::NoTask => false,
        QueueError::System { kind, .. } => {
            matches!(
                kind,
                io::ErrorKind::InvalidData | io::ErrorKind::OutOfMemory
            )
        }
    };
    assert!(is_orderly, "{error:?}");
}

fn damage(queue: &Queue<Vec<u64>>, script: &mut Script<'_>) -> Option<()> {
    let Shared {
        putters, getters, ..
    } = queue.ring.shared();
    let which = script.below(6)?;
    let now = putters.position.load(Ordering::Relaxed);
    let near = [
        now,
        getters.position.load(Ordering::Relaxed),
        1 << 13,
        LEN as u64,
    ];
    if which == 0 {
        let place = u16::from_le_bytes(script.array()?);
        let length = queue.ring.bytes.length_at(u32::from(place) % (1 << 13));
        length.store(script.word(&near)?, Ordering::Relaxed);
        return Some(());
    }
    let value = script.word(&near)?;
    match which {
        1 => putters.position.store(value, Ordering::Relaxed),
        2 => getters.position.store(value, Ordering::Relaxed),
        3 => putters.memory.store(value as u32, Ordering::Relaxed),
        4 => putters.kept.store(value as u32, Ordering::Relaxed),
        _ => getters.memory.store(value as u32, Ordering::Relaxed),
    }
    Some(())
}
