//! One call that an executor was given, and its result to come.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::local::{Call, Parcel};
use super::thread::run_if_ours;
use crate::argument::ByValue;
use crate::error::JobError;
use crate::pool::JobHandle;
use crate::sys::lock;

/// A job that was given to an [`Executor`](crate::Executor), and its result to come.
///
/// Dropping the handle lets the job run and throws its result away.
///
/// ```
/// use procession::{Executor, ThreadExecutor, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let threads = ThreadExecutor::new(2)?;
/// let handle = threads.submit(job!(square), 12)?;
/// assert_eq!(handle.join()?, 144);
/// # Ok::<(), procession::Error>(())
/// ```
pub struct ExecutorHandle<R>(Inner<R>);

enum Inner<R> {
    Process(JobHandle<R>),
    Local(Slot, PhantomData<fn() -> R>),
}

/// Where a call of this process waits to be run, and then its verdict to be taken.
#[derive(Clone)]
pub(super) struct Slot(Arc<(Mutex<State>, Condvar)>);

enum State {
    Waits(Call),
    Runs,
    IsOver(Result<Parcel, JobError>),
    IsTaken,
}

impl Slot {
    pub(super) fn new(call: Call) -> Self {
        Self(Arc::new((Mutex::new(State::Waits(call)), Condvar::new())))
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Runs the call, unless it was cancelled.
    pub(super) fn run(&self) {
        let (state, is_over) = &*self.0;
        let mut locked = lock(state);
        match std::mem::replace(&mut *locked, State::Runs) {
            State::Waits(call) => {
                drop(locked);
                let verdict = call.run();
                *lock(state) = State::IsOver(verdict);
                is_over.notify_all();
            }
            other => *locked = other,
        }
    }

    /// Sees to it that the call does not run; `false`: it has begun.
    pub(super) fn cancel(&self) -> bool {
        let (state, is_over) = &*self.0;
        let mut locked = lock(state);
        let waits = matches!(*locked, State::Waits(_));
        if waits {
            let call = std::mem::replace(&mut *locked, State::IsOver(Err(JobError::Cancelled)));
            drop(locked);
            // What its arguments name is let go of without the lock.
            drop(call);
            is_over.notify_all();
        }
        waits
    }

    fn is_finished(&self) -> bool {
        matches!(*lock(&self.0.0), State::IsOver(_) | State::IsTaken)
    }

    /// The verdict, once; `None`: not within `timeout`.
    fn take(&self, timeout: Option<Duration>) -> Result<Option<Parcel>, JobError> {
        let (state, is_over) = &*self.0;
        // Later than the clock can tell is never.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut locked = lock(state);
        loop {
            match std::mem::replace(&mut *locked, State::IsTaken) {
                State::IsOver(verdict) => return verdict.map(Some),
                State::IsTaken => {
                    let reason = "the result of this job was taken already";
                    return Err(JobError::lost(reason, true));
                }
                pending => *locked = pending,
            }
            locked = match deadline {
                None => is_over.wait(locked).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    let waited = is_over.wait_timeout(locked, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<R> ExecutorHandle<R> {
    pub(super) fn of_process(handle: JobHandle<R>) -> Self {
        Self(Inner::Process(handle))
    }

    pub(super) fn of_slot(slot: Slot) -> Self {
        Self(Inner::Local(slot, PhantomData))
    }

    /// Whether the job has ended, in whatever way.
    ///
    /// ```
    /// use procession::{Executor, InlineExecutor, job, process_job};
    ///
    /// #[process_job]
    /// fn nothing() {}
    ///
    /// assert!(InlineExecutor::new().submit(job!(nothing), ())?.is_finished());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        match &self.0 {
            Inner::Process(handle) => handle.is_finished(),
            Inner::Local(slot, _) => slot.is_finished(),
        }
    }

    /// Sees to it that the job has no result, if that can be: one that waits never runs. One that runs is ended with its worker in a
    /// process, and goes on elsewhere. `false`: it has ended, or cannot be ended.
    ///
    /// ```
    /// use procession::{Executor, InlineExecutor, job, process_job};
    ///
    /// #[process_job]
    /// fn nothing() {}
    ///
    /// let handle = InlineExecutor::new().submit(job!(nothing), ())?;
    /// assert!(!handle.cancel(), "it ran before `submit` returned");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn cancel(&self) -> bool {
        match &self.0 {
            Inner::Process(handle) => handle.cancel(),
            Inner::Local(slot, _) => slot.cancel(),
        }
    }
}

impl<R: ByValue> ExecutorHandle<R> {
    /// Waits for the job to end. In a job of the same [`ThreadExecutor`](crate::ThreadExecutor) it runs what nobody has begun yet.
    ///
    /// # Errors
    ///
    /// How it ended without a result, as [`JobHandle::join`].
    ///
    /// ```
    /// use procession::{Executor, InlineExecutor, JobError, job, process_job};
    ///
    /// #[process_job]
    /// fn reciprocal(x: u32) -> u32 { 100 / x }
    ///
    /// let inline = InlineExecutor::new();
    /// assert_eq!(inline.submit(job!(reciprocal), 4)?.join(), Ok(25));
    /// let error = inline.submit(job!(reciprocal), 0)?.join().unwrap_err();
    /// assert!(matches!(error, JobError::Panicked { .. }));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join(self) -> Result<R, JobError> {
        match self.0 {
            Inner::Process(handle) => handle.join(),
            Inner::Local(slot, _) => {
                run_if_ours(&slot);
                match slot.take(None)? {
                    Some(parcel) => parcel.open(),
                    None => unreachable!("without a time-out it waits to the end"),
                }
            }
        }
    }

    /// Waits for the job to end, but not longer than `timeout`; `None`: not yet, ask again.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join). Once it has given a result or an error, it is a [`JobError::Lost`] to ask again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Executor, InlineExecutor, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let mut handle = InlineExecutor::new().submit(job!(square), 3)?;
    /// assert_eq!(handle.join_timeout(Duration::ZERO)?, Some(9));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>, JobError> {
        match &mut self.0 {
            Inner::Process(handle) => handle.join_timeout(timeout),
            Inner::Local(slot, _) => slot.take(Some(timeout))?.map(Parcel::open).transpose(),
        }
    }
}

impl<R> fmt::Debug for ExecutorHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Process(handle) => handle.fmt(f),
            Inner::Local(slot, _) => f
                .debug_struct("ExecutorHandle")
                .field("is_finished", &slot.is_finished())
                .finish_non_exhaustive(),
        }
    }
}
