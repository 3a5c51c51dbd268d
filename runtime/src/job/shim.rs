//! The worker's half of a job as plain functions that can be named by their address.
//!
//! There is one shim for each job and item type, made by the compiler. It loops over a chunk of items, so
//! that nothing is decided by type at run time item by item.

use std::any::type_name;

use super::finalizer::{FinalizerShim, run_finalizer};
use super::{Initializer, Job};
use crate::codec::{CodecError, Decoder};
use crate::error::{Error, ErrorKind};
use crate::fingerprint::fingerprint;
use crate::sys::image;
use crate::worker::{Chunk, WorkerState};

/// Runs the items of a chunk until there is none, or one panics; then it may be called again for the rest.
pub(crate) type Shim = fn(&mut Chunk<'_>, &mut WorkerState);

/// Makes the state of a worker; the number is the hash of the initializer it should be.
pub(crate) type InitializerShim =
    fn(Decoder<'_>, u64) -> Result<Result<WorkerState, String>, CodecError>;

fn run_chunk<J: Job<Item>, Item>(chunk: &mut Chunk<'_>, state: &mut WorkerState) {
    if !chunk.is_for(hash::<J, Item>()) {
        return chunk.refuse(&wrong_job::<J>());
    }
    match state.lend::<J::State>() {
        Ok(state) => chunk.run(J::fixed_input(), |from| J::call(state, from)),
        Err(error) => chunk.refuse(&error),
    }
}

fn run_initializer<I: Initializer<Item, Kind>, Item, Kind>(
    mut args: Decoder<'_>,
    initializer: u64,
) -> Result<Result<WorkerState, String>, CodecError> {
    if initializer != initializer_hash::<I, Item, Kind>() {
        return Err(wrong_job::<I>());
    }
    let made = I::call(&mut args)?;
    Ok(made.map(WorkerState::new))
}

/// Tells a job from others whose code the linker may have put at the same address.
pub(crate) fn hash<J: Job<Item>, Item>() -> u64 {
    fingerprint(&[type_name::<J>(), J::NAME])
}

/// As [`hash`], of an initializer.
pub(crate) fn initializer_hash<I: Initializer<Item, Kind>, Item, Kind>() -> u64 {
    fingerprint(&[type_name::<I>(), I::NAME])
}

pub(super) fn wrong_job<J>() -> CodecError {
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
pub(crate) fn initializer_offset<I: Initializer<Item, Kind>, Item, Kind>() -> Result<i64, Error> {
    let initializer: InitializerShim = run_initializer::<I, Item, Kind>;
    image::offset_of(initializer as usize).ok_or_else(not_in_program)
}

/// Where workers find the finalizer's shim for this job.
pub(crate) fn finalizer_offset<J: Job<Item>, Item>() -> Result<i64, Error> {
    let finalizer: FinalizerShim = run_finalizer::<J, Item>;
    image::offset_of(finalizer as usize).ok_or_else(not_in_program)
}

fn not_in_program() -> Error {
    let message = "the job's function lies in a shared library, not in the program itself: link its crate statically";
    Error::new(ErrorKind::Start, message)
}
