//! Pools of worker processes.
//!
//! Responsible for the public face: building, mapping, submitting, ending ([`closing`]). The board is
//! [`crate::dispatch`]'s, the processes are [`crate::supervisor`]'s. README.md beside this file defines the
//! words, draws the life of a worker and names the races.

mod builder;
mod chunking;
mod closing;
mod finalizer;
mod fork_map;
mod future;
mod handle;
mod hooks;
mod imap;
mod limits;
mod map;
mod options;
mod partial;
mod source;
mod stats;
mod terms;
mod wait;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::{PoolBuilder, StartMethod};
pub(crate) use builder::{checked_workers, default_workers};
use finalizer::Finalizer;
pub use fork_map::{fork_map, fork_map_each};
pub use handle::JobHandle;
pub use imap::{Imap, ImapUnordered};
pub use options::{MapOptions, SubmitOptions};
pub use partial::MapError;
pub use stats::{PoolStats, WorkerStats};
pub(crate) use terms::CallTerms;
pub use wait::{AsCompleted, WaitFor, Waited, as_completed, wait};

use crate::board::Ordering;
use crate::dispatch::Dispatch;
use crate::error::{Error, JobError};
use crate::job::{Job, StateType};
use crate::supervisor::{ThisProcess, lock};

/// A set of worker processes that run jobs.
///
/// Workers are forked when the pool is made, replaced when they die, and gone when the pool is dropped. A pool
/// may be used from many threads at once. Dropping it kills its workers at once, and every open
/// [`JobHandle`] gets [`JobError::Cancelled`]; [`close`](Self::close) waits for what was queued.
///
/// ```
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let pool = Pool::new(2)?;
/// assert_eq!(pool.map(job!(square), 0..5)?, [0, 1, 4, 9, 16]);
/// let handle = pool.submit(job!(square), 12)?;
/// assert_eq!(handle.join()?, 144);
/// pool.close()?;
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Pool {
    dispatch: Arc<Dispatch>,
    defaults: Defaults,
    /// What jobs can borrow.
    state: StateType,
    finalizer: Finalizer,
}

/// What applies to a job where neither the call nor the job says otherwise.
#[derive(Clone, Copy, Debug, Default)]
struct Defaults {
    timeout: Option<Duration>,
    retries: u32,
    /// 0: no limit.
    max_jobs: u64,
}

impl Pool {
    /// Makes a pool of so many workers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for no workers, or more than 1024;
    /// [`ErrorKind::Start`](crate::ErrorKind::Start) and
    /// [`ErrorKind::System`](crate::ErrorKind::System) where processes cannot be had, with the cause.
    ///
    /// ```
    /// let pool = procession::Pool::new(3)?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(workers: usize) -> Result<Self, Error> {
        Self::builder().workers(workers).build()
    }

    /// A pool with everything that can be said about it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::Pool;
    ///
    /// let pool = Pool::builder().workers(2).timeout(Duration::from_secs(10)).name("parse").build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The pool of `pool_map!` without `in`, made at first use and again if its supervisor was killed.
    pub(crate) fn default_pool() -> Result<Arc<Self>, Error> {
        let mut pool = lock(&ThisProcess::get().default_pool);
        if let Some(pool) = pool.as_ref().filter(|pool| !pool.dispatch.is_gone()) {
            return Ok(Arc::clone(pool));
        }
        let new = Arc::new(Self::builder().build()?);
        *pool = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Runs the job once for each item and gives the results in input order, or the first failure in it.
    ///
    /// After a failure, items not yet begun are cancelled; those running finish unheard. The items are taken
    /// from the iterator as workers become free. [`pool_map!`](crate::pool_map) is the same with options.
    ///
    /// # Errors
    ///
    /// The first item's failure in input order ([`Error::job_error`], [`Error::index`]), or what is wrong
    /// with the pool.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn reciprocal(x: u32) -> u32 { 100 / x }
    ///
    /// let pool = Pool::new(2)?;
    /// assert_eq!(pool.map(job!(reciprocal), [1, 2, 4])?, [100, 50, 25]);
    /// let error = pool.map(job!(reciprocal), [1, 0, 4]).unwrap_err();
    /// assert_eq!(error.index(), Some(1));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        self.map_with(job, items, MapOptions::NONE)
    }

    /// Runs the job once for each item and gives a verdict for each, in input order.
    ///
    /// # Errors
    ///
    /// What is wrong with the pool as a whole; a job's failure stands in its place in the vector.
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn fragile(x: u32) -> u32 {
    ///     if x == 1 { std::process::abort() }
    ///     x
    /// }
    ///
    /// let verdicts = Pool::new(2)?.map_each(job!(fragile), 0..3)?;
    /// assert_eq!(verdicts[0], Ok(0));
    /// assert!(matches!(verdicts[1], Err(JobError::Killed { signal: 6, .. })));
    /// assert_eq!(verdicts[2], Ok(2));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map_each<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        self.map_each_with(job, items, MapOptions::NONE)
    }

    /// As [`map`](Self::map), with options: [`pool_map!`](crate::pool_map) as a method.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map); [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that cannot be meant.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn slow(millis: u64) { std::thread::sleep(Duration::from_millis(millis)) }
    ///
    /// let limit = Duration::from_millis(200);
    /// let options = MapOptions::NONE.deadline(limit);
    /// let error = Pool::new(1)?.map_with(job!(slow), [0, 0, 60_000, 0], options).unwrap_err();
    /// assert_eq!((error.index(), error.job_error()), (Some(2), Some(&JobError::TimedOut { limit })));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map_with<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
        options: MapOptions,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        map::run::<J, Item>(self, items.into_iter(), options)
    }

    /// As [`map_each`](Self::map_each), with options.
    ///
    /// # Errors
    ///
    /// As [`map_each`](Self::map_each); [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that cannot be meant.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn fragile(x: u32) -> u32 {
    ///     if x == 1 { std::process::abort() }
    ///     x
    /// }
    ///
    /// let options = MapOptions::NONE.chunk_size(3);
    /// let verdicts = Pool::new(1)?.map_each_with(job!(fragile), 0..3, options)?;
    /// assert_eq!((&verdicts[0], &verdicts[2]), (&Ok(0), &Ok(2)));
    /// assert!(verdicts[1].is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn map_each_with<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
        options: MapOptions,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        map::run_each::<J, Item>(self, items.into_iter(), options)
    }

    /// Queues one call of the job: Python's `apply_async`.
    ///
    /// Never waits for a worker; waits for room where the queue holds `max_queued_bytes` already. `args` is the
    /// plain value for a function of one parameter, a tuple for several, `()` for none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`](crate::ErrorKind::Job) with [`JobError::Codec`] where the arguments cannot be encoded,
    /// [`ErrorKind::QueueFull`](crate::ErrorKind::QueueFull) where they could never fit, [`ErrorKind::PoolGone`](crate::ErrorKind::PoolGone).
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn add(a: u32, b: u32) -> u32 { a + b }
    ///
    /// let pool = Pool::new(2)?;
    /// let handles: Vec<_> = (0..10).map(|x| pool.submit(job!(add), (x, 1))).collect::<Result<_, _>>()?;
    /// for (x, handle) in (0..).zip(handles) {
    ///     assert_eq!(handle.join()?, x + 1);
    /// }
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn submit<J, Item>(&self, _job: J, args: Item) -> Result<JobHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        handle::submit::<J, Item>(self, args, MapOptions::NONE, true)
    }

    /// As [`submit`](Self::submit), but does not wait for room.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and [`ErrorKind::QueueFull`](crate::ErrorKind::QueueFull) where there is no room now.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn double(x: u32) -> u32 { x * 2 }
    ///
    /// assert_eq!(Pool::new(1)?.try_submit(job!(double), 4)?.join()?, 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_submit<J, Item>(&self, _job: J, args: Item) -> Result<JobHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        handle::submit::<J, Item>(self, args, MapOptions::NONE, false)
    }

    /// As [`submit`](Self::submit), with options.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit); [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for an option that cannot be meant.
    ///
    /// ```
    /// use procession::{Pool, Priority, SubmitOptions, job, process_job};
    ///
    /// #[process_job]
    /// fn double(x: u32) -> u32 { x * 2 }
    ///
    /// let pool = Pool::new(1)?;
    /// let handle = pool.submit_with(job!(double), 4, SubmitOptions::NONE.priority(Priority::High))?;
    /// assert_eq!(handle.join()?, 8);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn submit_with<J, Item>(
        &self,
        _job: J,
        args: Item,
        options: SubmitOptions,
    ) -> Result<JobHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        handle::submit::<J, Item>(self, args, options.of_map(), true)
    }

    /// The number of workers that the pool is to have: as it was built, or as [`resize`](Self::resize) last said. How many
    /// there are at this moment is the length of [`pids`](Self::pids).
    ///
    /// ```
    /// assert_eq!(procession::Pool::new(2)?.workers(), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn workers(&self) -> usize {
        self.dispatch.n_workers()
    }

    /// Has `workers` workers in the pool from now on, whatever runs on it meanwhile and from whichever thread.
    ///
    /// To grow starts the new workers, with the initializer if the pool has one, before this returns. With
    /// [`StartMethod::Fork`] they too see the program's memory of the moment when the pool was built. To shrink does not
    /// wait: the workers at the last places take no further task and end in order, with their finalizer, at once or when
    /// they are done with what they have or are just taking, and what is queued is for the others. No job is lost by it.
    /// Maps under way make use of the new number at once, as [`workers`](Self::workers) tells it; [`pids`](Self::pids) has
    /// a worker that leaves until it is gone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for no workers, or more than the pool was built for
    /// ([`max_workers`](PoolBuilder::max_workers)); [`ErrorKind::System`](crate::ErrorKind::System) where processes cannot be had, and
    /// [`ErrorKind::PoolGone`](crate::ErrorKind::PoolGone). After an error the pool has as many workers as before.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let pool = Pool::new(1)?;
    /// pool.resize(3)?;
    /// assert_eq!(pool.workers(), 3);
    /// assert_eq!(pool.map(job!(square), 0..4)?, [0, 1, 4, 9]);
    /// pool.resize(1)?;
    /// assert_eq!(pool.map(job!(square), 0..4)?, [0, 1, 4, 9]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn resize(&self, workers: usize) -> Result<(), Error> {
        self.dispatch.resize(checked_workers(workers, "a pool")?)
    }

    /// The process numbers of the workers that live now, without those that are just being replaced or have
    /// [retired](PoolBuilder::idle_timeout).
    ///
    /// ```
    /// assert_eq!(procession::Pool::new(2)?.pids().len(), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn pids(&self) -> Vec<u32> {
        if self.dispatch.check_ours().is_err() {
            return Vec::new();
        }
        self.dispatch
            .board()
            .workers()
            .iter()
            .map(|record| record.pid.load(Ordering::Relaxed))
            .filter(|&pid| pid != 0)
            .collect()
    }

    /// What each worker has done so far, and what it has cost.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let pool = Pool::new(2)?;
    /// pool.map(job!(square), 0..100)?;
    /// let jobs: u64 = pool.stats().workers.iter().map(|worker| worker.jobs_done).sum();
    /// assert_eq!(jobs, 100);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        stats::read(&self.dispatch)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.workers())
            .field("defaults", &self.defaults)
            .finish()
    }
}
