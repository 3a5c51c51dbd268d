//! One face for three ways to run jobs: in processes, in threads, in the caller.
//!
//! Responsible for: the trait, the choice between the three, and the two that need no process. Not responsible for pools, which
//! are one of the three as they stand.
//!
//! Invariant: arguments and results go through the codec whoever runs the job ([`local`]), so that what would fail in a process fails
//! everywhere, and nothing but bytes passes from thread to thread.

mod any;
mod handle;
mod inline;
mod local;
mod thread;

use std::collections::VecDeque;

pub use any::{AnyExecutor, ExecutorBuilder, ExecutorKind};
pub use handle::ExecutorHandle;
pub use inline::InlineExecutor;
pub use thread::ThreadExecutor;

use crate::error::{Error, JobError};
use crate::job::Job;
use crate::pool::{MapOptions, Pool, default_workers};

/// What runs jobs: a [`Pool`] of processes, a [`ThreadExecutor`], an [`InlineExecutor`], or [`AnyExecutor`] which is one of the three.
///
/// The same job gives the same results on each, and the same serialization errors, since arguments and results go through
/// the codec everywhere. A panic is [`JobError::Panicked`] everywhere. The other two lack what only a process gives: there a
/// crash or an `exit` ends the program, and a job cannot be killed, so time-outs and limits are not enforced. To learn where a job
/// panicked, they set a panic hook in the program at their first job, which passes every panic on to the hook before.
///
/// ```
/// use procession::{Executor, InlineExecutor, Pool, ThreadExecutor, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// fn sum_of_squares(executor: &impl Executor) -> Result<u64, procession::Error> {
///     Ok(executor.map(job!(square), 0..10)?.into_iter().sum())
/// }
///
/// assert_eq!(sum_of_squares(&Pool::new(2)?)?, 285);
/// assert_eq!(sum_of_squares(&ThreadExecutor::new(2)?)?, 285);
/// assert_eq!(sum_of_squares(&InlineExecutor::new())?, 285);
/// # Ok::<(), procession::Error>(())
/// ```
pub trait Executor {
    /// How many jobs may run at the same time.
    ///
    /// ```
    /// use procession::{Executor, ThreadExecutor};
    ///
    /// assert_eq!(Executor::workers(&ThreadExecutor::new(3)?), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    fn workers(&self) -> usize;

    /// Has one call of the job run.
    ///
    /// # Errors
    ///
    /// As [`Pool::submit`]: arguments that cannot be encoded, a job that borrows a [state](crate::PoolBuilder::initializer) that is not there, an
    /// executor that is gone.
    ///
    /// ```
    /// use procession::{AnyExecutor, Executor, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let executor = AnyExecutor::new()?;
    /// assert_eq!(executor.submit(job!(square), 12)?.join()?, 144);
    /// # Ok::<(), procession::Error>(())
    /// ```
    fn submit<J, Item>(&self, job: J, args: Item) -> Result<ExecutorHandle<J::Output>, Error>
    where
        J: Job<Item>;

    /// Runs the job once for each item and gives the results in input order, or the first failure in it. After a
    /// failure no further item begins.
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    ///
    /// ```
    /// use procession::{AnyExecutor, Executor, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let executor = AnyExecutor::new()?;
    /// assert_eq!(executor.map(job!(square), 0..4)?, [0, 1, 4, 9]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    fn map<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>;

    /// Runs the job once for each item and gives a verdict for each, in input order.
    ///
    /// # Errors
    ///
    /// As [`Pool::map_each`].
    ///
    /// ```
    /// use procession::{AnyExecutor, Executor, JobError, job, process_job};
    ///
    /// #[process_job]
    /// fn reciprocal(x: u32) -> u32 { 100 / x }
    ///
    /// let executor = AnyExecutor::new()?;
    /// let verdicts = executor.map_each(job!(reciprocal), [0, 4])?;
    /// assert!(matches!(verdicts[0], Err(JobError::Panicked { .. })));
    /// assert_eq!(verdicts[1], Ok(25));
    /// # Ok::<(), procession::Error>(())
    /// ```
    fn map_each<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>;
}

impl Executor for Pool {
    fn workers(&self) -> usize {
        self.workers()
    }

    fn submit<J, Item>(&self, job: J, args: Item) -> Result<ExecutorHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        self.submit(job, args).map(ExecutorHandle::of_process)
    }

    fn map<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        self.map(job, items)
    }

    fn map_each<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        self.map_each(job, items)
    }
}

/// `pool_map!` without a pool: on the default pool, or where `PROCESSION_EXECUTOR` and the system say otherwise.
pub(crate) fn map_by_default<J: Job<Item>, Item>(
    job: J,
    items: impl IntoIterator<Item = Item>,
    options: MapOptions,
) -> Result<Vec<J::Output>, Error> {
    match ExecutorKind::from_env()? {
        ExecutorKind::Process => Pool::default_pool()?.map_with(job, items, options),
        ExecutorKind::Thread => {
            let threads = ThreadExecutor::new(default_workers()? as usize)?;
            map::<J, Item>(&threads, items, options)
        }
        ExecutorKind::Inline => map::<J, Item>(&InlineExecutor::new(), items, options),
    }
}

/// What can run a call that is bytes already.
trait RunsLocally {
    fn start(&self, call: local::Call) -> Result<handle::Slot, Error>;

    /// How many calls of a map may be on their way: the iterator is pulled no faster.
    fn window(&self) -> usize;
}

fn submit<J: Job<Item>, Item>(
    executor: &impl RunsLocally,
    args: Item,
) -> Result<ExecutorHandle<J::Output>, Error> {
    let call = local::Call::new::<J, Item>(args, None, None)?;
    executor.start(call).map(ExecutorHandle::of_slot)
}

fn map<J: Job<Item>, Item>(
    executor: &impl RunsLocally,
    items: impl IntoIterator<Item = Item>,
    options: MapOptions,
) -> Result<Vec<J::Output>, Error> {
    options.refuse_nothing()?;
    let mut results = Vec::new();
    map_until::<J, Item>(executor, items, options.retries, |verdict| match verdict {
        Ok(result) => {
            results.push(result);
            Ok(())
        }
        Err(error) => Err(Error::failed_job(error, J::NAME, Some(results.len()), None)),
    })?;
    Ok(results)
}

fn map_each<J: Job<Item>, Item>(
    executor: &impl RunsLocally,
    items: impl IntoIterator<Item = Item>,
) -> Result<Vec<Result<J::Output, JobError>>, Error> {
    let mut verdicts = Vec::new();
    map_until::<J, Item>(executor, items, None, |verdict| {
        verdicts.push(verdict);
        Ok(())
    })?;
    Ok(verdicts)
}

/// Gives the verdicts in input order until one is refused; what has not begun by then never will.
fn map_until<J: Job<Item>, Item>(
    executor: &impl RunsLocally,
    items: impl IntoIterator<Item = Item>,
    retries: Option<u32>,
    mut take: impl FnMut(Result<J::Output, JobError>) -> Result<(), Error>,
) -> Result<(), Error> {
    local::check::<J, Item>()?;
    let mut window = Window(VecDeque::new());
    for (index, item) in (0..).zip(items) {
        if window.0.len() >= executor.window()
            && let Some(oldest) = window.0.pop_front()
        {
            take(oldest.and_then(ExecutorHandle::join))?;
        }
        let call = local::Call::new::<J, Item>(item, Some(index), retries);
        window
            .0
            .push_back(match call.and_then(|call| executor.start(call)) {
                Ok(slot) => Ok(ExecutorHandle::of_slot(slot)),
                // An item that cannot be encoded is that item's failure.
                Err(error) => Err(error.job_error().cloned().ok_or(error)?),
            });
    }
    while let Some(oldest) = window.0.pop_front() {
        take(oldest.and_then(ExecutorHandle::join))?;
    }
    Ok(())
}

/// The calls of a map that are on their way. Dropped before its end, it cancels what has not begun.
struct Window<R>(VecDeque<Result<ExecutorHandle<R>, JobError>>);

impl<R> Drop for Window<R> {
    fn drop(&mut self) {
        for handle in self.0.iter().flatten() {
            handle.cancel();
        }
    }
}
