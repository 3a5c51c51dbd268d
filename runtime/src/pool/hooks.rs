//! What each worker of a pool runs first and last, as it is said to the builder and sent.
//!
//! Responsible for the encoded calls. What has become of finalizers is in [`super::finalizer`].

use super::PoolBuilder;
use super::finalizer::NewFinalizer;
use crate::codec::{CodecError, Encoder, Passengers};
use crate::error::{Error, JobError};
use crate::job::{Initializer, Job, StateType, initializer_hash, initializer_offset, see_off};

/// A job that every worker runs, ready to be sent.
pub(super) struct SentJob {
    shim: i64,
    job: u64,
    pub(super) args: Vec<u8>,
    /// What they name.
    pub(super) keeps: Passengers,
}

impl PoolBuilder {
    /// A job that each worker runs once before any other. Where it fails, the pool fails with its cause.
    ///
    /// What it returns is the worker's *state*, which jobs under `#[process_job(state)]` borrow. It stays in the worker, so that it
    /// may be anything that lives long enough (`'static`): an open file, a connection, a loaded model. The initializer is then marked
    /// `#[process_job(initializer)]`, and where it returns a `Result`, the state is what is inside, and an error a failure. (Of a plain
    /// `#[process_job]` the result must be one that can travel, and is the state as it stands, even a `Result`.)
    ///
    /// A job whose state is of another type is an error of the call, and runs nowhere. A job that panics with the state in its hands
    /// may leave it half-changed: its worker ends there, without finalizer, and the next one begins with a state of its own.
    /// A worker that ends in order drops its state, after its [`finalizer`](Self::finalizer).
    ///
    /// `build` does not wait for it. Where a worker's initializer fails, others are tried, with pauses between; after five
    /// in a row and none that works, the pool is gone: its jobs are [`JobError::Lost`], and later calls fail with
    /// [`ErrorKind::PoolGone`](crate::ErrorKind::PoolGone), all with the cause.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn load(model: &str) { println!("loading {model}"); }
    ///
    /// let pool = Pool::builder().workers(1).initializer(job!(load), "large").build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    ///
    /// With a state:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use procession::{Pool, job, process_job};
    ///
    /// struct Model { words: HashMap<String, usize> }
    ///
    /// #[process_job(initializer)]
    /// fn load(text: &str) -> Result<Model, String> {
    ///     if text.is_empty() { return Err("there is nothing to learn from".to_owned()) }
    ///     let words = text.split(' ').enumerate().map(|(place, word)| (word.to_owned(), place));
    ///     Ok(Model { words: words.collect() })
    /// }
    ///
    /// #[process_job(state)]
    /// fn place_of(model: &mut Model, word: &str) -> Option<usize> { model.words.get(word).copied() }
    ///
    /// let pool = Pool::builder().workers(2).initializer(job!(load), "to be or not").build()?;
    /// assert_eq!(pool.map(job!(place_of), ["or", "to", "that"])?, [Some(2), Some(0), None]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn initializer<J, Item, Kind>(mut self, _job: J, args: Item) -> Self
    where
        J: Initializer<Item, Kind>,
    {
        let job = || {
            Ok((
                initializer_offset::<J, Item, Kind>()?,
                initializer_hash::<J, Item, Kind>(),
            ))
        };
        let sent = job().and_then(|job| SentJob::new(J::NAME, job, args, J::encode));
        self.initializer = Some(sent);
        self.state = Some(StateType::of::<J::State>());
        self
    }

    /// A job that each worker runs last, when it ends in order: because the pool [closes](crate::Pool::close) or
    /// [shrinks](crate::Pool::resize), or because the worker has done its number of jobs, grown too much, or been idle
    /// [for long](Self::idle_timeout). It may borrow the worker's [state](Self::initializer).
    ///
    /// A worker that is killed (by a time-out, a limit, a crash, [`terminate`](crate::Pool::terminate), the drop of the pool), or whose job
    /// panicked with the state in its hands, runs none. For it and for dropping the state a worker has as long as the pool's
    /// [`grace`](Self::grace), two seconds where that is less; then it is killed, so that nothing hangs.
    ///
    /// What finalizers return, or how they fail, is in [`close_with_results`](crate::Pool::close_with_results) and
    /// [`finalizer_results`](crate::Pool::finalizer_results); a failure also in what [`close`](crate::Pool::close) returns.
    ///
    /// # Errors
    ///
    /// Of `build`, where the job borrows a state that the pool's initializer does not return.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn begin() -> Vec<u64> { Vec::new() }
    ///
    /// #[process_job(state)]
    /// fn note(seen: &mut Vec<u64>, x: u64) { seen.push(x) }
    ///
    /// #[process_job(state)]
    /// fn sum(seen: &mut Vec<u64>) -> u64 { seen.iter().sum() }
    ///
    /// let pool = Pool::builder().workers(2).initializer(job!(begin), ()).finalizer(job!(sum), ()).build()?;
    /// pool.map(job!(note), 0..100)?;
    /// let sums: Vec<Result<u64, _>> = pool.close_with_results()?;
    /// assert_eq!(sums.into_iter().sum::<Result<u64, _>>()?, 4950);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn finalizer<J, Item>(mut self, _job: J, args: Item) -> Self
    where
        J: Job<Item, Output: 'static>,
    {
        self.finalizer = Some(NewFinalizer::new::<J, Item>(args));
        self
    }
}

impl SentJob {
    /// `job`: where workers find its shim, and its hash.
    pub(super) fn new<Args>(
        name: &'static str,
        (shim, job): (i64, u64),
        args: Args,
        encode: impl for<'i> FnOnce(&'i Args, &mut Encoder<'i>) -> Result<(), CodecError>,
    ) -> Result<Self, Error> {
        let mut encoder = Encoder::new();
        encode(&args, &mut encoder)
            .map_err(|error| Error::failed_job(JobError::from(error), name, None, None))?;
        let bytes = encoder.chunks().collect::<Vec<_>>().concat();
        let keeps = encoder.take_passengers();
        see_off(keeps.clone(), args);
        Ok(Self {
            shim,
            job,
            args: bytes,
            keeps,
        })
    }

    pub(super) fn to_words(&self) -> [u64; 2] {
        [self.shim as u64, self.job]
    }
}
