//! How a supervisor comes to be.
//!
//! Responsible for starting the supervisor process, in one of two ways, up to the moment when it sits
//! down on its [`Seat`]; and for what both sides must know of the image they run. Does not know what a
//! supervisor does: it calls [`crate::supervisor::run`], the one place where this room looks upwards, since a
//! copy of the program has nobody else to ask.
//!
//! [`launch()`] executes the program's own file once more. Before that copy's `main`, the hook (or
//! [`init`], at its very beginning) sees the marker, lets the other constructors run, forks once more and becomes the
//! supervisor. [`fork_supervisor`] forks the program as it stands.
//!
//! ```text
//! program ── clone, execve ──▶ copy ── fork ──▶ supervisor ── hello, pidfd ──▶ program
//!    └─────────── reaps ──────────── _exit(0)
//! ```
//!
//! Invariants:
//! - A copy never runs the user's `main`. It is a copy if descriptor 3 is the socket that the marker names; then it
//!   becomes a supervisor or ends.
//! - Nothing is executed unless the file on disk is this image and the hook is known to work in it.
//! - The program waits for the copy by its socket and by its pidfd, so no death leaves it waiting; and whoever
//!   else in the program reaps children (`waitpid(-1)`, an ignored SIGCHLD) takes nothing that is needed.
//! - The supervisor is nobody's child that the program's own `waitpid(-1)` would wait for, except where the program is
//!   PID 1 or a subreaper: orphans go there.
//!
//! See execve(2), clone(2), environ(7), getauxval(3), pidfd_open(2).

mod copy;
mod error;
mod exec;
mod fork;
mod hello;
#[cfg(feature = "hook")]
mod hook;
pub(crate) mod image;
mod launch;
mod marker;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::sys::pidfd::Pidfd;
use crate::sys::socket::Channel;

pub(crate) use self::error::StartError;
pub(crate) use self::fork::fork_supervisor;
pub(crate) use self::launch::launch;

/// How deep pools may be nested: a pool in a job of a pool … Beyond it a job that makes a pool would be a fork bomb.
pub(crate) const MAX_DEPTH: u32 = 4;

/// The descriptor of the channel in a copy, until it is told otherwise.
const SOCKET_FD: i32 = 3;

/// What the program knows of its supervisor.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The control socket; closing it (all copies of it) tells the supervisor to leave.
    pub(crate) channel: Channel,
    /// To be polled: readable when the supervisor is gone. It cannot be waited for.
    pub(crate) supervisor: Pidfd,
}

/// What a supervisor has around it when it begins: one thread, the signals of
/// [`super::signals::ignore_for_supervisor`], open descriptors 0 to 2, and this.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The control socket.
    pub(crate) channel: Channel,
    /// To be polled beside it: a child that the user's code forked may hold the socket's other end open.
    pub(crate) program: Pidfd,
    /// Whether this process is a fork of the program, and its memory has whatever the program's had.
    pub(crate) inherits_program: bool,
}

/// 0 in a program, 1 in its supervisor and their workers, 2 in those of a pool inside a job …
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Whether something in this image has looked for the marker, as it will in a copy.
static HAS_LOOKED: AtomicBool = AtomicBool::new(false);

/// How many supervisors deep this process is: 0 in a program, 1 in its supervisor and workers, 2 in those of
/// a pool inside a job, and so on.
pub(crate) fn depth() -> u32 {
    // Relaxed: written before there is a second thread.
    DEPTH.load(Ordering::Relaxed)
}

/// The depth that a supervisor of this process will have.
fn depth_of_next() -> Result<u32, StartError> {
    let next = depth() + 1;
    if next > MAX_DEPTH {
        Err(StartError::TooDeep)
    } else {
        Ok(next)
    }
}

/// Makes worker processes possible in a program that has switched off the crate's feature `hook`.
///
/// Call it first in `main`, before any thread is started. In the program it returns at once. In the copy of the
/// program that is to be the supervisor it never returns, so everything before the call happens there too.
///
/// With the feature (the default) a hook before `main` does the same, and this is not needed; to call it does
/// no harm.
pub fn init() {
    copy::become_supervisor_if_copy(|| ());
}
