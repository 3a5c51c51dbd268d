//! The bytes of a ring, as in `queue/bytes.rs`: units that have memory or not, and of which loom reports who
//! touches them at the same time as another.

use std::io;
use std::sync::Arc;

use loom::cell::Cell;

use super::position::UNIT;
use crate::atomic::{AtomicU64, step};
use crate::error::Error;
use crate::shared::{Block, Things};

pub(super) const RING: usize = 4096;

/// What 8 bytes are where a message has its length, and where it has its bytes.
#[derive(Debug)]
pub(super) struct Unit {
    length: AtomicU64,
    /// `None`: without memory.
    bytes: Cell<Option<u64>>,
}

impl Unit {
    pub(super) fn ring(len: usize) -> Things {
        let unit = || Self {
            length: AtomicU64::new(0),
            bytes: Cell::new(None),
        };
        let places = (RING..len).step_by(UNIT);
        places
            .map(|place| (place, Box::new(unit()) as Box<dyn std::any::Any>))
            .collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct RingBytes {
    block: Arc<Block>,
    len: u32,
}

impl RingBytes {
    pub(super) fn of(block: Arc<Block>) -> Result<Self, Error> {
        let len = ((block.len() - RING) / UNIT) as u32;
        Ok(Self { block, len })
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn place(&self, units: u32) -> u32 {
        units & (self.len - 1)
    }

    pub(super) fn rest_of_lap(&self, units: u32) -> u32 {
        self.len - self.place(units)
    }

    fn unit(&self, units: u32) -> &Unit {
        self.block.words(RING + self.place(units) as usize * UNIT)
    }

    /// Which is in memory.
    pub(super) fn length_at(&self, units: u32) -> &AtomicU64 {
        let unit = self.unit(units);
        assert_ne!(unit.bytes.get(), None, "no memory was reserved");
        &unit.length
    }

    /// No step: it changes nothing.
    pub(super) fn prefetch(&self, _units: u32) {}

    pub(super) fn write(&self, units: u32, words: impl Iterator<Item = u64>) {
        for (units, word) in (units.wrapping_add(1)..).zip(words) {
            let bytes = &self.unit(units).bytes;
            assert_ne!(bytes.get(), None, "no memory was reserved");
            step();
            bytes.set(Some(word));
        }
    }

    pub(super) fn read(&self, units: u32, bytes: &mut [u8]) {
        for (units, word) in (units.wrapping_add(1)..).zip(bytes.chunks_exact_mut(UNIT)) {
            let found = self.unit(units).bytes.get();
            let found = found.expect("what waits has memory");
            word.copy_from_slice(&found.to_ne_bytes());
        }
    }

    pub(super) fn reserve(&self, begin: u32, n_units: u32) -> io::Result<()> {
        assert!(n_units <= self.len);
        step();
        for units in (begin..).take(n_units as usize) {
            let bytes = &self.unit(units).bytes;
            bytes.set(Some(bytes.get().unwrap_or(0)));
        }
        Ok(())
    }

    pub(super) fn discard(&self, begin: u32, n_units: u32, kept: u32) {
        assert!(n_units <= self.len);
        for units in (begin..).take(n_units as usize) {
            if self.place(units) >= kept {
                step();
                self.unit(units).bytes.set(None);
            }
        }
    }
}
