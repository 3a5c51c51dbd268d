//! Shared memory: values and arrays that many processes see.

mod arena;
mod array;
mod array_guard;
mod atomic;
mod block;
mod chunk;
mod division;
pub(crate) mod fixed;
mod holders;
mod layout;
mod lock_error;
mod shareable;
mod slice;
mod table;
pub(crate) mod travel;
mod value;

pub use array::Array;
pub use array_guard::ArrayGuard;
pub use atomic::{Atomic, AtomicInteger};
pub(crate) use block::{Block, Label};
pub use chunk::ArrayChunk;
pub use lock_error::LockError;
pub use shareable::Shareable;
pub use slice::SharedSlice;
pub use value::{Integer, Value, ValueGuard};
