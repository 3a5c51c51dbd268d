//! A handle as a `Future`, and callbacks.
//!
//! Both are called by the thread of [`crate::dispatch`]'s notifier.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::JobHandle;
use crate::argument::ByValue;
use crate::dispatch::{Listener, notify};
use crate::error::{Error, JobError};

/// On any executor. The first handle that is awaited starts one thread in the program, the notifier, which wakes the tasks that
/// wait for handles and sleeps otherwise.
///
/// That thread stays. A pool of [`StartMethod::Fork`](crate::StartMethod::Fork), which is for programs of one thread, must
/// be built before. Signals that are sent to the program go to other threads.
///
/// Polled again after it was ready, it gives [`JobError::Lost`]. To drop the future is to drop the handle: the job runs
/// unheard. Polled by `&mut handle`, it can be left and awaited again, or joined.
///
/// ```
/// use std::task::{Context, Poll, Wake, Waker};
/// use std::{pin::pin, sync::Arc, thread};
/// use procession::{Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// /// The simplest executor there is.
/// fn block_on<F: Future>(future: F) -> F::Output {
///     struct Unpark(thread::Thread);
///     impl Wake for Unpark {
///         fn wake(self: Arc<Self>) { self.0.unpark() }
///     }
///     let waker = Waker::from(Arc::new(Unpark(thread::current())));
///     let mut future = pin!(future);
///     loop {
///         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
///             Poll::Ready(output) => return output,
///             Poll::Pending => thread::park(),
///         }
///     }
/// }
///
/// let pool = Pool::new(2)?;
/// let (three, four) = (pool.submit(job!(square), 3)?, pool.submit(job!(square), 4)?);
/// assert_eq!(block_on(async { Ok(three.await? + four.await?) }), Ok::<_, procession::JobError>(25));
/// # Ok::<(), procession::Error>(())
/// ```
impl<R: ByValue> Future for JobHandle<R> {
    type Output = Result<R, JobError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.join_timeout(Duration::ZERO) {
            Ok(None) => {}
            Ok(Some(result)) => return Poll::Ready(Ok(result)),
            Err(error) => return Poll::Ready(Err(error)),
        }
        let listener = Listener::Wake(context.waker().clone());
        self.is_awaited = true;
        // Should it have ended just now, the waker is called at once.
        match notify(&self.dispatch, self.task, listener) {
            Ok(()) => Poll::Pending,
            Err(error) => {
                let reason = format!("the thread that would wake its future cannot start: {error}");
                Poll::Ready(Err(JobError::lost(reason, true)))
            }
        }
    }
}

impl<R: ByValue + 'static> JobHandle<R> {
    /// Has `callback` called with the result or the error once the job has ended, in whatever way: Python's `callback=` and
    /// `error_callback=`.
    ///
    /// It is called once, on the crate's notifier thread, which the first callback or awaited handle starts; never by this call
    /// itself. Callbacks run one after another: a slow one keeps no worker, but it delays the others and
    /// the futures that are to be woken. A panic in one ends there, after the program's panic hook has run. If the
    /// program ends first, it is not called. That thread stays, and forks need a program of one: no
    /// [`fork_map`](crate::fork_map) and no pool of [`StartMethod::Fork`](crate::StartMethod::Fork) after this. It holds back the
    /// signals that are sent to the program, and so do threads that a callback starts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::System`](crate::ErrorKind::System) where that thread cannot be started;
    /// [`ErrorKind::PoolGone`](crate::ErrorKind::PoolGone) in a process that was forked from the pool's program.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let (results, arriving) = mpsc::channel();
    /// let pool = Pool::new(2)?;
    /// for x in 0..3 {
    ///     let results = results.clone();
    ///     pool.submit(job!(square), x)?.on_done(move |result| results.send(result).unwrap())?;
    /// }
    /// drop(results);
    /// assert_eq!(arriving.iter().sum::<Result<u64, _>>()?, 0 + 1 + 4);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn on_done<F>(mut self, callback: F) -> Result<(), Error>
    where
        F: FnOnce(Result<R, JobError>) + Send + 'static,
    {
        self.dispatch.check_ours()?;
        self.stop_awaiting();
        let (dispatch, task) = (std::sync::Arc::clone(&self.dispatch), self.task);
        let call = move || callback(self.join());
        notify(&dispatch, task, Listener::Call(Box::new(call)))
            .map_err(|error| Error::system("start the thread that would call the callback", error))
    }
}

impl<R> JobHandle<R> {
    fn stop_awaiting(&mut self) {
        if std::mem::take(&mut self.is_awaited) && self.dispatch.check_ours().is_ok() {
            self.dispatch.forget_waker(self.task);
        }
    }
}

impl<R> Drop for JobHandle<R> {
    fn drop(&mut self) {
        self.stop_awaiting();
    }
}
