//! The mark by which a copy of the program knows that it is to be a supervisor.
//!
//! Responsible for the text in the environment and for comparing it with the process. The mark alone
//! makes nobody a supervisor: anybody can set a variable. It names the very socket that the copy was given
//! as descriptor 3, by its inode, so a variable that was set by hand or left over matches nothing.
//!
//! See environ(7), and sockfs inodes in unix(7).

use std::os::fd::BorrowedFd;

use nix::sys::stat::{SFlag, fstat};

/// The variable's name. Two versions of this crate in one program do not take each other's copies.
pub(super) const NAME: &str = concat!("PROCESSION_SUPERVISOR_", env!("CARGO_PKG_VERSION"));

/// What the program tells its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// The copy's [`super::depth`].
    pub(super) depth: u32,
    /// The process that made the copy.
    pub(super) program_pid: u32,
    /// Which socket descriptor 3 of the copy is.
    pub(super) socket_inode: u64,
}

impl Marker {
    /// What this process was started with, if it is in the form that [`Marker::to_text`] gives.
    pub(super) fn from_environment() -> Option<Marker> {
        Self::from_text(std::env::var_os(NAME)?.to_str()?)
    }

    pub(super) fn to_text(self) -> String {
        format!("{}:{}:{}", self.depth, self.program_pid, self.socket_inode)
    }

    fn from_text(text: &str) -> Option<Marker> {
        let (depth, rest) = text.split_once(':')?;
        let (program_pid, socket_inode) = rest.split_once(':')?;
        Some(Marker {
            depth: depth.parse().ok()?,
            program_pid: program_pid.parse().ok()?,
            socket_inode: socket_inode.parse().ok()?,
        })
    }

    /// Whether `fd` is the socket that this marker names.
    pub(super) fn names(self, fd: BorrowedFd<'_>) -> bool {
        socket_inode(fd) == Some(self.socket_inode)
    }
}

/// The inode of `fd`, if it is an open socket.
pub(super) fn socket_inode(fd: BorrowedFd<'_>) -> Option<u64> {
    let status = fstat(fd).ok()?;
    let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
    (kind == SFlag::S_IFSOCK).then_some(status.st_ino)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::socket::Channel;

    #[test]
    fn marker_survives_the_environment() {
        let marker = Marker {
            depth: 3,
            program_pid: 4_000_000,
            socket_inode: u64::MAX,
        };
        assert_eq!(Marker::from_text(&marker.to_text()), Some(marker));
    }

    #[test]
    fn what_is_set_by_hand_is_no_marker() {
        for text in [
            "",
            "1",
            "1:2",
            "::",
            "1:2:x",
            "-1:2:3",
            "1:2:3:4",
            "99999999999:1:1",
        ] {
            assert_eq!(Marker::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn marker_names_one_socket_only() {
        let (one, other) = Channel::pair().unwrap();
        let socket_inode = socket_inode(one.fd().as_fd()).unwrap();
        let marker = Marker {
            depth: 1,
            program_pid: 1,
            socket_inode,
        };
        assert!(marker.names(one.fd().as_fd()));
        assert!(!marker.names(other.fd().as_fd()));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!marker.names(file.as_fd()));
    }
}
