//! The worker's half of a job as plain functions that can be named by their address.
//!
//! There is one shim for each job and item type, made by the compiler. It loops over a chunk of items, so
//! that nothing is decided by type at run time item by item.

use std::any::type_name;

use super::Job;
use crate::codec::{CodecError, Decoder};
use crate::error::{Error, ErrorKind};
use crate::fingerprint::fingerprint;
use crate::sys::image;
use crate::worker::Chunk;

/// Runs the items of a chunk until there is none, or one panics; then it may be called again for the rest.
pub(crate) type Shim = fn(&mut Chunk<'_>);

/// Runs one job for its effects; the number is the hash of the job it should be.
pub(crate) type Initializer = fn(Decoder<'_>, u64) -> Result<(), CodecError>;

fn run_chunk<J: Job<Item>, Item>(chunk: &mut Chunk<'_>) {
    if chunk.is_for(hash::<J, Item>()) {
        chunk.run(J::fixed_input(), J::call);
    } else {
        chunk.refuse(&wrong_job::<J>());
    }
}

fn run_initializer<J: Job<Item>, Item>(mut args: Decoder<'_>, job: u64) -> Result<(), CodecError> {
    if job != hash::<J, Item>() {
        return Err(wrong_job::<J>());
    }
    J::call(&mut args).map(drop)
}

/// Tells a job from others whose code the linker may have put at the same address.
pub(crate) fn hash<J: Job<Item>, Item>() -> u64 {
    fingerprint(&[type_name::<J>(), J::NAME])
}

fn wrong_job<J>() -> CodecError {
    CodecError::new(format!(
        "the task is not for the job at its address, `{}`",
        type_name::<J>()
    ))
}

/// Where workers find [`run_chunk`] for this job.
pub(crate) fn shim_offset<J: Job<Item>, Item>() -> Result<i64, Error> {
    let shim: Shim = run_chunk::<J, Item>;
    image::offset_of(shim as usize).ok_or_else(not_in_program)
}

/// Where workers find [`run_initializer`] for this job.
pub(crate) fn initializer_offset<J: Job<Item>, Item>() -> Result<i64, Error> {
    let initializer: Initializer = run_initializer::<J, Item>;
    image::offset_of(initializer as usize).ok_or_else(not_in_program)
}

fn not_in_program() -> Error {
    let message = "the job's function lies in a shared library, not in the program itself: link its crate statically";
    Error::new(ErrorKind::Start, message)
}
