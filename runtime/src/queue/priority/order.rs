//! The order of what waits: a heap of the cells that begin a message, smallest rank first, then who came first.
//!
//! Under the lock of the [store](super::store). However damaged it is, each walk goes up or down once.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use super::store::{Store, order_at};

impl Store {
    /// The cell at a place of the order.
    pub(super) fn order(&self, place: u32) -> &AtomicU32 {
        self.block.words(order_at(place.min(self.n_cells - 1)))
    }

    /// The last of the order finds its place.
    pub(super) fn rise(&self, mut place: u32) {
        while place > 0 {
            let above = (place - 1) / 2;
            if !self.goes_before(place, above) {
                return;
            }
            self.swap(place, above);
            place = above;
        }
    }

    /// So does one of the first `n`.
    pub(super) fn sink(&self, mut place: u32, n: u32) {
        loop {
            let left = place.saturating_mul(2).saturating_add(1);
            let below = (left..n).take(2);
            let Some(first) = below.reduce(|one, other| match self.goes_before(other, one) {
                true => other,
                false => one,
            }) else {
                return;
            };
            if !self.goes_before(first, place) {
                return;
            }
            self.swap(first, place);
            place = first;
        }
    }

    fn goes_before(&self, one: u32, other: u32) -> bool {
        let key = |place: u32| {
            // Where the order is damaged, whoever gets to it there finds out.
            let cell = self.checked(self.order(place).load(Relaxed))?;
            Some((cell.rank.load(Relaxed), cell.turn.load(Relaxed)))
        };
        key(one) < key(other)
    }

    fn swap(&self, one: u32, other: u32) {
        let (one, other) = (self.order(one), self.order(other));
        let before = one.load(Relaxed);
        one.store(other.load(Relaxed), Relaxed);
        other.store(before, Relaxed);
    }
}
