//! Blocks whose length follows from the type of their handle: one lock, one flag, one value.
//!
//! Invariant: a handle's block has room for all that its type reads there, also where its name came from another process.

use std::any::type_name;
use std::sync::Arc;

use serde::Deserializer;
use serde::de::Error as _;

use super::{Block, Label, travel};
use crate::error::Error;

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
