//! What `survey` and `checksum` share: finding their input, showing how far they are, ending.
//!
//! Knows nothing of processes: everything about `procession` stands in the programs themselves.

pub mod ending;
pub mod input;
pub mod progress;
