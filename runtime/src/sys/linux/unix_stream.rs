//! Connecting to a Unix socket within a time.
//!
//! Responsible for: one attempt, which ends also where nobody accepts and the queue of those who wait is full. The standard
//! library's waits without end there.
//!
//! Man pages: `unix(7)`, `connect(2)`, SO_SNDTIMEO in `socket(7)`.
//!
//! # Safety
//!
//! The kernel reads an address in a frame of this process, within its length, only while the call runs; a descriptor that it
//! gives is adopted at once.

#![expect(
    unsafe_code,
    reason = "the standard library connects without a time limit"
)]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use nix::errno::Errno;

/// Connects, waiting for `timeout` at the longest, which is more than 0.
///
/// # Errors
///
/// Kind `WouldBlock` when the time is over, `Interrupted` after a signal.
pub(crate) fn connect_unix(address: &SocketAddr, timeout: Duration) -> io::Result<UnixStream> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    let fd = Errno::result(fd)?;
    // SAFETY: the kernel has just given this descriptor, so nobody else closes it.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    stream.set_write_timeout(Some(timeout))?;
    let (address, len) = in_c(address);
    // SAFETY: pointer and length are those of a structure of this frame, which the kernel only reads, during the call.
    let result = unsafe { libc::connect(stream.as_raw_fd(), (&raw const address).cast(), len) };
    Errno::result(result)?;
    stream.set_write_timeout(None)?;
    Ok(stream)
}

/// The address as the kernel reads it, and its length. A path ends with a zero byte, a name without a file begins with one.
fn in_c(address: &SocketAddr) -> (libc::sockaddr_un, libc::socklen_t) {
    let path = address
        .as_pathname()
        .map(|path| path.as_os_str().as_bytes());
    let (begin, bytes) = match (path, address.as_abstract_name()) {
        (Some(path), _) => (0, path),
        (None, name) => (1, name.unwrap_or_default()),
    };
    let mut sun_path = [0; 108];
    // The standard library has refused what is longer.
    for (to, byte) in sun_path[begin..].iter_mut().zip(bytes) {
        *to = *byte as libc::c_char;
    }
    let address = libc::sockaddr_un {
        sun_family: libc::AF_UNIX as libc::sa_family_t,
        sun_path,
    };
    let len = offset_of!(libc::sockaddr_un, sun_path) + 1 + bytes.len();
    (address, len as libc::socklen_t)
}
