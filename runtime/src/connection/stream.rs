//! The sockets under connections: Unix and TCP as one, with deadlines.
//!
//! Responsible for: bytes that are read or written, or the error that the time is over. Not responsible for what they mean.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

use super::address::Address;
use super::error::ConnectionError;
use crate::sys;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// The same call on whichever it is.
macro_rules! either {
    ($stream:expr, $socket:ident => $call:expr) => {
        match $stream {
            Stream::Unix($socket) => $call,
            Stream::Tcp($socket) => $call,
        }
    };
}

impl Stream {
    pub(super) fn connect(address: &Address, deadline: Deadline) -> io::Result<Self> {
        match address {
            Address::Unix(path) => connect_unix(&SocketAddr::from_pathname(path)?, deadline),
            Address::Abstract(name) => connect_unix(&abstract_address(name)?, deadline),
            Address::Tcp(address) => match deadline.left()? {
                Some(left) => TcpStream::connect_timeout(address, left),
                None => TcpStream::connect(address),
            }
            .and_then(Self::of_tcp),
        }
    }

    /// A message goes at once, however small.
    pub(super) fn of_tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    pub(super) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        either!(self, socket => socket.set_nonblocking(nonblocking))
    }

    /// Reads what there is, at least one byte, or none at the end.
    pub(super) fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        again_after_signals(|| either!(self, socket => (&mut &*socket).read(bytes)))
    }

    /// As [`read`](Self::read), waiting until `deadline` at the longest.
    pub(super) fn read_until(&self, bytes: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        self.read_within(bytes, deadline.left()?)
    }

    /// As [`read`](Self::read), waiting for `timeout` at the longest, which is more than 0.
    pub(super) fn read_within(
        &self,
        bytes: &mut [u8],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if timeout.is_none() {
            return self.read(bytes);
        }
        either!(self, socket => socket.set_read_timeout(timeout))?;
        let read = self.read(bytes);
        either!(self, socket => socket.set_read_timeout(None))?;
        read
    }

    /// Writes some of the bytes, at least one.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        again_after_signals(|| either!(self, socket => (&mut &*socket).write(bytes)))
    }

    /// Writes all pieces, waiting until `deadline` at the longest.
    pub(super) fn write_all_until(
        &self,
        mut pieces: &mut [IoSlice<'_>],
        deadline: Deadline,
    ) -> io::Result<()> {
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let written = self.write_within(pieces, deadline.left()?)?;
            IoSlice::advance_slices(&mut pieces, written);
        }
        Ok(())
    }

    /// Writes some of the pieces, waiting for `timeout` at the longest, which is more than 0.
    pub(super) fn write_within(
        &self,
        pieces: &[IoSlice<'_>],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        if timeout.is_some() {
            either!(self, socket => socket.set_write_timeout(timeout))?;
        }
        let written =
            again_after_signals(|| either!(self, socket => (&mut &*socket).write_vectored(pieces)));
        if timeout.is_some() {
            either!(self, socket => socket.set_write_timeout(None))?;
        }
        written
    }

    /// Tells the other end that this one is over, in both directions.
    pub(super) fn shut_down(&self) {
        // An error means that it is over already.
        let _ = either!(self, socket => socket.shutdown(Shutdown::Both));
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(self, socket => socket.as_fd())
    }
}

fn connect_unix(address: &SocketAddr, deadline: Deadline) -> io::Result<Stream> {
    let connected = again_after_signals(|| match deadline.left()? {
        Some(left) => sys::connect_unix(address, left),
        None => UnixStream::connect_addr(address),
    });
    connected.map(Stream::Unix)
}

#[cfg(target_os = "linux")]
pub(super) fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;

    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn abstract_address(_name: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

fn again_after_signals<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Whether a deadline has passed: what sockets with a time limit say, and ours.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Whether it says that there is nobody at the other end any more.
pub(super) fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};

    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
    )
}

/// What an error in the middle of a handshake means.
pub(super) fn in_handshake(error: &io::Error) -> ConnectionError {
    if is_timeout(error) {
        ConnectionError::TimedOut
    } else if is_end(error) {
        ended_in_handshake()
    } else {
        ConnectionError::system("shake hands", error)
    }
}

pub(super) fn ended_in_handshake() -> ConnectionError {
    ConnectionError::protocol("the other end closed the connection before the handshake was over")
}

/// A socket takes 0 for no limit, and has no finer grain than this.
const GRAIN: Duration = Duration::from_micros(1);

/// The moment until which something may take; none: without end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    pub(super) const NEVER: Self = Self(None);

    /// A time beyond what the clock can hold is no limit.
    pub(super) fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// The time that is left, some of it.
    ///
    /// # Errors
    ///
    /// None is, of kind `TimedOut`.
    pub(super) fn left(self) -> io::Result<Option<Duration>> {
        match self.wait() {
            Some(left) if left < GRAIN => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// The time that is left, or the least for one look where none is.
    pub(super) fn left_or_a_look(self) -> Option<Duration> {
        self.wait().map(|left| left.max(GRAIN))
    }

    pub(super) fn has_passed(self) -> bool {
        self.left().is_err()
    }

    pub(super) fn earlier(self, other: Self) -> Self {
        Self(self.0.into_iter().chain(other.0).min())
    }

    /// How long to wait for it; 0 once it has passed.
    pub(super) fn wait(self) -> Option<Duration> {
        self.0
            .map(|at| at.saturating_duration_since(Instant::now()))
    }
}
