//! What lies in a queue's memory: a ring of bytes, two locks, two positions.
//!
//! Responsible for messages as bytes: putting, taking, room, memory, and every check of what other processes write.
//! Knows no types, and does not wait for messages or for room.
//!
//! ```text
//! | Shared, two pages | message | message | … free …            |
//!                      ^ head              ^ tail
//! a message: its length as u64, its bytes, zeros or anything up to the next unit of 8 bytes; it may go round the end
//! SKIP     : instead of a length; the next message is at the start of the ring
//! ```
//!
//! # Invariants
//!
//! * Nothing counts before one store: a put is done when the [tail](Position) is stored, a taking when the head is.
//!   So the lock of a holder that died needs no repair: what it had begun lies outside of head and tail.
//! * Putters write only outside of `given_back..tail`, getters only read within `head..tail`. `given_back`, the point up to
//!   which the memory behind the head was returned to the system, never overtakes the head, and it is moved after
//!   the memory was returned. A getter that dies in between leaves that to the next.
//! * The lock of the putters is taken before the one of the getters, where both are.
//! * Every number that is read here is checked against the length of the ring, which is remembered privately. Where it
//!   cannot be right, the queue is emptied and closed: nobody could tell where the next message begins.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::bytes::{RING, RingBytes};
use super::error::QueueError;
use super::layout::{Held, Shared};
use super::message::Message;
use super::position::{CLOSED, MOST_MESSAGES, MOST_UNITS, Position, UNIT, Waiting};
use super::takers::{OwnPlace, Takers};
use crate::codec::Encoder;
use crate::error::{Error, ErrorKind};
use crate::shared::{Block, Label};
use crate::sync::Notice;
use crate::sys;

/// Stands in the place of a length.
pub(super) const SKIP: u64 = u64::MAX;

/// The longest and the shortest ring that is tried, in bytes.
const LONGEST: u64 = MOST_UNITS as u64 * UNIT as u64;
const SHORTEST: u64 = 1 << 20;

/// A queue's memory as this process has it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    pub(super) bytes: RingBytes,
    bound: u32,
    own_place: OwnPlace,
}

impl Ring {
    /// As long as the system allows.
    pub(super) fn create(label: Label, bound: u32) -> Result<Self, Error> {
        let mut len = sys::total_memory()
            .clamp(SHORTEST, LONGEST)
            .next_power_of_two();
        loop {
            match Self::with_len(label, bound, len as usize) {
                Err(error) if len > SHORTEST && error.kind() == ErrorKind::System => len /= 2,
                other => return other,
            }
        }
    }

    /// `len` bytes, a power of two.
    pub(super) fn with_len(label: Label, bound: u32, len: usize) -> Result<Self, Error> {
        let block = Block::large(label, RING + len, RING)?;
        let shared: &Shared = block.words(0);
        shared.bound.store(u64::from(bound), Ordering::Relaxed);
        Self::of(block)
    }

    /// The ring in a block that has come from somewhere.
    pub(super) fn of(block: Arc<Block>) -> Result<Self, Error> {
        let bytes = RingBytes::of(block)?;
        let shared: &Shared = bytes.block().words(0);
        let bound = shared.bound.load(Ordering::Relaxed);
        Ok(Self {
            bytes,
            // 0 would be a queue that nobody could ever put into.
            bound: u32::try_from(bound).unwrap_or(u32::MAX).max(1),
            own_place: OwnPlace::default(),
        })
    }

    #[inline]
    pub(super) fn block(&self) -> &Arc<Block> {
        self.bytes.block()
    }

    #[inline]
    pub(super) fn shared(&self) -> &Shared {
        self.block().words(0)
    }

    #[inline]
    pub(super) fn takers(&self) -> &Takers {
        &self.shared().takers
    }

    /// Keeps other getters away; `None` when the deadline has passed.
    #[inline]
    pub(super) fn hold_getters(&self, deadline: Option<Instant>) -> Option<Held<'_>> {
        let Shared {
            getters, takers, ..
        } = self.shared();
        let held = Held::acquire(&getters.lock, deadline)?;
        if held.was_left {
            takers.repair(Position(getters.position.load(Ordering::Relaxed)));
        }
        Some(held)
    }

    /// The most messages that may wait.
    #[inline]
    pub(super) fn bound(&self) -> u32 {
        self.bound
    }

    /// Announces what was put, and that the queue was closed.
    #[inline]
    pub(super) fn arrivals(&self) -> &Notice {
        &self.shared().putters.done
    }

    /// Announces room in a bounded queue, and that the queue was closed.
    #[inline]
    pub(super) fn departures(&self) -> &Notice {
        &self.shared().getters.done
    }

    /// How many messages wait.
    pub(super) fn n_waiting(&self) -> u32 {
        let (head, tail) = self.positions();
        head.to(tail).messages
    }

    /// Of head and tail.
    pub(super) fn positions(&self) -> (Position, Position) {
        let shared = self.shared();
        // The head first: it cannot overtake a tail that is read later.
        let head = Position(shared.getters.position.load(Ordering::Acquire));
        let tail = Position(shared.putters.position.load(Ordering::Acquire));
        (head, tail)
    }

    pub(super) fn is_closed(&self) -> bool {
        Position(self.shared().putters.position.load(Ordering::Acquire)).is_closed()
    }

    /// Puts fail from now on, and all who wait learn of it. The mark is in the tail: no put can be done after it.
    pub(super) fn close(&self) {
        let tail = &self.shared().putters.position;
        tail.fetch_or(CLOSED, Ordering::AcqRel);
        self.arrivals().announce_all();
        self.departures().announce_all();
    }

    /// Puts a message, or finds the queue full. Waits for other putters at most until the deadline.
    pub(super) fn put(
        &self,
        message: &Encoder<'_>,
        deadline: Option<Instant>,
    ) -> Result<(), QueueError> {
        let putters = &self.shared().putters;
        let held = Held::acquire(&putters.lock, deadline).ok_or(QueueError::Full)?;
        let tail = Position(putters.position.load(Ordering::Acquire));
        if tail.is_closed() {
            return Err(QueueError::Closed);
        }
        let too_large = || no_room(message.len());
        let n_units = n_units(message.len() as u64).ok_or_else(too_large)?;
        let (waiting, given_back) = match self.seen_before(tail, n_units) {
            Some(seen) => seen,
            None => self.look_before(tail)?,
        };
        if waiting.messages >= self.bound {
            return Err(QueueError::Full);
        }
        let (tail, given_back) = if waiting.messages == 0 {
            self.begin_again(tail, given_back, n_units, deadline)?
        } else {
            (tail, given_back)
        };
        let begin = tail.units();
        let mut room = self.bytes.len() - begin.wrapping_sub(given_back);
        if n_units > room {
            // Whoever died after he had moved the head has left more than this to be had.
            let given_back = self.give_back(deadline)?;
            room = self.bytes.len() - begin.wrapping_sub(given_back);
        }
        if n_units > room || waiting.messages == MOST_MESSAGES {
            return Err(too_large());
        }
        self.reserve(begin, n_units, room, waiting.units)
            .map_err(|error| QueueError::system(error.kind(), error.to_string()))?;
        self.bytes
            .length_at(begin)
            .store(message.len() as u64, Ordering::Relaxed);
        self.bytes.write(begin, message.chunks());
        self.move_tail(tail, tail.after(1, begin.wrapping_add(n_units)))?;
        drop(held);
        putters.done.announce_one();
        Ok(())
    }

    /// What [`look_before`](Self::look_before) has found the last time, where that is enough to put `n_units`: less can wait
    /// by now, and more be given back. None for a message that begins at a multiple of [`look_after`](Self::look_after) or goes
    /// past one, so that an empty queue is seen to be one.
    #[inline]
    fn seen_before(&self, tail: Position, n_units: u32) -> Option<(Waiting, u32)> {
        let putters = &self.shared().putters;
        // Acquire: who stored it has seen the memory given back.
        let given_back = putters.seen_memory.load(Ordering::Acquire);
        let head = Position(putters.seen_position.load(Ordering::Relaxed));
        let waiting = head.to(tail);
        let n_behind = tail.units().wrapping_sub(given_back);
        let n_since_look = tail.units() & (self.look_after() - 1);
        let is_enough = n_since_look > 0
            && n_units <= self.look_after() - n_since_look
            && (1..self.bound.min(MOST_MESSAGES)).contains(&waiting.messages)
            && self.is_possible(waiting)
            && waiting.units <= n_behind
            && n_behind <= self.bytes.len()
            && n_units <= self.bytes.len() - n_behind;
        is_enough.then_some((waiting, given_back))
    }

    /// What waits in front of the tail, and up to where memory was given back. Asked under the putters' lock.
    #[cold]
    fn look_before(&self, tail: Position) -> Result<(Waiting, u32), QueueError> {
        let Shared {
            putters, getters, ..
        } = self.shared();
        // Before the head, which it cannot overtake, is read.
        let given_back = getters.memory.load(Ordering::Acquire);
        let head = Position(getters.position.load(Ordering::Acquire));
        let waiting = head.to(tail);
        let n_behind = tail.units().wrapping_sub(given_back);
        if !self.is_possible(waiting) || n_behind > self.bytes.len() || n_behind < waiting.units {
            self.close();
            return Err(damaged());
        }
        putters.seen_position.store(head.0, Ordering::Relaxed);
        putters.seen_memory.store(given_back, Ordering::Release);
        Ok((waiting, given_back))
    }

    /// Whether positions can be as far apart as this. Without messages there may be a SKIP between them.
    #[inline]
    fn is_possible(&self, waiting: Waiting) -> bool {
        waiting.units <= self.bytes.len() && waiting.messages <= waiting.units
    }

    /// The one store by which a put counts. It fails if the queue was closed meanwhile.
    #[inline]
    pub(super) fn move_tail(&self, from: Position, to: Position) -> Result<(), QueueError> {
        let tail = &self.shared().putters.position;
        // Release: whoever sees the message sees its bytes.
        tail.compare_exchange(from.0, to.0, Ordering::Release, Ordering::Relaxed)
            .map(drop)
            .map_err(|_| QueueError::Closed)
    }

    /// The one store by which a taking counts, and then the memory behind the head; gives up to where that was given back.
    /// Under the getters' lock.
    #[inline]
    pub(super) fn move_head(&self, to: Position) -> u32 {
        let head = &self.shared().getters.position;
        head.store(to.open().0, Ordering::Release);
        self.give_back_behind(to.units())
    }

    /// Takes the next message out; `false` if there is none. Waits for other getters at most until the deadline.
    pub(super) fn take(
        &self,
        message: &mut Message,
        deadline: Option<Instant>,
    ) -> Result<bool, QueueError> {
        let getters = &self.shared().getters;
        let head = Position(getters.position.load(Ordering::Relaxed));
        let tail = self.tail_behind(head);
        if head.to(tail).messages == 0 && !tail.is_closed() {
            return Ok(false);
        }
        let Some(held) = self.hold_getters(deadline) else {
            return Ok(false);
        };
        let head = Position(getters.position.load(Ordering::Relaxed));
        let tail = self.tail_behind(head);
        let waiting = head.to(tail);
        if waiting.messages == 0 && self.is_possible(waiting) {
            return match tail.is_closed() {
                true => Err(QueueError::Closed),
                false => Ok(false),
            };
        }
        let Some((begin, len)) = self.next_message(head, waiting) else {
            return Err(self.empty_and_close());
        };
        message.set_len(len)?;
        self.bytes.read(begin, message.bytes_mut());
        let n_units = n_units(len as u64).unwrap_or(0);
        // Whoever gets next, finds what this one has seen: Release, with the bytes in front of it.
        getters.seen_position.store(tail.0, Ordering::Release);
        let after = head.after(1, begin.wrapping_add(n_units));
        self.takers().begin(&self.own_place, after);
        self.move_head(after);
        drop(held);
        if self.bound < u32::MAX {
            getters.done.announce_one();
        }
        Ok(true)
    }

    /// The tail as the getters have last seen it, if something waits in front of that. Else as it is.
    #[inline]
    fn tail_behind(&self, head: Position) -> Position {
        let Shared {
            putters, getters, ..
        } = self.shared();
        // Acquire, both: with the tail come the bytes in front of it.
        let seen = Position(getters.seen_position.load(Ordering::Acquire));
        let waiting = head.to(seen);
        if waiting.messages > 0 && self.is_possible(waiting) {
            return seen;
        }
        Position(putters.position.load(Ordering::Acquire))
    }

    /// Where the next message begins, and its length in bytes; `None` if what is written there cannot be right.
    #[inline]
    fn next_message(&self, head: Position, waiting: Waiting) -> Option<(u32, usize)> {
        if !self.is_possible(waiting) {
            return None;
        }
        let (mut begin, mut n_left) = (head.units(), waiting.units);
        let mut len = self.bytes.length_at(begin).load(Ordering::Relaxed);
        if len == SKIP {
            let rest_of_lap = self.bytes.rest_of_lap(begin);
            begin = begin.wrapping_add(rest_of_lap);
            n_left = n_left.checked_sub(rest_of_lap)?;
            len = self.bytes.length_at(begin).load(Ordering::Relaxed);
        }
        let fits = n_units(len).is_some_and(|n_units| n_units <= n_left);
        fits.then_some((begin, len as usize))
    }

    /// Under the getters' lock.
    #[cold]
    fn empty_and_close(&self) -> QueueError {
        self.close();
        let Shared {
            putters, getters, ..
        } = self.shared();
        let tail = putters.position.load(Ordering::Acquire);
        // What was seen may be what was damaged.
        getters.seen_position.store(tail, Ordering::Release);
        self.move_head(Position(tail));
        damaged()
    }
}

/// The units of a message of `len` bytes with its length; `None` if no ring has so many.
#[inline]
fn n_units(len: u64) -> Option<u32> {
    let n_units = len.div_ceil(UNIT as u64) + 1;
    u32::try_from(n_units).ok().filter(|n| *n <= MOST_UNITS)
}

#[cold]
pub(super) fn no_room(len: usize) -> QueueError {
    QueueError::system(
        io::ErrorKind::OutOfMemory,
        format!(
            "the queue has no room for a message of {len} bytes: get some first, or put it in parts"
        ),
    )
}

#[cold]
pub(super) fn damaged() -> QueueError {
    QueueError::system(
        io::ErrorKind::InvalidData,
        "the memory of the queue was damaged by one of its processes: it is closed, and what was in it is lost",
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_no_ring_has_room_for_has_no_units() {
        assert_eq!(n_units(0), Some(1));
        assert_eq!(n_units(8), Some(2));
        assert_eq!(n_units(9), Some(3));
        assert_eq!(n_units(LONGEST - 8), Some(MOST_UNITS));
        assert_eq!(n_units(LONGEST - 7), None);
        assert_eq!(n_units(u64::MAX), None);
    }
}
