//! A connection that is made: messages in both directions.

use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use std::{fmt, process};

use super::error::ConnectionError;
use super::reader::Reader;
use super::stream::{Deadline, Stream};
use super::terms::Terms;
use super::writer::Writer;
use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, beside};

/// One end of a connection to another program: sends messages of type `S`, receives messages of type `R`.
///
/// From [`Listener::accept`](super::Listener::accept) or [`Client::connect`](super::Client::connect). It may be used by several
/// threads at once: one can send while another receives. Those that receive take turns, and so do those that send; no
/// time limit ends the wait for one's turn. Dropped by the process that made it, it is closed; what was [fed](Self::feed) and not flushed
/// goes as far as the other end takes it without a wait.
///
/// ```
/// use procession::connection::{Client, Connection, Listener};
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", b"a shared key")?;
/// let address = listener.address().clone();
/// let other = std::thread::spawn(move || -> Result<String, procession::Error> {
///     let listener: Connection<u64, String> = Client::connect(&address, b"a shared key")?;
///     listener.send(12)?;
///     Ok(listener.recv()?)
/// });
/// let client: Connection<String, u64> = listener.accept()?;
/// assert_eq!(client.recv()?, 12);
/// client.send("a dozen".to_owned())?;
/// assert_eq!(other.join().unwrap()?, "a dozen");
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Connection<S, R> {
    stream: Stream,
    reader: Mutex<Reader>,
    writer: Mutex<Writer>,
    timeouts: Mutex<Timeouts>,
    /// The process that made it, and not a fork with a copy.
    maker: u32,
    types: PhantomData<fn(S) -> R>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timeouts {
    read: Option<Duration>,
    write: Option<Duration>,
}

impl<S, R> Connection<S, R> {
    pub(super) fn new(stream: Stream, ours: &Terms, theirs: &Terms) -> Self {
        Self {
            stream,
            reader: Mutex::new(Reader::new(ours.message_limit)),
            writer: Mutex::new(Writer::new(theirs.message_limit)),
            timeouts: Mutex::default(),
            maker: process::id(),
            types: PhantomData,
        }
    }

    /// Sends what was fed.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u8>(&address, b"key"));
    /// let connection: Connection<u8, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// connection.feed(&1)?;
    /// connection.feed(&2)?;
    /// connection.flush()?;
    /// # assert_eq!((other.recv()?, other.recv()?), (1, 2));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn flush(&self) -> Result<(), ConnectionError> {
        own(&self.writer).flush(&self.stream, self.write_deadline())
    }

    /// How long [`recv`](Self::recv) waits for a whole message; `None`, as at first: without end.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, ConnectionError, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u8>(&address, b"key"));
    /// let connection: Connection<u8, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// connection.set_read_timeout(Some(std::time::Duration::from_millis(5)));
    /// assert_eq!(connection.recv(), Err(ConnectionError::TimedOut));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        own(&self.timeouts).read = timeout;
    }

    /// How long [`send`](Self::send) waits for the other end to take a message; `None`, as at first: without end.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, ConnectionError, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, Vec<u8>>(&address, b"key"));
    /// let connection: Connection<Vec<u8>, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// connection.set_write_timeout(Some(std::time::Duration::from_millis(5)));
    /// // Nobody reads, and so much does not lie on the way.
    /// assert_eq!(connection.send(vec![0; 64 << 20]), Err(ConnectionError::TimedOut));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        own(&self.timeouts).write = timeout;
    }

    /// Whether [`recv`](Self::recv) would give a message or an error at once; waits up to `timeout` for that.
    ///
    /// # Errors
    ///
    /// What was fed could not be sent.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u8>(&address, b"key"));
    /// let connection: Connection<u8, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// assert!(!connection.poll(std::time::Duration::ZERO)?);
    /// # other.send(1)?;
    /// # assert!(connection.poll(std::time::Duration::from_secs(5))?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn poll(&self, timeout: Duration) -> Result<bool, ConnectionError> {
        let deadline = Deadline::after(Some(timeout));
        self.flush_before_a_wait(deadline)?;
        let waited = own(&self.reader).wait(&self.stream, deadline);
        Ok(waited != Err(ConnectionError::TimedOut))
    }

    fn write_deadline(&self) -> Deadline {
        Deadline::after(own(&self.timeouts).write)
    }

    fn read_deadline(&self) -> Deadline {
        Deadline::after(own(&self.timeouts).read)
    }

    /// The other end may answer only what it has got. What is wrong with the sending half is told once, here or by a send:
    /// messages can still come. So they can where the time for the wait is over first, and the rest is left to the next call.
    fn flush_before_a_wait(&self, deadline: Deadline) -> Result<(), ConnectionError> {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(writer)) => writer.into_inner(),
            // Another thread sends, and may wait for this one to receive.
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        if writer.has_failed() {
            return Ok(());
        }
        match writer.flush_some(&self.stream, self.write_deadline().earlier(deadline)) {
            // There may be messages from before.
            Err(ConnectionError::Closed) => Ok(()),
            Err(ConnectionError::TimedOut) if deadline.has_passed() => Ok(()),
            flushed => flushed,
        }
    }
}

impl<S: ByValue, R> Connection<S, R> {
    /// Sends a message, and what was fed before it. It may lie on the way when this returns.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](ConnectionError::TooLarge) or [`Codec`](ConnectionError::Codec): nothing was sent, and the connection
    /// goes on. [`Closed`](ConnectionError::Closed), [`TimedOut`](ConnectionError::TimedOut),
    /// [`System`](ConnectionError::System): nothing more can be sent.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, String>(&address, b"key"));
    /// let connection: Connection<String, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// connection.send("hello".to_owned())?;
    /// # assert_eq!(other.recv()?, "hello");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send(&self, message: S) -> Result<(), ConnectionError> {
        let deadline = self.write_deadline();
        let mut writer = own(&self.writer);
        writer.feed(&message, &self.stream, deadline)?;
        writer.flush(&self.stream, deadline)
    }

    /// As [`send`](Self::send), but lets small messages gather, so that many go together: until [`flush`](Self::flush), the next
    /// `send`, `recv` or `poll`, or until they are 64 KiB. A stream of small messages is more than ten times as fast so.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u64>(&address, b"key"));
    /// let connection: Connection<u64, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// (0..1000).try_for_each(|i| connection.feed(&i))?;
    /// connection.flush()?;
    /// # for i in 0..1000 { assert_eq!(other.recv()?, i) }
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn feed(&self, message: &S) -> Result<(), ConnectionError> {
        own(&self.writer).feed(message, &self.stream, self.write_deadline())
    }
}

impl<S, R: ByValue> Connection<S, R> {
    /// Waits for the next message. What was fed is sent first.
    ///
    /// # Errors
    ///
    /// [`Codec`](ConnectionError::Codec) costs this message alone. [`TimedOut`](ConnectionError::TimedOut) where there is a
    /// [time limit](Self::set_read_timeout): ask again. With any other the connection is over.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, ConnectionError, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u8>(&address, b"key"));
    /// let connection: Connection<u8, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// # other.send(7)?;
    /// assert_eq!(connection.recv()?, 7);
    /// drop(other);
    /// assert_eq!(connection.recv(), Err(ConnectionError::Closed));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv(&self) -> Result<R, ConnectionError> {
        let deadline = self.read_deadline();
        self.flush_before_a_wait(deadline)?;
        self.recv_until(deadline)
    }

    /// As [`recv`](Self::recv), waiting for `timeout` at the longest; `None`: nothing has come.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, u8>(&address, b"key"));
    /// let connection: Connection<u8, u8> = listener.accept()?;
    /// # let other = other.join().unwrap()?;
    /// assert_eq!(connection.recv_timeout(std::time::Duration::from_millis(5))?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<R>, ConnectionError> {
        let deadline = Deadline::after(Some(timeout));
        self.flush_before_a_wait(deadline)?;
        match self.recv_until(deadline) {
            Err(ConnectionError::TimedOut) => Ok(None),
            received => received.map(Some),
        }
    }

    fn recv_until(&self, deadline: Deadline) -> Result<R, ConnectionError> {
        let mut reader = own(&self.reader);
        let bytes = reader.next(&self.stream, deadline)?;
        let decoded = beside::abroad(|| {
            let mut decoder = Decoder::new(bytes);
            let message = R::decode(&mut decoder)?;
            decoder.finish()?;
            Ok::<_, CodecError>(message)
        });
        Ok(decoded?)
    }
}

impl<S, R> Drop for Connection<S, R> {
    fn drop(&mut self) {
        // What a fork has is a copy: what was fed goes once, and the socket is one.
        if self.maker != process::id() {
            return;
        }
        // Without a wait: who wants to be sure flushes.
        if self.stream.set_nonblocking(true).is_ok() {
            let _ = own(&self.writer).flush(&self.stream, Deadline::NEVER);
        }
        // Also where forks have copies.
        self.stream.shut_down();
    }
}

/// The socket, to wait for it beside others. Some messages may have been read from it already: ask
/// [`poll`](Connection::poll) first.
impl<S, R> AsFd for Connection<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Connection");
        debug.field("stream", &self.stream).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl<S, R> Connection<S, R> {
    /// Bytes that may be no frame.
    pub(super) fn send_raw(&self, bytes: &[u8]) {
        let mut pieces = [std::io::IoSlice::new(bytes)];
        // The other end may have had enough of it.
        let _ = self.stream.write_all_until(&mut pieces, Deadline::NEVER);
    }

    pub(super) fn buffer_len(&self) -> usize {
        own(&self.reader).buffer_len()
    }
}

/// A panic of somebody's `Serialize` leaves both halves as they were.
fn own<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
