//! The closure of a fork map, as the workers have it that were forked for it.
//!
//! Responsible for carrying it from the program's frames down to a worker's loop. Nothing of it crosses: supervisor and
//! workers are forks of the program that never leave the frames in which they were forked, so what it borrows there is still
//! borrowed, and the compiler sees that. No address lies on a board, and no worker can change what another one runs.

use std::fmt;

use super::Chunk;

/// See the module's head.
#[derive(Clone, Copy)]
pub(crate) struct Closure<'program> {
    run: &'program dyn Fn(&mut Chunk<'_>),
}

impl<'program> Closure<'program> {
    /// `run` is a loop over a chunk's items, as a job's shim is.
    pub(crate) fn new(run: &'program dyn Fn(&mut Chunk<'_>)) -> Self {
        Self { run }
    }

    pub(super) fn run(&self, chunk: &mut Chunk<'_>) {
        (self.run)(chunk);
    }
}

impl fmt::Debug for Closure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closure").finish_non_exhaustive()
    }
}
