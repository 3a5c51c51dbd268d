//! Channels between two processes: whole messages of bytes, with descriptors beside them.
//!
//! Responsible for: one message sent, one message received, nothing leaked on the way. Not responsible for what the
//! bytes mean, nor for trust: a receiver checks what it was sent.
//!
//! Invariants: a message arrives whole or is an error; its descriptors arrive all, close-on-exec and owned, or are
//! all closed. A message has at least one byte, so that none at all means the other end is closed.
//!
//! Man pages: `unix(7)` (SOCK_SEQPACKET, SCM_RIGHTS, SO_PEERCRED), `sendmsg(2)`, `recvmsg(2)`, `cmsg(3)`.
//!
//! # Safety
//!
//! Written out over `libc`: where a message's descriptors do not all fit, `nix` gives an error and leaks those that
//! did. The kernel reads and writes buffers of this process only while a call runs, and reports in the header how
//! much it wrote; control messages are walked with the macros of `cmsg(3)`, within that length.

#![expect(
    unsafe_code,
    reason = "control messages are read through pointers, received descriptors are adopted"
)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::fd::Fd;

/// As many descriptors as the kernel lets one message carry (SCM_MAX_FD).
const MOST_FDS: usize = 253;

/// Room for the control message that carries them.
// SAFETY: CMSG_SPACE only computes.
const CONTROL_LEN: usize =
    unsafe { libc::CMSG_SPACE((MOST_FDS * size_of::<i32>()) as u32) } as usize;

/// Aligned for the header that begins a control message.
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// One end of a connection that carries whole messages, in order.
#[derive(Debug)]
pub(crate) struct Channel {
    fd: Fd,
}

/// What came with one message.
#[derive(Debug)]
pub(crate) struct Received {
    /// The length of the message at the start of the buffer; 0: the other end is closed and nothing is left.
    pub(crate) len: usize,
    /// Its descriptors, in the sender's order.
    pub(crate) fds: Vec<Fd>,
}

impl Channel {
    /// Two ends, connected to each other.
    pub(crate) fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = seqpacket_pair()?;
        Ok((Channel::from_fd(one.into()), Channel::from_fd(other.into())))
    }

    /// Takes an end made elsewhere, for example inherited. It counts as the crate's own from here on.
    pub(crate) fn from_fd(fd: Fd) -> Channel {
        Channel { fd }
    }

    /// Children forked from here keep it open, see [`Fd::leave_to_children`].
    pub(crate) fn leave_to_children(self) -> Channel {
        Channel {
            fd: self.fd.leave_to_children(),
        }
    }

    /// The descriptor: readable when a message waits or the other end is closed.
    pub(crate) fn fd(&self) -> &Fd {
        &self.fd
    }

    /// Sends one message, waiting while the other end has too many unread ones.
    ///
    /// # Errors
    ///
    /// EPIPE: the other end is closed. EMSGSIZE: more bytes than the socket's buffer holds (about 200 KiB). Kind
    /// `InvalidInput`: no bytes, or more than 253 descriptors.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[&Fd]) -> io::Result<()> {
        self.send_with(bytes, fds, libc::MSG_NOSIGNAL)
    }

    /// Sends one message unless that would have to wait: then the error's kind is `WouldBlock`.
    ///
    /// For a sender that a receiver gone mad must not be able to stop.
    pub(crate) fn try_send(&self, bytes: &[u8], fds: &[&Fd]) -> io::Result<()> {
        self.send_with(bytes, fds, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
    }

    fn send_with(&self, bytes: &[u8], fds: &[&Fd], flags: i32) -> io::Result<()> {
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if bytes.is_empty() {
            return refused("a message of no bytes means a closed channel");
        }
        if fds.len() > MOST_FDS {
            return refused("more descriptors than one message can carry");
        }
        let mut control = Control([0; CONTROL_LEN]);
        let mut part = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: for this C struct of integers and pointers all zeros is a value: no address, no buffers, no flags.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if !fds.is_empty() {
            header.msg_control = (&raw mut control).cast();
            write_rights(&mut header, fds);
        }
        loop {
            // SAFETY: `header` describes buffers of this frame and its caller, which the kernel only reads.
            let sent = unsafe { libc::sendmsg(self.fd.raw(), &raw const header, flags) };
            match Errno::result(sent) {
                Err(error) if is_passing(error) => {}
                // A message of this type of socket is taken whole or not at all: the length says nothing.
                sent => return Ok(sent.map(drop)?),
            }
        }
    }

    /// Waits for a message and puts it at the start of `buffer`.
    ///
    /// # Errors
    ///
    /// The message is longer than `buffer`, or not all of its descriptors could be received (this process may have
    /// no more): the message is lost then, with all that came of it.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut control = Control([0; CONTROL_LEN]);
        let mut bytes = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: for this C struct of integers and pointers all zeros is a value: no address, no buffers, no flags.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_iov = &raw mut bytes;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = CONTROL_LEN as _;
        let len = loop {
            // SAFETY: `header` describes two buffers of this frame and its caller that nobody else uses meanwhile,
            // with their true lengths. After an interrupted call it is unchanged.
            let len =
                unsafe { libc::recvmsg(self.fd.raw(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
            match Errno::result(len) {
                Err(error) if is_passing(error) => {}
                Err(error) => return Err(error.into()),
                // Not negative, as there was no error.
                Ok(len) => break len.unsigned_abs(),
            }
        };
        // Adopted before anything is judged, so that an error closes them.
        let fds = received_fds(&header);
        if header.msg_flags & libc::MSG_CTRUNC != 0 {
            return Err(io::Error::other(format!(
                "only {} of a message's descriptors could be received: is the limit of open files reached?",
                fds.len()
            )));
        }
        if header.msg_flags & libc::MSG_TRUNC != 0 {
            return Err(io::Error::other(format!(
                "a message is longer than the {} bytes expected",
                buffer.len()
            )));
        }
        Ok(Received { len, fds })
    }

    /// The process at the other end when the connection was made (for a pair: the process that made it).
    ///
    /// 0 if that process is not visible from here, being in a pid namespace further out.
    pub(crate) fn peer_pid(&self) -> io::Result<u32> {
        let credentials: libc::ucred = option(&self.fd, libc::SO_PEERCRED)?;
        Ok(credentials.pid.unsigned_abs())
    }

    /// Whether the other end is closed, whatever is still to be read.
    pub(crate) fn is_hung_up(&self) -> bool {
        let mut look = [PollFd::new(self.fd.as_fd(), PollFlags::empty())];
        let polled = nix::poll::poll(&mut look, PollTimeout::ZERO);
        polled.is_ok()
            && look[0]
                .revents()
                .is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Whether it carries whole messages, as the ends of a [`pair`](Self::pair) do.
    pub(crate) fn is_seqpacket(&self) -> bool {
        option::<i32>(&self.fd, libc::SO_TYPE).is_ok_and(|kind| kind == libc::SOCK_SEQPACKET)
    }
}

/// Two connected sockets for whole messages, close-on-exec.
pub(super) fn seqpacket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two numbers into the array.
    Errno::result(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
    // SAFETY: the kernel has just opened them for this process, and nobody else knows the numbers.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    Ok(ends.into())
}

/// The value of a socket option whose C type is `T`: integers only, for which all zeros is a value.
fn option<T: Copy>(socket: &impl std::os::fd::AsFd, name: i32) -> io::Result<T> {
    let socket: BorrowedFd<'_> = socket.as_fd();
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of `value`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            value.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    Errno::result(result)?;
    // SAFETY: zeroed before and partly or wholly overwritten by the kernel; any bytes are a value of these types.
    Ok(unsafe { value.assume_init() })
}

/// Puts the numbers of `fds` into the control buffer of `header`, which is zeroed and large enough for them.
fn write_rights(header: &mut libc::msghdr, fds: &[&Fd]) {
    let data_len = fds.len() * size_of::<i32>();
    // SAFETY: CMSG_SPACE only computes.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(data_len as u32) } as _;
    // SAFETY: `header` names a control buffer with room for a first message, see `CONTROL_LEN`.
    let message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: the pointer above is not null, aligned, and the buffer is this thread's own.
    let message = unsafe { &mut *message };
    message.cmsg_level = libc::SOL_SOCKET;
    message.cmsg_type = libc::SCM_RIGHTS;
    // SAFETY: CMSG_LEN only computes.
    message.cmsg_len = unsafe { libc::CMSG_LEN(data_len as u32) } as _;
    // SAFETY: `message` is the header just written; its data follow it in the buffer.
    let data = unsafe { libc::CMSG_DATA(message) }.cast::<i32>();
    for (place, fd) in fds.iter().enumerate() {
        // SAFETY: at most `MOST_FDS` numbers, for which the buffer has room behind the header.
        let place = unsafe { data.add(place) };
        // SAFETY: inside the buffer, as above; nothing is said about its alignment.
        unsafe { place.write_unaligned(fd.raw()) };
    }
}

/// Errors after which the call is made again.
///
/// ECONNRESET is told once, to whoever calls first after the other end was closed with messages unread. What had been
/// sent from there is still to be received, and what comes after it is the plain end.
fn is_passing(error: Errno) -> bool {
    matches!(error, Errno::EINTR | Errno::ECONNRESET)
}

/// Takes ownership of every descriptor that `recvmsg` put into the control buffer of `header`.
fn received_fds(header: &libc::msghdr) -> Vec<Fd> {
    let mut fds = Vec::new();
    // SAFETY: `header` and its control buffer are those that `recvmsg` has just filled.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or an aligned header that lies wholly in what was received.
        let cmsghdr = unsafe { *message };
        if (cmsghdr.cmsg_level, cmsghdr.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: CMSG_LEN only computes.
            let before_data = unsafe { libc::CMSG_LEN(0) } as usize;
            let n_fds = (cmsghdr.cmsg_len as usize - before_data) / size_of::<i32>();
            // SAFETY: `message` points to a header in the control buffer; its data follow it.
            let numbers = unsafe { libc::CMSG_DATA(message) }.cast::<i32>();
            for index in 0..n_fds {
                // SAFETY: the kernel counted `n_fds` numbers into `cmsg_len`, so this address lies among them.
                let number = unsafe { numbers.add(index) };
                // SAFETY: it is inside the buffer and initialised; nothing is said about its alignment.
                let number = unsafe { number.read_unaligned() };
                // SAFETY: the kernel has just opened this descriptor for this process, close-on-exec, and told it to
                // nobody else: this value is its only owner.
                let owned = unsafe { OwnedFd::from_raw_fd(number) };
                fds.push(Fd::from(owned));
            }
        }
        // SAFETY: `message` is a header in the control buffer of `header`, both unchanged.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    fds
}

#[cfg(test)]
mod tests {
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::stat::fstat;

    use super::*;
    use crate::sys::memfd;
    use crate::sys::process::pid;
    use crate::sys::testing::{in_child, watched};

    fn n_open_fds() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn messages_keep_their_bounds_and_their_order() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            here.send(b"one", &[]).unwrap();
            here.send(b"three", &[]).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(there.recv(&mut buffer).unwrap().len, 3);
            assert_eq!(&buffer[..3], b"one");
            assert_eq!(there.recv(&mut buffer).unwrap().len, 5);
            assert_eq!(&buffer[..5], b"three");
        });
    }

    #[test]
    fn descriptors_travel_in_order_and_are_close_on_exec() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            let files: Vec<Fd> = (1..=MOST_FDS as u64)
                .map(|pages| memfd("sent", pages * 4096).unwrap())
                .collect();
            here.send(b"files", &files.iter().collect::<Vec<_>>())
                .unwrap();
            drop(files);
            let received = there.recv(&mut [0; 16]).unwrap();
            assert_eq!(received.fds.len(), MOST_FDS);
            for (pages, file) in (1..).zip(&received.fds) {
                assert_eq!(fstat(file).unwrap().st_size, pages * 4096);
                assert_eq!(fcntl(file, FcntlArg::F_GETFD), Ok(libc::FD_CLOEXEC));
            }
        });
    }

    #[test]
    fn a_closed_other_end_is_seen_after_its_last_message() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            here.send(b"last", &[]).unwrap();
            drop(here);
            let mut buffer = [0; 16];
            assert_eq!(there.recv(&mut buffer).unwrap().len, 4);
            assert_eq!(there.recv(&mut buffer).unwrap().len, 0);
            let error = there.send(b"late", &[]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn an_end_closed_with_messages_unread_has_still_sent_its_own() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            here.send(b"last", &[]).unwrap();
            there.send(b"unread", &[]).unwrap();
            drop(here);
            let mut buffer = [0; 16];
            assert_eq!(there.recv(&mut buffer).unwrap().len, 4);
            assert_eq!(there.recv(&mut buffer).unwrap().len, 0);

            let (here, there) = Channel::pair().unwrap();
            there.send(b"unread", &[]).unwrap();
            drop(here);
            let error = there.try_send(b"late", &[]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn a_message_of_no_bytes_is_refused() {
        let (here, _there) = Channel::pair().unwrap();
        assert_eq!(
            here.send(&[], &[]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_message_that_does_not_fit_is_an_error_and_closes_what_came_with_it() {
        watched(|| {
            in_child(|| {
                let (here, there) = Channel::pair().unwrap();
                let file = memfd("sent", 4096).unwrap();
                let before = n_open_fds();
                here.send(b"too long", &[&file]).unwrap();
                let error = there.recv(&mut [0; 4]).unwrap_err();
                assert_eq!(
                    error.to_string(),
                    "a message is longer than the 4 bytes expected"
                );
                assert_eq!(n_open_fds(), before);
            })
            .succeeds();
        });
    }

    #[test]
    fn descriptors_past_the_limit_of_open_files_are_an_error_and_none_is_leaked() {
        watched(|| {
            in_child(|| {
                let (here, there) = Channel::pair().unwrap();
                let file = memfd("sent", 4096).unwrap();
                here.send(b"four", &[&file, &file, &file, &file]).unwrap();
                let (_soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                let room_for_two = lowest_free_number() + 2;
                let before = n_open_fds();
                setrlimit(Resource::RLIMIT_NOFILE, room_for_two, hard).unwrap();
                let error = there.recv(&mut [0; 16]).unwrap_err();
                let expected = "only 2 of a message's descriptors could be received: \
                    is the limit of open files reached?";
                assert_eq!(error.to_string(), expected);
                assert_eq!(n_open_fds(), before);
            })
            .succeeds();
        });
    }

    /// Fills all gaps below the highest open descriptor, then gives the number that the next one will get.
    fn lowest_free_number() -> u64 {
        let highest = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok())
            .max()
            .unwrap();
        loop {
            let filler = memfd("filler", 4096).unwrap();
            if filler.raw() > highest {
                return filler.raw().unsigned_abs().into();
            }
            mem::forget(filler);
        }
    }

    #[test]
    fn a_full_channel_stops_send_but_not_try_send() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            let n_taken = (0..)
                .take_while(|_| here.try_send(&[0; 64], &[]).is_ok())
                .count();
            assert_eq!(
                here.try_send(&[0; 64], &[]).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
            let child = in_child(|| here.send(&[0; 64], &[]).unwrap());
            for _ in 0..=n_taken {
                assert_eq!(there.recv(&mut [0; 64]).unwrap().len, 64);
            }
            child.succeeds();
        });
    }

    #[test]
    fn a_channel_knows_who_made_it() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            assert_eq!(here.peer_pid().unwrap(), pid());
            let parent = pid();
            in_child(|| assert_eq!(there.peer_pid().unwrap(), parent)).succeeds();
        });
    }
}
