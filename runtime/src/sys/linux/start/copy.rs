//! The copy's side: from the marker in the environment to the supervisor's seat.
//!
//! Responsible for telling a copy from a program, and for everything that a copy does until
//! [`crate::supervisor::run`] begins. Does not find or call constructors ([`super::hook`] does).
//!
//! Invariants:
//! - In a process whose descriptor 3 is not the socket that the marker names, nothing changes and nothing is written.
//! - In a process where it is, control never returns from here: `main` was the program's, and is not run twice.
//! - A process with rights by its file (`AT_SECURE`) never takes an order: whoever started it chose its environment
//!   and its descriptors. It ends instead, since its `main` is not to run twice either.
//!
//! # Safety
//!
//! Runs before `main`, or first in it, in a process with one thread (checked before the supervisor begins).
#![expect(
    unsafe_code,
    reason = "an inherited descriptor is adopted, the environment is changed"
)]

use std::convert::Infallible;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::error::StartError;
use super::hello::Hello;
use super::marker::{self, Marker};
use super::{DEPTH, HAS_LOOKED, SOCKET_FD, Seat};
use crate::sys::fd::Fd;
use crate::sys::pidfd::Pidfd;
use crate::sys::process::{Forked, exit_now, fork, n_threads};
use crate::sys::signals;
use crate::sys::socket::Channel;
use crate::sys::stdio;

/// The code with which a copy ends that failed, when it could say why in its hello.
pub(super) const EXIT_SAID_WHY: i32 = 1;

/// The code with which a copy ends that found `AT_SECURE`.
pub(super) const EXIT_PRIVILEGED: i32 = 77;

/// Returns at once in a program; in a copy it calls `run_constructors`, becomes the supervisor and never returns.
pub(super) fn become_supervisor_if_copy(run_constructors: impl FnOnce()) {
    // Relaxed: read by threads that are started later.
    HAS_LOOKED.store(true, Ordering::Relaxed);
    let Some(marker) = Marker::from_environment() else {
        return;
    };
    // SAFETY: only asked what it is, if anything, while it is certain that nothing closes it.
    let socket = unsafe { BorrowedFd::borrow_raw(SOCKET_FD) };
    if !marker.names(socket) {
        return;
    }
    if is_privileged() {
        exit_now(EXIT_PRIVILEGED);
    }
    // SAFETY: open (it is the socket that the marker names), made for this process by its parent, and nothing
    // else in this image knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(SOCKET_FD) };
    // Cannot fail for an open descriptor. An `Fd` is close-on-exec from the start.
    let _ = fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
    let channel = Channel::from_fd(Fd::from(socket));
    let failed = match prepare(marker, &channel, run_constructors) {
        Ok(program) => {
            let seat = Seat {
                channel,
                program,
                inherits_program: false,
            };
            sit_down_in_a_child(seat, |seat| crate::supervisor::run(seat, None))
        }
        Err(error) => (channel, error),
    };
    let (channel, error) = failed;
    give_up(&channel, error)
}

/// Whether the kernel gave this process rights that the one that started it does not have.
pub(super) fn is_privileged() -> bool {
    // SAFETY: reads a word that the kernel left at the start of the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Everything between the marker and the last fork; returns the program.
fn prepare(
    marker: Marker,
    channel: &Channel,
    run_constructors: impl FnOnce(),
) -> Result<Pidfd, StartError> {
    // First of all, so that no constructor, job or process started by one ever sees it.
    // SAFETY: one thread; a constructor that has started others is found below, and this copy ends.
    unsafe { std::env::remove_var(marker::NAME) };
    DEPTH.store(marker.depth, Ordering::Relaxed);
    // Before anything else is opened, which would become a standard stream.
    stdio::ensure_standard_fds().map_err(StartError::system("open /dev/null"))?;

    let peer_pid = channel
        .peer_pid()
        .map_err(StartError::system("getsockopt(SO_PEERCRED)"))?;
    if !channel.is_seqpacket() || peer_pid != parent_id() || peer_pid != marker.program_pid {
        return Err(StartError::NotTheParent);
    }
    let program = Pidfd::open(peer_pid).map_err(StartError::system("pidfd_open"))?;
    // The number may have been given to another process before it was opened, but not while its owner was
    // still our parent.
    if parent_id() != peer_pid {
        return Err(StartError::NotTheParent);
    }

    run_constructors();
    let n_threads = n_threads().map_err(StartError::proc)?;
    if n_threads != 1 {
        return Err(StartError::ConstructorThreads { n_threads });
    }
    Ok(program)
}

/// Forks; the child becomes the supervisor, this process ends. Returns only if the fork failed.
///
/// The program reaps this process, and the supervisor is not its child.
pub(super) fn sit_down_in_a_child(
    seat: Seat,
    run: impl FnOnce(Seat) -> Infallible,
) -> (Channel, StartError) {
    match fork() {
        Ok(Forked::Parent(_)) => exit_now(0),
        Ok(Forked::Child) => sit_down(seat, run),
        Err(source) => (seat.channel, StartError::system("fork")(source)),
    }
}

fn sit_down(seat: Seat, run: impl FnOnce(Seat) -> Infallible) -> ! {
    signals::ignore_for_supervisor();
    let this = match Pidfd::of_self() {
        Ok(this) => this,
        Err(source) => give_up(&seat.channel, StartError::system("pidfd_open")(source)),
    };
    let hello = Hello::Ready.to_bytes();
    if seat.channel.send(&hello, &[this.fd()]).is_err() {
        // The program is gone, or has closed its end: there is nobody to serve or to tell.
        exit_now(EXIT_SAID_WHY);
    }
    drop(this);
    // Under Fork the caller's frames lie below: a panic must not unwind into them.
    let Err(_panic) = catch_unwind(AssertUnwindSafe(|| run(seat)));
    exit_now(101)
}

/// Says why, as far as anybody listens, and ends the process.
pub(super) fn give_up(channel: &Channel, error: StartError) -> ! {
    // Nobody is left to tell if this fails; the program learns of the end by its socket.
    let _ = channel.send(&Hello::Failed(error).to_bytes(), &[]);
    exit_now(EXIT_SAID_WHY)
}
