//! A job that calls `exit`.
//!
//! Responsible for writing out what is buffered and for leaving out the exit handlers that were registered before the
//! worker began: they are the program's, or of a library in it, and are not a worker's to run. Handlers
//! that the job registered itself run: the last registered is the first to be called.
//!
//! Only glibc tells a handler the code (`on_exit`). Elsewhere a handler cannot leave with it, so there it only
//! writes out Rust's and C's buffers, and the inherited handlers run.
//!
//! See on_exit(3), atexit(3).
//!
//! # Safety
//!
//! The handler runs on the thread that called `exit`, while others may go on.
#![expect(unsafe_code, reason = "registering a C handler")]

#[cfg(target_env = "gnu")]
use std::ffi::{c_int, c_void};
use std::io;

use crate::sys::stdio;

#[cfg(target_env = "gnu")]
unsafe extern "C" {
    fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// From now on `exit(code)` in this process flushes and ends it, and runs no handler registered before.
///
/// # Errors
///
/// When the C library has no memory for one more handler.
#[cfg(target_env = "gnu")]
pub(crate) fn install_exit_hook() -> io::Result<()> {
    extern "C" fn leave(code: c_int, _argument: *mut c_void) {
        stdio::flush_stdio();
        crate::sys::process::exit_now(code)
    }
    // SAFETY: the handler takes what `on_exit` passes, and makes no use of the argument.
    if unsafe { on_exit(leave, std::ptr::null_mut()) } != 0 {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(())
}

/// From now on `exit(code)` in this process flushes Rust's standard output, too.
///
/// # Errors
///
/// When the C library has no memory for one more handler.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn install_exit_hook() -> io::Result<()> {
    extern "C" fn flush() {
        stdio::flush_stdio();
    }
    // SAFETY: the handler takes nothing.
    if unsafe { libc::atexit(flush) } != 0 {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(())
}
