//! The server behind [`List`](super::List): bytes in a row.
//!
//! Invariants: as in [`super::table`].

use crate::error::Error;

/// What is stored at a place, or nothing where the list is shorter.
pub(super) type Cell = Option<Vec<u8>>;

pub(super) struct Sequence {
    items: Vec<Vec<u8>>,
}

#[procession_macros::process_object(crate = crate)]
impl Sequence {
    pub(super) fn new() -> Self {
        Self { items: Vec::new() }
    }

    pub(super) fn append(&mut self, mut items: Vec<Vec<u8>>) {
        self.items.append(&mut items);
    }

    pub(super) fn pop(&mut self) -> Cell {
        self.items.pop()
    }

    pub(super) fn get(&self, place: usize) -> Cell {
        self.items.get(place).cloned()
    }

    /// Gives what was there; where nothing was, nothing is stored.
    pub(super) fn set(&mut self, place: usize, item: Vec<u8>) -> Cell {
        let there = self.items.get_mut(place)?;
        Some(std::mem::replace(there, item))
    }

    /// Stores where `expected` is there; gives what is there otherwise.
    pub(super) fn exchange(
        &mut self,
        place: usize,
        expected: Vec<u8>,
        item: Vec<u8>,
    ) -> Result<(), Cell> {
        match self.items.get_mut(place) {
            Some(there) if *there == expected => {
                *there = item;
                Ok(())
            }
            other => Err(other.cloned()),
        }
    }

    /// The length, where that is too short to have a place there.
    pub(super) fn insert(&mut self, place: usize, item: Vec<u8>) -> Result<(), usize> {
        if place > self.items.len() {
            return Err(self.items.len());
        }
        self.items.insert(place, item);
        Ok(())
    }

    pub(super) fn remove(&mut self, place: usize) -> Cell {
        (place < self.items.len()).then(|| self.items.remove(place))
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn items(&self) -> Vec<Vec<u8>> {
        self.items.clone()
    }

    pub(super) fn clear(&mut self) {
        self.items.clear();
    }
}

impl SequenceProxy {
    /// As [`TableProxy::update`](super::table::TableProxy::update); `None` where nothing is at that place.
    pub(super) fn update<T>(
        &self,
        place: usize,
        mut change: impl FnMut(&[u8]) -> Result<(Vec<u8>, T), Error>,
    ) -> Result<Option<T>, Error> {
        let mut before = self.get(place)?;
        while let Some(expected) = before {
            let (after, made) = change(&expected)?;
            match self.exchange(place, expected, after)? {
                Ok(()) => return Ok(Some(made)),
                Err(now) => before = now,
            }
        }
        Ok(None)
    }
}
