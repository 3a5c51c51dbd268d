//! The way in: items are pulled from the caller's iterator, encoded, and put on the board as tasks.
//!
//! Responsible for how many are pulled, and for what becomes of an item that cannot be sent: that is a verdict, too. How many make
//! a task is [`Chunking`](super::Chunking)'s to say.

use std::time::Duration;

use super::{Ahead, Chunk, Map, Pace, Source};
use crate::codec::{CodecError, Encoder, Passengers};
use crate::dispatch::{Failure, NewTask, Refused, Verdicts};
use crate::error::{Error, JobError};
use crate::job::{Job, encode_item, encode_numbers, see_off};

impl<J: Job<Item>, Item> Map<'_, J, Item> {
    /// Keeps the workers supplied.
    pub(super) fn feed<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
    ) -> Result<(), Error> {
        // It may have been resized.
        self.chunking.n_workers = self.pool.workers();
        let pace = self.chunking.pace();
        while self.wants_more(&pace) && !items.ended {
            self.send_next(items, &pace)?;
        }
        Ok(())
    }

    pub(super) fn wants_more(&self, pace: &Pace) -> bool {
        let is_wanted = !self.has_failed && self.time_left() != Some(Duration::ZERO);
        is_wanted && self.n_on_board < pace.window && self.room(pace) > 0
    }

    /// How many items may be sent before further ones are taken.
    fn room(&self, pace: &Pace) -> usize {
        let n_chunks_ahead = self.chunks.len() - self.vacant.len();
        match self.most_ahead {
            Ahead::Unlimited => usize::MAX,
            Ahead::Chunks if n_chunks_ahead < 2 * pace.window => usize::MAX,
            Ahead::Chunks => 0,
            Ahead::Items(most) => most.saturating_sub(self.n_ahead()),
        }
    }

    /// Items for the next task.
    fn next_len<I: Iterator<Item = Item>>(&self, items: &Source<I>, pace: &Pace) -> usize {
        let len = self.chunking.next_len(items.remaining(), size_of::<Item>());
        match self.most_ahead {
            // A share for each worker.
            Ahead::Items(most) => len.min((most / pace.window).max(1)),
            Ahead::Unlimited | Ahead::Chunks => len,
        }
        .min(self.room(pace))
    }

    /// Pulls items from the caller's iterator and puts them on the board, in one task where they fit one.
    fn send_next<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
        pace: &Pace,
    ) -> Result<(), Error> {
        let mut pulled = std::mem::take(&mut self.pulled);
        items.pull(self.next_len(items, pace), &mut pulled);
        while !pulled.is_empty() && !self.has_failed {
            let (n_sent, passengers) = self.send(&pulled, pace)?;
            // At once: the next task may have to wait for this one, and this one for what its items let go of.
            see_off(passengers, pulled.drain(..n_sent));
        }
        pulled.clear();
        self.pulled = pulled;
        Ok(())
    }

    /// Encodes items from the front of `items` and puts them on the board; returns how many, and what travels beside
    /// them.
    fn send(&mut self, items: &[Item], pace: &Pace) -> Result<(usize, Passengers), Error> {
        let mut encoder = Encoder::with_buffer(std::mem::take(&mut self.buffer));
        let (mut n_items, refused) = self.encode(items, &mut encoder);
        if n_items > 0 {
            let place = self.vacant.last().copied().unwrap_or(self.chunks.len());
            let number = self.n_taken + place as u64;
            let task = NewTask {
                heap_len: self.chunking.heap_len(n_items),
                flush_each: pace.flush_each,
                most_awake: pace.most_awake,
                ends_at_fault: self.ends_at_failure,
                rings: pace.rings(number),
                tag: number,
                first_index: Some(self.n_items_sent),
                ..self
                    .terms
                    .task::<J, Item>(&encoder, n_items as u32, &self.mailbox)
            };
            let published = match self.pool.dispatch.publish(&task, self.ends_at) {
                // The room for its result is a guess; without it the result goes to the worker's own region.
                Err(Refused::TooLarge { .. }) if n_items == 1 => {
                    let task = NewTask {
                        heap_len: 0,
                        ..task
                    };
                    self.pool.dispatch.publish(&task, self.ends_at)
                }
                other => other,
            };
            match published {
                Ok(task) => {
                    self.put(Chunk::OnBoard(task));
                    self.n_on_board += 1;
                }
                Err(Refused::TooLarge { .. }) if n_items > 1 => {
                    return self.send(&items[..n_items / 2], pace);
                }
                // The deadline has passed while it waited for room.
                Err(Refused::Full) => {
                    self.add(self.n_items_sent(), Verdicts::cancelled(n_items));
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        let passengers = encoder.take_passengers();
        self.buffer = encoder.into_buffer();
        if let Some(error) = refused {
            // A verdict like any other: a map that asks for all goes on behind it.
            let failure = Failure {
                error: JobError::from(error),
                worker_pid: None,
            };
            self.add(self.n_items_sent() + n_items, Verdicts::of_failure(failure));
            n_items += 1;
        }
        self.n_items_sent += n_items as u64;
        Ok((n_items, passengers))
    }

    /// Encodes items from the front of `items`, as many as make a task; returns how many, and why the next one cannot
    /// be sent.
    fn encode<'i>(
        &self,
        items: &'i [Item],
        encoder: &mut Encoder<'i>,
    ) -> (usize, Option<CodecError>) {
        if encode_numbers::<J, Item>(items, encoder) {
            return (items.len(), None);
        }
        for (n_before, item) in items.iter().enumerate() {
            if n_before > 0 && self.chunking.is_full(encoder.len()) {
                return (n_before, None);
            }
            if let Err(error) = encode_item::<J, Item>(item, encoder) {
                return (n_before, Some(error));
            }
        }
        (items.len(), None)
    }
}
