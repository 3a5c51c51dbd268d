//! A chunk of items on its way to the board, and why it may not get there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::mailbox::Mailbox;
use crate::board::{Order, Priority, Room, Span, room_offset};
use crate::codec::Encoder;
use crate::error::{Error, ErrorKind};

/// A chunk of items, ready to be put on the board.
pub(crate) struct NewTask<'a> {
    pub(crate) shim: i64,
    pub(crate) job: u64,
    pub(crate) input: &'a Encoder<'a>,
    pub(crate) n_items: u32,
    /// The place of the first one in the input of the map; `None` for a call by itself.
    pub(crate) first_index: Option<u64>,
    pub(crate) fixed_output: Option<usize>,
    /// Expected bytes of all results, where they have no fixed size.
    pub(crate) heap_len: u64,
    pub(crate) timeout: Option<Duration>,
    /// Of the whole map, kept by the map; here for verdicts to quote.
    pub(crate) deadline: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) priority: Priority,
    /// Whether the supervisor may single out the item that runs, to end it.
    pub(crate) guarded: bool,
    /// Whether no item is to begin after one that failed.
    pub(crate) ends_at_fault: bool,
    pub(crate) flush_each: bool,
    /// No more workers are to be awake for it than so many, where more would only be in each other's way.
    pub(crate) most_awake: Option<u32>,
    /// Whether the caller wants to hear of it at once, or of several together.
    pub(crate) rings: bool,
    pub(crate) mailbox: &'a Arc<Mailbox>,
    pub(crate) tag: u64,
}

impl NewTask<'_> {
    /// Bytes for the input and the room.
    pub(super) fn needed(&self) -> u64 {
        let heap_len = match self.fixed_output {
            Some(_) => 0,
            None => self.heap_len,
        };
        room_offset(Span::new(0, self.input.len() as u64))
            + Room::len(self.n_items, self.fixed_output, heap_len)
    }

    /// What its row is to say.
    pub(super) fn order(&self, input: Span, room: Span) -> Order {
        let nanos = self.timeout.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        Order {
            n_items: self.n_items,
            shim: self.shim as u64,
            job: self.job,
            input,
            room,
            first_index: self.first_index.unwrap_or(u64::MAX),
            timeout_nanos: nanos,
            retries: self.retries,
            guarded: self.guarded,
            ends_at_fault: self.ends_at_fault,
            flush_each: self.flush_each,
            rings: self.rings,
        }
    }
}

/// Why a task was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room now.
    Full,
    /// No room ever.
    TooLarge {
        needed: u64,
        capacity: u64,
    },
    /// Neither the board nor the system has the memory.
    NoMemory(io::Error),
    Gone(Arc<str>),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Error::new(
                ErrorKind::QueueFull,
                "the pool's queue is full: wait for results, or allow more with `max_queued_bytes`",
            ),
            Refused::TooLarge { needed, capacity } => Error::new(
                ErrorKind::QueueFull,
                format!(
                    "an item and the room for its result need {needed} bytes, the pool's queue holds {capacity}: \
                     allow more with `max_queued_bytes`"
                ),
            ),
            Refused::NoMemory(error) => {
                Error::system("reserve shared memory for the pool's queue", error)
            }
            Refused::Gone(reason) => Error::new(ErrorKind::PoolGone, &*reason),
        }
    }
}
