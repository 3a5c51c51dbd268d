//! Of the codec: who travels beside a message, and a message of whole words.

use std::fmt;
use std::sync::Arc;

/// As in `codec/beside.rs`.
pub(crate) trait Passenger: fmt::Debug {
    fn depart(self: Arc<Self>);
}

/// A message.
pub(crate) struct Encoder<'a> {
    pub(crate) words: &'a [u64],
}

impl Encoder<'_> {
    /// In bytes.
    pub(crate) fn len(&self) -> usize {
        size_of_val(self.words)
    }

    /// Of one word each.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = u64> {
        self.words.iter().copied()
    }
}
