//! `StartMethod::ForkServer`: the supervisor is a fresh copy of the program that stops before `main`.
//!
//! Responsible for finding out before the exec whether a copy could become a supervisor, and for waiting for
//! its hello. The exec itself is [`super::exec`]'s, the copy's side [`super::copy`]'s.
//!
//! Invariant: no wait outlives the process that is waited for.
//!
//! See waitid(2), pidfd_open(2), poll(2).

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::parent_id;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::unistd::{getegid, geteuid, getgid, getuid};

use super::copy::{EXIT_PRIVILEGED, is_privileged};
use super::error::StartError;
use super::exec::execute_self;
use super::hello::{self, Hello};
use super::marker::{self, Marker, socket_inode};
use super::{HAS_LOOKED, Launched, depth_of_next, image};
use crate::sys::pidfd::{Pidfd, exit_status};
use crate::sys::poll::PollSet;
use crate::sys::socket::Channel;

/// Executes the program's own file once more; the copy becomes a supervisor.
///
/// The copy has the program's arguments and environment, its standard streams, and no other descriptor of it.
///
/// # Errors
///
/// When it is certain before the exec that the copy would not become a supervisor, when the kernel refuses a
/// call, when the copy dies or says that it cannot. In every case no process is left.
pub(crate) fn launch() -> Result<Launched, StartError> {
    let marker_without_socket = check_that_a_copy_would_work()?;
    let (ours, theirs) = Channel::pair().map_err(StartError::system("socketpair"))?;
    let Some(socket_inode) = socket_inode(theirs.fd().as_fd()) else {
        return Err(StartError::system("fstat")(io::Error::last_os_error()));
    };
    let marker = Marker {
        socket_inode,
        ..marker_without_socket
    };
    let copy = execute_self(theirs.fd(), (marker::NAME, &marker.to_text()))?;
    // The copy's end must be the copy's alone, or its death would not close it.
    drop(theirs);
    wait_for_hello(ours, FirstChild(Some(copy)))
}

fn check_that_a_copy_would_work() -> Result<Marker, StartError> {
    let depth = depth_of_next()?;
    // Relaxed: set before `main`, or by the user's call, which came before this one.
    if !HAS_LOOKED.load(Ordering::Relaxed) {
        return Err(StartError::NotInitialised);
    }
    if Marker::from_environment().is_some_and(|marker| marker.program_pid == parent_id()) {
        return Err(StartError::CopyWentAstray);
    }
    if is_privileged() {
        return Err(StartError::Privileged);
    }
    // The kernel would set AT_SECURE in the copy, which then must not become a supervisor.
    if getuid() != geteuid() || getgid() != getegid() {
        return Err(StartError::ForeignIds);
    }
    if !image::is_on_disk().map_err(StartError::proc)? {
        let executable = std::fs::read_link("/proc/self/exe").unwrap_or_default();
        return Err(StartError::ImageElsewhere {
            executable: executable.into(),
        });
    }
    Ok(Marker {
        depth,
        program_pid: std::process::id(),
        socket_inode: 0,
    })
}

/// The child that the program has for a moment: it forks the supervisor and ends.
///
/// `None` if somebody else has already reaped it.
#[derive(Debug)]
pub(super) struct FirstChild(Option<Pidfd>);

impl FirstChild {
    /// The child `pid`. Call it before a handler for SIGCHLD can run.
    pub(super) fn open(pid: u32) -> FirstChild {
        // The one error to be expected: SIGCHLD is ignored, and the child is already gone.
        FirstChild(Pidfd::open(pid).ok())
    }
}

/// Waits until the supervisor says that it is there, or is known to be dead.
pub(super) fn wait_for_hello(
    channel: Channel,
    FirstChild(mut first_child): FirstChild,
) -> Result<Launched, StartError> {
    let mut how_it_ended = None;
    let result = loop {
        // The first child ends when all is well, too: then the supervisor holds the other end of the channel.
        let wait_for_child = first_child.as_ref();
        let channel_is_ready =
            wait_for_either(&channel, wait_for_child).map_err(StartError::system("poll"))?;
        if channel_is_ready {
            break receive_hello(channel)?;
        }
        if let Some(ended) = first_child.take() {
            how_it_ended = reap(&ended);
            // No end of the socket is left, or a hello is on its way: both make the channel readable. Unless a
            // process that a constructor started holds on to it; so a death is taken for what it is.
            if how_it_ended.is_some_and(|status| !status.success()) {
                break if is_readable(&channel).map_err(StartError::system("poll"))? {
                    receive_hello(channel)?
                } else {
                    None
                };
            }
        }
    };
    if let Some(ended) = &first_child {
        how_it_ended = reap(ended);
    }
    match result {
        Some((channel, Hello::Ready, Some(supervisor))) => Ok(Launched {
            channel,
            supervisor,
        }),
        Some((_, Hello::Failed(error), _)) => Err(error),
        _ if how_it_ended.and_then(|status| status.code()) == Some(EXIT_PRIVILEGED) => {
            Err(StartError::Privileged)
        }
        _ => Err(StartError::Died {
            how: how_it_ended.map(|status| status.to_string()),
        }),
    }
}

type HelloWithFd = Option<(Channel, Hello, Option<Pidfd>)>;

/// `None` if the other end is closed.
fn receive_hello(channel: Channel) -> Result<HelloWithFd, StartError> {
    let mut bytes = [0; hello::MAX_BYTES];
    let received = channel
        .recv(&mut bytes)
        .map_err(StartError::system("recvmsg"))?;
    let hello = Hello::from_bytes(&bytes[..received.len]);
    Ok(hello.map(|hello| {
        (
            channel,
            hello,
            received.fds.into_iter().next().map(Pidfd::from_fd),
        )
    }))
}

/// Waits until the channel has a message or is closed, or the child has ended; whether the channel is ready.
fn wait_for_either(channel: &Channel, child: Option<&Pidfd>) -> io::Result<bool> {
    let mut both = PollSet::default();
    let channel = both.add(channel.fd());
    if let Some(child) = child {
        both.add(child.fd());
    }
    both.wait(None)?;
    Ok(both.is_ready(channel))
}

fn is_readable(channel: &Channel) -> io::Result<bool> {
    let mut one = PollSet::default();
    one.add(channel.fd());
    Ok(one.wait(Some(Duration::ZERO))? > 0)
}

/// Waits for the end of a child that is about to end. `None` if somebody else has reaped it, or nobody needs to.
pub(super) fn reap(child: &Pidfd) -> Option<ExitStatus> {
    let ended = child.reap_blocking().ok()?;
    Some(exit_status(ended.status))
}
