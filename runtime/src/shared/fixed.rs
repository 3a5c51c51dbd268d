//! Blocks whose length follows from the type of their handle: one lock, one flag, one value.
//!
//! Invariant: a handle's block has room for all that its type reads there, also where its name came from another process.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Block, Label, travel};
use crate::error::Error;
use crate::memory::Words;

/// A block for a handle of type `H`.
pub(crate) fn new<H>(len: usize) -> Result<Arc<Block>, Error> {
    Block::new(Label::of::<H>(), len)
}

/// The block that a handle of type `H` was written from.
pub(crate) fn deserialize<'de, H, D: Deserializer<'de>>(
    len: usize,
    from: D,
) -> Result<Arc<Block>, D::Error> {
    let block = travel::deserialize(Label::of::<H>(), from)?;
    if block.len() != len {
        return Err(D::Error::custom(format_args!(
            "a `{}` takes {len} bytes of shared memory, and {} are there: the data is damaged",
            type_name::<H>(),
            block.len()
        )));
    }
    Ok(block)
}

/// Words that lie in a block of their own: what a handle is whose words know by themselves what to do.
pub(crate) struct Fixed<W> {
    block: Arc<Block>,
    _words: PhantomData<fn() -> W>,
}

impl<W: Words> Fixed<W> {
    /// All zeros.
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self::at(new::<Self>(size_of::<W>())?))
    }

    fn at(block: Arc<Block>) -> Self {
        Self {
            block,
            _words: PhantomData,
        }
    }
}

impl<W> Clone for Fixed<W> {
    fn clone(&self) -> Self {
        Self {
            block: Arc::clone(&self.block),
            _words: PhantomData,
        }
    }
}

impl<W: Words> Deref for Fixed<W> {
    type Target = W;

    #[inline]
    fn deref(&self) -> &W {
        self.block.words(0)
    }
}

impl<W> fmt::Debug for Fixed<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fixed").field(&self.block).finish()
    }
}

impl<W> Serialize for Fixed<W> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de, W: Words> Deserialize<'de> for Fixed<W> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize::<Self, D>(size_of::<W>(), from).map(Self::at)
    }
}
