//! The socket that a listener listens at, and its file if it has one.
//!
//! Invariants: it is only removed from the file system what is this socket's own, or what nobody listens at any more. The
//! process that made the socket ends it, though forks have copies, and no fork does.

use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, process};

use super::address::Address;
use super::stream::{Deadline, Stream};
use crate::sys;

#[derive(Debug)]
pub(super) struct Socket {
    kind: Kind,
    address: Address,
    file: Option<File>,
    maker: u32,
}

#[derive(Debug)]
enum Kind {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The file of a socket, by what it is.
#[derive(Debug)]
struct File {
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    pub(super) fn bind(address: &Address) -> io::Result<Self> {
        let (kind, address, file) = match address {
            Address::Unix(path) => {
                let listener = bind_path(path)?;
                let file = File::made(path)?;
                (Kind::Unix(listener), address.clone(), Some(file))
            }
            Address::Abstract(name) => (Kind::Unix(bind_abstract(name)?), address.clone(), None),
            Address::Tcp(wanted) => {
                let listener = TcpListener::bind(wanted)?;
                let found = Address::Tcp(listener.local_addr()?);
                (Kind::Tcp(listener), found, None)
            }
        };
        match &kind {
            Kind::Unix(listener) => listener.set_nonblocking(true),
            Kind::Tcp(listener) => listener.set_nonblocking(true),
        }?;
        Ok(Self {
            kind,
            address,
            file,
            maker: process::id(),
        })
    }

    /// Whether this process has made it: what a fork has is a copy.
    pub(super) fn is_own(&self) -> bool {
        self.maker == process::id()
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// The next who waits; of kind `WouldBlock` if there is nobody.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match &self.kind {
            Kind::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Kind::Tcp(listener) => listener
                .accept()
                .and_then(|(stream, _)| Stream::of_tcp(stream)),
        }
    }

    /// Nobody is let in any more, and who waits for it is told, also where forks have copies of the socket.
    fn shut_down(&self) {
        // The standard library shuts down streams alone, the system whatever is a socket.
        let socket = self.as_fd().try_clone_to_owned().map(UnixStream::from);
        if socket.is_ok_and(|socket| socket.shutdown(Shutdown::Both).is_ok()) {
            while self.accept().is_ok() {}
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_own() {
            // While somebody listens there, nobody replaces the file.
            if let Some(file) = &self.file {
                file.remove();
            }
            self.shut_down();
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Unix(listener) => listener.as_fd(),
            Kind::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl File {
    fn made(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    fn remove(&self) {
        if identity(&self.path).is_ok_and(|it| it == self.identity) {
            // An error means that somebody else was quicker.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// A turn takes as long as two system calls, unless somebody means to keep it.
const TURN: Duration = Duration::from_secs(1);

/// Where a file is in the way that a killed listener left behind, it is replaced. Listeners take turns in a folder: nobody's
/// new file, at which nobody listens yet, is taken for an abandoned one. Where a turn is not to be had, this goes on without.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).ok();
    let _turn = folder.and_then(|folder| sys::take_turn(folder, TURN));
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}

/// Whether it is a socket's file, and nobody listens there.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    // Where nobody listens that is told at once; where many wait to be accepted, somebody does.
    let moment = Deadline::after(Some(Duration::from_millis(100)));
    let connected = || Stream::connect(&Address::Unix(path.to_owned()), moment);
    is_socket && connected().is_err_and(is_refused)
}

fn bind_abstract(name: &str) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&super::stream::abstract_address(name)?)
}
