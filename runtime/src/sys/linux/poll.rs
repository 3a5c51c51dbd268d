//! Waiting for several descriptors at once.
//!
//! Responsible for: one wait, with a time limit that signals do not stretch. Not responsible for reading what came.
//!
//! Invariants: a descriptor that is closed under a waiting set is an error, not an endless loop.
//!
//! Man page: `poll(2)`.
//!
//! # Safety
//!
//! The kernel writes into the set's own buffer, only while `ppoll` runs.

#![expect(
    unsafe_code,
    reason = "nix's entries borrow their descriptors, so that a buffer of them cannot be kept"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::clock::timespec;
use super::fd::Fd;

/// Descriptors to wait for; a buffer to be cleared and filled again for every wait.
#[derive(Default)]
pub(crate) struct PollSet {
    entries: Vec<libc::pollfd>,
}

impl PollSet {
    /// Forgets all descriptors, keeps the room for them.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Adds a descriptor, which must stay open until after the wait; gives the index to ask for it with.
    pub(crate) fn add(&mut self, fd: &Fd) -> usize {
        self.add_raw(fd.raw())
    }

    /// As [`add`](Self::add), for a descriptor of the standard library's.
    pub(crate) fn add_borrowed(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.add_raw(fd.as_raw_fd())
    }

    fn add_raw(&mut self, fd: i32) -> usize {
        self.entries.push(libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        self.entries.len() - 1
    }

    /// Waits until a descriptor can be read or its other end is closed, for `timeout` at the longest (`None`: without
    /// end). Gives the number of those that are ready.
    ///
    /// # Errors
    ///
    /// Kind `InvalidInput` if a descriptor is not open.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        // A time beyond what the clock can hold is no limit.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let n_ready = loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match self.wait_once(left) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        match self
            .entries
            .iter()
            .find(|entry| entry.revents & libc::POLLNVAL != 0)
        {
            Some(closed) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("waited for descriptor {}, which is not open", closed.fd),
            )),
            None => Ok(n_ready),
        }
    }

    fn wait_once(&mut self, timeout: Option<Duration>) -> nix::Result<usize> {
        let timeout = timeout.map(timespec);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let n_entries = self.entries.len() as libc::nfds_t;
        // SAFETY:
        // - The first two arguments are this set's buffer and its length; it is borrowed for the call.
        // - `timeout` is null or points to a `timespec` of this frame; a null mask leaves the signals as they are.
        let n_ready =
            unsafe { libc::ppoll(self.entries.as_mut_ptr(), n_entries, timeout, ptr::null()) };
        // Not negative, as there was no error.
        Errno::result(n_ready).map(|n_ready| n_ready.unsigned_abs() as usize)
    }

    /// After a wait: whether the descriptor of this index can be read or its other end is closed.
    pub(crate) fn is_ready(&self, index: usize) -> bool {
        self.entries
            .get(index)
            .is_some_and(|entry| entry.revents != 0)
    }

    /// After a wait: whether nothing more will ever come from it, once it is read empty.
    pub(crate) fn is_hung_up(&self, index: usize) -> bool {
        self.entries
            .get(index)
            .is_some_and(|entry| entry.revents & libc::POLLHUP != 0)
    }
}

impl std::fmt::Debug for PollSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_set()
            .entries(self.entries.iter().map(|entry| entry.fd))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Channel;
    use crate::sys::testing::{in_child, watched};

    /// Of each descriptor, whether it is ready after one wait for all.
    fn poll(fds: &[&Fd], timeout: Option<Duration>) -> io::Result<Vec<bool>> {
        let mut set = PollSet::default();
        let indices: Vec<usize> = fds.iter().map(|fd| set.add(fd)).collect();
        set.wait(timeout)?;
        Ok(indices
            .into_iter()
            .map(|index| set.is_ready(index))
            .collect())
    }

    #[test]
    fn a_message_and_a_closed_end_are_told_and_silence_is_not() {
        watched(|| {
            let (silent, _silent_peer) = Channel::pair().unwrap();
            let (told, peer) = Channel::pair().unwrap();
            let (closed, closed_peer) = Channel::pair().unwrap();
            peer.send(b"told", &[]).unwrap();
            drop(closed_peer);
            let fds = [silent.fd(), told.fd(), closed.fd()];
            assert_eq!(poll(&fds, None).unwrap(), [false, true, true]);
        });
    }

    #[test]
    fn a_wait_without_news_ends_in_time() {
        watched(|| {
            let (silent, _peer) = Channel::pair().unwrap();
            let start = Instant::now();
            assert_eq!(
                poll(&[silent.fd()], Some(Duration::from_millis(20))).unwrap(),
                [false]
            );
            assert!(start.elapsed() >= Duration::from_millis(20));
            assert_eq!(poll(&[silent.fd()], Some(Duration::ZERO)).unwrap(), [false]);
        });
    }

    #[test]
    fn signals_neither_end_nor_stretch_a_wait() {
        extern "C" fn nothing(_signal: libc::c_int) {}
        watched(|| {
            in_child(|| {
                use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
                let action = SigAction::new(
                    SigHandler::Handler(nothing),
                    SaFlags::empty(),
                    SigSet::empty(),
                );
                // SAFETY: the handler does nothing, which is safe in a handler; this process runs only this test.
                unsafe { sigaction(Signal::SIGALRM, &action) }.unwrap();
                let tick = libc::timeval {
                    tv_sec: 0,
                    tv_usec: 5000,
                };
                let ticks = libc::itimerval {
                    it_interval: tick,
                    it_value: tick,
                };
                // SAFETY: the kernel reads `ticks` during the call and is given no place for the old value.
                unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const ticks, ptr::null_mut()) };
                let (silent, _peer) = Channel::pair().unwrap();
                let start = Instant::now();
                assert_eq!(
                    poll(&[silent.fd()], Some(Duration::from_millis(50))).unwrap(),
                    [false]
                );
                assert!(start.elapsed() >= Duration::from_millis(50));
            })
            .succeeds();
        });
    }

    #[test]
    fn a_set_is_filled_again_for_every_wait() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            let (other, _peer) = Channel::pair().unwrap();
            let mut set = PollSet::default();
            there.send(b"told", &[]).unwrap();
            let index = set.add(here.fd());
            assert_eq!(set.wait(Some(Duration::MAX)).unwrap(), 1);
            assert!(set.is_ready(index) && !set.is_ready(index + 1));
            set.clear();
            let index = set.add(other.fd());
            assert_eq!(set.wait(Some(Duration::ZERO)).unwrap(), 0);
            assert!(!set.is_ready(index));
        });
    }

    #[test]
    fn a_closed_descriptor_is_an_error() {
        watched(|| {
            in_child(|| {
                let mut set = PollSet::default();
                let (closed, _peer) = Channel::pair().unwrap();
                set.add(closed.fd());
                let expected = format!(
                    "waited for descriptor {}, which is not open",
                    closed.fd().raw()
                );
                drop(closed);
                assert_eq!(set.wait(None).unwrap_err().to_string(), expected);
            })
            .succeeds();
        });
    }
}
