//! Waiting for several handles: `as_completed` and `wait`.
//!
//! The calling thread waits by itself, on the boards of all pools that the handles are of. Each handle's end is noted
//! under its place, so that nobody looks through all handles for the one that has ended.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::JobHandle;
use crate::argument::ByValue;
use crate::dispatch::{Dispatch, Listener, Notes, wait_for_any};
use crate::error::JobError;

/// Gives the handles' results as their jobs end, each with the place of its handle: Python's
/// `concurrent.futures.as_completed`.
///
/// The handles may be of several pools. Each has one result or error, those that have ended already first; a pool or
/// supervisor that is lost answers, too. To drop the iterator is to drop the handles that are left: their jobs run unheard.
///
/// ```
/// use std::time::Duration;
/// use procession::{Pool, as_completed, job, process_job};
///
/// #[process_job]
/// fn after(millis: u64) -> u64 {
///     std::thread::sleep(Duration::from_millis(millis));
///     millis
/// }
///
/// let pool = Pool::new(2)?;
/// let handles = vec![pool.submit(job!(after), 300)?, pool.submit(job!(after), 1)?];
/// let order: Vec<usize> = as_completed(handles).map(|(place, _result)| place).collect();
/// assert_eq!(order, [1, 0]);
/// # Ok::<(), procession::Error>(())
/// ```
pub fn as_completed<R: ByValue>(handles: impl IntoIterator<Item = JobHandle<R>>) -> AsCompleted<R> {
    let handles: Vec<_> = handles.into_iter().collect();
    let watch = Watch::new(&handles);
    AsCompleted {
        n_left: handles.len(),
        handles: handles.into_iter().map(Some).collect(),
        watch,
        ended: VecDeque::new(),
    }
}

/// Results of handles as their jobs end, from [`as_completed`].
///
/// ```
/// use procession::{AsCompleted, Pool, as_completed, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let pool = Pool::new(2)?;
/// let mut results: AsCompleted<u64> = as_completed([pool.submit(job!(square), 3)?]);
/// assert_eq!(results.len(), 1);
/// assert_eq!(results.next(), Some((0, Ok(9))));
/// assert_eq!(results.next(), None);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "it waits for results only when it is asked for them"]
pub struct AsCompleted<R> {
    handles: Vec<Option<JobHandle<R>>>,
    watch: Watch,
    /// Places of handles whose jobs have ended.
    ended: VecDeque<usize>,
    n_left: usize,
}

impl<R: ByValue> Iterator for AsCompleted<R> {
    type Item = (usize, Result<R, JobError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.ended.extend(self.watch.notes.take());
            if let Some(place) = self.ended.pop_front() {
                let Some(handle) = self.handles[place].take() else {
                    continue;
                };
                self.n_left -= 1;
                return Some((place, handle.join()));
            }
            if self.n_left == 0 {
                return None;
            }
            self.watch.wait(None);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n_left, Some(self.n_left))
    }
}

impl<R: ByValue> ExactSizeIterator for AsCompleted<R> {}
impl<R: ByValue> FusedIterator for AsCompleted<R> {}

impl<R> fmt::Debug for AsCompleted<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted")
            .field("n_left", &self.n_left)
            .finish_non_exhaustive()
    }
}

/// What [`wait`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitFor {
    /// One job that has ended, in whatever way: Python's `FIRST_COMPLETED`.
    FirstCompleted,
    /// One job that ended without a result, or all: Python's `FIRST_EXCEPTION`. As there, one that was cancelled is
    /// not what is waited for; nor is a result that happens to be an `Err`.
    FirstException,
    /// All jobs: Python's `ALL_COMPLETED`.
    All,
}

/// Which handles' jobs have ended, from [`wait`]: places in the slice, in ascending order.
///
/// ```
/// use procession::{Pool, WaitFor, Waited, job, process_job, wait};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let pool = Pool::new(1)?;
/// let handles = [pool.submit(job!(square), 3)?];
/// let Waited { done, not_done } = wait(&handles, WaitFor::All, None);
/// assert_eq!((done, not_done), (vec![0], vec![]));
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waited {
    /// Their jobs have ended: to join them is no wait.
    pub done: Vec<usize>,
    /// Their jobs wait or run.
    pub not_done: Vec<usize>,
}

/// Waits for some of the handles' jobs to end, but not longer than `timeout`: Python's `concurrent.futures.wait`.
///
/// The handles may be of several pools, and keep their results. A job whose result was taken already has ended still, and
/// failed if that was an error. Of no handles it waits for none.
///
/// ```
/// use std::time::Duration;
/// use procession::{Pool, WaitFor, job, process_job, wait};
///
/// #[process_job]
/// fn after(millis: u64) {
///     std::thread::sleep(Duration::from_millis(millis));
/// }
///
/// let pool = Pool::new(2)?;
/// let handles = [pool.submit(job!(after), 60_000)?, pool.submit(job!(after), 1)?];
/// assert_eq!(wait(&handles, WaitFor::FirstCompleted, None).done, [1]);
/// let both = wait(&handles, WaitFor::All, Some(Duration::from_millis(10)));
/// assert_eq!(both.not_done, [0]);
/// # Ok::<(), procession::Error>(())
/// ```
pub fn wait<R>(handles: &[JobHandle<R>], until: WaitFor, timeout: Option<Duration>) -> Waited {
    let watch = Watch::new(handles);
    // Later than the clock can tell is never.
    let ends_at = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut has_ended = vec![false; handles.len()];
    let (mut n_ended, mut has_failed) = (0, false);
    loop {
        for place in watch.notes.take() {
            n_ended += 1;
            has_ended[place] = true;
            has_failed |= handles[place].has_failed();
        }
        let is_enough = match until {
            WaitFor::FirstCompleted => n_ended > 0,
            WaitFor::FirstException => has_failed,
            WaitFor::All => false,
        };
        let time_left = ends_at.map(|at| at.saturating_duration_since(Instant::now()));
        if is_enough || n_ended == handles.len() || !watch.wait(time_left) && ends_at.is_some() {
            break;
        }
    }
    for (handle, _) in handles.iter().zip(&has_ended).filter(|(_, ended)| !**ended) {
        handle.dispatch.forget_notes(handle.task, &watch.notes);
    }
    let (done, not_done) = (0..handles.len()).partition(|&place| has_ended[place]);
    Waited { done, not_done }
}

/// Where the ends of several handles' jobs are noted, each under the place of its handle.
struct Watch {
    notes: Arc<Notes>,
    /// Each once.
    dispatches: Vec<Arc<Dispatch>>,
}

impl Watch {
    fn new<R>(handles: &[JobHandle<R>]) -> Self {
        let mut this = Self {
            notes: Arc::default(),
            dispatches: Vec::new(),
        };
        for (place, handle) in handles.iter().enumerate() {
            this.add(place, handle);
        }
        this
    }

    fn add<R>(&mut self, place: usize, handle: &JobHandle<R>) {
        let dispatch = &handle.dispatch;
        let note = Listener::Note(Arc::clone(&self.notes), place);
        // A handle of another process has nothing to wait for.
        if dispatch.check_ours().is_err() || !dispatch.listen(handle.task, note) {
            self.notes.write(place);
        } else if !self.dispatches.iter().any(|one| Arc::ptr_eq(one, dispatch)) {
            self.dispatches.push(Arc::clone(dispatch));
        }
    }

    /// Waits until something is noted; returns whether it is.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        wait_for_any(&self.dispatches, || !self.notes.is_empty(), timeout)
    }
}
