//! One map: items in, chunk by chunk; verdicts out, in order.
//!
//! The calling thread feeds and collects by itself; there is no thread behind it. It keeps a few tasks per
//! worker on the board, more only of very short ones, so an iterator is pulled only as fast as its items are worked
//! off.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use super::chunking::Chunking;
use super::source::Source;
use crate::board::TaskId;
use crate::codec::{CodecError, Encoder, Passengers, fixed_size};
use crate::dispatch::{Failure, Mailbox, NewTask, Refused, Verdicts};
use crate::error::{Error, JobError};
use crate::job::{Job, encode_item, encode_numbers, hash, see_off, shim_offset};

/// What a map was told beside its job and items; `None` leaves the choice to the job's defaults and the pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapOptions {
    pub(crate) chunk_size: Option<usize>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
}

impl MapOptions {
    /// Nothing said.
    pub const NONE: Self = Self {
        chunk_size: None,
        timeout: None,
        retries: None,
    };

    /// `chunk_size = …`
    #[must_use]
    pub fn chunk_size(mut self, n_items: usize) -> Self {
        self.chunk_size = Some(n_items);
        self
    }

    /// `timeout = …`
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// `retries = …`
    #[must_use]
    pub fn retries(mut self, n_retries: u32) -> Self {
        self.retries = Some(n_retries);
        self
    }
}

/// What holds for every item of one call: the call's word, else the job's, else the pool's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTerms {
    shim: i64,
    job: u64,
    timeout: Option<Duration>,
    retries: u32,
}

impl CallTerms {
    pub(super) fn new<J: Job<Item>, Item>(pool: &Pool, options: MapOptions) -> Result<Self, Error> {
        pool.dispatch.check_ours()?;
        // Work for a pool that is gone would be taken and lost.
        pool.dispatch.look_after_supervisor();
        let timeout = options
            .timeout
            .or(J::DEFAULTS.timeout)
            .or(pool.defaults.timeout);
        if timeout == Some(Duration::ZERO) {
            return Err(Error::invalid_input(
                "a `timeout` of 0 would kill every job; leave it out for no limit",
            ));
        }
        let retries = options
            .retries
            .or(J::DEFAULTS.retries)
            .unwrap_or(pool.defaults.retries);
        Ok(Self {
            shim: shim_offset::<J, Item>()?,
            job: hash::<J, Item>(),
            timeout,
            retries,
        })
    }

    /// For a job that runs without a pool.
    pub(crate) fn of_job<J: Job<Item>, Item>() -> Result<Self, Error> {
        let (timeout, retries) = (J::DEFAULTS.timeout, J::DEFAULTS.retries.unwrap_or(0));
        Ok(Self {
            shim: shim_offset::<J, Item>()?,
            job: hash::<J, Item>(),
            timeout,
            retries,
        })
    }

    /// A task of these items on these terms.
    pub(crate) fn task<'a, J: Job<Item>, Item>(
        &self,
        input: &'a Encoder<'a>,
        n_items: u32,
        mailbox: &'a Arc<Mailbox>,
    ) -> NewTask<'a> {
        NewTask {
            shim: self.shim,
            job: self.job,
            input,
            n_items,
            fixed_output: fixed_size::<J::Output>(),
            heap_len: 128,
            timeout: self.timeout,
            retries: self.retries,
            guarded: self.timeout.is_some(),
            ends_at_fault: false,
            flush_each: true,
            mailbox,
            tag: 0,
        }
    }
}

pub(super) fn run<J: Job<Item>, Item>(
    pool: &Pool,
    items: impl Iterator<Item = Item>,
    options: MapOptions,
) -> Result<Vec<J::Output>, Error> {
    let mut map = Map::<J, Item>::new(pool, options)?;
    map.ends_at_failure = true;
    let mut items = Source::new(items);
    let mut results = Vec::with_capacity(items.len_hint());
    while let Some(mut chunk) = map.next_chunk(&mut items)? {
        if !chunk.failures.is_empty() {
            let (place, failure) = chunk.failures.swap_remove(0);
            let index = results.len() + place;
            return Err(Error::failed_job(
                failure.error,
                J::NAME,
                Some(index),
                failure.worker_pid,
            ));
        }
        results.append(&mut chunk.results);
    }
    Ok(results)
}

pub(super) fn run_each<J: Job<Item>, Item>(
    pool: &Pool,
    items: impl Iterator<Item = Item>,
    options: MapOptions,
) -> Result<Vec<Result<J::Output, JobError>>, Error> {
    let mut map = Map::<J, Item>::new(pool, options)?;
    let mut items = Source::new(items);
    let mut verdicts = Vec::with_capacity(items.len_hint());
    while let Some(chunk) = map.next_chunk(&mut items)? {
        verdicts.extend(
            chunk
                .each()
                .map(|verdict| verdict.map_err(|failure| failure.error)),
        );
    }
    Ok(verdicts)
}

/// Where a chunk has got to.
enum Chunk<R> {
    OnBoard(TaskId),
    /// It has come back, and waits for the chunks before it.
    Arrived(Verdicts<R>),
    /// Nobody wants it any more.
    Abandoned,
}

/// A map on its way. Dropped before its end, it cancels what has not begun.
struct Map<'pool, J: Job<Item>, Item> {
    pool: &'pool Pool,
    terms: CallTerms,
    chunking: Chunking,
    mailbox: Arc<Mailbox>,
    /// The chunks from number `n_taken` on, in order.
    chunks: VecDeque<Chunk<J::Output>>,
    n_taken: u64,
    n_on_board: usize,
    /// Whether nothing after a failed item is wanted.
    ends_at_failure: bool,
    /// Whether a failure is known after which nothing is wanted.
    has_failed: bool,
    /// Allocations for the items of the next task and for their bytes.
    pulled: Vec<Item>,
    buffer: Vec<u8>,
    job: PhantomData<fn() -> J>,
}

impl<'pool, J: Job<Item>, Item> Map<'pool, J, Item> {
    fn new(pool: &'pool Pool, options: MapOptions) -> Result<Self, Error> {
        if options.chunk_size == Some(0) {
            return Err(Error::invalid_input(
                "a `chunk_size` of 0 holds no item: give at least 1, or leave it out",
            ));
        }
        let terms = CallTerms::new::<J, Item>(pool, options)?;
        Ok(Self {
            pool,
            terms,
            chunking: Chunking::new(options.chunk_size, pool.workers(), pool.defaults.max_jobs),
            mailbox: Arc::default(),
            chunks: VecDeque::new(),
            n_taken: 0,
            n_on_board: 0,
            ends_at_failure: false,
            has_failed: false,
            pulled: Vec::new(),
            buffer: Vec::new(),
            job: PhantomData,
        })
    }

    /// The next chunk's verdicts in input order, once they are there; `None` after the last one.
    fn next_chunk<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
    ) -> Result<Option<Verdicts<J::Output>>, Error> {
        loop {
            self.collect();
            self.feed(items)?;
            match self.chunks.pop_front() {
                Some(Chunk::Arrived(verdicts)) => {
                    self.n_taken += 1;
                    return Ok(Some(verdicts));
                }
                Some(other) => self.chunks.push_front(other),
                None => return Ok(None),
            }
            self.pool.dispatch.wait_until(|| !self.mailbox.is_empty());
        }
    }

    /// Keeps the workers supplied.
    fn feed<I: Iterator<Item = Item>>(&mut self, items: &mut Source<I>) -> Result<(), Error> {
        while self.wants_more() && !items.ended {
            while self.wants_more() && !items.ended {
                self.send_next(items)?;
            }
            self.pool.dispatch.drain();
            self.collect();
        }
        Ok(())
    }

    fn wants_more(&self) -> bool {
        self.n_on_board < self.chunking.window() && !self.has_failed
    }

    /// Pulls items from the caller's iterator and puts them on the board, in one task where they fit one.
    fn send_next<I: Iterator<Item = Item>>(&mut self, items: &mut Source<I>) -> Result<(), Error> {
        let mut pulled = std::mem::take(&mut self.pulled);
        let n_items = self.chunking.next_len(items.remaining(), size_of::<Item>());
        items.pull(n_items, &mut pulled);
        while !pulled.is_empty() {
            let (n_sent, passengers) = self.send(&pulled)?;
            // At once: the next task may have to wait for this one, and this one for what its items let go of.
            see_off(passengers, pulled.drain(..n_sent));
        }
        self.pulled = pulled;
        Ok(())
    }

    /// Encodes items from the front of `items` and puts them on the board; returns how many, and what travels beside
    /// them.
    fn send(&mut self, items: &[Item]) -> Result<(usize, Passengers), Error> {
        let mut encoder = Encoder::with_buffer(std::mem::take(&mut self.buffer));
        let (mut n_items, refused) = self.encode(items, &mut encoder);
        if n_items > 0 {
            let task = NewTask {
                heap_len: self.chunking.heap_len(n_items),
                flush_each: self.chunking.flush_each(),
                ends_at_fault: self.ends_at_failure,
                tag: self.n_taken + self.chunks.len() as u64,
                ..self
                    .terms
                    .task::<J, Item>(&encoder, n_items as u32, &self.mailbox)
            };
            match self.pool.dispatch.publish(&task) {
                Ok(task) => self.chunks.push_back(Chunk::OnBoard(task)),
                Err(Refused::TooLarge { .. }) if n_items > 1 => {
                    return self.send(&items[..n_items / 2]);
                }
                Err(refused) => return Err(refused.into()),
            }
            self.n_on_board += 1;
        }
        let passengers = encoder.take_passengers();
        self.buffer = encoder.into_buffer();
        if let Some(error) = refused {
            // A verdict like any other: a map that asks for all goes on behind it.
            let failure = Failure {
                error: JobError::from(error),
                worker_pid: None,
            };
            self.chunks
                .push_back(Chunk::Arrived(Verdicts::of_failure(failure)));
            if self.ends_at_failure {
                self.fail(self.chunks.len() - 1);
            }
            n_items += 1;
        }
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

    /// Decodes what has come back.
    fn collect(&mut self) {
        for (chunk, outcome) in self.mailbox.take() {
            self.chunking
                .learn(outcome.n_items(), outcome.busy, outcome.result_bytes());
            let place = (chunk - self.n_taken) as usize;
            if !matches!(self.chunks[place], Chunk::OnBoard(_)) {
                continue;
            }
            self.n_on_board -= 1;
            let verdicts = outcome.verdicts();
            let has_failed = !verdicts.failures.is_empty();
            self.chunks[place] = Chunk::Arrived(verdicts);
            if has_failed && self.ends_at_failure {
                self.fail(place);
            }
        }
    }

    /// A chunk holds a failure: nothing behind it is wanted.
    fn fail(&mut self, place: usize) {
        self.has_failed = true;
        for chunk in self.chunks.range_mut(place + 1..) {
            if let Chunk::OnBoard(task) = std::mem::replace(chunk, Chunk::Abandoned) {
                self.n_on_board -= 1;
                self.pool.dispatch.abandon(task);
            }
        }
    }
}

impl<J: Job<Item>, Item> Drop for Map<'_, J, Item> {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            if let Chunk::OnBoard(task) = chunk {
                self.pool.dispatch.abandon(*task);
            }
        }
    }
}
