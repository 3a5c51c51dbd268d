//! Shared memory: values and arrays that many processes see.

mod arena;
mod block;
mod holders;
mod table;
pub(crate) mod travel;

#[expect(unused_imports, reason = "the handles follow")]
pub(crate) use block::{Block, Label};
