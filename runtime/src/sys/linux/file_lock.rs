//! Turns between processes that use the same file or folder.
//!
//! Man page: `flock(2)`.

use std::fs::File;
use std::io;

use nix::fcntl::{Flock, FlockArg};

/// Waits for the turn, which ends with what is given, or with the process.
pub(crate) fn lock_file(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}
