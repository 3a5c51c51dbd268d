//! The face of this room where processes cannot be run: every call that would need the kernel is an error.
//!
//! Responsible for: letting the crate, and every program that uses it, compile and be checked on any system. Not
//! responsible for running anything there: everything begins with a supervisor, and none can be started.
//!
//! Invariants: no value of a type that stands for something of the kernel's ever exists, so their methods have nothing
//! to do; the type [`Never`] inside says so to the compiler. Names and signatures are those of the Linux modules, as
//! far as other rooms use them.
//!
//! # Safety
//!
//! Functions are `unsafe` where those of Linux are. These do nothing.

#![expect(unsafe_code, reason = "functions that are unsafe on Linux are so here")]

pub(crate) mod confinement;
pub(crate) mod context;
pub(crate) mod crash;
pub(crate) mod start;

use std::io;

/// Stands where something of the kernel's would stand.
#[derive(Debug)]
enum Never {}

const WHERE_PROCESSES_RUN: &str =
    "worker processes run on Linux only: elsewhere call the jobs' functions themselves";

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        WHERE_PROCESSES_RUN,
    ))
}

pub(crate) mod errno {
    pub(crate) const EIO: i32 = 5;
    pub(crate) const EBADF: i32 = 9;
    pub(crate) const EMFILE: i32 = 24;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ENOENT: i32 = 2;
}

pub(crate) mod fd {
    use super::{Never, io, unsupported};

    #[derive(Debug)]
    pub(crate) struct Fd(Never);

    impl Fd {
        pub(super) fn never(&self) -> ! {
            match self.0 {}
        }

        pub(crate) fn leave_to_children(self) -> Fd {
            self.never()
        }

        pub(crate) fn become_same_as(&self, _other: &Fd) -> io::Result<()> {
            self.never()
        }

        pub(crate) fn duplicate(&self) -> io::Result<Fd> {
            self.never()
        }

        pub(crate) fn file_len(&self) -> io::Result<u64> {
            self.never()
        }

        pub(crate) fn allocated_len(&self) -> io::Result<u64> {
            self.never()
        }

        pub(crate) fn discard(&self, _offset: u64, _len: u64) -> io::Result<()> {
            self.never()
        }
    }

    pub(crate) fn hang_up_ours_except(_keep: &[&Fd]) -> io::Result<()> {
        unsupported()
    }

    /// # Safety
    ///
    /// Nothing to answer for.
    pub(crate) unsafe fn close_ours() {}
}

pub(crate) mod huge_pages {
    pub(crate) fn ask_for_huge_pages<T>(_memory: &mut [std::mem::MaybeUninit<T>]) {}
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

        pub(crate) fn show_to_children(&self) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn populate(&self, _offset: usize, _len: usize) -> io::Result<()> {
            match self.0 {}
        }

        pub(crate) fn protect_from_writes(&self, _offset: usize, _len: usize) -> io::Result<()> {
            match self.0 {}
        }
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

    pub(crate) fn wait_any(_words: &[(&AtomicU32, u32)], _timeout: Duration) {
        std::thread::yield_now();
    }

    pub(crate) fn wake(_word: &AtomicU32, _n_sleepers: u32) -> bool {
        false
    }
}

/// For sockets of the standard library's, which do exist here: a pause, and then each is said to be ready, which is for the
/// caller to see. It has to be prepared for that anyway: another may have been quicker.
pub(crate) mod poll {
    use std::time::Duration;

    use super::fd::Fd;
    use super::io;

    const PAUSE: Duration = Duration::from_millis(2);

    #[derive(Debug, Default)]
    pub(crate) struct PollSet {
        n_fds: usize,
    }

    impl PollSet {
        pub(crate) fn clear(&mut self) {
            self.n_fds = 0;
        }

        pub(crate) fn add(&mut self, fd: &Fd) -> usize {
            fd.never()
        }

        #[cfg(unix)]
        pub(crate) fn add_borrowed(&mut self, _fd: std::os::fd::BorrowedFd<'_>) -> usize {
            self.n_fds += 1;
            self.n_fds - 1
        }

        pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
            std::thread::sleep(timeout.map_or(PAUSE, |timeout| timeout.min(PAUSE)));
            Ok(self.n_fds)
        }

        pub(crate) fn is_ready(&self, index: usize) -> bool {
            index < self.n_fds
        }

        #[cfg(unix)]
        pub(crate) fn is_hung_up(&self, _index: usize) -> bool {
            false
        }
    }
}

pub(crate) mod file_lock {
    use std::fs::File;
    use std::time::Duration;

    /// Without turns: two that replace a stale file in the same moment may both believe to have it.
    pub(crate) fn take_turn(_file: File, _patience: Duration) -> Option<File> {
        None
    }
}

pub(crate) mod random {
    use std::fs::File;
    use std::io::{self, Read};

    pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
        File::open("/dev/urandom")?.read_exact(bytes)
    }
}

#[cfg(unix)]
pub(crate) mod unix_stream {
    use std::io;
    use std::os::unix::net::{SocketAddr, UnixStream};
    use std::time::Duration;

    /// Without a time limit: the standard library has none.
    pub(crate) fn connect_unix(address: &SocketAddr, _timeout: Duration) -> io::Result<UnixStream> {
        UnixStream::connect_addr(address)
    }
}

pub(crate) mod socket {
    use super::fd::Fd;
    use super::io;

    #[derive(Debug)]
    pub(crate) struct Channel(Fd);

    #[derive(Debug)]
    pub(crate) struct Received {
        pub(crate) len: usize,
        pub(crate) fds: Vec<Fd>,
    }

    impl Channel {
        pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
            super::unsupported()
        }

        pub(crate) fn from_fd(fd: Fd) -> Channel {
            Channel(fd)
        }

        pub(crate) fn leave_to_children(self) -> Channel {
            self.0.never()
        }

        pub(crate) fn fd(&self) -> &Fd {
            &self.0
        }

        pub(crate) fn send(&self, _bytes: &[u8], _fds: &[&Fd]) -> io::Result<()> {
            self.0.never()
        }

        pub(crate) fn is_hung_up(&self) -> bool {
            self.0.never()
        }

        pub(crate) fn try_send(&self, _bytes: &[u8], _fds: &[&Fd]) -> io::Result<()> {
            self.0.never()
        }

        pub(crate) fn recv(&self, _buffer: &mut [u8]) -> io::Result<Received> {
            self.0.never()
        }
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

    pub(crate) fn cpu_of(_pid: u32) -> io::Result<Duration> {
        unsupported()
    }
}

pub(crate) mod pidfd {
    use std::process::ExitStatus;
    use std::time::Duration;

    use super::fd::Fd;
    use super::{io, unsupported};

    pub(crate) const SIGTERM: i32 = 15;
    pub(crate) const SIGKILL: i32 = 9;
    pub(crate) const SIGCONT: i32 = 18;
    pub(crate) const SIGXCPU: i32 = 24;

    #[derive(Debug)]
    pub(crate) struct Pidfd(Fd);

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Ended {
        pub(crate) status: i32,
        pub(crate) cpu: Duration,
    }

    impl Pidfd {
        pub(crate) fn open(_pid: u32) -> io::Result<Pidfd> {
            unsupported()
        }

        pub(crate) fn fd(&self) -> &Fd {
            &self.0
        }

        pub(crate) fn has_ended(&self) -> bool {
            self.0.never()
        }

        pub(crate) fn kill(&self, _signal: i32) -> io::Result<()> {
            self.0.never()
        }

        pub(crate) fn is_stopped(&self) -> bool {
            self.0.never()
        }

        pub(crate) fn reap(&self) -> io::Result<Option<Ended>> {
            self.0.never()
        }
    }

    /// No child exists whose status could be asked for.
    pub(crate) fn exit_status(_raw: i32) -> ExitStatus {
        ExitStatus::default()
    }

    pub(crate) fn signal_name(_signal: i32) -> Option<&'static str> {
        None
    }
}

pub(crate) mod identity {
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(crate) fn pid() -> u32 {
        std::process::id()
    }

    /// Without a stamp: no other process of ours exists.
    pub(crate) fn identity() -> u64 {
        u64::from(pid()) << 32
    }

    /// Counted instead of asked for: it only has to be another for each thread.
    pub(crate) fn thread_id() -> u32 {
        static LAST: AtomicU32 = AtomicU32::new(0);
        thread_local! {
            static OWN: u32 = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        }
        OWN.with(|own| *own)
    }

    /// Whether it has ended is not known.
    pub(crate) fn is_own_thread(_thread: u32) -> bool {
        true
    }

    pub(crate) fn is_alive(other: u64) -> bool {
        other == identity()
    }
}

pub(crate) mod process {
    use std::time::Duration;

    use super::{io, unsupported};

    #[derive(Debug)]
    #[expect(dead_code, reason = "there is never a second process")]
    pub(crate) enum Forked {
        Parent(u32),
        Child,
    }

    #[derive(Clone, Copy, Debug)]
    pub(crate) struct OneThread(());

    impl OneThread {
        pub(crate) fn check() -> io::Result<Self> {
            unsupported()
        }

        pub(crate) fn fork(self) -> io::Result<Forked> {
            let Self(()) = self;
            unsupported()
        }
    }

    pub(crate) fn exit_now(code: i32) -> ! {
        std::process::exit(code)
    }

    pub(crate) fn kill_self() {}

    pub(crate) fn kill_after(_after: Duration) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn parent_pid() -> u32 {
        0
    }

    pub(crate) fn set_name(_name: &str) {}

    pub(crate) fn die_with_parent(_expected_parent: u32) -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn become_subreaper() -> io::Result<()> {
        unsupported()
    }

    pub(crate) fn kill_children_except(_keep: &[u32]) -> bool {
        false
    }

    pub(crate) fn kill_and_reap(_child: u32) {}
}

pub(crate) mod stdio {
    pub(crate) fn flush_stdio() {}
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

pub(crate) mod affinity {
    use super::{io, unsupported};

    pub(crate) fn pin(_place: usize) -> io::Result<()> {
        unsupported()
    }
}

pub(crate) mod thread {
    use std::io;

    pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let builder = std::thread::Builder::new().name(name.to_owned());
        builder.spawn(run).map(drop)
    }
}

pub(crate) mod signals {
    use super::{Never, io, unsupported};

    #[derive(Debug)]
    pub(crate) struct HeldBack(Never);

    pub(crate) fn ignore_for_supervisor() {}

    pub(crate) fn reset_for_worker() {}

    pub(crate) fn block_all() -> io::Result<HeldBack> {
        unsupported()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        AnyExecutor, ErrorKind, Executor, ExecutorKind, Pool, StartMethod, ThreadExecutor, job,
        pool_map, process_job,
    };

    #[test]
    fn whoever_asks_for_a_process_is_told_where_they_run() {
        for method in [StartMethod::ForkServer, StartMethod::Fork] {
            let error = Pool::builder().workers(1).start_method(method).build();
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Start);
            assert_eq!(
                error.to_string(),
                "failed to start the supervisor process: worker processes run on Linux only: elsewhere call the jobs' \
                 functions themselves"
            );
        }
    }

    #[process_job]
    fn square(x: u64) -> u64 {
        x * x
    }

    #[test]
    fn maps_run_in_the_caller() {
        assert_eq!(pool_map!(square, 0..4).unwrap(), [0, 1, 4, 9]);
        let executor = AnyExecutor::new().unwrap();
        assert_eq!(executor.kind(), ExecutorKind::Inline);
        let threads = ThreadExecutor::new(2).unwrap();
        assert_eq!(threads.map(job!(square), 0..4).unwrap(), [0, 1, 4, 9]);
    }
}
