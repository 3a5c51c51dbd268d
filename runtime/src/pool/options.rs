//! What one call may say beside its job and its items.

use std::time::Duration;

use crate::board::Priority;
use crate::error::Error;

/// What a map is told beside its job and items: for [`Pool::map_with`](crate::Pool::map_with),
/// [`Pool::map_each_with`](crate::Pool::map_each_with), [`Pool::imap_with`](crate::Pool::imap_with) and
/// [`Pool::imap_unordered_with`](crate::Pool::imap_unordered_with); [`pool_map!`](crate::pool_map) takes the same by name.
///
/// What is left out is as the job's attribute says, else as the pool was built.
///
/// ```
/// use std::time::Duration;
/// use procession::{MapOptions, Pool, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let options = MapOptions::NONE
///     .chunk_size(2)
///     .timeout(Duration::from_secs(1))
///     .deadline(Duration::from_secs(60))
///     .retries(1);
/// assert_eq!(Pool::new(2)?.map_with(job!(square), 0..4, options)?, [0, 1, 4, 9]);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "options do nothing by themselves: give them to a map"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapOptions {
    pub(super) chunk_size: Option<usize>,
    pub(super) timeout: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(crate) retries: Option<u32>,
    pub(super) buffer_size: Option<usize>,
    pub(super) priority: Priority,
}

impl MapOptions {
    /// Nothing said.
    ///
    /// ```
    /// assert_eq!(procession::MapOptions::NONE, procession::MapOptions::default());
    /// ```
    pub const NONE: Self = Self {
        chunk_size: None,
        timeout: None,
        deadline: None,
        retries: None,
        buffer_size: None,
        priority: Priority::Normal,
    };

    /// So many items are handed out at a time, where the pool would otherwise choose by itself.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn pid() -> u32 { std::process::id() }
    ///
    /// let pids = Pool::new(2)?.map_with(job!(pid), [(); 4], MapOptions::NONE.chunk_size(4))?;
    /// assert_eq!(pids, [pids[0]; 4], "one worker did them all");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn chunk_size(mut self, n_items: usize) -> Self {
        self.chunk_size = Some(n_items);
        self
    }

    /// How long one item may take before its worker is ended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let limit = Duration::from_millis(20);
    /// let verdicts = Pool::new(1)?.map_each_with(job!(forever), [()], MapOptions::NONE.timeout(limit))?;
    /// assert_eq!(verdicts, [Err(JobError::TimedOut { limit })]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long the whole map may take, from the call on.
    ///
    /// When it has passed, items that have not begun are cancelled, and those that run are ended with their workers. A
    /// map then fails with [`JobError::TimedOut`](crate::JobError::TimedOut) at the first item without a result; one that
    /// asks for each verdict has `TimedOut` for items that ran and [`JobError::Cancelled`](crate::JobError::Cancelled) for
    /// those that had not begun. Items that the iterator would still have given are `Cancelled` too, without being asked for, where
    /// its [`size_hint`](Iterator::size_hint) says exactly how many there are (16 Mi at the most); otherwise the vector ends before
    /// them. The deadline is not looked at while the map waits for the iterator's next item.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever(_n: u32) { loop { std::thread::park() } }
    ///
    /// let limit = Duration::from_millis(50);
    /// let verdicts = Pool::new(1)?.map_each_with(job!(forever), 0..3, MapOptions::NONE.deadline(limit))?;
    /// assert_eq!(verdicts[0], Err(JobError::TimedOut { limit }));
    /// assert_eq!(verdicts[1..], [Err(JobError::Cancelled), Err(JobError::Cancelled)]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// How often an item that failed (a panic, a death, a time-out) is tried again.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn fails() { panic!("each time") }
    ///
    /// assert!(Pool::new(1)?.map_with(job!(fails), [()], MapOptions::NONE.retries(2)).is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn retries(mut self, n_retries: u32) -> Self {
        self.retries = Some(n_retries);
        self
    }

    /// How many items may have been read from the input of an `imap` whose results were not given out yet; by default a
    /// few chunks for each worker, up to some hundreds where a small [`chunk_size`](Self::chunk_size) makes them very short. An option of [`Pool::imap_with`](crate::Pool::imap_with) and
    /// [`Pool::imap_unordered_with`](crate::Pool::imap_unordered_with); to `map`, which keeps all results, it does nothing.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let (pool, n_read) = (Pool::new(2)?, Cell::new(0));
    /// let items = (0..).inspect(|_| n_read.set(n_read.get() + 1));
    /// let mut squares = pool.imap_with(job!(square), items, MapOptions::NONE.buffer_size(5))?;
    /// assert_eq!(n_read.get(), 0, "nothing is read before it is wanted");
    /// assert_eq!(squares.next(), Some(Ok(0)));
    /// assert!(n_read.get() <= 5);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn buffer_size(mut self, n_items: usize) -> Self {
        self.buffer_size = Some(n_items);
        self
    }

    /// Whether its items are begun before or after what else waits on the pool.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, Priority, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let in_the_background = MapOptions::NONE.priority(Priority::Low);
    /// assert_eq!(Pool::new(2)?.map_with(job!(square), 0..3, in_the_background)?, [0, 1, 4]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    pub(crate) fn refuse_nothing(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::invalid_input(what));
        if self.chunk_size == Some(0) {
            return refuse("a `chunk_size` of 0 holds no item: give at least 1, or leave it out");
        }
        if self.buffer_size == Some(0) {
            return refuse(
                "a `buffer_size` of 0 lets no item in: give at least 1, or leave it out",
            );
        }
        if self.timeout == Some(Duration::ZERO) {
            return refuse("a `timeout` of 0 would kill every job; leave it out for no limit");
        }
        if self.deadline == Some(Duration::ZERO) {
            return refuse("a `deadline` of 0 would cancel every item; leave it out for no limit");
        }
        Ok(())
    }
}

/// What a single call is told beside its job and arguments: for [`Pool::submit_with`](crate::Pool::submit_with).
///
/// What is left out is as the job's attribute says, else as the pool was built.
///
/// ```
/// use std::time::Duration;
/// use procession::{Pool, Priority, SubmitOptions, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let options = SubmitOptions::NONE
///     .priority(Priority::High)
///     .timeout(Duration::from_secs(1))
///     .retries(1);
/// let pool = Pool::new(1)?;
/// assert_eq!(pool.submit_with(job!(square), 3, options)?.join()?, 9);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "options do nothing by themselves: give them to `submit_with`"]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubmitOptions {
    timeout: Option<Duration>,
    retries: Option<u32>,
    priority: Priority,
}

impl SubmitOptions {
    /// Nothing said.
    ///
    /// ```
    /// assert_eq!(procession::SubmitOptions::NONE, procession::SubmitOptions::default());
    /// ```
    pub const NONE: Self = Self {
        timeout: None,
        retries: None,
        priority: Priority::Normal,
    };

    /// Whether it is begun before or after what else waits on the pool.
    ///
    /// ```
    /// use procession::{Pool, Priority, SubmitOptions, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let when_nothing_else_waits = SubmitOptions::NONE.priority(Priority::Low);
    /// let pool = Pool::new(1)?;
    /// assert_eq!(pool.submit_with(job!(square), 3, when_nothing_else_waits)?.join()?, 9);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How long it may run before its worker is ended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, Pool, SubmitOptions, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let limit = Duration::from_millis(20);
    /// let pool = Pool::new(1)?;
    /// let handle = pool.submit_with(job!(forever), (), SubmitOptions::NONE.timeout(limit))?;
    /// assert_eq!(handle.join(), Err(JobError::TimedOut { limit }));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How often it is tried again where it fails (a panic, a death, a time-out).
    ///
    /// ```
    /// use procession::{Pool, SubmitOptions, job, process_job};
    ///
    /// #[process_job]
    /// fn fails() { panic!("each time") }
    ///
    /// let pool = Pool::new(1)?;
    /// assert!(pool.submit_with(job!(fails), (), SubmitOptions::NONE.retries(2))?.join().is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn retries(mut self, n_retries: u32) -> Self {
        self.retries = Some(n_retries);
        self
    }

    /// Of a map of this one item.
    pub(super) fn of_map(self) -> MapOptions {
        MapOptions {
            timeout: self.timeout,
            retries: self.retries,
            priority: self.priority,
            ..MapOptions::NONE
        }
    }
}
