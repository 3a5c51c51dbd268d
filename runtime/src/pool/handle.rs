//! One call that was queued on a pool.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::{CallTerms, MapOptions, Pool};
use crate::argument::ByValue;
use crate::board::TaskId;
use crate::codec::Encoder;
use crate::dispatch::{Dispatch, Mailbox, NewTask};
use crate::error::{Error, JobError};
use crate::job::{Job, encode_call, see_off};
use crate::supervisor::Ending;

/// A job that was queued on a pool, and its result to come.
///
/// Dropping the handle lets the job run and throws its result away. A handle is a `Future`, see there. For several handles there
/// are [`as_completed`](crate::as_completed) and [`wait`](crate::wait).
///
/// ```
/// use std::time::Duration;
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn slow() -> u32 {
///     std::thread::sleep(Duration::from_millis(20));
///     7
/// }
///
/// let pool = Pool::new(1)?;
/// let mut handle = pool.submit(job!(slow), ())?;
/// let result = loop {
///     if let Some(result) = handle.join_timeout(Duration::from_millis(1))? {
///         break result;
///     }
/// };
/// assert_eq!(result, 7);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct JobHandle<R> {
    pub(super) dispatch: Arc<Dispatch>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) task: TaskId,
    /// Whether a waker of this handle's may be with its task.
    pub(super) is_awaited: bool,
    /// Whether the job failed, and was not cancelled, and that was told already.
    told_of_failure: bool,
    job: &'static str,
    result: PhantomData<fn() -> R>,
}

pub(super) fn submit<J: Job<Item>, Item>(
    pool: &Pool,
    args: Item,
    options: MapOptions,
    wait: bool,
) -> Result<JobHandle<J::Output>, Error> {
    let terms = CallTerms::new::<J, Item>(pool, options)?;
    let mut encoder = Encoder::new();
    encode_call::<J, Item>(&args, &mut encoder)?;
    let mailbox = Arc::new(Mailbox::default());
    let task = NewTask {
        guarded: true,
        ..terms.task::<J, Item>(&encoder, 1, &mailbox)
    };
    let published = if wait {
        pool.dispatch.publish(&task, None)
    } else {
        pool.dispatch.try_publish(&task)
    };
    let (dispatch, task) = (Arc::clone(&pool.dispatch), published?);
    see_off(encoder.take_passengers(), args);
    Ok(JobHandle {
        dispatch,
        mailbox,
        task,
        is_awaited: false,
        told_of_failure: false,
        job: J::NAME,
        result: PhantomData,
    })
}

impl<R: ByValue> JobHandle<R> {
    /// Waits for the job to end.
    ///
    /// # Errors
    ///
    /// How it ended without a result; [`JobError::Cancelled`] where the pool was dropped, [`JobError::Lost`] where it
    /// broke or its supervisor was killed.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let pool = Pool::new(1)?;
    /// assert_eq!(pool.submit(job!(square), 12)?.join()?, 144);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join(self) -> Result<R, JobError> {
        self.dispatch.join_single(&self.mailbox, || true, "job")
    }

    /// Waits for the job to end, but not longer than `timeout`; `None`: not yet, ask again.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join). Once it has given a result or an error, it is a [`JobError::Lost`] to ask again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let pool = Pool::new(1)?;
    /// let mut handle = pool.submit(job!(forever), ())?;
    /// assert_eq!(handle.join_timeout(Duration::from_millis(5))?, None);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>, JobError> {
        let is_first = !self.mailbox.is_emptied();
        let taken = self
            .dispatch
            .take_single(&self.mailbox, || true, Some(timeout), "job");
        if is_first && let Err(error) = &taken {
            self.told_of_failure = *error != JobError::Cancelled;
        }
        taken
    }
}

impl<R> JobHandle<R> {
    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Of a job that has ended: whether it has no result, and was not cancelled.
    pub(super) fn has_failed(&self) -> bool {
        let is_ours = self.dispatch.check_ours().is_ok();
        self.told_of_failure || is_ours && self.mailbox.has_failed()
    }

    /// Whether the job has ended, in whatever way.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn nothing() {}
    ///
    /// let pool = Pool::new(1)?;
    /// let handle = pool.submit(job!(nothing), ())?;
    /// while !handle.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        if self.dispatch.check_ours().is_err() {
            return true;
        }
        self.dispatch.drain();
        // A supervisor that is gone answers everything.
        self.dispatch.look_after_supervisor();
        !self.mailbox.is_empty() || self.mailbox.is_emptied()
    }

    /// Cancels the job: one that is queued never runs, one that runs is ended with its worker, at once or with the pool's
    /// [`grace`](crate::PoolBuilder::grace). Returns when that has happened. `false`: the job had ended already.
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let pool = Pool::new(1)?;
    /// let handle = pool.submit(job!(forever), ())?;
    /// assert!(handle.cancel());
    /// assert_eq!(handle.join(), Err(JobError::Cancelled));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        if self.dispatch.check_ours().is_err() || self.is_finished() {
            return false;
        }
        if self.dispatch.withdraw(self.task) {
            return true;
        }
        self.dispatch.end_running(self.task, Ending::Cancelled);
        self.dispatch.wait_until(|| !self.mailbox.is_empty());
        self.mailbox.was_cancelled()
    }
}

impl<R> fmt::Debug for JobHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}
