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
//! * `limit` is how far a side may come before it has to look at the other. Up to there the putters have room and memory, at
//!   most to the next multiple of [`look_after`](Ring::look_after), and the getters have messages.
//! * Who is closed out is settled by the putters' lock: whoever gets it after the queue was closed does not put.
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
use super::position::{MOST_MESSAGES, MOST_UNITS, Position, UNIT, Waiting};
use super::takers::{OwnPlace, Takers};
use crate::codec::Encoder;
use crate::error::{Error, ErrorKind};
use crate::shared::{Block, Label};
use crate::sync::Notice;
use crate::sys;

/// Stands in the place of a length.
pub(super) const SKIP: u64 = u64::MAX;

/// So far in front of the tail a putter has its core fetch the line: the getters have had it, and to wait for it costs
/// more than the rest of a put.
const PREFETCHED: u32 = 256 / UNIT as u32;

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

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.shared().closed.load(Ordering::Acquire) != 0
    }

    /// Puts that have not begun fail from now on, and all who wait learn of it. Takes no lock: one that is stopped may have it.
    pub(super) fn close(&self) {
        self.shared().closed.store(1, Ordering::Release);
        self.arrivals().announce_all();
        self.departures().announce_all();
    }

    /// Puts a message, or finds the queue full. Waits for other putters at most until the deadline.
    pub(super) fn put(
        &self,
        message: &Encoder<'_>,
        deadline: Option<Instant>,
    ) -> Result<(), QueueError> {
        let Shared {
            putters, closed, ..
        } = self.shared();
        let held = Held::acquire(&putters.lock, deadline).ok_or(QueueError::Full)?;
        if closed.load(Ordering::Relaxed) != 0 {
            return Err(QueueError::Closed);
        }
        let tail = Position(putters.position.load(Ordering::Acquire));
        let len = message.len() as u64;
        let n_units = n_units(len).ok_or_else(|| no_room(message.len()))?;
        // Acquire: who stored the limit has seen the memory given back.
        let limit = Position(putters.limit.load(Ordering::Acquire));
        let tail = if self.is_within(tail.to(limit), n_units) {
            tail
        } else {
            self.make_way(tail, message.len(), n_units, deadline)?
        };
        let begin = tail.units();
        self.bytes.length_at(begin).store(len, Ordering::Relaxed);
        self.bytes.write(begin, message.chunks());
        let end = begin.wrapping_add(n_units);
        self.bytes.prefetch(end.wrapping_add(PREFETCHED));
        // Release: whoever sees the message sees its bytes.
        let tail = tail.after(1, end);
        putters.position.store(tail.0, Ordering::Release);
        let is_awaited = putters.done.has_sleepers();
        drop(held);
        if is_awaited {
            putters.done.announce_one();
        }
        Ok(())
    }

    /// Whether a message of `n_units` can be put in front of the putters' limit.
    #[inline]
    fn is_within(&self, limit: Waiting, n_units: u32) -> bool {
        limit.messages > 0 && (n_units..=self.look_after()).contains(&limit.units)
    }

    /// Sees to it that a message of `len` bytes can be put, and sets the limit for those to come. Gives the tail, which may be
    /// another.
    #[cold]
    fn make_way(
        &self,
        tail: Position,
        len: usize,
        n_units: u32,
        deadline: Option<Instant>,
    ) -> Result<Position, QueueError> {
        let (waiting, given_back) = self.look_before(tail)?;
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
            // A process that died after it had moved the head has left more than this to be had.
            let n_behind = begin.wrapping_sub(self.give_back(deadline)?);
            // The head has been read again, and may be wrong by now.
            room = self.bytes.len().saturating_sub(n_behind);
        }
        if n_units > room || waiting.messages == MOST_MESSAGES {
            return Err(no_room(len));
        }
        let reserved = self
            .reserve(begin, n_units, room, waiting.units)
            .map_err(|error| QueueError::system(error.kind(), error.to_string()))?;
        let until_look = self.look_after() - (begin & (self.look_after() - 1));
        // Less by one unit, for the SKIP that may follow.
        let n_free = room.min(reserved - 1).min(until_look);
        let n_messages = self.bound.min(MOST_MESSAGES) - waiting.messages;
        let limit = tail.after(n_messages, begin.wrapping_add(n_free));
        let stored = &self.shared().putters.limit;
        stored.store(limit.0, Ordering::Release);
        Ok(tail)
    }

    /// What waits in front of the tail, and up to where memory was given back. Asked under the putters' lock.
    fn look_before(&self, tail: Position) -> Result<(Waiting, u32), QueueError> {
        let getters = &self.shared().getters;
        // Before the head, which it cannot overtake, is read.
        let given_back = getters.memory.load(Ordering::Acquire);
        let head = Position(getters.position.load(Ordering::Acquire));
        let waiting = head.to(tail);
        let n_behind = tail.units().wrapping_sub(given_back);
        if !self.is_possible(waiting) || n_behind > self.bytes.len() || n_behind < waiting.units {
            self.close();
            return Err(damaged());
        }
        Ok((waiting, given_back))
    }

    /// Whether positions can be as far apart as this. Without messages there may be a SKIP between them.
    #[inline]
    fn is_possible(&self, waiting: Waiting) -> bool {
        waiting.units <= self.bytes.len() && waiting.messages <= waiting.units
    }

    /// The one store by which a taking counts, and then the memory behind the head; gives up to where that was given back.
    /// Under the getters' lock.
    #[inline]
    pub(super) fn move_head(&self, to: Position) -> u32 {
        let head = &self.shared().getters.position;
        head.store(to.0, Ordering::Release);
        self.give_back_behind(to.units())
    }

    /// Takes the next message out; `false` if there is none. Waits for others at most until the deadline.
    pub(super) fn take(
        &self,
        message: &mut Message,
        deadline: Option<Instant>,
    ) -> Result<bool, QueueError> {
        let getters = &self.shared().getters;
        let head = Position(getters.position.load(Ordering::Relaxed));
        if head.to(self.tail_behind(head)).messages == 0 {
            return self.find_nothing(deadline);
        }
        let Some(held) = self.hold_getters(deadline) else {
            return Ok(false);
        };
        let head = Position(getters.position.load(Ordering::Relaxed));
        let tail = self.tail_behind(head);
        let waiting = head.to(tail);
        if waiting.messages == 0 && self.is_possible(waiting) {
            drop(held);
            return self.find_nothing(deadline);
        }
        let Some((begin, len)) = self.next_message(head, waiting) else {
            return Err(self.empty_and_close());
        };
        message.set_len(len)?;
        self.bytes.read(begin, message.bytes_mut());
        let n_units = n_units(len as u64).unwrap_or(0);
        // Whoever gets next, finds what this one has seen: Release, with the bytes in front of it.
        getters.limit.store(tail.0, Ordering::Release);
        let after = head.after(1, begin.wrapping_add(n_units));
        self.takers().begin(&self.own_place, after);
        self.move_head(after);
        let is_awaited = getters.done.has_sleepers();
        drop(held);
        if is_awaited {
            getters.done.announce_one();
        }
        Ok(true)
    }

    /// What a `get` says that has found nothing.
    #[cold]
    fn find_nothing(&self, deadline: Option<Instant>) -> Result<bool, QueueError> {
        if !self.is_closed() {
            return Ok(false);
        }
        // Somebody may be about to put who had not seen it closed. Whoever has this lock after that one sees what it has put.
        let held = Held::acquire(&self.shared().putters.lock, deadline);
        match held.is_none() || self.n_waiting() > 0 {
            true => Ok(false),
            false => Err(QueueError::Closed),
        }
    }

    /// The tail as the getters have last seen it, if something waits in front of that. Else as it is.
    #[inline]
    fn tail_behind(&self, head: Position) -> Position {
        let Shared {
            putters, getters, ..
        } = self.shared();
        // Acquire, both: with the tail come the bytes in front of it.
        let seen = Position(getters.limit.load(Ordering::Acquire));
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
        getters.limit.store(tail, Ordering::Release);
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
