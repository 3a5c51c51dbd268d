//! Results one by one, while the input is still read: `imap` in input order, `imap_unordered` as they come.
//!
//! Responsible for: the two iterators, and for what an input that panics or a pool that is lost means to them. The
//! items' way is a map's ([`super::map`]), fed and collected by the thread that asks for the next result.
//!
//! Invariants:
//! - Between two calls of `next` nothing is read from the input, and no more than was asked for is ever on its way.
//! - The input's panic passes through `next` behind the results of all items before it, and the input is not asked again.
//! - Every item that was sent has a verdict; one more, `Lost`, says why no further ones are sent. Items that had been read for
//!   the task that could not be sent go with that one.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::map::{Ahead, Arrival, Map};
use super::source::Source;
use super::{MapOptions, Pool};
use crate::error::{Error, JobError};
use crate::job::Job;

/// Results in input order, from [`Pool::imap`].
///
/// Dropped before its end, it cancels what has not begun; jobs that run come to their end unheard.
///
/// ```
/// use procession::{Imap, Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let pool = Pool::new(2)?;
/// let mut squares: Imap<'_, _, _> = pool.imap(job!(square), 1..);
/// assert_eq!(squares.next(), Some(Ok(1)));
/// assert_eq!(squares.next(), Some(Ok(4)));
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "nothing is read from the input before the first result is asked for"]
pub struct Imap<'pool, J: Job<I::Item>, I: Iterator> {
    stream: Stream<'pool, J, I>,
}

/// Results as they come, each with the place of its item in the input, from [`Pool::imap_unordered`].
///
/// Dropped before its end, it cancels what has not begun; jobs that run come to their end unheard.
///
/// ```
/// use procession::{ImapUnordered, Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let pool = Pool::new(2)?;
/// let squares: ImapUnordered<'_, _, _> = pool.imap_unordered(job!(square), 10..20);
/// for (place, square) in squares {
///     assert_eq!(square?, (10 + place as u64).pow(2));
/// }
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "nothing is read from the input before the first result is asked for"]
pub struct ImapUnordered<'pool, J: Job<I::Item>, I: Iterator> {
    stream: Stream<'pool, J, I>,
}

impl Pool {
    /// Runs the job for each item and gives the results one by one, in input order, while the input is still read.
    ///
    /// The input may be endless. It is read by the thread that asks for results, only while that asks, and only so far
    /// ahead that the workers have work: three chunks for each worker, and as many again where finished chunks wait
    /// for a slow one before them. A chunk is one item, or as many short ones as take about a millisecond;
    /// [`MapOptions::buffer_size`] sets the limit in items.
    ///
    /// A job's failure stands in its place, and the iteration goes on behind it. If the pool is lost, its jobs are
    /// [`JobError::Lost`], and one more such error says why no further items are sent. If the input panics, that panic
    /// comes out of `next` behind the results of all items before it. Dropped early, the iterator cancels
    /// what has not begun; jobs that run, one for each worker at the most, come to their end unheard.
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn reciprocal(x: u32) -> u32 { 100 / x }
    ///
    /// let pool = Pool::new(2)?;
    /// let mut results = pool.imap(job!(reciprocal), 0..);
    /// assert!(matches!(results.next(), Some(Err(JobError::Panicked { .. }))));
    /// let some: Result<Vec<u32>, JobError> = results.take(3).collect();
    /// assert_eq!(some?, [100, 50, 33]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn imap<J, I>(&self, _job: J, items: I) -> Imap<'_, J, I::IntoIter>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        let map = Map::new(self, MapOptions::NONE);
        let stream = Stream::new(map, MapOptions::NONE, items.into_iter());
        Imap { stream }
    }

    /// As [`imap`](Self::imap), with options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that cannot be meant, or what is wrong
    /// with the pool.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let pool = Pool::new(2)?;
    /// let options = MapOptions::NONE.chunk_size(2).buffer_size(8);
    /// let squares = pool.imap_with(job!(square), 0..4, options)?;
    /// assert_eq!(squares.collect::<Result<Vec<_>, _>>()?, [0, 1, 4, 9]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn imap_with<J, I>(
        &self,
        _job: J,
        items: I,
        options: MapOptions,
    ) -> Result<Imap<'_, J, I::IntoIter>, Error>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        let map = Map::new(self, options)?;
        let stream = Stream::new(Ok(map), options, items.into_iter());
        Ok(Imap { stream })
    }

    /// As [`imap`](Self::imap), but each result is given as soon as it is there, with the place of its item in the input.
    ///
    /// A slow item holds up nobody. Results of items that were sent in one chunk come together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn slow(millis: u64) -> u64 {
    ///     std::thread::sleep(Duration::from_millis(millis));
    ///     millis
    /// }
    ///
    /// let pool = Pool::new(2)?;
    /// let mut results = pool.imap_unordered(job!(slow), [60_000, 1, 2]);
    /// assert_eq!(results.next(), Some((1, Ok(1))));
    /// assert_eq!(results.next(), Some((2, Ok(2))));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn imap_unordered<J, I>(&self, _job: J, items: I) -> ImapUnordered<'_, J, I::IntoIter>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        let map = Map::new(self, MapOptions::NONE).map(Map::unordered);
        let stream = Stream::new(map, MapOptions::NONE, items.into_iter());
        ImapUnordered { stream }
    }

    /// As [`imap_unordered`](Self::imap_unordered), with options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that cannot be meant, or what is wrong
    /// with the pool.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let limit = Duration::from_millis(20);
    /// let pool = Pool::new(1)?;
    /// let mut results = pool.imap_unordered_with(job!(forever), [()], MapOptions::NONE.timeout(limit))?;
    /// assert_eq!(results.next(), Some((0, Err(JobError::TimedOut { limit }))));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn imap_unordered_with<J, I>(
        &self,
        _job: J,
        items: I,
        options: MapOptions,
    ) -> Result<ImapUnordered<'_, J, I::IntoIter>, Error>
    where
        I: IntoIterator,
        J: Job<I::Item>,
    {
        let map = Map::new(self, options)?.unordered();
        let stream = Stream::new(Ok(map), options, items.into_iter());
        Ok(ImapUnordered { stream })
    }
}

/// A map on its way, and what of it has arrived and not been given out.
struct Stream<'pool, J: Job<I::Item>, I: Iterator> {
    /// `None` after the end.
    map: Option<Map<'pool, J, I::Item>>,
    items: Source<Guarded<I>>,
    /// Results of items that follow one another, the first of which has this place in the input.
    ready: VecDeque<Result<J::Output, JobError>>,
    first_ready: usize,
    /// Why no further item is sent.
    error: Option<Error>,
}

/// How the next results are had of a map: by input order, or by arrival.
type Next<'pool, J, I> =
    fn(
        &mut Map<'pool, J, <I as Iterator>::Item>,
        &mut Source<Guarded<I>>,
        usize,
    ) -> Result<Option<Arrival<<J as Job<<I as Iterator>::Item>>::Output>>, Error>;

impl<'pool, J: Job<I::Item>, I: Iterator> Stream<'pool, J, I> {
    fn new(map: Result<Map<'pool, J, I::Item>, Error>, options: MapOptions, items: I) -> Self {
        let (map, error) = match map {
            Ok(mut map) => {
                map.most_ahead = options.buffer_size.map_or(Ahead::Chunks, Ahead::Items);
                (Some(map), None)
            }
            Err(error) => (None, Some(error)),
        };
        Self {
            map,
            items: Source::new(Guarded::new(items)),
            ready: VecDeque::new(),
            first_ready: 0,
            error,
        }
    }

    fn next(&mut self, next: Next<'pool, J, I>) -> Option<(usize, Result<J::Output, JobError>)> {
        while self.ready.is_empty() && self.map.is_some() {
            self.refill(next);
        }
        let place = self.first_ready;
        self.first_ready += 1;
        if let Some(result) = self.ready.pop_front() {
            return Some((place, result));
        }
        if let Some(payload) = self.items.get_mut().panic.take() {
            resume_unwind(payload);
        }
        let error = self.error.take()?;
        Some((place, Err(JobError::lost(error.to_string(), false))))
    }

    /// Waits for the next results, or for the end.
    fn refill(&mut self, next: Next<'pool, J, I>) {
        // A panic on the way, of an item that is encoded, is the end: it leaves `map` empty.
        let Some(mut map) = self.map.take() else {
            return;
        };
        let arrived = map
            .pool()
            .dispatch
            .check_ours()
            .and_then(|()| next(&mut map, &mut self.items, self.first_ready));
        match arrived {
            Ok(Some((first, verdicts))) => {
                self.first_ready = first;
                let results = verdicts.each();
                self.ready
                    .extend(results.map(|result| result.map_err(|failure| failure.error)));
            }
            Ok(None) => {
                self.first_ready = map.n_items_sent();
                return;
            }
            // What is on its way still comes, but in a process that was forked off meanwhile.
            Err(error) => {
                let is_ours = map.pool().dispatch.check_ours().is_ok();
                self.items.ended = true;
                self.error.get_or_insert(error);
                if !is_ours {
                    return;
                }
            }
        }
        self.map = Some(map);
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n_ready = self.ready.len();
        let most = self.items.remaining().and_then(|n_items| {
            let n_sent = self.map.as_ref().map_or(0, |map| map.n_ahead());
            n_items.checked_add(n_sent + n_ready + usize::from(self.error.is_some()))
        });
        (n_ready, most)
    }

    fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("job", &J::NAME)
            .field("n_ready", &self.ready.len())
            .field("has_ended", &self.map.is_none())
            .finish_non_exhaustive()
    }
}

impl<J: Job<I::Item>, I: Iterator> Iterator for Imap<'_, J, I> {
    type Item = Result<J::Output, JobError>;

    fn next(&mut self) -> Option<Self::Item> {
        let in_order = |map: &mut Map<'_, _, _>, items: &mut Source<_>, place| {
            let verdicts = map.next_verdicts(items)?;
            Ok(verdicts.map(|verdicts| (place, verdicts)))
        };
        self.stream.next(in_order).map(|(_, result)| result)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<J: Job<I::Item>, I: Iterator> Iterator for ImapUnordered<'_, J, I> {
    type Item = (usize, Result<J::Output, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.next(|map, items, _| map.next_unordered(items))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<J: Job<I::Item>, I: Iterator> FusedIterator for Imap<'_, J, I> {}
impl<J: Job<I::Item>, I: Iterator> FusedIterator for ImapUnordered<'_, J, I> {}

impl<J: Job<I::Item>, I: Iterator> fmt::Debug for Imap<'_, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt("Imap", f)
    }
}

impl<J: Job<I::Item>, I: Iterator> fmt::Debug for ImapUnordered<'_, J, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stream.fmt("ImapUnordered", f)
    }
}

/// The caller's iterator, whose panic is its end, kept for the moment when all before it is done.
struct Guarded<I> {
    items: I,
    panic: Option<Box<dyn Any + Send>>,
}

impl<I: Iterator> Guarded<I> {
    fn new(items: I) -> Self {
        Self { items, panic: None }
    }
}

impl<I: Iterator> Iterator for Guarded<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // It is not asked again: `Source` sees to that.
        catch_unwind(AssertUnwindSafe(|| self.items.next())).unwrap_or_else(|payload| {
            self.panic = Some(payload);
            None
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}
