//! Shared memory: values and arrays that many processes see.

mod arena;
mod block;
mod holders;
mod lock_error;
mod shareable;
mod table;
pub(crate) mod travel;

#[expect(unused_imports, reason = "the handles follow")]
pub(crate) use block::{Block, Label};
pub use lock_error::LockError;
pub use shareable::Shareable;
