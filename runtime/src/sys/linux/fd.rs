//! Owned file descriptors, and the record of which of them are the crate's own.
//!
//! Responsible for: closing each descriptor once, and for closing the crate's own ones in a child that was forked
//! from a running program (`StartMethod::Fork`). Not responsible for what a descriptor means.
//!
//! Invariants: an [`Fd`] is close-on-exec. The record holds the number of every living `Fd`, but those
//! [left to children](Fd::leave_to_children), and nothing else, so a descriptor of the user's is never touched.
//!
//! Man pages: `close(2)`, `dup(2)`, `fcntl(2)`.
//!
//! # Safety
//!
//! Numbers on record are acted upon though an `Fd` elsewhere owns them: `dup3` over them, after which the same `Fd`
//! owns what stands there; and closing them, in a process that never uses those `Fd`s again.

#![expect(unsafe_code, reason = "acts on numbers that an Fd elsewhere owns")]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, FdFlag, fallocate, fcntl};
use nix::sys::stat::fstat;

use super::socket::seqpacket_pair;

/// An open descriptor of the crate's, close-on-exec, closed on drop, and on record while it lives.
pub(crate) struct Fd(OwnedFd);

impl Fd {
    /// The number. It means nothing once this `Fd` is dropped.
    pub(crate) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Takes it off the record: children forked from here keep it open, for their own copy of this `Fd`.
    pub(crate) fn leave_to_children(self) -> Fd {
        record(self.raw(), false);
        self
    }

    /// Makes this number refer to what `other` refers to; what it referred to is closed.
    pub(crate) fn become_same_as(&self, other: &Fd) -> io::Result<()> {
        replace(self.raw(), &other.0)
    }

    /// A second descriptor of the same open file.
    pub(crate) fn duplicate(&self) -> io::Result<Fd> {
        Ok(Fd::from(self.0.try_clone()?))
    }

    /// The length of the file behind it, in bytes.
    pub(crate) fn file_len(&self) -> io::Result<u64> {
        Ok(u64::try_from(fstat(self)?.st_size).unwrap_or(0))
    }

    /// How many bytes of memory the file behind it has taken.
    pub(crate) fn allocated_len(&self) -> io::Result<u64> {
        Ok(u64::try_from(fstat(self)?.st_blocks).unwrap_or(0) * 512)
    }

    /// Gives the memory of `len` bytes from `offset` on back to the system; they read as zeros then, in every process.
    pub(crate) fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let whole = |n: u64| i64::try_from(n).map_err(|_too_long| Errno::EFBIG);
        Ok(fallocate(self, how, whole(offset)?, whole(len)?)?)
    }
}

/// Takes a descriptor that was opened close-on-exec.
impl From<OwnedFd> for Fd {
    fn from(descriptor: OwnedFd) -> Fd {
        debug_assert!(
            fcntl(&descriptor, FcntlArg::F_GETFD)
                .is_ok_and(|flags| flags & FdFlag::FD_CLOEXEC.bits() != 0),
            "descriptor {} would leak into programs that are executed",
            descriptor.as_raw_fd()
        );
        record(descriptor.as_raw_fd(), true);
        Fd(descriptor)
    }
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Fd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Fd").field(&self.raw()).finish()
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // Before the close that follows: afterwards another thread's new descriptor may have the number.
        record(self.raw(), false);
    }
}

/// In a child forked from the program: closes every descriptor that the crate has opened, except these.
///
/// The `Fd`s that own them live on in the child's copy of the memory and may still be used or dropped there, so
/// their numbers must not become free for somebody else's files. Each number is therefore made to refer to a socket
/// whose other end is closed: what it referred to is closed, the owner finds its peer gone, and its drop closes
/// what it owns.
///
/// # Errors
///
/// No two descriptors are free for that socket. Some may have been closed by then; the child should end.
pub(crate) fn hang_up_ours_except(keep: &[&Fd]) -> io::Result<()> {
    let (hung_up, other_end) = seqpacket_pair()?;
    drop(other_end);
    let kept = |number: &i32| keep.iter().any(|fd| fd.raw() == *number);
    recorded()
        .filter(|number| !kept(number))
        .try_for_each(|number| replace(number, &hung_up))
}

/// In a worker forked from a clean supervisor: closes every descriptor that the crate has opened.
///
/// Unlike [`hang_up_ours_except`] it leaves the numbers free: a job finds nothing open but what it expects.
///
/// # Safety
///
/// No `Fd` made before is used or dropped in this process any more. A worker never returns to the supervisor's
/// code, and a clean supervisor has no other.
pub(crate) unsafe fn close_ours() {
    for number in recorded() {
        record(number, false);
        // SAFETY:
        // - The number stood on record, so an `Fd` owns it; the caller promises that this `Fd` is never used again.
        // - This process has its own table of descriptors: the supervisor's is not touched.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
}

/// Makes `number` refer to what `replacement` refers to.
fn replace(number: i32, replacement: &OwnedFd) -> io::Result<()> {
    loop {
        // SAFETY:
        // - `number` stands on record, so an `Fd` of this process owns it, and goes on owning it.
        // - This process has its own table of descriptors: the parent's is not touched.
        let result = unsafe { libc::dup3(replacement.as_raw_fd(), number, libc::O_CLOEXEC) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

/// The numbers of the crate's own descriptors, a bit each.
///
/// Without a lock, which a fork could find held for ever. Numbers beyond it (few systems allow them) are not
/// recorded, and stay open in workers until those end.
static OURS: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

fn record(number: i32, is_open: bool) {
    let number = number.unsigned_abs() as usize;
    let (Some(word), bit) = (OURS.get(number / 64), 1 << (number % 64)) else {
        return;
    };
    // Relaxed: read only by a process that is alone with its copy.
    if is_open {
        word.fetch_or(bit, Ordering::Relaxed);
    } else {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

fn recorded() -> impl Iterator<Item = i32> {
    (0..).zip(&OURS).flat_map(|(index, word)| {
        let word = word.load(Ordering::Relaxed);
        (0..64)
            .filter(move |bit| word & (1 << bit) != 0)
            .map(move |bit| index * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{in_child, watched};
    use crate::sys::{Channel, memfd};

    fn is_recorded(number: i32) -> bool {
        recorded().any(|ours| ours == number)
    }

    #[test]
    fn the_record_holds_descriptors_while_they_live() {
        watched(|| {
            in_child(|| {
                let one = memfd("one", 4096).unwrap();
                let clone = one.duplicate().unwrap();
                let numbers = [one.raw(), clone.raw()];
                assert!(numbers.iter().all(|&number| is_recorded(number)));
                drop((one, clone));
                assert!(!numbers.iter().any(|&number| is_recorded(number)));
            })
            .succeeds();
        });
    }

    #[test]
    fn a_forked_child_closes_ours_and_nothing_of_the_users() {
        watched(|| {
            let (kept, peer_of_kept) = Channel::pair().unwrap();
            let (closed, peer_of_closed) = Channel::pair().unwrap();
            let users = std::fs::File::open("/proc/self/exe").unwrap();
            let child = in_child(move || {
                hang_up_ours_except(&[kept.fd(), peer_of_kept.fd()]).unwrap();
                // What is kept works, what is closed says so instead of reaching a stranger's file.
                kept.send(b"kept", &[]).unwrap();
                let mut buffer = [0; 16];
                assert_eq!(peer_of_kept.recv(&mut buffer).unwrap().len, 4);
                assert_eq!(closed.recv(&mut buffer).unwrap().len, 0);
                assert_eq!(
                    closed.send(b"lost", &[]).unwrap_err().raw_os_error(),
                    Some(libc::EPIPE)
                );
                assert!(users.metadata().unwrap().len() > 0);
                // The numbers are still taken, so a later file does not get one that a stale `Fd` would close.
                let numbers = [closed.fd().raw(), peer_of_closed.fd().raw()];
                let later = memfd("later", 4096).unwrap();
                assert!(!numbers.contains(&later.raw()));
                drop((closed, peer_of_closed));
                assert_eq!(nix::sys::stat::fstat(&later).unwrap().st_size, 4096);
            });
            child.succeeds();
        });
    }

    #[test]
    fn a_child_that_closes_ours_holds_no_lifeline_open() {
        watched(|| {
            let (ours, theirs) = Channel::pair().unwrap();
            let (ready, told) = Channel::pair().unwrap();
            let child = {
                let (ready_fd, ours_fd) = (ready.fd().duplicate().unwrap(), ours.fd().raw());
                in_child(move || {
                    let ready = Channel::from_fd(ready_fd);
                    hang_up_ours_except(&[ready.fd()]).unwrap();
                    ready.send(&ours_fd.to_le_bytes(), &[]).unwrap();
                    loop {
                        std::thread::park();
                    }
                })
            };
            assert_eq!(told.recv(&mut [0; 8]).unwrap().len, 4);
            drop(ours);
            assert_eq!(
                theirs.recv(&mut [0; 8]).unwrap().len,
                0,
                "the child still holds the other end"
            );
            drop(child);
        });
    }
}
