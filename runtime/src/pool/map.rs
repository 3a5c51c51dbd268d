//! One map: items in, chunk by chunk; verdicts out, in order.
//!
//! The calling thread feeds and collects by itself; there is no thread behind it. It keeps a few tasks per
//! worker on the board, more only of very short ones, so an iterator is pulled only as fast as its items are worked
//! off. Who gives the results out one by one, [`super::imap`], bounds how far it may be ahead of them.
//!
//! The calling thread keeps the map's deadline, too: once it has passed, nothing is fed any more, each task on the
//! board is withdrawn or ended, and the verdicts of those are waited for like any others.

mod feeding;

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chunking::{Chunking, Pace};
use super::source::Source;
use super::{CallTerms, MapOptions, Pool};
use crate::board::TaskId;
use crate::codec::append_numbers;
use crate::dispatch::{Failure, Mailbox, Outcome, Verdicts};
use crate::error::{Error, JobError};
use crate::job::Job;
use crate::supervisor::Ending;

pub(super) fn run<J: Job<Item>, Item>(
    pool: &Pool,
    items: impl Iterator<Item = Item>,
    options: MapOptions,
) -> Result<Vec<J::Output>, Error> {
    let mut map = Map::<J, Item>::new(pool, options)?;
    map.ends_at_failure = true;
    let mut items = Source::new(items);
    let mut results = items.vec_for_each();
    while let Some(chunk) = map.next_chunk(&mut items)? {
        match chunk {
            Arrived::Numbers(bytes) => map.read_numbers(bytes, &mut results),
            Arrived::Verdicts(mut chunk) => {
                if !chunk.failures.is_empty() {
                    let (place, failure) = chunk.failures.swap_remove(0);
                    return Err(map.failed(results.len() + place, failure));
                }
                results.append(&mut chunk.results);
            }
        }
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
    let mut verdicts = items.vec_for_each();
    let mut numbers = Vec::new();
    while let Some(chunk) = map.next_chunk(&mut items)? {
        match chunk {
            Arrived::Numbers(bytes) => {
                map.read_numbers(bytes, &mut numbers);
                verdicts.extend(numbers.drain(..).map(Ok));
            }
            Arrived::Verdicts(chunk) => {
                let chunk = chunk.each();
                verdicts.extend(chunk.map(|verdict| verdict.map_err(|failure| failure.error)));
            }
        }
    }
    Ok(verdicts)
}

/// Where a chunk has got to.
enum Chunk<R> {
    OnBoard(TaskId),
    /// It has come back, and waits for the chunks before it.
    Arrived(Arrived<R>),
    /// Nobody wants it any more.
    Abandoned,
}

/// What has come back of a chunk.
enum Arrived<R> {
    /// A result of every item, still as bytes: to be copied to their place with one copy, when it is known.
    Numbers(Vec<u8>),
    Verdicts(Verdicts<R>),
}

impl<R> Chunk<R> {
    fn task(&self) -> Option<TaskId> {
        match self {
            Self::OnBoard(task) => Some(*task),
            _ => None,
        }
    }
}

/// How far the items that were sent may be ahead of the verdicts that were taken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ahead {
    Unlimited,
    /// By as many chunks as keep the workers busy, and as many again that have arrived behind a slow one.
    Chunks,
    Items(usize),
}

/// Verdicts of items that follow one another, and the place of the first of them in the input.
pub(super) type Arrival<R> = (usize, Verdicts<R>);

/// A map on its way. Dropped before its end, it cancels what has not begun.
pub(super) struct Map<'pool, J: Job<Item>, Item> {
    pool: &'pool Pool,
    terms: CallTerms,
    chunking: Chunking,
    mailbox: Arc<Mailbox>,
    /// The chunks from number `n_taken` on, in order.
    chunks: VecDeque<Chunk<J::Output>>,
    /// Places in `chunks` for the next ones, where chunks are taken as they arrive: then they are in no order.
    vacant: Vec<usize>,
    /// What has arrived, where it is not wanted in order, each with the place of its first item in the input.
    unordered: Option<VecDeque<(usize, Arrived<J::Output>)>>,
    n_items_sent: u64,
    n_items_taken: u64,
    n_taken: u64,
    n_on_board: usize,
    pub(super) most_ahead: Ahead,
    /// Whether nothing after a failed item is wanted.
    pub(super) ends_at_failure: bool,
    /// Whether items behind a failed one that have begun are waited for.
    pub(super) keeps_begun: bool,
    /// Whether a failure is known after which nothing is wanted.
    has_failed: bool,
    ends_at: Option<Instant>,
    /// Whether the deadline has passed and everything been ended.
    is_expired: bool,
    /// Allocations for the items of the next task and for their bytes, for what comes back and for its bytes.
    pulled: Vec<Item>,
    buffer: Vec<u8>,
    arrived: Vec<(u64, Outcome)>,
    result_buffers: Vec<Vec<u8>>,
    job: PhantomData<fn() -> J>,
}

impl<'pool, J: Job<Item>, Item> Map<'pool, J, Item> {
    pub(super) fn new(pool: &'pool Pool, options: MapOptions) -> Result<Self, Error> {
        let terms = CallTerms::new::<J, Item>(pool, options)?;
        Ok(Self {
            pool,
            terms,
            chunking: Chunking::new(options.chunk_size, pool.workers(), pool.defaults.max_jobs),
            mailbox: Arc::default(),
            chunks: VecDeque::new(),
            vacant: Vec::new(),
            unordered: None,
            n_items_sent: 0,
            n_items_taken: 0,
            n_taken: 0,
            n_on_board: 0,
            most_ahead: Ahead::Unlimited,
            ends_at_failure: false,
            keeps_begun: false,
            has_failed: false,
            // Later than the clock can tell is never.
            ends_at: options
                .deadline
                .and_then(|limit| Instant::now().checked_add(limit)),
            is_expired: false,
            pulled: Vec::new(),
            buffer: Vec::new(),
            arrived: Vec::new(),
            result_buffers: Vec::new(),
            job: PhantomData,
        })
    }

    /// Has chunks taken as they arrive, by [`next_unordered`](Self::next_unordered).
    pub(super) fn unordered(mut self) -> Self {
        self.unordered = Some(VecDeque::new());
        self
    }

    pub(super) fn pool(&self) -> &'pool Pool {
        self.pool
    }

    /// The place in the input of the next item that is sent.
    pub(super) fn n_items_sent(&self) -> usize {
        self.n_items_sent as usize
    }

    /// The next chunk's verdicts in input order, once they are there; `None` after the last one.
    fn next_chunk<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
    ) -> Result<Option<Arrived<J::Output>>, Error> {
        loop {
            if let Some(arrived) = self.take_first_if_arrived() {
                return Ok(Some(arrived));
            }
            if !self.advance(items)? {
                return Ok(None);
            }
        }
    }

    /// As [`next_chunk`](Self::next_chunk), decoded.
    pub(super) fn next_verdicts<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
    ) -> Result<Option<Verdicts<J::Output>>, Error> {
        let arrived = self.next_chunk(items)?;
        Ok(arrived.map(|arrived| self.read(arrived)))
    }

    /// The verdicts of a chunk that has arrived, in the order of arrival, with the place of its first item in the input;
    /// `None` after the last one.
    pub(super) fn next_unordered<I: Iterator<Item = Item>>(
        &mut self,
        items: &mut Source<I>,
    ) -> Result<Option<Arrival<J::Output>>, Error> {
        loop {
            let next = self.unordered.as_mut().and_then(VecDeque::pop_front);
            if let Some((first_item, arrived)) = next {
                return Ok(Some((first_item, self.read(arrived))));
            }
            if !self.advance(items)? {
                return Ok(None);
            }
        }
    }

    fn read(&mut self, arrived: Arrived<J::Output>) -> Verdicts<J::Output> {
        let verdicts = match arrived {
            Arrived::Verdicts(verdicts) => verdicts,
            Arrived::Numbers(bytes) => {
                let mut results = Vec::new();
                self.read_numbers(bytes, &mut results);
                Verdicts::of_results(results)
            }
        };
        self.n_items_taken += verdicts.len() as u64;
        verdicts
    }

    /// Feeds the workers and takes in what has come back, asleep where there is nothing else to do; false once nothing
    /// is left to wait for.
    fn advance<I: Iterator<Item = Item>>(&mut self, items: &mut Source<I>) -> Result<bool, Error> {
        self.feed(items)?;
        self.pool.dispatch.drain();
        self.collect();
        if !self.is_expired && self.time_left() == Some(Duration::ZERO) {
            self.expire(items);
        }
        let (is_empty, has_arrived) = match &self.unordered {
            None => (
                self.chunks.is_empty(),
                matches!(self.chunks.front(), Some(Chunk::Arrived(_))),
            ),
            Some(arrived) => (
                arrived.is_empty() && self.vacant.len() == self.chunks.len(),
                !arrived.is_empty(),
            ),
        };
        if is_empty && (items.ended || self.has_failed) {
            return Ok(false);
        }
        if has_arrived || self.wants_more(&self.chunking.pace()) && !items.ended {
            return Ok(true);
        }
        let time_left = self.time_left().filter(|_| !self.is_expired);
        let longest = time_left.into_iter().chain(self.chunking.patience()).min();
        let is_resized = || self.pool.workers() != self.chunking.n_workers;
        let dispatch = &self.pool.dispatch;
        if !dispatch.wait_until_or(|| !self.mailbox.is_empty() || is_resized(), longest) {
            self.chunking.be_surprised();
            dispatch.call_all();
        }
        Ok(true)
    }

    fn take_first_if_arrived(&mut self) -> Option<Arrived<J::Output>> {
        match self.chunks.pop_front()? {
            Chunk::Arrived(arrived) => {
                self.n_taken += 1;
                Some(arrived)
            }
            other => {
                self.chunks.push_front(other);
                None
            }
        }
    }

    /// Reads the results of a chunk of numbers, and keeps their buffer for the next ones.
    fn read_numbers(&mut self, mut bytes: Vec<u8>, to: &mut Vec<J::Output>) {
        append_numbers(&bytes, to);
        bytes.clear();
        self.result_buffers.push(bytes);
    }

    /// How many items were sent and their verdicts not taken.
    pub(super) fn n_ahead(&self) -> usize {
        self.n_items_sent.saturating_sub(self.n_items_taken) as usize
    }

    /// Decodes what has come back.
    fn collect(&mut self) {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.mailbox
            .exchange(&mut arrived, &mut self.result_buffers);
        for (chunk, outcome) in &mut arrived {
            if outcome.cost_a_worker() {
                self.chunking.forget();
            } else {
                self.chunking
                    .learn(outcome.n_items(), outcome.busy, outcome.result_bytes());
            }
            let place = (*chunk - self.n_taken) as usize;
            if self.chunks[place].task().is_none() {
                continue;
            }
            self.n_on_board -= 1;
            let first_item = outcome.first_index();
            match outcome.take_numbers::<J::Output>() {
                Some(bytes) => self.settle(place, first_item, Arrived::Numbers(bytes)),
                None => self.keep(place, first_item, outcome.verdicts()),
            }
        }
        arrived.clear();
        self.arrived = arrived;
    }

    /// Gives a chunk its place; returns that.
    fn put(&mut self, chunk: Chunk<J::Output>) -> usize {
        if let Some(place) = self.vacant.pop() {
            self.chunks[place] = chunk;
            place
        } else {
            self.chunks.push_back(chunk);
            self.chunks.len() - 1
        }
    }

    /// The verdicts of a chunk that never was on the board, whose first item has this place in the input.
    fn add(&mut self, first_item: usize, verdicts: Verdicts<J::Output>) {
        let place = self.put(Chunk::Abandoned);
        self.keep(place, first_item, verdicts);
    }

    /// What has come back of the chunk at this place.
    fn settle(&mut self, place: usize, first_item: usize, arrived: Arrived<J::Output>) {
        if let Some(unordered) = &mut self.unordered {
            unordered.push_back((first_item, arrived));
            self.chunks[place] = Chunk::Abandoned;
            self.vacant.push(place);
        } else {
            self.chunks[place] = Chunk::Arrived(arrived);
        }
    }

    /// The verdicts of the chunk at this place.
    fn keep(&mut self, place: usize, first_item: usize, verdicts: Verdicts<J::Output>) {
        let has_failed = !verdicts.failures.is_empty();
        self.settle(place, first_item, Arrived::Verdicts(verdicts));
        if has_failed && self.ends_at_failure {
            self.fail(place);
        }
    }

    /// `None`: as long as it likes.
    fn time_left(&self) -> Option<Duration> {
        let ends_at = self.ends_at?;
        Some(ends_at.saturating_duration_since(Instant::now()))
    }

    /// The deadline has passed: what has not begun is cancelled, what runs is ended.
    fn expire<I: Iterator<Item = Item>>(&mut self, items: &mut Source<I>) {
        self.is_expired = true;
        let dispatch = &self.pool.dispatch;
        let on_board = self.chunks.iter().filter_map(Chunk::task);
        // All that wait first: the successor of a worker that is ended takes the next that it finds.
        let held: Vec<TaskId> = on_board.filter(|&task| !dispatch.withdraw(task)).collect();
        for task in held {
            dispatch.end_running(task, Ending::DeadlinePassed);
        }
        // To a map that ends at a failure one more item is enough to know that it is not done.
        let n_refused = items.end(self.ends_at_failure);
        if n_refused > 0 {
            self.add(self.n_items_sent(), Verdicts::cancelled(n_refused));
        }
    }

    /// The map's own error, for the first item in input order that has no result.
    pub(super) fn failed(&self, index: usize, failure: Failure) -> Error {
        let Failure { error, worker_pid } = failure;
        match self.terms.deadline.filter(|_| self.is_expired) {
            Some(limit) if [JobError::Cancelled, JobError::TimedOut { limit }].contains(&error) => {
                Error::deadline_passed(limit, J::NAME, index, worker_pid)
            }
            _ => Error::failed_job(error, J::NAME, Some(index), worker_pid),
        }
    }

    /// A chunk holds a failure: nothing behind it is wanted.
    fn fail(&mut self, place: usize) {
        self.has_failed = true;
        let behind = self.chunks.range_mut(place + 1..);
        if self.keeps_begun {
            let on_board = behind.filter_map(|chunk| chunk.task());
            on_board.for_each(|task| self.pool.dispatch.end_early(task));
            return;
        }
        for chunk in behind {
            if let Chunk::OnBoard(task) = std::mem::replace(chunk, Chunk::Abandoned) {
                self.n_on_board -= 1;
                self.pool.dispatch.abandon(task);
            }
        }
    }
}

impl<J: Job<Item>, Item> Drop for Map<'_, J, Item> {
    fn drop(&mut self) {
        for task in self.chunks.iter().filter_map(Chunk::task) {
            self.pool.dispatch.abandon(task);
        }
    }
}
