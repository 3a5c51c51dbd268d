//! `Queue`: messages between processes.
//!
//! Responsible for the face. Values become messages and back in [`letter`]; waiting is in [`patience`] and [`awaited`]; what lies in memory, and what
//! happens when a process dies, in [`ring`], on which [`layout`], [`bytes`] and [`memory`] bear; who has got what, in
//! [`takers`] and [`tasks`].
//!
//! Invariants: no user code (serde's) runs under a lock.

mod awaited;
mod buffer;
mod bytes;
mod error;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(procession_unsupported)))]
pub(crate) mod fuzzing;
mod handle;
mod iter;
mod join;
mod layout;
mod letter;
mod memory;
mod message;
mod patience;
mod position;
mod priority;
mod ring;
mod takers;
mod tasks;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;

use std::marker::PhantomData;
use std::time::Duration;

pub(crate) use awaited::Awaited;
pub use error::QueueError;
pub use iter::QueueIter;
use letter::{decode, send};
use message::Message;
use patience::Patience;
pub use priority::{PriorityQueue, Rank};
use ring::Ring;

use crate::argument::ByValue;
use crate::error::Error;
use crate::shared::Label;

/// A first-in, first-out queue of messages, for any number of processes and threads.
///
/// A handle: clones of it, and what a job receives where one was passed, are the same queue. A message is any value
/// that serde can write and read back, from no bytes to more than any pipe holds, and may hold handles of shared memory
/// and other queues. Messages wait in shared memory, not in a thread of their sender: a process may put megabytes and exit
/// before anybody gets them.
///
/// - What one producer puts is got in that order.
/// - Every message is got once. A process that is killed inside `put` or `get` loses at most its own message; nobody
///   else notices.
/// - [`bounded`](Self::bounded) queues make [`put`](Self::put) wait for room; those of [`new`](Self::new) grow.
/// - It takes the memory of what waits in it, and keeps up to about 16 MiB of what it once had.
/// - A process that is stopped (SIGSTOP) in the middle of a `put` holds up all others that put until it goes on, and those that
///   wait to learn that the queue is closed and empty. Stopped in the middle of a `get`, it holds up all others that get, and at
///   times those that put into an empty queue.
///
/// A queue without bound and without [`close`](Self::close) never tells a consumer that all is done: close it, or put a
/// message that says so.
///
/// Two processes put their results, and both are joined before anybody gets:
///
/// ```
/// use procession::{Queue, process_job, spawn};
///
/// #[process_job]
/// fn job(queue: Queue<u64>) {
///     let sum = (0..1000_u64).map(|i| i + i.pow(2) + i.pow(3)).sum();
///     queue.put(sum).unwrap();
/// }
///
/// let queue = Queue::new()?;
/// let first = spawn!(job(queue.clone()))?;
/// let second = spawn!(job(queue.clone()))?;
/// first.join()?;
/// second.join()?;
/// assert_eq!(queue.get()? + queue.get()?, 499_667_166_000);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Queue<T> {
    ring: Ring,
    /// Messages are bytes while they wait, so it does not matter whether `T` can go from thread to thread.
    messages: PhantomData<fn(T) -> T>,
}

impl<T: ByValue> Queue<T> {
    /// A queue that grows with what waits in it, up to the memory that is available.
    ///
    /// # Errors
    ///
    /// Of kind [`System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// use procession::Queue;
    ///
    /// let queue = Queue::new()?;
    /// queue.put(vec![1.5, 2.5])?;
    /// queue.put(vec![])?;
    /// assert_eq!(queue.get()?, [1.5, 2.5]);
    /// assert_eq!(queue.get()?, []);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Ring::create(Self::label(), u32::MAX).map(Self::of)
    }

    /// A queue in which at most `n_messages` wait; then [`put`](Self::put) does.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) for a bound of 0.
    ///
    /// ```
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::bounded(2)?;
    /// queue.put("first".to_owned())?;
    /// queue.put("second".to_owned())?;
    /// assert_eq!(queue.try_put("third".to_owned()), Err(QueueError::Full));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn bounded(n_messages: usize) -> Result<Self, Error> {
        if n_messages == 0 {
            return Err(Error::invalid_input(
                "a queue with room for 0 messages can never take one: `Queue::bounded(1)` is the smallest",
            ));
        }
        let bound = u32::try_from(n_messages).unwrap_or(u32::MAX);
        Ring::create(Self::label(), bound).map(Self::of)
    }

    fn of(ring: Ring) -> Self {
        Self {
            ring,
            messages: PhantomData,
        }
    }

    /// Puts a message at the end. Waits while the queue is full, if it is bounded.
    ///
    /// # Errors
    ///
    /// [`Closed`](QueueError::Closed); [`Codec`](QueueError::Codec), where serde cannot write the message;
    /// [`System`](QueueError::System), where there is not enough memory for one more message. What waits in the queue stays.
    ///
    /// ```
    /// let queue = procession::Queue::new()?;
    /// queue.put("a message".to_owned())?;
    /// assert_eq!(queue.get()?, "a message");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn put(&self, message: T) -> Result<(), QueueError> {
        self.put_within(message, Patience::Endless)
    }

    /// Puts a message at the end if there is room.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put), and [`Full`](QueueError::Full) without waiting for room; the message is dropped.
    ///
    /// ```
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::bounded(1)?;
    /// assert_eq!(queue.try_put(1), Ok(()));
    /// assert_eq!(queue.try_put(2), Err(QueueError::Full));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_put(&self, message: T) -> Result<(), QueueError> {
        self.put_within(message, Patience::None)
    }

    /// Puts a message at the end. Waits while the queue is full, for at least `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`put`](Self::put), and [`Full`](QueueError::Full) after the time; the message is dropped.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::bounded(1)?;
    /// queue.put(1)?;
    /// let second = queue.put_timeout(2, Duration::from_millis(10));
    /// assert_eq!(second, Err(QueueError::Full));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn put_timeout(&self, message: T, timeout: Duration) -> Result<(), QueueError> {
        self.put_within(message, Patience::of(timeout))
    }

    /// Takes the first message out. Waits for one, also where all who might have put one have ended: see
    /// [`get_timeout`](Self::get_timeout).
    ///
    /// # Errors
    ///
    /// [`Closed`](QueueError::Closed), where the queue is closed and empty; [`Codec`](QueueError::Codec), where serde
    /// cannot read the message, which is then lost; [`System`](QueueError::System), where there is not enough memory for
    /// the message, which then stays.
    ///
    /// ```
    /// let queue = procession::Queue::new()?;
    /// let producer = queue.clone();
    /// std::thread::spawn(move || producer.put(7));
    /// assert_eq!(queue.get()?, 7);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get(&self) -> Result<T, QueueError> {
        let got = self.get_within(Patience::Endless)?;
        got.ok_or(QueueError::Closed)
    }

    /// Takes the first message out if there is one.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// ```
    /// let queue = procession::Queue::new()?;
    /// assert_eq!(queue.try_get()?, None);
    /// queue.put(1)?;
    /// assert_eq!(queue.try_get()?, Some(1));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<Option<T>, QueueError> {
        self.get_within(Patience::None)
    }

    /// Takes the first message out; `None` if there was none for at least `timeout`.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = procession::Queue::<u64>::new()?;
    /// assert_eq!(queue.get_timeout(Duration::from_millis(10))?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<T>, QueueError> {
        self.get_within(Patience::of(timeout))
    }

    /// Takes messages out until the queue is closed and empty, waiting for each.
    ///
    /// A message that serde cannot read is an error in its place; after one of kind [`System`](QueueError::System) the
    /// iteration is over. `for message in &queue` is the same.
    ///
    /// ```
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::new()?;
    /// for i in 1..=3 {
    ///     queue.put(i)?;
    /// }
    /// queue.close();
    /// let messages: Vec<u32> = queue.iter().collect::<Result<_, QueueError>>()?;
    /// assert_eq!(messages, [1, 2, 3]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn iter(&self) -> QueueIter<'_, T> {
        QueueIter::of(self)
    }

    /// Waits until a `get` would not, for so long at the most; whether it would not.
    pub(crate) fn wait_for_some(&self, timeout: Duration) -> bool {
        let n_waiting = || self.ring.n_waiting();
        let look = || Ok(self.has_some().then_some(()));
        let awaited = Awaited::messages(&self.ring);
        !matches!(
            Patience::of(timeout).wait(awaited, look, n_waiting),
            Ok(None)
        )
    }

    #[inline]
    fn put_within(&self, message: T, patience: Patience) -> Result<(), QueueError> {
        let n_rooms = || self.ring.bound().saturating_sub(self.ring.n_waiting());
        send(message, self.ring.block(), |encoder| {
            let attempt = || match self.ring.put(encoder, patience.deadline()) {
                Err(QueueError::Full) => Ok(None),
                other => other.map(Some),
            };
            patience.wait(Awaited::room(&self.ring), attempt, n_rooms)
        })
    }

    #[inline]
    fn get_within(&self, patience: Patience) -> Result<Option<T>, QueueError> {
        let mut message = Message::default();
        let attempt = || {
            let is_taken = self.ring.take(&mut message, patience.deadline())?;
            Ok(is_taken.then_some(()))
        };
        let n_waiting = || self.ring.n_waiting();
        let taken = patience.wait(Awaited::messages(&self.ring), attempt, n_waiting)?;
        let message = taken.map(|()| decode(&message)).transpose();
        if message.is_err() {
            // Nobody has it, so nobody could say that it is dealt with. It was counted a moment ago, or the count is damaged.
            let _ = self.ring.task_done();
        }
        message
    }
}

impl<T> Queue<T> {
    fn label() -> Label {
        Label::of::<Self>()
    }

    /// Whether a `get` would not wait.
    pub(crate) fn has_some(&self) -> bool {
        self.ring.n_waiting() > 0 || self.ring.is_closed()
    }

    /// Messages and the end.
    pub(crate) fn awaited(&self) -> Awaited<'_> {
        Awaited::messages(&self.ring)
    }

    /// How many messages wait. Others may put and get at any moment.
    ///
    /// ```
    /// let queue = procession::Queue::new()?;
    /// queue.put('a')?;
    /// queue.put('b')?;
    /// assert_eq!(queue.len(), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.ring.n_waiting() as usize
    }

    /// Whether no message waits. Others may put and get at any moment.
    ///
    /// ```
    /// assert!(procession::Queue::<u8>::new()?.is_empty());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has every later `put` fail, and every `get` once the queue is empty. Whoever waits learns of it.
    ///
    /// ```
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::new()?;
    /// queue.put(1)?;
    /// queue.close();
    /// assert_eq!(queue.put(2), Err(QueueError::Closed));
    /// assert_eq!(queue.get(), Ok(1));
    /// assert_eq!(queue.get(), Err(QueueError::Closed));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn close(&self) {
        self.ring.close();
    }

    /// Whether somebody has closed it. Messages may still be in it.
    ///
    /// ```
    /// let queue = procession::Queue::<u8>::new()?;
    /// assert!(!queue.is_closed());
    /// queue.close();
    /// assert!(queue.is_closed());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.ring.is_closed()
    }
}
