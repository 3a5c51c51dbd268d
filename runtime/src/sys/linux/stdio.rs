//! The three standard descriptors and the buffers in front of them.
//!
//! Responsible for: what was printed has left this process's buffers. Not responsible for other files of the C
//! library or of Rust: those are their owners'.
//!
//! Invariants: a flush takes no lock but those of the standard streams that are written to. (`fflush(NULL)` locks
//! every stream, so that a thread waiting in `getchar` would stop it for ever.)
//!
//! Man pages: `stdio(3)`, `stdio_ext(3)`, `flockfile(3)`, `fflush(3)`.
//!
//! # Safety
//!
//! The C library's `stdout` and `stderr` are read under their own locks, as `stdio(3)` itself does it.

#![expect(
    unsafe_code,
    reason = "the C library's streams are reached through C functions"
)]

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

unsafe extern "C" {
    static stdout: *mut libc::FILE;
    static stderr: *mut libc::FILE;
    fn flockfile(stream: *mut libc::FILE);
    fn funlockfile(stream: *mut libc::FILE);
    fn __fpending(stream: *mut libc::FILE) -> libc::size_t;
}

/// Writes out what Rust's and C's `stdout` and C's `stderr` hold back (Rust's holds nothing back).
///
/// Errors are passed over, as they are at the end of every program: whoever printed was told that it worked.
pub(crate) fn flush_stdio() {
    let _flushed = io::stdout().flush();
    // SAFETY: the C library has set this pointer before any code of ours ran; a program may set it to another stream,
    // though not while other threads use it.
    let out = unsafe { stdout };
    flush_if_pending(out);
    // SAFETY: as above.
    let err = unsafe { stderr };
    flush_if_pending(err);
}

fn flush_if_pending(stream: *mut libc::FILE) {
    if stream.is_null() {
        return;
    }
    // SAFETY: a standard stream is open, or closed but still there to be asked.
    unsafe { flockfile(stream) };
    // SAFETY: this thread holds the stream's lock, so nobody else changes what it holds back.
    let n_pending = unsafe { __fpending(stream) };
    if n_pending > 0 {
        // SAFETY: as above; a thread may take the lock it holds once more.
        unsafe { libc::fflush(stream) };
    }
    // SAFETY: locked by this thread, above.
    unsafe { funlockfile(stream) };
}

/// Opens `/dev/null` in place of each of the descriptors 0 to 2 that is closed, so that no other file gets its number
/// and is taken for it.
pub(crate) fn ensure_standard_fds() -> io::Result<()> {
    for number in 0..=2 {
        // SAFETY: borrowed only to ask whether it is open; a closed number gives EBADF and nothing else.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if fcntl(descriptor, FcntlArg::F_GETFD) == Err(Errno::EBADF) {
            // The lowest free number is given, which is this one: those below are open by now. Inherited by programs
            // that are executed, as standard descriptors are.
            let opened = open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
            std::mem::forget(opened);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;
    use crate::sys::process::exit_now;
    use crate::sys::testing::{in_child, watched};

    /// What a child that runs `body` and then ends with `_exit` has written to its descriptor 1 or 2.
    fn written_by_child(number: i32, body: impl FnOnce()) -> String {
        let (mut reader, writer) = io::pipe().unwrap();
        let child = in_child(|| {
            // SAFETY: this process runs only this test; nothing in it owns its standard descriptors.
            unsafe { libc::dup2(writer.as_raw_fd(), number) };
            body();
            exit_now(0);
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        child.succeeds();
        text
    }

    fn print_from_c(stream: *mut libc::FILE, text: &std::ffi::CStr) {
        // SAFETY: a standard stream and a string that ends in NUL.
        unsafe { libc::fputs(text.as_ptr(), stream) };
    }

    fn c_stdout() -> *mut libc::FILE {
        // SAFETY: set by the C library before any test ran, and not changed by any.
        unsafe { stdout }
    }

    fn c_stderr() -> *mut libc::FILE {
        // SAFETY: as above.
        unsafe { stderr }
    }

    #[test]
    fn what_rust_and_c_have_printed_is_written() {
        watched(|| {
            let text = written_by_child(1, || {
                io::stdout().write_all(b"rust ").unwrap();
                flush_stdio();
                print_from_c(c_stdout(), c"c ");
                flush_stdio();
                io::stdout().write_all(b"lost").unwrap();
                print_from_c(c_stdout(), c"lost");
            });
            assert_eq!(text, "rust c ");
        });
    }

    #[test]
    fn a_stderr_that_c_code_has_buffered_is_written() {
        watched(|| {
            let text = written_by_child(2, || {
                // Not left to the library to allocate: musl's then goes on without one.
                let buffer: &'static mut [_] = Box::leak(Box::new([0; 1024]));
                // SAFETY: a standard stream and a buffer that lives as long as the process, used by nobody else.
                unsafe {
                    libc::setvbuf(c_stderr(), buffer.as_mut_ptr(), libc::_IOFBF, buffer.len())
                };
                print_from_c(c_stderr(), c"c ");
                flush_stdio();
                print_from_c(c_stderr(), c"lost");
            });
            assert_eq!(text, "c ");
        });
    }

    #[test]
    fn a_thread_that_waits_for_input_does_not_stop_a_flush() {
        watched(|| {
            let (reader, _never_written) = io::pipe().unwrap();
            let text = written_by_child(1, || {
                // SAFETY: this process runs only this test; nothing in it owns its standard descriptors.
                unsafe { libc::dup2(reader.as_raw_fd(), 0) };
                std::thread::spawn(|| {
                    // SAFETY: takes no argument; holds the lock of stdin while it waits.
                    unsafe { libc::getchar() }
                });
                std::thread::sleep(std::time::Duration::from_millis(50));
                print_from_c(c_stdout(), c"c ");
                flush_stdio();
            });
            assert_eq!(text, "c ");
        });
    }

    #[test]
    fn closed_standard_descriptors_become_dev_null() {
        watched(|| {
            in_child(|| {
                for number in [0, 2] {
                    // SAFETY: this process runs only this test; nothing in it owns its standard descriptors.
                    unsafe { libc::close(number) };
                }
                ensure_standard_fds().unwrap();
                for number in [0, 2] {
                    let file = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
                    assert_eq!(file.to_str(), Some("/dev/null"));
                }
            })
            .succeeds();
        });
    }
}
