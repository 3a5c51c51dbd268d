//! What lies in a queue's memory: a ring of bytes, two locks, two positions.
//!
//! Responsible for messages as bytes: putting, taking, room, memory, and every check of what other processes write.
//! Knows no types, and does not wait for messages or for room.
//!
//! ```text
//! | Shared, one page | message | message | … free …            |
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
//!
//! # Memory
//!
//! The ring is as long as all memory and sparse. Its start, the *kept* piece, keeps the memory that it once had: a new
//! page costs many times one that is there. A putter that finds the queue empty, and its message to end behind that
//! piece, begins again at the start, in three stores, each of which leaves a valid queue: SKIP at the tail; the
//! tail to the start of the next lap; the head to the tail. Elsewhere memory is reserved ahead of the tail and returned
//! behind the head, in steps.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use super::error::QueueError;
use super::position::{CLOSED, MOST_UNITS, Position, UNIT, Waiting};
use crate::codec::Encoder;
use crate::error::{Error, ErrorKind};
use crate::memory::Words;
use crate::shared::{Block, Label};
use crate::supervisor::door;
use crate::sync::{NotAcquired, Notice, RawLock};
use crate::sys;

/// One side of the queue, in cache lines of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Side {
    lock: RawLock,
    /// The tail on the putters' side, the head on the getters'.
    position: AtomicU64,
    /// Units. On the putters' side up to where memory is reserved, on the getters' up to where it was given back.
    memory: AtomicU32,
    /// Of the putters' side: units of the kept piece that have memory.
    kept: AtomicU32,
    /// What this side has done, which the other waits for.
    done: Notice,
}

/// Begins the payload of the block.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Shared {
    putters: Side,
    getters: Side,
    bound: AtomicU64,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics, and structs of atomics that are `Words` themselves; aligned to 64.
unsafe impl Words for Shared {}

/// Where the ring begins in the payload.
pub(super) const RING: usize = 4096;

/// Stands in the place of a length.
pub(super) const SKIP: u64 = u64::MAX;

/// The longest and the shortest ring that is tried, in bytes.
const LONGEST: u64 = MOST_UNITS as u64 * UNIT as u64;
const SHORTEST: u64 = 1 << 20;

/// The lengths of the kept piece and of a step, in bytes, where the ring is long enough.
const KEPT: u32 = 1 << 20;
const STEP: u32 = 256 << 10;

/// So much is reserved ahead at most, in bytes, where much waits.
const FAR_AHEAD: u32 = 8 << 20;

/// Memory for a received message is had without a look at what is available, up to so many bytes.
const UNASKED: usize = 16 << 20;

/// A queue's memory as this process has it.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// There until dropped.
    block: Option<Arc<Block>>,
    /// Units; a power of two.
    len: u32,
    /// Units; a power of two.
    step: u32,
    kept: u32,
    bound: u32,
}

impl Ring {
    /// As long as the system allows.
    pub(super) fn create(label: Label, bound: u32) -> Result<Self, Error> {
        let mut len = sys::total_memory()
            .clamp(SHORTEST, LONGEST)
            .next_power_of_two();
        loop {
            match Self::with_len(label, bound, len as usize) {
                Err(error) if len > SHORTEST && error.kind() == ErrorKind::System => {
                    len /= 2;
                }
                other => return other,
            }
        }
    }

    /// `len` bytes, a power of two of at least 64 KiB.
    pub(super) fn with_len(label: Label, bound: u32, len: usize) -> Result<Self, Error> {
        let block = Block::large(label, RING + len, RING)?;
        block
            .words::<Shared>(0)
            .bound
            .store(u64::from(bound), Ordering::Relaxed);
        Self::of(block)
    }

    /// The ring in a block that has come from somewhere.
    pub(super) fn of(block: Arc<Block>) -> Result<Self, Error> {
        let bytes = block.len().saturating_sub(RING);
        let is_right = bytes.is_power_of_two() && (64 << 10..=LONGEST).contains(&(bytes as u64));
        if !is_right {
            return Err(Error::invalid_input("this is not the memory of a queue"));
        }
        let shared: &Shared = block.words(0);
        let bound = shared.bound.load(Ordering::Relaxed);
        let len = (bytes / UNIT) as u32;
        Ok(Self {
            len,
            step: (len / 16).min(STEP / UNIT as u32),
            kept: (len / 4).min(KEPT / UNIT as u32),
            bound: u32::try_from(bound).unwrap_or(u32::MAX),
            block: Some(block),
        })
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        self.block.as_ref().expect("only `drop` takes it")
    }

    /// The most messages that may wait.
    pub(super) fn bound(&self) -> u32 {
        self.bound
    }

    fn shared(&self) -> &Shared {
        self.block().words(0)
    }

    /// Announces what was put, and that the queue was closed.
    pub(super) fn arrivals(&self) -> &Notice {
        &self.shared().putters.done
    }

    /// Announces room in a bounded queue, and that the queue was closed.
    pub(super) fn departures(&self) -> &Notice {
        &self.shared().getters.done
    }

    /// How many messages wait.
    pub(super) fn n_waiting(&self) -> u32 {
        let shared = self.shared();
        // The head first: it cannot overtake a tail that is read later.
        let head = Position(shared.getters.position.load(Ordering::Acquire));
        let tail = Position(shared.putters.position.load(Ordering::Acquire));
        head.to(tail).messages
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
        let (waiting, given_back) = self.waiting_before(tail)?;
        if waiting.messages >= self.bound {
            return Err(QueueError::Full);
        }
        let too_large = || no_room(message.len());
        let n_units = n_units(message.len() as u64).ok_or_else(too_large)?;
        let (tail, given_back) = if waiting.messages == 0 {
            self.begin_again(tail, given_back, n_units, deadline)?
        } else {
            (tail, given_back)
        };
        let begin = tail.units();
        let room = self.len - begin.wrapping_sub(given_back);
        if n_units > room {
            return Err(too_large());
        }
        self.reserve(begin, n_units, room, waiting.units)
            .map_err(|error| QueueError::system(error.kind(), error.to_string()))?;
        self.length_at(begin)
            .store(message.len() as u64, Ordering::Relaxed);
        let mut offset = self.offset(begin) + UNIT;
        for chunk in message.chunks() {
            offset = self.write(offset, chunk);
        }
        self.move_tail(tail, tail.after(1, begin.wrapping_add(n_units)))?;
        drop(held);
        putters.done.announce_one();
        Ok(())
    }

    /// What waits in front of the tail, and up to where memory was given back. Asked under the putters' lock.
    fn waiting_before(&self, tail: Position) -> Result<(Waiting, u32), QueueError> {
        let getters = &self.shared().getters;
        // Before the head, which it cannot overtake, is read.
        let given_back = getters.memory.load(Ordering::Acquire);
        let head = Position(getters.position.load(Ordering::Acquire));
        let waiting = head.to(tail);
        let n_behind = tail.units().wrapping_sub(given_back);
        if !self.is_possible(waiting) || n_behind > self.len || n_behind < waiting.units {
            self.close();
            return Err(damaged());
        }
        Ok((waiting, given_back))
    }

    /// Whether positions can be as far apart as this. Without messages there may be a SKIP between them.
    fn is_possible(&self, waiting: Waiting) -> bool {
        waiting.units <= self.len && waiting.messages <= waiting.units
    }

    /// In an empty queue, under the putters' lock: has the next message at the start of the ring if it would end behind
    /// the kept piece. Gives the tail, and up to where memory was given back.
    fn begin_again(
        &self,
        tail: Position,
        given_back: u32,
        n_units: u32,
        deadline: Option<Instant>,
    ) -> Result<(Position, u32), QueueError> {
        let shared = self.shared();
        let place = tail.units() & (self.len - 1);
        let is_over = place > 0 && place.saturating_add(n_units) > self.kept;
        let head = Position(shared.getters.position.load(Ordering::Acquire));
        // Apart from each other where a putter died at this work.
        let is_apart = head.units() != tail.units();
        if !is_over && !is_apart {
            return Ok((tail, given_back));
        }
        let _held = Held::acquire(&shared.getters.lock, deadline).ok_or(QueueError::Full)?;
        let mut begin = tail;
        if !is_apart {
            let rest_of_lap = self.len - place;
            begin = tail.after(0, tail.units().wrapping_add(rest_of_lap));
            self.length_at(tail.units()).store(SKIP, Ordering::Relaxed);
            self.move_tail(tail, begin)?;
        }
        self.move_head(begin);
        Ok((begin, shared.getters.memory.load(Ordering::Relaxed)))
    }

    /// The one store by which a put counts. It fails if the queue was closed meanwhile.
    fn move_tail(&self, from: Position, to: Position) -> Result<(), QueueError> {
        let tail = &self.shared().putters.position;
        // Release: whoever sees the message sees its bytes.
        tail.compare_exchange(from.0, to.0, Ordering::Release, Ordering::Relaxed)
            .map(drop)
            .map_err(|_| QueueError::Closed)
    }

    /// The one store by which a taking counts, and then the memory behind the head. Under the getters' lock.
    fn move_head(&self, to: Position) {
        let head = &self.shared().getters.position;
        head.store(to.open().0, Ordering::Release);
        self.give_back_behind(to.units());
    }

    /// Takes the next message out; `None` if there is none. Waits for other getters at most until the deadline.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Result<Option<Vec<u8>>, QueueError> {
        let shared = self.shared();
        if self.n_waiting() == 0 && !self.is_closed() {
            return Ok(None);
        }
        let Some(held) = Held::acquire(&shared.getters.lock, deadline) else {
            return Ok(None);
        };
        let head = Position(shared.getters.position.load(Ordering::Relaxed));
        // Acquire: with the tail come the bytes in front of it.
        let tail = Position(shared.putters.position.load(Ordering::Acquire));
        let waiting = head.to(tail);
        if waiting.messages == 0 && self.is_possible(waiting) {
            return match tail.is_closed() {
                true => Err(QueueError::Closed),
                false => Ok(None),
            };
        }
        let Some((begin, len)) = self.next_message(head, waiting) else {
            return Err(self.empty_and_close());
        };
        let mut message = private_memory(len)?;
        self.read(self.offset(begin) + UNIT, &mut message);
        let n_units = n_units(len as u64).unwrap_or(0);
        self.move_head(head.after(1, begin.wrapping_add(n_units)));
        drop(held);
        if self.bound < u32::MAX {
            shared.getters.done.announce_one();
        }
        Ok(Some(message))
    }

    /// Where the next message begins, and its length in bytes; `None` if what is written there cannot be right.
    fn next_message(&self, head: Position, waiting: Waiting) -> Option<(u32, usize)> {
        if !self.is_possible(waiting) {
            return None;
        }
        let (mut begin, mut n_left) = (head.units(), waiting.units);
        let mut len = self.length_at(begin).load(Ordering::Relaxed);
        if len == SKIP {
            let rest_of_lap = self.len - (begin & (self.len - 1));
            begin = begin.wrapping_add(rest_of_lap);
            n_left = n_left.checked_sub(rest_of_lap)?;
            len = self.length_at(begin).load(Ordering::Relaxed);
        }
        let fits = n_units(len).is_some_and(|n_units| n_units <= n_left);
        fits.then_some((begin, len as usize))
    }

    /// Under the getters' lock.
    fn empty_and_close(&self) -> QueueError {
        self.close();
        let tail = self.shared().putters.position.load(Ordering::Acquire);
        self.move_head(Position(tail));
        damaged()
    }

    /// Sees to it that `n_units` from `begin` on have memory. `room` is free there, `n_waiting` is taken before.
    fn reserve(&self, begin: u32, n_units: u32, room: u32, n_waiting: u32) -> io::Result<()> {
        let putters = &self.shared().putters;
        let place = begin & (self.len - 1);
        let kept = putters.kept.load(Ordering::Relaxed).min(self.kept);
        let ahead = putters.memory.load(Ordering::Relaxed).wrapping_sub(begin);
        let ahead = if ahead <= self.len { ahead } else { 0 };
        let there = ahead.max(kept.saturating_sub(place));
        if n_units <= there {
            return Ok(());
        }
        // More is reserved at a time where much waits, so that the question for what is available is rare.
        let more = (n_waiting / 4).clamp(self.step, FAR_AHEAD / UNIT as u32);
        let wanted = n_units.saturating_add(more).min(room);
        for (offset, len) in self.pieces(begin.wrapping_add(there), wanted - there) {
            self.block().reserve(RING + offset, len)?;
        }
        let end = begin.wrapping_add(wanted);
        putters.memory.store(end, Ordering::Relaxed);
        let kept_now = place.saturating_add(wanted).min(self.kept);
        if place <= kept && kept_now > kept {
            putters.kept.store(kept_now, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns to the system what lies behind the head in whole steps, the kept piece excepted. Under the getters' lock.
    fn give_back_behind(&self, head: u32) {
        let given_back = &self.shared().getters.memory;
        let begin = given_back.load(Ordering::Relaxed);
        let end = head & !(self.step - 1);
        let n_units = end.wrapping_sub(begin);
        if n_units == 0 {
            return;
        }
        // More than the ring has: this number was damaged, and is set right.
        if n_units <= self.len {
            let kept = self.kept as usize * UNIT;
            for (offset, len) in self.pieces(begin, n_units) {
                let from = offset.max(kept);
                if from < offset + len {
                    // Failure only means that the memory is kept.
                    let _ = self.block().discard(RING + from, offset + len - from);
                }
            }
        }
        // Release: putters write there only after the memory has been returned.
        given_back.store(end, Ordering::Release);
    }

    /// `n_units` from `begin` on, as offsets and lengths in bytes: two if they go round the end of the ring.
    fn pieces(&self, begin: u32, n_units: u32) -> [(usize, usize); 2] {
        let place = begin & (self.len - 1);
        let n_first = n_units.min(self.len - place);
        let bytes = |n_units: u32| n_units as usize * UNIT;
        [
            (bytes(place), bytes(n_first)),
            (0, bytes(n_units - n_first)),
        ]
    }

    /// Bytes from the start of the ring.
    fn offset(&self, units: u32) -> usize {
        (units & (self.len - 1)) as usize * UNIT
    }

    fn length_at(&self, units: u32) -> &AtomicU64 {
        self.block().words(RING + self.offset(units))
    }

    /// Writes at an offset in the ring, round its end; gives the offset after it.
    fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let ring = self.len as usize * UNIT;
        let offset = offset % ring;
        let (first, rest) = bytes.split_at(bytes.len().min(ring - offset));
        self.block().write(RING + offset, first);
        self.block().write(RING, rest);
        offset + bytes.len()
    }

    /// Reads at an offset in the ring, round its end.
    fn read(&self, offset: usize, bytes: &mut [u8]) {
        let ring = self.len as usize * UNIT;
        let offset = offset % ring;
        let middle = bytes.len().min(ring - offset);
        let (first, rest) = bytes.split_at_mut(middle);
        self.block().read(RING + offset, first);
        self.block().read(RING, rest);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Of threads that drop their handles at once, one gets the block.
        let Some(block) = self.block.take().and_then(Arc::into_inner) else {
            return;
        };
        if block.is_ours() && block.other_holder().is_none() && !block.is_in_transit() {
            // Nobody can get what waits here any more: handles of shared memory in it need not be kept.
            door::let_go(0, block.id());
        }
    }
}

#[cfg(test)]
impl Ring {
    /// An empty ring as after many messages.
    pub(super) fn move_to(&self, units: u32, n_messages: u32) {
        let Shared {
            putters, getters, ..
        } = self.shared();
        let position = Position(0).after(n_messages, units);
        for side in [putters, getters] {
            side.position.store(position.0, Ordering::Relaxed);
            side.memory.store(units, Ordering::Relaxed);
        }
    }

    /// Bytes of memory that this process has touched or reserved, and that were not given back, see `proc_pid_smaps(5)`.
    pub(super) fn resident(&self) -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let page = self.block().pointer(0, 0).addr().get() - sys::page_size();
        let mut lines = smaps.lines();
        lines.find(|line| line.starts_with(&format!("{page:x}-")));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        let kibibytes: usize = resident.trim_end_matches("kB").trim().parse().unwrap();
        kibibytes * 1024
    }
}

/// The units of a message of `len` bytes with its length; `None` if no ring has so many.
fn n_units(len: u64) -> Option<u32> {
    let n_units = len.div_ceil(UNIT as u64) + 1;
    u32::try_from(n_units).ok().filter(|n| *n <= MOST_UNITS)
}

/// Noughts for a message, if there is so much memory; the message stays in the queue otherwise.
fn private_memory(len: usize) -> Result<Vec<u8>, QueueError> {
    if len > UNASKED && len as u64 > sys::available_memory() {
        return Err(QueueError::system(
            io::ErrorKind::OutOfMemory,
            format!("there is not enough memory for the next message in the queue, {len} bytes"),
        ));
    }
    if len <= UNASKED {
        return Ok(vec![0; len]);
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|error| QueueError::system(io::ErrorKind::OutOfMemory, error.to_string()))?;
    bytes.resize(len, 0);
    Ok(bytes)
}

#[cold]
fn no_room(len: usize) -> QueueError {
    QueueError::system(
        io::ErrorKind::OutOfMemory,
        format!(
            "the queue has no room for a message of {len} bytes: get some first, or put it in parts"
        ),
    )
}

#[cold]
fn damaged() -> QueueError {
    QueueError::system(
        io::ErrorKind::InvalidData,
        "the memory of the queue was damaged by one of its processes: it is closed, and what was in it is lost",
    )
}

/// A lock, until dropped.
struct Held<'a>(&'a RawLock);

impl<'a> Held<'a> {
    /// `None` when the deadline has passed. However the last holder has ended, there is nothing to repair.
    fn acquire(lock: &'a RawLock, deadline: Option<Instant>) -> Option<Self> {
        match lock.acquire(deadline) {
            Ok(_) => Some(Self(lock)),
            Err(NotAcquired::TimedOut | NotAcquired::AlreadyHeld) => None,
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release(false);
    }
}
