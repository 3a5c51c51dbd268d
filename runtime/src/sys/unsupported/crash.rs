//! What a worker leaves behind: there is none to leave anything.

use std::ptr::NonNull;

use super::{io, unsupported};

#[derive(Debug, Default)]
pub(crate) struct PanicReport {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: String,
}

pub(crate) fn take_panic() -> Option<PanicReport> {
    None
}

#[derive(Debug)]
pub(crate) struct WordsBuffer(());

impl WordsBuffer {
    /// # Safety
    ///
    /// Nothing to answer for.
    pub(crate) unsafe fn new(_start: NonNull<u8>, _bytes: usize) -> WordsBuffer {
        WordsBuffer(())
    }
}

pub(crate) fn install(_words: WordsBuffer) -> io::Result<()> {
    unsupported()
}

pub(crate) fn note_this_stack() -> io::Result<()> {
    unsupported()
}

pub(crate) fn install_panic_hook() {}

pub(crate) fn install_exit_hook() -> io::Result<()> {
    unsupported()
}
