//! The rooms on Linux, 5.10 or later, in reading order: from one descriptor to a running supervisor.

pub(crate) mod errno;
pub(crate) mod fd;
pub(crate) mod file_lock;

pub(crate) mod huge_pages;
pub(crate) mod memory;
pub(crate) mod memory_limits;

pub(crate) mod futex;
pub(crate) mod poll;
pub(crate) mod socket;
pub(crate) mod unix_stream;

pub(crate) mod affinity;
pub(crate) mod clock;
pub(crate) mod identity;
pub(crate) mod pidfd;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod stdio;
pub(crate) mod usage;

pub(crate) mod confinement;
pub(crate) mod context;
pub(crate) mod crash;
pub(crate) mod signals;
pub(crate) mod stack;
pub(crate) mod start;
pub(crate) mod thread;

#[cfg(test)]
pub(crate) mod testing;
