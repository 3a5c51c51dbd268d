//! The memory of a ring: where it is had, kept, reserved and given back.
//!
//! The ring is as long as all memory and sparse. A new page costs many times one that is there, so its start, the *kept*
//! piece, keeps the memory that it once had, and a putter that finds the queue empty, and its message to end behind
//! [`TURN`], begins again at the start. It does so in three stores, each of which leaves a valid queue: SKIP at the tail;
//! the tail to the start of the next lap; the head to the tail. Elsewhere memory is reserved ahead of the tail and given
//! back behind the head, in steps. So a queue has the memory of what waits in it and a constant, at most [`KEPT`] + [`STEP`]
//! and what is reserved ahead.
//!
//! Invariants: those of [`ring`](super::ring).

use std::io;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::error::QueueError;
use super::position::{Position, UNIT};
use super::ring::{Ring, SKIP};

/// Where messages begin again at the start of the ring, in bytes: small enough for a core's own cache.
const TURN: u32 = 256 << 10;

/// So often, in bytes, a putter looks whether the queue is empty.
const LOOK: u32 = 4 << 10;

/// The length of the kept piece, in bytes.
const KEPT: u32 = 16 << 20;

/// Memory is given back in steps of so many bytes.
const STEP: u32 = 256 << 10;

/// The least and the most bytes that are reserved ahead.
const AHEAD: (u32, u32) = (64 << 10, 8 << 20);

impl Ring {
    /// Units in which memory is given back; a power of two.
    #[inline]
    fn step(&self) -> u32 {
        (self.bytes.len() / 16).min(STEP / UNIT as u32)
    }

    /// Units behind which an empty queue begins again.
    fn turn(&self) -> u32 {
        (self.bytes.len() / 8).min(TURN / UNIT as u32)
    }

    /// Units after which a putter looks where the head is, whatever it has seen before; a power of two.
    #[inline]
    pub(super) fn look_after(&self) -> u32 {
        (self.bytes.len() / 2).min(LOOK / UNIT as u32)
    }

    /// Units of the kept piece.
    fn kept(&self) -> u32 {
        (self.bytes.len() / 4).min(KEPT / UNIT as u32)
    }

    /// In an empty queue, under the putters' lock: has the next message at the start of the ring if it would end behind
    /// [`TURN`]. Gives the tail, and up to where memory was given back.
    #[cold]
    pub(super) fn begin_again(
        &self,
        tail: Position,
        given_back: u32,
        n_units: u32,
        deadline: Option<Instant>,
    ) -> Result<(Position, u32), QueueError> {
        let shared = self.shared();
        let place = self.bytes.place(tail.units());
        let is_over = place > 0 && place.saturating_add(n_units) > self.turn();
        let head = Position(shared.getters.position.load(Ordering::Acquire));
        // Apart from each other where a putter died at this work.
        let is_apart = head.units() != tail.units();
        if !is_over && !is_apart {
            return Ok((tail, given_back));
        }
        let _held = self.hold_getters(deadline).ok_or(QueueError::Full)?;
        let begin = if is_apart {
            tail
        } else {
            self.move_tail_to_next_lap(tail)
        };
        // What was reserved behind the old tail is about to be given back. Left as it is, this number would seem to lie ahead
        // again after two laps of the longest ring.
        let reserved = &shared.putters.memory;
        reserved.store(begin.units(), Ordering::Relaxed);
        let given_back = self.move_head(begin);
        Ok((begin, given_back))
    }

    /// The first two of the stores, in an empty queue and under both locks; gives the tail.
    pub(super) fn move_tail_to_next_lap(&self, tail: Position) -> Position {
        // A getter may have died before it did: the tail must not get further ahead of that than the ring is long.
        self.give_back_behind(tail.units());
        let rest_of_lap = self.bytes.rest_of_lap(tail.units());
        let next_lap = tail.after(0, tail.units().wrapping_add(rest_of_lap));
        let skipped = self.bytes.length_at(tail.units());
        skipped.store(SKIP, Ordering::Relaxed);
        // Release: whoever sees the tail sees the SKIP.
        let stored = &self.shared().putters.position;
        stored.store(next_lap.0, Ordering::Release);
        next_lap
    }

    /// Sees to it that `n_units` from `begin` on have memory, and gives how many have. `room` is free there, `n_waiting` is
    /// taken before.
    pub(super) fn reserve(
        &self,
        begin: u32,
        n_units: u32,
        room: u32,
        n_waiting: u32,
    ) -> io::Result<u32> {
        let putters = &self.shared().putters;
        let place = self.bytes.place(begin);
        let kept = putters.kept.load(Ordering::Relaxed).min(self.kept());
        let ahead = putters.memory.load(Ordering::Relaxed).wrapping_sub(begin);
        let ahead = if ahead <= self.bytes.len() { ahead } else { 0 };
        let there = ahead.max(kept.saturating_sub(place));
        // More by one unit, for the SKIP that may follow.
        if n_units < there {
            return Ok(there);
        }
        // More is reserved at a time where much waits, so that the question for what is available is rare.
        let more = (n_waiting / 4).clamp(AHEAD.0 / UNIT as u32, AHEAD.1 / UNIT as u32);
        let wanted = n_units.saturating_add(more).min(room);
        self.bytes
            .reserve(begin.wrapping_add(there), wanted - there)?;
        let end = begin.wrapping_add(wanted);
        putters.memory.store(end, Ordering::Relaxed);
        let kept_now = place.saturating_add(wanted).min(self.kept());
        if place <= kept && kept_now > kept {
            putters.kept.store(kept_now, Ordering::Relaxed);
        }
        Ok(wanted)
    }

    /// [`give_back_behind`](Self::give_back_behind) the head as it is, for one who has the putters' lock.
    #[cold]
    pub(super) fn give_back(&self, deadline: Option<Instant>) -> Result<u32, QueueError> {
        let getters = &self.shared().getters;
        let _held = self.hold_getters(deadline).ok_or(QueueError::Full)?;
        let head = Position(getters.position.load(Ordering::Acquire));
        Ok(self.give_back_behind(head.units()))
    }

    /// Returns to the system what lies behind the head in whole steps, the kept piece excepted; gives the end of that.
    /// Under the getters' lock.
    #[inline]
    pub(super) fn give_back_behind(&self, head: u32) -> u32 {
        let given_back = &self.shared().getters.memory;
        let begin = given_back.load(Ordering::Relaxed);
        let end = head & !(self.step() - 1);
        let n_units = end.wrapping_sub(begin);
        if n_units == 0 {
            return end;
        }
        // More than the ring has: this number was damaged, and is set right.
        if n_units <= self.bytes.len() {
            self.bytes.discard(begin, n_units, self.kept());
        }
        // Release: putters write there only after the memory has been returned.
        given_back.store(end, Ordering::Release);
        end
    }
}
