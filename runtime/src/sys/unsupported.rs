//! The face of this room where processes cannot be run: every call that would need the kernel is an error.
//!
//! Responsible for: letting the crate, and every program that uses it, compile and be checked on any system. Not
//! responsible for running anything there.
//!
//! Invariants: no value of a type that stands for something of the kernel's ever exists, so their methods have nothing
//! to do; the type `Never` inside says so to the compiler. The names and signatures are those of the Linux modules.

use std::io;

/// Stands where a descriptor would stand.
#[derive(Debug, Clone, Copy)]
enum Never {}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "procession runs processes on Linux only",
    ))
}

pub(crate) mod fd {
    use super::{Never, io, unsupported};

    #[derive(Debug)]
    pub(crate) struct Fd(Never);

    impl Fd {
        pub(crate) fn ours(fd: Fd) -> Fd {
            fd
        }

        pub(crate) fn raw(&self) -> i32 {
            match self.0 {}
        }

        pub(crate) fn try_clone(&self) -> io::Result<Fd> {
            match self.0 {}
        }
    }

    pub(crate) fn close_ours_except(_keep: &[&Fd]) -> io::Result<()> {
        unsupported()
    }
}

pub(crate) mod memory {
    use std::ptr::NonNull;

    use super::fd::Fd;
    use super::{Never, io, unsupported};

    pub(crate) fn memfd(_name: &str, _len: u64) -> io::Result<Fd> {
        unsupported()
    }

    #[derive(Debug)]
    pub(crate) struct Mapping(Never);

    impl Mapping {
        pub(crate) fn shared(_file: &Fd, _len: usize) -> io::Result<Mapping> {
            unsupported()
        }

        pub(crate) fn base(&self) -> NonNull<u8> {
            match self.0 {}
        }

        pub(crate) fn len(&self) -> usize {
            match self.0 {}
        }

        pub(crate) fn keep_from_children(&self) -> io::Result<()> {
            match self.0 {}
        }
    }

    pub(crate) fn reserve(_file: &Fd, _offset: u64, _len: u64) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn release(_file: &Fd, _offset: u64, _len: u64) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn page_size() -> usize {
        4096
    }
}

pub(crate) mod memory_limits {
    pub(crate) fn available_memory() -> u64 {
        u64::MAX
    }

    pub(crate) fn total_memory() -> u64 {
        u64::MAX
    }
}

pub(crate) mod futex {
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    /// A sleep may end at any time, so it may end at once.
    pub(crate) fn wait(_word: &AtomicU32, _expected: u32, _timeout: Option<Duration>) {
        std::thread::yield_now();
    }

    pub(crate) fn wake(_word: &AtomicU32, _n_sleepers: u32) {}
}

pub(crate) mod socket {
    use super::fd::Fd;
    use super::{io, unsupported};

    #[derive(Debug)]
    pub(crate) struct Channel {
        fd: Fd,
    }

    #[derive(Debug)]
    pub(crate) struct Received {
        pub(crate) len: usize,
        pub(crate) fds: Vec<Fd>,
    }

    impl Channel {
        pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
            unsupported()
        }

        pub(crate) fn from_fd(fd: Fd) -> Channel {
            Channel { fd }
        }

        pub(crate) fn fd(&self) -> &Fd {
            &self.fd
        }

        pub(crate) fn send(&self, _bytes: &[u8], _fds: &[&Fd]) -> io::Result<()> {
            unsupported()
        }

        pub(crate) fn try_send(&self, _bytes: &[u8], _fds: &[&Fd]) -> io::Result<()> {
            unsupported()
        }

        pub(crate) fn recv(&self, _buffer: &mut [u8]) -> io::Result<Received> {
            unsupported()
        }

        pub(crate) fn peer_pid(&self) -> io::Result<u32> {
            unsupported()
        }
    }
}

pub(crate) mod process {
    use super::{io, unsupported};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Forked {
        Parent(u32),
        Child,
    }

    pub(crate) fn fork() -> io::Result<Forked> {
        unsupported()
    }

    pub(crate) fn exit_now(code: i32) -> ! {
        std::process::exit(code)
    }

    pub(crate) fn pid() -> u32 {
        std::process::id()
    }

    pub(crate) fn parent_pid() -> u32 {
        0
    }

    pub(crate) fn n_threads() -> io::Result<usize> {
        unsupported()
    }

    pub(crate) fn set_name(_name: &str) {}

    pub(crate) fn die_with_parent(_expected_parent: u32) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn become_subreaper() -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn children() -> io::Result<Vec<u32>> {
        unsupported()
    }

    pub(crate) fn has_children() -> bool {
        false
    }
}

pub(crate) mod pidfd {
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::fd::Fd;
    use super::{io, unsupported};

    #[derive(Debug)]
    pub(crate) struct Pidfd {
        fd: Fd,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Ended {
        pub(crate) status: i32,
        pub(crate) cpu: Duration,
    }

    impl Pidfd {
        pub(crate) fn open(_pid: u32) -> io::Result<Pidfd> {
            unsupported()
        }

        pub(crate) fn of_self() -> io::Result<Pidfd> {
            unsupported()
        }

        pub(crate) fn from_fd(fd: Fd) -> Pidfd {
            Pidfd { fd }
        }

        pub(crate) fn fd(&self) -> &Fd {
            &self.fd
        }

        pub(crate) fn has_ended(&self) -> bool {
            true
        }

        pub(crate) fn kill(&self, _signal: i32) -> io::Result<()> {
            unsupported()
        }

        pub(crate) fn reap(&self) -> io::Result<Option<Ended>> {
            unsupported()
        }

        pub(crate) fn reap_blocking(&self) -> io::Result<Ended> {
            unsupported()
        }
    }

    pub(crate) fn wait_pid(_pid: u32) -> io::Result<()> {
        unsupported()
    }

    /// No child exists whose status could be asked for.
    pub(crate) fn exit_status(_raw: i32) -> ExitStatus {
        ExitStatus::default()
    }

    pub(crate) fn signal_name(_signal: i32) -> Option<&'static str> {
        None
    }
}

pub(crate) mod poll {
    use std::time::Duration;

    use super::fd::Fd;
    use super::{io, unsupported};

    #[derive(Debug, Default)]
    pub(crate) struct PollSet;

    impl PollSet {
        pub(crate) fn new() -> PollSet {
            PollSet
        }

        pub(crate) fn clear(&mut self) {}

        pub(crate) fn add(&mut self, fd: &Fd) -> usize {
            fd.raw() as usize
        }

        pub(crate) fn wait(&mut self, _timeout: Option<Duration>) -> io::Result<usize> {
            unsupported()
        }

        pub(crate) fn is_ready(&self, _index: usize) -> bool {
            false
        }
    }

    pub(crate) fn poll(_fds: &[&Fd], _timeout: Option<Duration>) -> io::Result<Vec<bool>> {
        unsupported()
    }
}

pub(crate) mod clock {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    use super::{io, unsupported};

    pub(crate) fn monotonic_nanos() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }

    pub(crate) fn process_cpu_nanos() -> u64 {
        0
    }

    pub(crate) fn cpu_of(_pid: u32) -> io::Result<Duration> {
        unsupported()
    }
}

pub(crate) mod usage {
    use super::{io, unsupported};

    pub(crate) fn resident_anonymous(_pid: u32) -> io::Result<u64> {
        unsupported()
    }

    pub(crate) fn private_memory(_pid: u32) -> io::Result<u64> {
        unsupported()
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Rlimit {
        pub(crate) soft: u64,
        pub(crate) hard: u64,
    }

    pub(crate) fn raise_file_limit() -> io::Result<Rlimit> {
        unsupported()
    }

    pub(crate) fn restore_file_limit(_limit: Rlimit) -> io::Result<()> {
        unsupported()
    }
}

pub(crate) mod stdio {
    use std::io::Write;

    use super::{io, unsupported};

    pub(crate) fn flush_stdio() {
        let _flushed = io::stdout().flush();
    }

    pub(crate) fn ensure_standard_fds() -> io::Result<()> {
        unsupported()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn whoever_asks_for_a_process_is_told_where_they_run() {
        let error = super::process::fork().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "procession runs processes on Linux only");
    }
}
