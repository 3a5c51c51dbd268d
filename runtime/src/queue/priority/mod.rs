//! `PriorityQueue`: messages of which the one with the smallest priority is got first.
//!
//! Responsible for the face. Where messages lie, and what a death leaves, is in [`store`]; how priorities are told apart without
//! code of the user's, in [`rank`].

mod order;
mod rank;
mod store;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use rank::Rank;
use store::Store;

use super::awaited::Awaited;
use super::error::QueueError;
use super::layout::Held;
use super::letter::{decode, send};
use super::message::Message;
use super::patience::Patience;

use crate::argument::ByValue;
use crate::error::Error;
use crate::shared::{Label, travel};

/// Messages are bytes while they wait, so it does not matter whether `T` can go from thread to thread.
type Messages<T, P> = PhantomData<fn(T) -> P>;

/// A queue of messages with priorities, for any number of processes and threads: the smallest is got first, as in Python's
/// `queue.PriorityQueue`; with [`Reverse`](std::cmp::Reverse) the highest. Of one priority, who came first is got first.
///
/// A handle, and messages, as with a [`Queue`](crate::Queue). A put and a get take a lock for as long as it takes to copy a message,
/// and a number of steps that grows with the logarithm of what waits. Every message is got once; a process that is killed
/// inside of `put` or `get` loses at most its own message. What waits takes its memory in cells of 128 bytes, of which an
/// empty queue keeps 16 MiB at the most.
///
/// ```
/// use procession::{PriorityQueue, process_job, spawn};
///
/// #[process_job]
/// fn report(news: &PriorityQueue<String, u8>) {
///     news.put(9, "all went well".to_owned()).unwrap();
///     news.put(1, "there is a fire".to_owned()).unwrap();
/// }
///
/// let news = PriorityQueue::new()?;
/// spawn!(report(&news))?.join()?;
/// assert_eq!(news.get()?, (1, "there is a fire".to_owned()));
/// # Ok::<(), procession::Error>(())
/// ```
pub struct PriorityQueue<T, P> {
    store: Store,
    messages: Messages<T, P>,
}

impl<T: ByValue, P: Rank> PriorityQueue<T, P> {
    /// A queue that grows with what waits in it, up to the memory that is available.
    ///
    /// # Errors
    ///
    /// Of kind [`System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// use std::cmp::Reverse;
    ///
    /// let highest_first = procession::PriorityQueue::new()?;
    /// highest_first.put(Reverse(0.5), 'a')?;
    /// highest_first.put(Reverse(7.5), 'b')?;
    /// assert_eq!(highest_first.get()?, (Reverse(7.5), 'b'));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Store::create(Self::label(), u32::MAX).map(Self::of)
    }

    /// A queue in which so many messages may wait.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new), and of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) for none.
    ///
    /// ```
    /// use procession::{PriorityQueue, QueueError};
    ///
    /// let queue = PriorityQueue::bounded(1)?;
    /// queue.put(1, 'a')?;
    /// assert_eq!(queue.try_put(0, 'b'), Err(QueueError::Full));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn bounded(n_messages: usize) -> Result<Self, Error> {
        if n_messages == 0 {
            return Err(Error::invalid_input(
                "a queue with room for 0 messages can never take one: `PriorityQueue::bounded(1)` is the smallest",
            ));
        }
        let bound = u32::try_from(n_messages).unwrap_or(u32::MAX);
        Store::create(Self::label(), bound).map(Self::of)
    }

    fn of(store: Store) -> Self {
        Self {
            store,
            messages: PhantomData,
        }
    }

    /// Puts a message. Waits while the queue is full, if it is bounded.
    ///
    /// # Errors
    ///
    /// As of [`Queue::put`](crate::Queue::put).
    ///
    /// ```
    /// let queue = procession::PriorityQueue::new()?;
    /// queue.put(3, 'x')?;
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn put(&self, priority: P, message: T) -> Result<(), QueueError> {
        self.put_within(priority, message, Patience::Endless)
    }

    /// Puts a message if there is room.
    ///
    /// # Errors
    ///
    /// As of [`Queue::try_put`](crate::Queue::try_put).
    ///
    /// ```
    /// let queue = procession::PriorityQueue::new()?;
    /// assert_eq!(queue.try_put(3, 1), Ok(()));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_put(&self, priority: P, message: T) -> Result<(), QueueError> {
        self.put_within(priority, message, Patience::None)
    }

    /// Puts a message. Waits while the queue is full, for at least `timeout`.
    ///
    /// # Errors
    ///
    /// As of [`Queue::put_timeout`](crate::Queue::put_timeout).
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{PriorityQueue, QueueError};
    ///
    /// let queue = PriorityQueue::bounded(1)?;
    /// queue.put(1, 1)?;
    /// assert_eq!(queue.put_timeout(1, 2, Duration::from_millis(5)), Err(QueueError::Full));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn put_timeout(
        &self,
        priority: P,
        message: T,
        timeout: Duration,
    ) -> Result<(), QueueError> {
        self.put_within(priority, message, Patience::of(timeout))
    }

    /// Takes the first message out, with its priority. Waits for one.
    ///
    /// # Errors
    ///
    /// As of [`Queue::get`](crate::Queue::get).
    ///
    /// ```
    /// let queue = procession::PriorityQueue::new()?;
    /// queue.put(-1, 'x')?;
    /// assert_eq!(queue.get()?, (-1, 'x'));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get(&self) -> Result<(P, T), QueueError> {
        let got = self.get_within(Patience::Endless)?;
        got.ok_or(QueueError::Closed)
    }

    /// Takes the first message out if there is one.
    ///
    /// # Errors
    ///
    /// As of [`Queue::get`](crate::Queue::get).
    ///
    /// ```
    /// let queue = procession::PriorityQueue::<char, u8>::new()?;
    /// assert_eq!(queue.try_get()?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<Option<(P, T)>, QueueError> {
        self.get_within(Patience::None)
    }

    /// Takes the first message out; `None` if there was none for at least `timeout`.
    ///
    /// # Errors
    ///
    /// As of [`Queue::get`](crate::Queue::get).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = procession::PriorityQueue::<char, u8>::new()?;
    /// assert_eq!(queue.get_timeout(Duration::from_millis(5))?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<Option<(P, T)>, QueueError> {
        self.get_within(Patience::of(timeout))
    }

    fn put_within(&self, priority: P, message: T, patience: Patience) -> Result<(), QueueError> {
        let (store, rank) = (&self.store, priority.to_rank());
        let shared = store.shared();
        let mut is_awaited = false;
        let n_rooms = || store.bound().saturating_sub(store.n_waiting());
        send(message, store.block(), |encoder| {
            let attempt = || {
                let Some(_held) = self.hold(patience) else {
                    return Ok(None);
                };
                if store.is_closed() {
                    return Err(QueueError::Closed);
                }
                let has_room = n_rooms() > 0;
                let put = || store.put(rank, encoder.len(), encoder.chunks());
                let is_put = has_room.then(put).transpose()?;
                is_awaited = shared.arrivals.has_sleepers();
                Ok(is_put)
            };
            let [room, _] = &shared.rhythms;
            let awaited = Awaited::of(&shared.lock, &shared.departures, room);
            patience.wait(awaited, attempt, n_rooms)
        })?;
        if is_awaited {
            shared.arrivals.announce_one();
        }
        Ok(())
    }

    fn get_within(&self, patience: Patience) -> Result<Option<(P, T)>, QueueError> {
        let (store, mut message) = (&self.store, Message::default());
        let shared = store.shared();
        let mut is_awaited = false;
        let attempt = || {
            let Some(_held) = self.hold(patience) else {
                return Ok(None);
            };
            match store.take(&mut message)? {
                None if store.is_closed() => Err(QueueError::Closed),
                taken => {
                    is_awaited = shared.departures.has_sleepers();
                    Ok(taken)
                }
            }
        };
        let taken = patience.wait(self.awaited(), attempt, || store.n_waiting())?;
        if taken.is_some() && is_awaited {
            shared.departures.announce_one();
        }
        taken
            .map(|rank| Ok((P::from_rank(rank), decode(&message)?)))
            .transpose()
    }
}

impl<T, P> PriorityQueue<T, P> {
    fn label() -> Label {
        Label::of::<Self>()
    }

    /// `None` when the time is over.
    fn hold(&self, patience: Patience) -> Option<Held<'_>> {
        let held = Held::acquire(&self.store.shared().lock, patience.deadline())?;
        if held.was_left {
            self.store.make_anew();
        }
        Some(held)
    }

    /// How many messages wait. Others may put and get at any moment.
    ///
    /// ```
    /// assert_eq!(procession::PriorityQueue::<char, u8>::new()?.len(), 0);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.store.n_waiting() as usize
    }

    /// Whether no message waits. Others may put and get at any moment.
    ///
    /// ```
    /// assert!(procession::PriorityQueue::<char, u8>::new()?.is_empty());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has every later `put` fail, and every `get` once the queue is empty. Whoever waits learns of it.
    ///
    /// ```
    /// use procession::{PriorityQueue, QueueError};
    ///
    /// let queue = PriorityQueue::new()?;
    /// queue.put(1, 'a')?;
    /// queue.close();
    /// assert_eq!(queue.put(2, 'b'), Err(QueueError::Closed));
    /// assert_eq!(queue.get(), Ok((1, 'a')));
    /// assert_eq!(queue.get(), Err(QueueError::Closed));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn close(&self) {
        let _held = self.hold(Patience::Endless);
        self.store.close();
    }

    /// Whether somebody has closed it. Messages may still be in it.
    ///
    /// ```
    /// assert!(!procession::PriorityQueue::<char, u8>::new()?.is_closed());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.store.is_closed()
    }

    /// Whether a `get` would not wait.
    pub(crate) fn has_some(&self) -> bool {
        self.store.n_waiting() > 0 || self.store.is_closed()
    }

    /// Messages and the end.
    pub(crate) fn awaited(&self) -> Awaited<'_> {
        let shared = self.store.shared();
        let [_, messages] = &shared.rhythms;
        Awaited::of(&shared.lock, &shared.arrivals, messages)
    }
}

/// With the last handle of all, handles in messages that nobody has got are let go.
impl<T, P> Drop for PriorityQueue<T, P> {
    fn drop(&mut self) {
        let block = self.store.block();
        if !block.keeps_names_alone() {
            return;
        }
        let Some(_held) = self.hold(Patience::of(Duration::ZERO)) else {
            return;
        };
        let mut message = Message::default();
        while let Ok(Some(_)) = self.store.take(&mut message) {
            travel::recall_unread(block.id(), &message);
        }
    }
}

impl<T, P> Clone for PriorityQueue<T, P> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            messages: PhantomData,
        }
    }
}

impl<T, P> fmt::Debug for PriorityQueue<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityQueue")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Means something only on the way to a job, from one, or in a queue.
impl<T, P> Serialize for PriorityQueue<T, P> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(self.store.block(), to)
    }
}

impl<'de, T, P> Deserialize<'de> for PriorityQueue<T, P> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block: Arc<_> = travel::deserialize(Self::label(), from)?;
        Ok(Self {
            store: Store::of(block).map_err(D::Error::custom)?,
            messages: PhantomData,
        })
    }
}
