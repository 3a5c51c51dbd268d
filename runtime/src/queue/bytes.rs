//! The ring of bytes in a queue's block: places in it, copies round its end, its memory.
//!
//! Responsible for turning units that are counted on for ever into places, and for the handle of the block. Knows neither
//! messages nor who may write where: its callers do, by the rules in [`ring`](super::ring).
//!
//! Invariants: the length comes from the block, which has checked it against its file. Whatever number is passed in,
//! the place lies in the ring.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::position::{MOST_UNITS, UNIT};
use crate::error::Error;
use crate::shared::Block;

/// Where the ring begins in the payload of the block.
pub(super) const RING: usize = 8192;

/// The shortest ring, in bytes.
pub(super) const LEAST: usize = 64 << 10;

/// See the module's head.
#[derive(Clone, Debug)]
pub(super) struct RingBytes {
    block: Arc<Block>,
    /// Units; a power of two.
    len: u32,
}

impl RingBytes {
    /// An error for a block that is none of a queue.
    pub(super) fn of(block: Arc<Block>) -> Result<Self, Error> {
        let len = block.len().saturating_sub(RING);
        let most = MOST_UNITS as usize * UNIT;
        if !len.is_power_of_two() || !(LEAST..=most).contains(&len) {
            return Err(Error::invalid_input("this is not the memory of a queue"));
        }
        Ok(Self {
            block,
            len: (len / UNIT) as u32,
        })
    }

    #[inline]
    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// In units.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Units from the start of the ring.
    #[inline]
    pub(super) fn place(&self, units: u32) -> u32 {
        units & (self.len - 1)
    }

    /// The units from here to the start of the next lap.
    pub(super) fn rest_of_lap(&self, units: u32) -> u32 {
        self.len - self.place(units)
    }

    /// The first unit of a message.
    #[inline]
    pub(super) fn length_at(&self, units: u32) -> &AtomicU64 {
        self.block().words(RING + self.place(units) as usize * UNIT)
    }

    /// Copies in the bytes of a message that begins at `units`, behind its first unit.
    #[inline]
    pub(super) fn write<'c>(&self, units: u32, chunks: impl Iterator<Item = &'c [u8]>) {
        let mut offset = self.place(units.wrapping_add(1)) as usize * UNIT;
        for chunk in chunks {
            let (first, rest) = chunk.split_at(chunk.len().min(self.n_bytes() - offset));
            self.block().write(RING + offset, first);
            if !rest.is_empty() {
                self.block().write(RING, rest);
            }
            offset = (offset + chunk.len()) & (self.n_bytes() - 1);
        }
    }

    /// Copies out the bytes of a message that begins at `units`.
    #[inline]
    pub(super) fn read(&self, units: u32, bytes: &mut [u8]) {
        let offset = self.place(units.wrapping_add(1)) as usize * UNIT;
        let n_first = bytes.len().min(self.n_bytes() - offset);
        let (first, rest) = bytes.split_at_mut(n_first);
        self.block().read(RING + offset, first);
        if !rest.is_empty() {
            self.block().read(RING, rest);
        }
    }

    /// Has the core fetch the line at `units`, which is about to be written.
    #[inline]
    pub(super) fn prefetch(&self, units: u32) {
        let offset = self.place(units) as usize * UNIT;
        self.block().prefetch(RING + offset);
    }

    #[inline]
    fn n_bytes(&self) -> usize {
        self.len as usize * UNIT
    }

    /// Gives memory to `n_units`, at most the ring's, from `begin` on.
    pub(super) fn reserve(&self, begin: u32, n_units: u32) -> io::Result<()> {
        for (offset, len) in self.pieces(begin, n_units) {
            self.block().reserve(RING + offset, len)?;
        }
        Ok(())
    }

    /// Returns the memory of `n_units`, at most the ring's, from `begin` on, but for the first `kept` units of the ring.
    pub(super) fn discard(&self, begin: u32, n_units: u32, kept: u32) {
        let kept = kept as usize * UNIT;
        for (offset, len) in self.pieces(begin, n_units) {
            let end = offset + len;
            let offset = offset.max(kept);
            if offset < end {
                // Failure only means that the memory is kept.
                let _ = self.block().discard(RING + offset, end - offset);
            }
        }
    }

    /// As offsets from the start of the ring and lengths, in bytes: two if the units go round its end.
    fn pieces(&self, begin: u32, n_units: u32) -> [(usize, usize); 2] {
        let n_first = n_units.min(self.rest_of_lap(begin));
        let bytes = |n_units: u32| n_units as usize * UNIT;
        let offset = bytes(self.place(begin));
        [(offset, bytes(n_first)), (0, bytes(n_units - n_first))]
    }
}
