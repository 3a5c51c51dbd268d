//! The only room that calls the kernel: safe faces over `nix` and `libc`.
//!
//! It knows descriptors, memory, processes and clocks, and nothing of jobs, pools or the board. Whatever can
//! fail says so as [`std::io::Error`] with its errno; whatever a signal can interrupt is begun again here, so that
//! no caller has to know EINTR (but for [`futex`], whose callers loop anyway).
//!
//! Processes run on Linux. Elsewhere `unsupported` stands in with the same names, so that the crate compiles
//! anywhere; `--cfg procession_unsupported` chooses it on Linux too, to keep it compiling.

#[cfg(all(target_os = "linux", not(procession_unsupported)))]
mod linux;
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
pub(crate) use linux::*;

#[cfg(not(all(target_os = "linux", not(procession_unsupported))))]
mod unsupported;
#[cfg(not(all(target_os = "linux", not(procession_unsupported))))]
pub(crate) use unsupported::*;

mod cores;
mod per_process;

pub(crate) use clock::{cpu_of, monotonic_nanos};
pub(crate) use confinement::Confinement;
pub(crate) use context::Context;
pub(crate) use cores::n_cores;
pub(crate) use crash::{PanicReport, WordsBuffer, take_panic};
pub(crate) use errno::{EBADF, EINVAL, EIO, EMFILE, ENOENT};
pub(crate) use fd::Fd;
#[cfg(unix)]
pub(crate) use file_lock::take_turn;
pub(crate) use huge_pages::ask_for_huge_pages;
pub(crate) use identity::{identity, is_alive, pid};
pub(crate) use memory::{Mapping, memfd, page_size};
pub(crate) use memory_limits::{available_memory, total_memory};
pub(crate) use per_process::{PerProcess, lock};
pub(crate) use pidfd::{
    Ended, Pidfd, SIGCONT, SIGKILL, SIGTERM, SIGXCPU, exit_status, signal_name,
};
pub(crate) use poll::PollSet;
pub(crate) use process::{Forked, OneThread, exit_now, parent_pid};
#[cfg(unix)]
pub(crate) use random::fill_random;
pub(crate) use socket::Channel;
pub(crate) use start::{Launched, Seat, StartError, image};
pub(crate) use stdio::flush_stdio;
#[cfg(unix)]
pub(crate) use unix_stream::connect_unix;
pub(crate) use usage::{Rlimit, private_memory, resident_anonymous};
