//! Shared memory: values and arrays that many processes see.

mod arena;
mod atomic;
mod block;
pub(crate) mod fixed;
mod holders;
mod lock_error;
mod shareable;
mod table;
pub(crate) mod travel;
mod value;

pub use atomic::{Atomic, AtomicInteger};
pub(crate) use block::{Block, Label};
pub use lock_error::LockError;
pub use shareable::Shareable;
pub use value::{Integer, Value, ValueGuard};
