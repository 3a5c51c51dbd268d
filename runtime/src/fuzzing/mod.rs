//! What a fuzzer calls: bytes from outside, in front of the code that reads what others may have written.
//!
//! There under `cfg(fuzzing)`, which `cargo fuzz` sets, and in this crate's own tests, which run the corpus of the
//! targets (`fuzz/corpus` in the repository) and thousands of seeded mutations of it. Not for use by programs.
//!
//! Each function takes any bytes whatever and returns; a panic, a hang or memory without bound is a bug.

mod script;
#[cfg(test)]
mod tests;

pub use crate::codec::fuzzing::decode;
pub use crate::dispatch::fuzzing::take_outcomes;
pub use crate::queue::fuzzing::use_damaged_queue;
pub use crate::supervisor::fuzzing::{bury, serve_door};
pub(crate) use script::Script;
