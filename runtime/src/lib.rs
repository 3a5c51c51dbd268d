//! Parallelism in worker processes.
#[cfg(test)]
extern crate self as procession;

mod board;
mod call;
mod codec;
mod dispatch;
mod error;
mod job;
mod macros;
mod pool;
mod process;
mod supervisor;
mod sys;
mod worker;

pub use codec::{CodecError, Portable};
pub use error::{Error, ErrorKind, JobError};
pub use job::Job;
pub use pool::{JobHandle, Pool, PoolBuilder, PoolStats, StartMethod, WorkerStats};
pub use process::Process;
#[doc = include_str!("process_job.md")]
pub use procession_macros::process_job;
pub use sys::start::init;

/// The only door for what the macros expand to. Not for use by hand: it changes with any version.
#[doc(hidden)]
pub mod __private {
    pub use std::marker::PhantomData;

    pub use procession_macros::{job, pool_map, spawn};

    pub use crate::call::JobCall;
    pub use crate::codec::{
        CodecError, Decoder, Encoder, HeldSlice, HeldValue, Lend, Lent, Portable, fixed_size, total_size,
    };
    pub use crate::job::{Defaults, Job};
    pub use crate::pool::MapOptions;
    pub use crate::worker::Chunk;
}
