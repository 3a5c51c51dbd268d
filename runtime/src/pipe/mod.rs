//! `pipe`: two ends that talk to each other, each of which one process has at a time.
//!
//! Responsible for the ends: who has which, and for telling each of the other's end. Messages are the affair of two queues,
//! one for each direction; that an end is one of a kind, and passes on, is the affair of a chunk of an array, of which each
//! end has one.
//!
//! Invariants:
//! - A pipe is over once both of its queues are closed: by an end that is dropped, or by the other one when it finds that
//!   nobody has it any more, nor can have. Nothing opens it again, also not another try of a job that was killed with its end.
//! - Who waits asks from time to time whether the other end is still somebody's. Who only sends asks too, by the clock.

mod error;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use error::PipeError;

use crate::argument::ByValue;
use crate::error::Error;
use crate::queue::{Queue, QueueError};
use crate::shared::{Array, ArrayChunk};
use crate::sync::Vigil;
use crate::sys;

/// Who only sends asks so often whether anybody has the other end, in nanoseconds.
const LOOK: u64 = 64_000_000;

/// Two connected ends: what one sends the other receives, in both directions.
///
/// The first sends `A` and receives `B`, the second the other way round. See [`Connection`].
///
/// # Errors
///
/// Of kind [`System`](crate::ErrorKind::System), where shared memory cannot be had.
///
/// ```
/// use procession::{Connection, PipeError, pipe, process_job, spawn};
///
/// #[process_job]
/// fn count_letters(texts: Connection<usize, String>) {
///     while let Ok(text) = texts.recv() {
///         texts.send(text.len()).unwrap();
///     }
/// }
///
/// let (ours, theirs) = pipe::<String, usize>()?;
/// let child = spawn!(count_letters(theirs))?;
/// ours.send("seven".to_owned())?;
/// assert_eq!(ours.recv(), Ok(5));
/// drop(ours); // the other end is told
/// child.join()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[expect(
    clippy::type_complexity,
    reason = "two ends, each with what it sends and receives"
)]
pub fn pipe<A: ByValue, B: ByValue>() -> Result<(Connection<A, B>, Connection<B, A>), Error> {
    let mut ends = Array::<u64>::zeroed(2)?.into_chunks(2)?.into_iter();
    let (forth, back) = (Queue::new()?, Queue::new()?);
    match (ends.next(), ends.next()) {
        (Some(one), Some(other)) => {
            let first = Connection::new(one, forth.clone(), back.clone());
            Ok((first, Connection::new(other, back, forth)))
        }
        _ => Err(Error::invalid_input("a pipe has two ends")),
    }
}

/// One end of a [`pipe`]: sends `A`, receives `B`.
///
/// Between programs that are not related there is [`connection::Connection`](crate::connection::Connection), another type: a
/// module that needs both names them by their path.
///
/// One of a kind: it cannot be cloned, and passing it to a job by value, returning it or putting it into a queue gives it away; passed
/// by reference it is refused where it arrives. Threads may share it.
///
/// Messages are those of a [`Queue`], of any size, and wait in shared memory: to send never waits for the other end. A
/// sender that is faster than its receiver for ever fills the memory; let it wait for an answer now and then.
///
/// When the other end is dropped, what it has sent can still be received, and then every call is
/// [`PipeError::Disconnected`]. So it is when its process has ended in whatever way: who waits knows within a tenth of a second, who
/// sends too. An end whose process was killed is gone, also where its job has retries.
///
/// A pipe takes four descriptors in each process that has an end.
///
/// ```
/// use procession::{Connection, pipe};
///
/// let (ours, theirs): (Connection<u32, char>, Connection<char, u32>) = pipe()?;
/// ours.send(7)?;
/// theirs.send('x')?;
/// assert_eq!((theirs.recv()?, ours.recv()?), (7, 'x'));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Connection<A, B> {
    /// Which it is, and that it is; `None` only while it is dropped.
    end: Option<ArrayChunk<u64>>,
    out: Queue<A>,
    into: Queue<B>,
    /// When this end, if it only sends, asks after the other.
    next_look: AtomicU64,
}

impl<A, B> Connection<A, B> {
    fn new(end: ArrayChunk<u64>, out: Queue<A>, into: Queue<B>) -> Self {
        Self {
            end: Some(end),
            out,
            into,
            next_look: AtomicU64::new(0),
        }
    }

    /// An error in a process that was forked from the one that has the end.
    fn check_ours(&self) -> Result<&ArrayChunk<u64>, PipeError> {
        let end = self.end.as_ref().filter(|end| end.is_ours());
        end.ok_or_else(PipeError::not_ours)
    }

    fn close(&self) {
        self.out.close();
        self.into.close();
    }

    /// Closes the pipe if nobody has the other end any more.
    pub(crate) fn look_after_other(&self) {
        if self.end.as_ref().is_some_and(ArrayChunk::is_other_lost) {
            self.close();
        }
    }

    /// What there is to receive.
    pub(crate) fn inbox(&self) -> &Queue<B> {
        &self.into
    }
}

impl<A: ByValue, B: ByValue> Connection<A, B> {
    /// Sends a message, without waiting for the other end.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PipeError::Disconnected), where the other end is known to be gone;
    /// [`Codec`](PipeError::Codec), where serde cannot write the message; [`System`](PipeError::System), where there is not
    /// enough memory for it. A message that was sent may still not be received, if the other end goes.
    ///
    /// ```
    /// use procession::{PipeError, pipe};
    ///
    /// let (ours, theirs) = pipe::<u32, u32>()?;
    /// ours.send(1)?;
    /// drop(theirs);
    /// assert_eq!(ours.send(2), Err(PipeError::Disconnected));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn send(&self, message: A) -> Result<(), PipeError> {
        self.check_ours()?;
        let now = sys::monotonic_nanos();
        if now >= self.next_look.load(Ordering::Relaxed) {
            self.next_look.store(now + LOOK, Ordering::Relaxed);
            self.look_after_other();
        }
        Ok(self.out.put(message)?)
    }

    /// Receives the next message. Waits for it, until the other end is gone.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](PipeError::Disconnected), where the other end is gone and all was received that it has sent;
    /// [`Codec`](PipeError::Codec), where serde cannot read the message, which is then lost; [`System`](PipeError::System),
    /// where there is not enough memory for it.
    ///
    /// ```
    /// use procession::{PipeError, pipe};
    ///
    /// let (ours, theirs) = pipe::<u32, u32>()?;
    /// theirs.send(1)?;
    /// drop(theirs);
    /// assert_eq!(ours.recv(), Ok(1));
    /// assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv(&self) -> Result<B, PipeError> {
        let received = self.recv_until(None)?;
        received.ok_or(PipeError::Disconnected)
    }

    /// Receives the next message if there is one.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    ///
    /// ```
    /// let (ours, theirs) = procession::pipe::<u32, u32>()?;
    /// assert_eq!(ours.try_recv()?, None);
    /// theirs.send(1)?;
    /// assert_eq!(ours.try_recv()?, Some(1));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_recv(&self) -> Result<Option<B>, PipeError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Receives the next message; `None` if there was none for at least `timeout`.
    ///
    /// # Errors
    ///
    /// As of [`recv`](Self::recv).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (ours, _theirs) = procession::pipe::<u32, u32>()?;
    /// assert_eq!(ours.recv_timeout(Duration::from_millis(5))?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Option<B>, PipeError> {
        self.recv_until(Instant::now().checked_add(timeout))
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<Option<B>, PipeError> {
        self.check_ours()?;
        // Mostly there is one, and then nobody looks at a clock.
        match self.into.try_get()? {
            Some(message) => Ok(Some(message)),
            None => self.watch(deadline, |nap| self.into.get_timeout(nap)),
        }
    }

    /// Whether there is something to receive, waiting for it for so long at the most. It is also true where
    /// [`recv`](Self::recv) would not wait but fail, since the other end is gone.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let (ours, theirs) = procession::pipe::<u32, u32>()?;
    /// assert!(!ours.poll(Duration::ZERO));
    /// theirs.send(1)?;
    /// assert!(ours.poll(Duration::MAX));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn poll(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let has_some = |nap| Ok(self.into.wait_for_some(nap).then_some(()));
        self.check_ours().is_err() || !matches!(self.watch(deadline, has_some), Ok(None))
    }

    /// Attempts for a while, asks after the other end, and attempts again.
    fn watch<R>(
        &self,
        deadline: Option<Instant>,
        attempt: impl Fn(Duration) -> Result<Option<R>, QueueError>,
    ) -> Result<Option<R>, PipeError> {
        let mut vigil = Vigil::until(deadline);
        loop {
            if let Some(result) = attempt(vigil.nap())? {
                return Ok(Some(result));
            }
            if vigil.asks() {
                self.look_after_other();
            }
            if vigil.is_over() {
                return Ok(attempt(Duration::ZERO)?);
            }
        }
    }
}

impl<A, B> Drop for Connection<A, B> {
    fn drop(&mut self) {
        // Not where it was sent: then it is somebody else's.
        if self.end.take().is_some_and(ArrayChunk::give_up) {
            self.close();
        }
    }
}

impl<A, B> fmt::Debug for Connection<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("n_to_receive", &self.into.len())
            .field("is_over", &self.into.is_closed())
            .finish_non_exhaustive()
    }
}

/// Means something only on the way to a job, from one, or in a queue.
impl<A, B> Serialize for Connection<A, B> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let end = self.check_ours().map_err(S::Error::custom)?;
        (end, &self.out, &self.into).serialize(to)
    }
}

impl<'de, A, B> Deserialize<'de> for Connection<A, B> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (End(end), out, into) = Deserialize::deserialize(from)?;
        Ok(Self::new(end, out, into))
    }
}

/// A chunk whose errors say what it stands for.
struct End(ArrayChunk<u64>);

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ArrayChunk::receive_as("this end of a pipe cannot be received: ", from).map(Self)
    }
}
