//! How a supervisor comes to be: not at all, and this says why.

use std::convert::Infallible;
use std::fmt;

use super::WHERE_PROCESSES_RUN;
use super::pidfd::Pidfd;
use super::socket::Channel;

#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) channel: Channel,
    pub(crate) supervisor: Pidfd,
}

#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) channel: Channel,
    pub(crate) program: Pidfd,
    pub(crate) inherits_program: bool,
}

#[derive(Debug)]
pub(crate) struct StartError;

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed to start the supervisor process: {WHERE_PROCESSES_RUN}"
        )
    }
}

impl std::error::Error for StartError {}

pub(crate) fn launch() -> Result<Launched, StartError> {
    Err(StartError)
}

pub(crate) fn fork_supervisor(
    _run: impl FnOnce(Seat) -> Infallible,
) -> Result<Launched, StartError> {
    Err(StartError)
}

pub(crate) mod image {
    /// Good enough for this process, which is the only one there will be.
    pub(crate) fn offset_of(address: usize) -> Option<i64> {
        Some(address as i64)
    }

    pub(crate) fn address_of(_offset: i64) -> Option<usize> {
        None
    }
}

/// Makes worker processes possible in a program that has switched off the crate's feature `hook`.
///
/// They run on Linux only: here this does nothing.
pub fn init() {}
