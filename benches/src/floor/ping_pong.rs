//! One word there, one word back.
//!
//! # Safety
//!
//! See the head of [`super`]; only atomics are shared here.
#![expect(unsafe_code, reason = "forks; see `# Safety` above")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bell::{Bell, Patience};
use super::memory::{Shared, Words};
use super::process::Child;
use crate::harness::Result;
use crate::jobs::plain_square;

#[repr(C)]
struct Table {
    request: Bell,
    answer: Bell,
    number: AtomicU64,
    square: AtomicU64,
}

// SAFETY: atomics, and bells, which are atomics.
unsafe impl Words for Table {}

/// A child that squares one number at a time.
pub(crate) struct PingPong {
    table: Shared<Table>,
    child: Child,
    patience: Patience,
}

impl PingPong {
    pub(crate) fn new(patience: Patience) -> Result<Self> {
        let table = Shared::<Table>::new()?;
        let serve = || {
            let mut seen = 0;
            loop {
                table.request.wait(seen, patience);
                seen = seen.wrapping_add(1);
                table
                    .square
                    .store(plain_square(table.number.load(Relaxed)), Relaxed);
                table.answer.ring();
            }
        };
        // SAFETY: the child waits, multiplies and rings until it is killed.
        let child = unsafe { Child::fork(serve) }?;
        Ok(Self {
            table,
            child,
            patience,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(crate) fn square(&mut self, x: u64) -> u64 {
        let seen = self.table.answer.count();
        self.table.number.store(x, Relaxed);
        self.table.request.ring();
        self.table.answer.wait(seen, self.patience);
        self.table.square.load(Relaxed)
    }
}
