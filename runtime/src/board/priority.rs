//! Which of the tasks that wait are begun first.

/// Whether a queued job is begun before or after others: for [`SubmitOptions`](crate::SubmitOptions) and
/// [`MapOptions`](crate::MapOptions).
///
/// A worker that is free takes the oldest of those with the highest priority. Nothing that runs is interrupted, and while
/// there is always something of a higher priority, what has a lower one waits. Jobs that are tried again
/// after their worker died come before all.
///
/// ```
/// use procession::{Priority, Pool, SubmitOptions, job, process_job};
///
/// #[process_job]
/// fn answer() -> u32 { 42 }
///
/// let pool = Pool::new(1)?;
/// let soon = pool.submit_with(job!(answer), (), SubmitOptions::NONE.priority(Priority::High))?;
/// assert_eq!(soon.join()?, 42);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// After all others.
    Low,
    /// What is said of nothing.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// How many there are.
    pub(crate) const N: usize = 3;

    /// First those that come first.
    pub(crate) const ALL: [Self; Self::N] = [Self::High, Self::Normal, Self::Low];

    pub(crate) fn place(self) -> usize {
        self as usize
    }
}
