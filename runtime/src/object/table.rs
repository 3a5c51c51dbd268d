//! The server behind [`Dict`](super::Dict) and [`Namespace`](super::Namespace): bytes by bytes.
//!
//! Invariants: keys and values are what the proxies have encoded, so two are the same where their bytes are. Types are the
//! proxies' affair, which are made and travel typed.

use std::collections::BTreeMap;

use crate::error::Error;

/// What is stored under a key, or its absence.
pub(super) type Cell = Option<Vec<u8>>;

pub(super) struct Table {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[procession_macros::process_object(crate = crate)]
impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, key: Vec<u8>) -> Cell {
        self.entries.get(&key).cloned()
    }

    /// Stores or removes, and gives what was there.
    pub(super) fn set(&mut self, key: Vec<u8>, value: Cell) -> Cell {
        match value {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        }
    }

    /// Stores or removes where `expected` is there; gives what is there otherwise.
    pub(super) fn exchange(
        &mut self,
        key: Vec<u8>,
        expected: Cell,
        value: Cell,
    ) -> Result<(), Cell> {
        if self.entries.get(&key) != expected.as_ref() {
            return Err(self.get(key));
        }
        self.set(key, value);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        self.entries.iter().map(entry).collect()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl TableProxy {
    /// Replaces what is stored under `key` by what `change` makes of it, and gives what else it has made. `change` runs again
    /// where somebody was quicker.
    pub(super) fn update<T>(
        &self,
        key: Vec<u8>,
        mut change: impl FnMut(&Cell) -> Result<(Cell, T), Error>,
    ) -> Result<T, Error> {
        let mut before = self.get(key.clone())?;
        loop {
            let (after, made) = change(&before)?;
            match self.exchange(key.clone(), before, after)? {
                Ok(()) => return Ok(made),
                Err(now) => before = now,
            }
        }
    }
}
