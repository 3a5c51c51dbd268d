//! Following a process to its end.
//!
//! Responsible for: handles of processes, their deaths, how they died and what they cost. Not responsible for what a
//! death means.
//!
//! Invariants: a handle means one process for ever, whatever becomes of its number.
//!
//! Man pages: `pidfd_open(2)`, `pidfd_send_signal(2)`, `waitid(2)`, `wait(2)`, `signal(7)`.
//!
//! # Safety
//!
//! The system calls that the C library does not wrap are made directly; each writes at most into variables of the
//! calling frame.

#![expect(
    unsafe_code,
    reason = "pidfd_open, pidfd_send_signal and waitid with its fifth argument have no wrapper"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::signal::Signal;

use super::fd::Fd;
use super::process::pid;

/// Asks a process to end.
pub(crate) const SIGTERM: i32 = libc::SIGTERM;
/// Has a stopped process go on.
pub(crate) const SIGCONT: i32 = libc::SIGCONT;
/// Tells a process that it has used up its processor time.
pub(crate) const SIGXCPU: i32 = libc::SIGXCPU;
/// Ends a process.
pub(crate) const SIGKILL: i32 = libc::SIGKILL;

/// A handle of a process.
#[derive(Debug)]
pub(crate) struct Pidfd {
    fd: Fd,
}

/// The end of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// As `wait(2)` gives it; [`exit_status`] makes it readable.
    pub(crate) status: i32,
    /// The time on processors of the child, and of its own children as far as it has reaped them.
    pub(crate) cpu: Duration,
}

impl Pidfd {
    /// Opens the process that has this pid now. For a child not yet reaped that is certainly the child.
    pub(crate) fn open(pid: u32) -> io::Result<Pidfd> {
        let no_such_process = |_too_large| Errno::ESRCH;
        let pid = libc::pid_t::try_from(pid).map_err(no_such_process)?;
        // SAFETY: two numbers go in, a descriptor or an error comes out; no memory is touched.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let number = Errno::result(opened)? as i32;
        // SAFETY: the kernel has just opened this descriptor, close-on-exec, and told it to nobody else.
        let owned = unsafe { OwnedFd::from_raw_fd(number) };
        Ok(Pidfd::from_fd(owned.into()))
    }

    /// Opens this process, for handing to others.
    pub(crate) fn of_self() -> io::Result<Pidfd> {
        Pidfd::open(pid())
    }

    /// Takes a handle that came from another process. It counts as the crate's own from here on.
    pub(crate) fn from_fd(fd: Fd) -> Pidfd {
        Pidfd { fd }
    }

    /// The descriptor: readable when the process has ended.
    pub(crate) fn fd(&self) -> &Fd {
        &self.fd
    }

    /// Whether the process has ended, reaped or not.
    pub(crate) fn has_ended(&self) -> bool {
        let mut look = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        nix::poll::poll(&mut look, PollTimeout::ZERO).is_ok_and(|n_ready| n_ready > 0)
    }

    /// Sends a signal. To a process that has ended but is not reaped that does nothing; afterwards it is ESRCH.
    pub(crate) fn kill(&self, signal: i32) -> io::Result<()> {
        let no_details = ptr::null::<libc::siginfo_t>();
        // SAFETY: the descriptor is open; without details the kernel reads no memory of this process.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.raw(),
                signal,
                no_details,
                0,
            )
        };
        Ok(Errno::result(sent).map(drop)?)
    }

    /// If this child has ended, takes note of its end, once; `None` if it lives.
    ///
    /// # Errors
    ///
    /// ECHILD: not a child of this process, or reaped already.
    pub(crate) fn reap(&self) -> io::Result<Option<Ended>> {
        self.wait(libc::WEXITED | libc::WNOHANG)
    }

    /// Waits for the end of this child and takes note of it, once. Errors as for [`reap`](Self::reap).
    pub(crate) fn reap_blocking(&self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.wait(libc::WEXITED)? {
                return Ok(ended);
            }
        }
    }

    /// Whether this child is stopped, as by SIGSTOP; a tracer's stops do not count.
    pub(crate) fn is_stopped(&self) -> bool {
        let stopped = self.wait(libc::WSTOPPED | libc::WNOHANG | libc::WNOWAIT);
        matches!(stopped, Ok(Some(_)))
    }

    fn wait(&self, options: i32) -> io::Result<Option<Ended>> {
        // SAFETY: for this C struct of integers and pointers all zeros is a value: no process.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        // SAFETY: for this C struct of integers all zeros is a value: nothing used.
        let mut usage: libc::rusage = unsafe { mem::zeroed() };
        loop {
            // SAFETY: the kernel writes into `info` and `usage`, variables of this frame, while the call runs. The
            // arguments are those of waitid(2) and, as the raw call has it, a fifth for the child's usage.
            let waited = unsafe {
                libc::syscall(
                    libc::SYS_waitid,
                    libc::P_PIDFD,
                    self.fd.raw(),
                    &raw mut info,
                    options,
                    &raw mut usage,
                )
            };
            match Errno::result(waited) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => break,
            }
        }
        // SAFETY: what waitid fills has this field; where there is nothing to tell, it is zero as it was.
        if unsafe { info.si_pid() } == 0 {
            return Ok(None);
        }
        // SAFETY: it has told of a child's end or stop, so the fields of SIGCHLD are filled.
        let detail = unsafe { info.si_status() };
        let status = match info.si_code {
            libc::CLD_EXITED => (detail & 0xff) << 8,
            // The bit says that a core was dumped.
            libc::CLD_DUMPED => detail | 0x80,
            // CLD_KILLED, or CLD_STOPPED where that was asked for.
            _ => detail,
        };
        Ok(Some(Ended {
            status,
            cpu: duration(usage.ru_utime) + duration(usage.ru_stime),
        }))
    }
}

fn duration(time: libc::timeval) -> Duration {
    // Times used are never negative.
    Duration::from_secs(time.tv_sec.unsigned_abs())
        + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// Makes a wait status readable.
pub(crate) fn exit_status(raw: i32) -> ExitStatus {
    ExitStatus::from_raw(raw)
}

/// The name of a signal, like `SIGSEGV`; `None` for real-time ones and for what is none.
pub(crate) fn signal_name(signal: i32) -> Option<&'static str> {
    Signal::try_from(signal).ok().map(Signal::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::exit_now;
    use crate::sys::testing::{in_child, watched};
    use crate::sys::{Channel, PollSet, cpu_of};

    fn sleep_forever() {
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn a_child_that_is_killed_tells_its_signal_once() {
        watched(|| {
            let child = in_child(sleep_forever);
            let pidfd = child.pidfd();
            assert!(!pidfd.has_ended());
            assert_eq!(pidfd.reap().unwrap(), None);
            pidfd.kill(libc::SIGKILL).unwrap();
            let ended = pidfd.reap_blocking().unwrap();
            assert_eq!(exit_status(ended.status).signal(), Some(libc::SIGKILL));
            assert!(pidfd.has_ended());
            assert_eq!(pidfd.reap().unwrap_err().raw_os_error(), Some(libc::ECHILD));
            assert_eq!(
                pidfd.kill(libc::SIGKILL).unwrap_err().raw_os_error(),
                Some(libc::ESRCH)
            );
        });
    }

    #[test]
    fn a_stop_is_seen_as_long_as_it_lasts() {
        watched(|| {
            let child = in_child(sleep_forever);
            let pidfd = child.pidfd();
            assert!(!pidfd.is_stopped());
            pidfd.kill(libc::SIGSTOP).unwrap();
            while !pidfd.is_stopped() {}
            assert!(pidfd.is_stopped(), "to look changes nothing");
            pidfd.kill(libc::SIGCONT).unwrap();
            while pidfd.is_stopped() {}
            pidfd.kill(libc::SIGKILL).unwrap();
            pidfd.reap_blocking().unwrap();
            assert!(!pidfd.is_stopped());
        });
    }

    #[test]
    fn a_child_that_exits_tells_its_code() {
        watched(|| {
            for code in [0, 3, 255] {
                let ended = in_child(|| exit_now(code)).pidfd().reap_blocking().unwrap();
                assert_eq!(exit_status(ended.status).code(), Some(code));
            }
        });
    }

    #[test]
    fn the_time_of_a_child_is_counted() {
        watched(|| {
            let busy = Duration::from_millis(30);
            let child = in_child(|| while cpu_of(pid()).unwrap() < busy {});
            let ended = child.pidfd().reap_blocking().unwrap();
            assert!(
                ended.cpu >= busy && ended.cpu < 100 * busy,
                "{:?}",
                ended.cpu
            );
        });
    }

    #[test]
    fn a_process_that_is_no_child_can_be_followed_but_not_reaped() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            let followed = in_child(|| {
                there
                    .send(b"self", &[Pidfd::of_self().unwrap().fd()])
                    .unwrap();
                sleep_forever();
            });
            let received = here.recv(&mut [0; 4]).unwrap();
            let pidfd = Pidfd::from_fd(received.fds.into_iter().next().unwrap());
            let follower = in_child(|| {
                let error = pidfd.reap().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::ECHILD));
                let mut ends = PollSet::default();
                let end = ends.add(pidfd.fd());
                there.send(b"ready", &[]).unwrap();
                ends.wait(None).unwrap();
                assert!(ends.is_ready(end) && pidfd.has_ended());
            });
            assert_eq!(here.recv(&mut [0; 8]).unwrap().len, 5);
            followed.kill();
            follower.succeeds();
        });
    }

    #[test]
    fn a_number_that_no_process_can_have_is_no_process() {
        assert_eq!(
            Pidfd::open(u32::MAX).unwrap_err().raw_os_error(),
            Some(libc::ESRCH)
        );
    }

    #[test]
    fn signals_have_their_names() {
        assert_eq!(signal_name(libc::SIGSEGV), Some("SIGSEGV"));
        assert_eq!(signal_name(libc::SIGKILL), Some("SIGKILL"));
        assert_eq!(signal_name(libc::SIGRTMIN()), None);
        assert_eq!(signal_name(0), None);
        assert_eq!(signal_name(-1), None);
    }
}
