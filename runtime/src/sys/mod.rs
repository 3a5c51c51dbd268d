//! The only room that calls the kernel: safe faces over `nix` and `libc`.
//!
//! It knows descriptors, memory, processes and clocks, and nothing of jobs, pools or the board. Whatever can
//! fail says so as [`std::io::Error`] with its errno; whatever a signal can interrupt is begun again here, so that
//! no caller has to know EINTR (but for [`futex`], whose callers loop anyway).
//!
//! Processes run on Linux. Elsewhere [`unsupported`] stands in with the same names, so that the crate compiles
//! anywhere; `--cfg procession_unsupported` chooses it on Linux too, to keep it compiling.

#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod fd;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod memory;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod memory_limits;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod futex;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod socket;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod pidfd;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod poll;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod process;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod clock;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod stdio;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod usage;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod stack;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod signals;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod context;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod crash;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) mod start;

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
pub(crate) mod testing;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
pub(crate) mod testing_alone;

#[cfg(any(not(target_os = "linux"), procession_unsupported))]
mod unsupported;
#[cfg(any(not(target_os = "linux"), procession_unsupported))]
pub(crate) use unsupported::{
    clock, context, crash, fd, futex, memory, memory_limits, pidfd, poll, process, signals, socket, start, stdio, usage,
};

pub(crate) use clock::{cpu_of, monotonic_nanos};
pub(crate) use context::Context;
pub(crate) use crash::{PanicReport, WordsBuffer, take_panic};
pub(crate) use fd::Fd;
pub(crate) use memory::{Mapping, memfd, page_size};
pub(crate) use memory_limits::total_memory;
pub(crate) use pidfd::{Ended, Pidfd, SIGKILL, SIGTERM, exit_status, signal_name};
pub(crate) use poll::PollSet;
pub(crate) use process::{Forked, exit_now, fork, parent_pid, pid};
pub(crate) use socket::Channel;
pub(crate) use start::{Launched, Seat, StartError, image};
pub(crate) use stdio::flush_stdio;
pub(crate) use usage::{Rlimit, private_memory, resident_anonymous};
