//! Shared memory: values and arrays that many processes see.

mod arena;
mod array;
mod array_guard;
mod block;
mod chunk;
mod claim;
mod division;
mod holders;
mod layout;
mod lock_error;
mod shareable;
mod slice;
mod sole;
mod table;
#[cfg(test)]
mod testing;
pub(crate) mod travel;

pub use array::Array;
pub use array_guard::ArrayGuard;
#[expect(unused_imports, reason = "the handles follow")]
pub(crate) use block::{Block, Label};
pub use chunk::ArrayChunk;
pub use lock_error::LockError;
pub use shareable::Shareable;
pub use slice::SharedSlice;
