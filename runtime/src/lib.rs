//! Parallelism in worker processes.
extern crate self as procession;

mod codec;
mod job;
mod sys;

pub use codec::{CodecError, Portable};
pub use job::Job;

#[doc(hidden)]
pub mod __private {
    pub use crate::codec::{CodecError, Decoder, Encoder, Lend, Lent, Portable, fixed_size, total_size};
    pub use crate::job::{Defaults, Job};
}
