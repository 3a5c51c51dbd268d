//! What a process has around it: it is never taken, since there is nobody to give it to.

use super::fd::Fd;
use super::{io, unsupported};

#[derive(Debug)]
pub(crate) struct Context(Fd);

impl Context {
    pub(crate) fn capture() -> io::Result<Context> {
        unsupported()
    }

    pub(crate) fn from_bytes(_bytes: &[u8], working_directory: Fd) -> io::Result<Context> {
        working_directory.never()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.never()
    }

    pub(crate) fn working_directory(&self) -> &Fd {
        &self.0
    }

    pub(crate) fn apply_to_supervisor(&self) -> io::Result<()> {
        self.0.never()
    }

    pub(crate) fn apply_ids_in_worker(&self) -> io::Result<()> {
        self.0.never()
    }
}
