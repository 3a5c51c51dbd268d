//! The end of a pool: in order, when all is done, or at once.

use super::Pool;
use crate::argument::ByValue;
use crate::error::{Error, ErrorKind, JobError};

impl Pool {
    /// Waits for everything that was queued, then ends the workers in order: each runs its [finalizer](super::PoolBuilder::finalizer),
    /// if it has one. No process is left.
    ///
    /// # Errors
    ///
    /// Where the pool broke before all was done; handles tell of their own jobs. The first failure of a finalizer that nobody was told of yet,
    /// also of a worker that had ended before ([`Error::job_error`]).
    ///
    /// ```
    /// procession::Pool::new(1)?.close()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn close(self) -> Result<(), Error> {
        self.end_in_order()?;
        self.finalizer.first_failure(&self.dispatch)
    }

    /// As [`close`](Self::close), and gives what the workers' [finalizers](super::PoolBuilder::finalizer) returned: one verdict for each worker
    /// that ended in order in the life of the pool, and was not in [`finalizer_results`](Self::finalizer_results).
    ///
    /// # Errors
    ///
    /// Where the pool broke before all was done, or its finalizer returns another type; a finalizer's failure stands in its place in the vector.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn farewell(word: &str) -> String { format!("{word} from {}", procession::current_process().name) }
    ///
    /// let pool = Pool::builder().workers(1).finalizer(job!(farewell), "goodbye").build()?;
    /// let results = pool.close_with_results::<String>()?;
    /// assert_eq!(results, [Ok("goodbye from worker-0".to_owned())]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn close_with_results<R>(self) -> Result<Vec<Result<R, JobError>>, Error>
    where
        R: ByValue + 'static,
    {
        self.end_in_order()?;
        self.finalizer.results(&self.dispatch)
    }

    /// What the [finalizers](super::PoolBuilder::finalizer) of the workers that have ended by now returned, each once: for pools that recycle
    /// workers for long. Of those that nobody asks for 65,536 are kept.
    ///
    /// # Errors
    ///
    /// Where the pool's finalizer returns another type, or it has none.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn last() -> u32 { std::process::id() }
    ///
    /// let pool = Pool::builder().workers(1).finalizer(job!(last), ()).build()?;
    /// assert_eq!(pool.finalizer_results::<u32>()?, [], "no worker has ended");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn finalizer_results<R>(&self) -> Result<Vec<Result<R, JobError>>, Error>
    where
        R: ByValue + 'static,
    {
        self.dispatch.check_ours()?;
        self.finalizer.results(&self.dispatch)
    }

    fn end_in_order(&self) -> Result<(), Error> {
        self.dispatch.check_ours()?;
        self.dispatch.wait_until(|| !self.dispatch.is_busy());
        let gone = self.dispatch.gone();
        self.dispatch.stop(false)?;
        gone.map_or(Ok(()), |reason| {
            Err(Error::new(ErrorKind::PoolGone, &*reason))
        })
    }

    /// Kills the workers at once, or with the [`grace`](super::PoolBuilder::grace) that the pool was built with; open handles get
    /// [`JobError::Cancelled`], and no finalizer runs. Dropping the pool does the same.
    ///
    /// ```
    /// procession::Pool::new(1)?.terminate();
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn terminate(self) {
        drop(self);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // An error means that the supervisor is gone, and then so are the workers.
        let _ = self.dispatch.stop(true);
    }
}
