//! `StartMethod::Fork`: the supervisor is a fork of the program as it stands.
//!
//! Responsible for refusing a program with threads, and for the two forks. Does not close the descriptors of
//! the user: the supervisor and its workers share them, as they share the memory.
//!
//! Invariant: in the child, control never returns into the caller's code.
//!
//! See fork(2), "A process shall be created with a single thread".

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use super::copy::{give_up, sit_down_in_a_child};
use super::error::StartError;
use super::launch::{FirstChild, wait_for_hello};
use super::{DEPTH, Launched, Seat, depth_of_next};
use crate::sys::fd;
use crate::sys::memory::fill_gaps_of_hidden_mappings;
use crate::sys::pidfd::Pidfd;
use crate::sys::process::{Forked, fork, n_threads};
use crate::sys::signals;
use crate::sys::socket::Channel;
use crate::sys::stdio;

/// Forks a supervisor that calls `run` and has the whole memory of this moment, copy-on-write. What `run` borrows from the
/// caller's frames it has for ever: in the child they are never left.
///
/// # Errors
///
/// When the program has more than one thread: what the others hold locked would stay so for ever in the
/// child. When supervisors are nested too deep. When the kernel refuses a call.
pub(crate) fn fork_supervisor(
    run: impl FnOnce(Seat) -> Infallible,
) -> Result<Launched, StartError> {
    let depth = depth_of_next()?;
    let n_threads = n_threads().map_err(StartError::proc)?;
    if n_threads != 1 {
        return Err(StartError::ForkWithThreads { n_threads });
    }
    let program = Pidfd::of_self().map_err(StartError::system("pidfd_open"))?;
    let (ours, theirs) = Channel::pair().map_err(StartError::system("socketpair"))?;

    // What is buffered now would be written once by the program and once more by each worker.
    stdio::flush_stdio();
    // A handler for SIGCHLD that reaps whatever it finds is kept out until the child has a pidfd.
    let all_blocked = signals::block_all().map_err(StartError::system("rt_sigprocmask"))?;
    match fork().map_err(StartError::system("fork"))? {
        Forked::Child => {
            // First of all, before anything is mapped here.
            if let Err(error) = fill_gaps_of_hidden_mappings() {
                give_up(&theirs, StartError::system("mmap")(error));
            }
            drop(ours);
            DEPTH.store(depth, Ordering::Relaxed);
            // Otherwise this process would hold the lifelines of the program's other supervisors.
            if let Err(error) = fd::hang_up_ours_except(&[theirs.fd(), program.fd()]) {
                give_up(&theirs, StartError::system("socketpair")(error));
            }
            let (channel, error) = sit_down_in_a_child(
                Seat {
                    channel: theirs,
                    program,
                    inherits_program: true,
                },
                run,
            );
            give_up(&channel, error)
        }
        Forked::Parent(pid) => {
            let first_child = FirstChild::open(pid);
            drop(all_blocked);
            drop(theirs);
            wait_for_hello(ours, first_child)
        }
    }
}
