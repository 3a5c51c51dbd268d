//! The messages of a priority queue in shared memory: cells, and an order among those that begin a message.
//!
//! ```text
//! | Shared, a page | order: cells that begin a message, a heap | cells of 128 bytes |
//! ```
//!
//! A message lies in a chain of cells. The first says that it is one, how long the message is, its rank and its turn; each
//! names the next. Cells of nobody are chained too, and those from [`Shared::n_fresh`] on were never used.
//!
//! # Invariants
//!
//! * All is changed under one lock. The truth is the mark in a first cell: one store puts a message, one takes it. Free chain and order
//!   only follow; where the lock's holder has died they are [made anew](Store::make_anew) of the marks.
//! * A cell that is used has memory, and so has the order up to as many cells: both are had before.
//! * Every number that is read here is checked against the number of cells, which is remembered privately, and every walk is as
//!   long as that at the most. Where a number cannot be right, the queue is emptied and closed.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
};

use super::super::error::QueueError;
use super::super::message::Message;
use super::super::ring::{damaged, no_room};
use crate::error::{Error, ErrorKind};
use crate::memory::Words;
use crate::shared::{Block, Label};
use crate::sync::{Notice, RawLock};
use crate::sys;

/// The bytes of a cell, and of these what is the message's.
const CELL: usize = 128;
const PAYLOAD: usize = CELL - size_of::<Cell>();

/// Where the order begins.
const ORDER: usize = 4096;

/// The most and the fewest cells there can be.
const MOST: u64 = 1 << 31;
const FEWEST: u64 = 1 << 13;

/// So many cells get memory at once.
const STEP: u32 = 1 << 10;

/// So many keep it in an empty queue: 16 MiB, and half a MiB of the order.
const KEPT: u32 = 1 << 17;

/// Begins the payload of the block.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) lock: RawLock,
    is_closed: AtomicU32,
    bound: AtomicU32,
    /// Messages in the order.
    n: AtomicU32,
    /// Cells from here on were never used; and from here on have no memory.
    n_fresh: AtomicU32,
    n_reserved: AtomicU32,
    /// One more than the number of the first of the free ones; 0: none was given back.
    free: AtomicU32,
    /// How many these are.
    n_free: AtomicU32,
    pub(super) rhythms: [AtomicU32; 2],
    /// Of the next message: of one rank, who came first goes first.
    turn: AtomicU64,
    pub(super) arrivals: Notice,
    pub(super) departures: Notice,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics, and structs of atomics that are `Words` themselves.
unsafe impl Words for Shared {}

/// In front of a cell's part of a message.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Cell {
    /// 0, or that a message begins here, which is then one byte shorter than this.
    mark: AtomicU64,
    pub(super) rank: AtomicU64,
    pub(super) turn: AtomicU64,
    /// One more than the next one's number; 0 after the last.
    next: AtomicU32,
    _unused: AtomicU32,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics only.
unsafe impl Words for Cell {}

/// The memory of a priority queue as this process has it.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) block: Arc<Block>,
    /// How many cells there can be.
    pub(super) n_cells: u32,
    bound: u32,
}

impl Store {
    /// As large as the system allows.
    pub(super) fn create(label: Label, bound: u32) -> Result<Self, Error> {
        let mut n_cells = (sys::total_memory() / CELL as u64).clamp(FEWEST, MOST);
        loop {
            match Self::with_cells(label, bound, n_cells as usize) {
                Err(error) if n_cells > FEWEST && error.kind() == ErrorKind::System => n_cells /= 2,
                other => return other,
            }
        }
    }

    pub(super) fn with_cells(label: Label, bound: u32, n_cells: usize) -> Result<Self, Error> {
        let n_cells = n_cells.next_multiple_of(FEWEST as usize);
        let len = ORDER + n_cells * (size_of::<u32>() + CELL);
        let block = Block::large(label, len, ORDER)?;
        let shared: &Shared = block.words(0);
        shared.bound.store(bound, Relaxed);
        Self::of(block)
    }

    /// In a block that has come from somewhere.
    pub(super) fn of(block: Arc<Block>) -> Result<Self, Error> {
        let n_cells = block.len().saturating_sub(ORDER) / (size_of::<u32>() + CELL);
        if n_cells < FEWEST as usize || n_cells > MOST as usize + FEWEST as usize {
            return Err(Error::invalid_input(
                "this is not the memory of a priority queue",
            ));
        }
        let shared: &Shared = block.words(0);
        // 0 would be a queue that nobody could ever put into.
        let bound = shared.bound.load(Relaxed).max(1);
        Ok(Self {
            n_cells: n_cells as u32,
            bound,
            block,
        })
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    pub(super) fn shared(&self) -> &Shared {
        self.block.words(0)
    }

    pub(super) fn bound(&self) -> u32 {
        self.bound
    }

    pub(super) fn n_waiting(&self) -> u32 {
        self.shared().n.load(Relaxed).min(self.n_cells)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared().is_closed.load(Relaxed) != 0
    }

    /// Under the lock, so that no put is done after it.
    pub(super) fn close(&self) {
        self.shared().is_closed.store(1, Relaxed);
        self.shared().arrivals.announce_all();
        self.shared().departures.announce_all();
    }

    /// Puts a message. Under the lock; the queue is open and has room for one more.
    pub(super) fn put<'c>(
        &self,
        rank: u64,
        len: usize,
        chunks: impl Iterator<Item = &'c [u8]>,
    ) -> Result<(), QueueError> {
        let n_cells = len.div_ceil(PAYLOAD).max(1);
        let first = self.take_cells(n_cells, len)?;
        self.write(first, chunks)?;
        let shared = self.shared();
        let cell = self.cell(first);
        let turn = shared.turn.load(Relaxed);
        shared.turn.store(turn.wrapping_add(1), Relaxed);
        cell.rank.store(rank, Relaxed);
        cell.turn.store(turn, Relaxed);
        // Release: pairs with the acquire in `make_anew`, where no lock's release came between.
        cell.mark.store(len as u64 + 1, Release);
        let n = self.n_waiting();
        self.order(n).store(first, Relaxed);
        self.rise(n);
        shared.n.store(n + 1, Relaxed);
        Ok(())
    }

    /// Gives back what an empty queue has beyond [`KEPT`] cells.
    fn shrink(&self) {
        let shared = self.shared();
        let n_reserved = shared.n_reserved.load(Relaxed).min(self.n_cells);
        if n_reserved <= KEPT {
            return;
        }
        shared.free.store(0, Relaxed);
        shared.n_free.store(0, Relaxed);
        shared.n_fresh.store(0, Relaxed);
        shared.n_reserved.store(KEPT, Relaxed);
        let n_more = (n_reserved - KEPT) as usize;
        // Failure only means that the memory is kept.
        let _ = self.block.discard(self.cell_at(KEPT), n_more * CELL);
        let _ = self
            .block
            .discard(order_at(KEPT), n_more * size_of::<u32>());
    }

    /// Takes the first message in order; its rank, or `None` where there is no message. Under the lock.
    pub(super) fn take(&self, message: &mut Message) -> Result<Option<u64>, QueueError> {
        let n = self.n_waiting();
        if n == 0 {
            return Ok(None);
        }
        let first = self.order(0).load(Relaxed);
        let cell = self.checked(first).ok_or_else(|| self.give_up())?;
        let len = cell.mark.load(Relaxed).wrapping_sub(1);
        if len.div_ceil(PAYLOAD as u64) > u64::from(self.n_fresh()) {
            return Err(self.give_up());
        }
        message.set_len(len as usize)?;
        let last = self.read(first, message.bytes_mut())?;
        let rank = cell.rank.load(Relaxed);
        // From here on it is taken.
        cell.mark.store(0, Relaxed);
        let shared = self.shared();
        shared.n.store(n - 1, Relaxed);
        self.order(0)
            .store(self.order(n - 1).load(Relaxed), Relaxed);
        self.sink(0, n - 1);
        let n_cells = message.len().div_ceil(PAYLOAD).max(1) as u32;
        let n_free = shared.n_free.load(Relaxed);
        shared.n_free.store(n_free.saturating_add(n_cells), Relaxed);
        let free = shared.free.load(Relaxed);
        self.cell(last).next.store(free, Relaxed);
        shared.free.store(first + 1, Relaxed);
        if n == 1 {
            self.shrink();
        }
        Ok(Some(rank))
    }

    /// Takes `n` cells of nobody as a chain, and gives the first.
    fn take_cells(&self, n: usize, len: usize) -> Result<u32, QueueError> {
        let shared = self.shared();
        let n_free = shared.n_free.load(Relaxed).min(self.n_cells);
        let mut next_fresh = self.n_fresh();
        if n > (n_free + (self.n_cells - next_fresh)) as usize {
            return Err(no_room(len));
        }
        let n_fresh = (n as u32).saturating_sub(n_free);
        self.reserve(next_fresh + n_fresh)?;
        let (mut chain, mut free) = (0, shared.free.load(Relaxed));
        for _ in 0..n as u32 - n_fresh {
            let cell = free.wrapping_sub(1);
            let words = self.checked(cell).ok_or_else(|| self.give_up())?;
            free = words.next.load(Relaxed);
            words.next.store(chain, Relaxed);
            chain = cell + 1;
        }
        for _ in 0..n_fresh {
            self.cell(next_fresh).next.store(chain, Relaxed);
            next_fresh += 1;
            chain = next_fresh;
        }
        shared.free.store(free, Relaxed);
        shared.n_free.store(n_free - (n as u32 - n_fresh), Relaxed);
        shared.n_fresh.store(next_fresh, Relaxed);
        Ok(chain - 1)
    }

    /// Has memory for so many cells, and for their places in the order.
    fn reserve(&self, n: u32) -> Result<(), QueueError> {
        let n_reserved = &self.shared().n_reserved;
        let now = n_reserved.load(Relaxed);
        if n <= now {
            return Ok(());
        }
        // More at a time where there are many, so that the question for what is available is rare.
        let wanted = n.saturating_add(STEP.max(n / 4)).min(self.n_cells);
        let more = (wanted - now) as usize;
        let order = self.block.reserve(order_at(now), more * size_of::<u32>());
        let cells = self.block.reserve(self.cell_at(now), more * CELL);
        order
            .and(cells)
            .map_err(|error| QueueError::system(error.kind(), error.to_string()))?;
        n_reserved.store(wanted, Relaxed);
        Ok(())
    }

    fn write<'c>(
        &self,
        first: u32,
        chunks: impl Iterator<Item = &'c [u8]>,
    ) -> Result<(), QueueError> {
        let (mut cell, mut filled) = (first, 0);
        for mut chunk in chunks {
            while !chunk.is_empty() {
                if filled == PAYLOAD {
                    (cell, filled) = (self.next(cell)?, 0);
                }
                let (now, rest) = chunk.split_at(chunk.len().min(PAYLOAD - filled));
                self.block.write(self.payload_at(cell) + filled, now);
                filled += now.len();
                chunk = rest;
            }
        }
        Ok(())
    }

    /// Gives the last cell.
    fn read(&self, first: u32, bytes: &mut [u8]) -> Result<u32, QueueError> {
        let mut cell = first;
        for (number, part) in bytes.chunks_mut(PAYLOAD).enumerate() {
            if number > 0 {
                cell = self.next(cell)?;
            }
            self.block.read(self.payload_at(cell), part);
        }
        Ok(cell)
    }

    fn next(&self, cell: u32) -> Result<u32, QueueError> {
        let next = self.cell(cell).next.load(Relaxed).wrapping_sub(1);
        self.checked(next)
            .map(|_| next)
            .ok_or_else(|| self.give_up())
    }

    /// Makes order and free chain anew, of the marks. For a process that finds the lock left by a dead one; if it dies
    /// too, the next does it again.
    #[cold]
    pub(super) fn make_anew(&self) {
        let shared = self.shared();
        // A process that died as it took fresh cells has used some that are not counted: they have no mark.
        let n_fresh = self.n_fresh();
        let mut is_used = vec![false; n_fresh as usize];
        let mut n = 0;
        for first in 0..n_fresh {
            let mark = self.cell(first).mark.load(Acquire);
            if mark == 0 {
                continue;
            }
            self.order(n).store(first, Relaxed);
            n += 1;
            let n_more = (mark - 1).div_ceil(PAYLOAD as u64).max(1) - 1;
            let mut cell = first;
            is_used[cell as usize] = true;
            for _ in 0..n_more.min(u64::from(n_fresh)) {
                cell = self.cell(cell).next.load(Relaxed).wrapping_sub(1);
                match is_used.get_mut(cell as usize) {
                    Some(is_used) => *is_used = true,
                    // Damaged, as who reads it finds out.
                    None => break,
                }
            }
        }
        shared.n.store(n, Relaxed);
        (0..n / 2).rev().for_each(|place| self.sink(place, n));
        let (mut free, mut n_free) = (0, 0);
        for cell in (0..n_fresh).filter(|&cell| !is_used[cell as usize]) {
            self.cell(cell).next.store(free, Relaxed);
            free = cell + 1;
            n_free += 1;
        }
        shared.free.store(free, Relaxed);
        shared.n_free.store(n_free, Relaxed);
    }

    /// Somebody has written at random: nobody could tell what waits.
    #[cold]
    fn give_up(&self) -> QueueError {
        let shared = self.shared();
        for cell in 0..self.n_fresh() {
            self.cell(cell).mark.store(0, Relaxed);
        }
        shared.n.store(0, Relaxed);
        shared.free.store(0, Relaxed);
        shared.n_free.store(0, Relaxed);
        shared.n_fresh.store(0, Relaxed);
        self.close();
        damaged()
    }

    /// As a process gone mad: writes a number into one of the words.
    #[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
    pub(super) fn damage(&self, number: u64, which: u64) {
        let shared = self.shared();
        let cell = self.cell((which / 16) as u32 % FEWEST as u32);
        let small = number as u32 % (2 * FEWEST as u32);
        match which % 16 {
            0 => shared.n.store(small, Relaxed),
            1 => shared.n_fresh.store(small, Relaxed),
            2 if number.is_multiple_of(2) => shared.free.store(number as u32, Relaxed),
            2 => shared.n_free.store(small, Relaxed),
            3 => self.order(small).store(number as u32, Relaxed),
            4 => self.order(0).store(small, Relaxed),
            5..8 => cell.mark.store(number % 1000, Relaxed),
            8 => cell.mark.store(number, Relaxed),
            9..12 => cell.next.store(small, Relaxed),
            12 => cell.next.store(number as u32, Relaxed),
            _ => cell.rank.store(number, Relaxed),
        }
    }

    fn n_fresh(&self) -> u32 {
        let n_fresh = self.shared().n_fresh.load(Relaxed);
        n_fresh
            .min(self.n_cells)
            .min(self.shared().n_reserved.load(Relaxed))
    }

    /// The cell with this number, if it was ever used.
    pub(super) fn checked(&self, cell: u32) -> Option<&Cell> {
        (cell < self.n_fresh()).then(|| self.cell(cell))
    }

    fn cell(&self, cell: u32) -> &Cell {
        self.block.words(self.cell_at(cell))
    }

    fn cell_at(&self, cell: u32) -> usize {
        order_at(self.n_cells) + cell as usize * CELL
    }

    fn payload_at(&self, cell: u32) -> usize {
        self.cell_at(cell) + size_of::<Cell>()
    }
}

pub(super) fn order_at(place: u32) -> usize {
    ORDER + place as usize * size_of::<u32>()
}
