//! `task_done` and `join`: waiting until every message has been dealt with.
//!
//! Responsible for the face; the waiting is in [`tasks`](super::tasks).

use std::time::Duration;

use super::Queue;
use super::error::QueueError;

impl<T> Queue<T> {
    /// Says that one of the messages that this process has got is dealt with.
    ///
    /// For who [joins](Self::join) the queue; without that, nobody needs to call it. A message that was an error of kind
    /// [`Codec`](QueueError::Codec) counts as dealt with.
    ///
    /// # Errors
    ///
    /// [`NoTask`](QueueError::NoTask), where this process has said so of all that it has got. (In Python any process may say it
    /// of any message; here it is the one that has got it, so that its death can be told.)
    ///
    /// ```
    /// use procession::{Queue, QueueError};
    ///
    /// let queue = Queue::new()?;
    /// queue.put(1)?;
    /// assert_eq!(queue.task_done(), Err(QueueError::NoTask));
    /// queue.get()?;
    /// queue.task_done()?;
    /// assert_eq!(queue.task_done(), Err(QueueError::NoTask));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn task_done(&self) -> Result<(), QueueError> {
        self.ring.task_done()
    }

    /// Waits until [`task_done`](Self::task_done) was said of every message: of those that wait, of those that were got, and of
    /// those that are put meanwhile.
    ///
    /// Nobody tells whether there is still somebody who would get what waits; where that is in doubt, take
    /// [`join_timeout`](Self::join_timeout). So too, where a job may panic, or return, without saying `task_done`: its process lives on.
    ///
    /// # Errors
    ///
    /// [`TasksLost`](QueueError::TasksLost), as soon as a process has ended (killed or not) that had got messages and not
    /// said so of all of them: those are written off, told to all who wait and else to the next, and another `join` waits
    /// for the rest. Up to 248 living processes that get from one queue are watched so.
    ///
    /// ```
    /// use procession::{Queue, process_job, spawn};
    ///
    /// #[process_job]
    /// fn work(tasks: &Queue<u32>) {
    ///     while let Ok(_task) = tasks.get() {
    ///         tasks.task_done().unwrap();
    ///     }
    /// }
    ///
    /// let tasks = Queue::new()?;
    /// let worker = spawn!(work(&tasks))?;
    /// for task in 0..10 {
    ///     tasks.put(task)?;
    /// }
    /// tasks.join()?;
    /// tasks.close();
    /// worker.join()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join(&self) -> Result<(), QueueError> {
        self.ring.join(None).map(drop)
    }

    /// As [`join`](Self::join), for so long at the most; whether everything was done.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let queue = procession::Queue::new()?;
    /// queue.put(1)?;
    /// assert!(!queue.join_timeout(Duration::from_millis(5))?);
    /// queue.get()?;
    /// queue.task_done()?;
    /// assert!(queue.join_timeout(Duration::ZERO)?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool, QueueError> {
        self.ring.join(Some(timeout))
    }
}
