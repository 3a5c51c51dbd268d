//! The choice between processes, threads and the caller.

use super::{Executor, ExecutorHandle, InlineExecutor, ThreadExecutor};
use crate::error::{Error, JobError};
use crate::job::Job;
use crate::pool::{Pool, checked_workers, default_workers};

/// Where jobs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutorKind {
    /// In the worker processes of a [`Pool`].
    Process,
    /// In the threads of a [`ThreadExecutor`].
    Thread,
    /// In the caller, see [`InlineExecutor`].
    Inline,
}

const VARIABLE: &str = "PROCESSION_EXECUTOR";

impl ExecutorKind {
    /// What the environment variable `PROCESSION_EXECUTOR` says: `process`, `thread` or `inline`. Where it is not set or
    /// empty, processes, and on systems that have no workers the caller.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for any other word.
    ///
    /// ```
    /// use procession::ExecutorKind;
    ///
    /// println!("jobs run here: {:?}", ExecutorKind::from_env()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn from_env() -> Result<Self, Error> {
        let Some(word) = std::env::var_os(VARIABLE) else {
            return Ok(Self::of_this_system());
        };
        match word.to_str().map(str::trim) {
            Some("") => Ok(Self::of_this_system()),
            Some("process") => Ok(Self::Process),
            Some("thread") => Ok(Self::Thread),
            Some("inline") => Ok(Self::Inline),
            _ => Err(Error::invalid_input(format!(
                "{VARIABLE} is {word:?}: give it `process`, `thread` or `inline`, or unset it"
            ))),
        }
    }

    fn of_this_system() -> Self {
        match cfg!(all(target_os = "linux", not(procession_unsupported))) {
            true => Self::Process,
            false => Self::Inline,
        }
    }
}

/// One of the three executors, chosen when the program runs.
///
/// ```
/// use procession::{AnyExecutor, Executor, ExecutorKind, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// for kind in [ExecutorKind::Process, ExecutorKind::Thread, ExecutorKind::Inline] {
///     let executor = AnyExecutor::builder().kind(kind).workers(2).build()?;
///     assert_eq!(executor.map(job!(square), 0..4)?, [0, 1, 4, 9]);
/// }
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AnyExecutor {
    /// Worker processes.
    Process(Pool),
    /// Threads.
    Thread(ThreadExecutor),
    /// The caller.
    Inline(InlineExecutor),
}

impl AnyExecutor {
    /// What [`ExecutorKind::from_env`] says, with as many workers as [`PoolBuilder::workers`](crate::PoolBuilder::workers) says.
    ///
    /// # Errors
    ///
    /// As [`ExecutorBuilder::build`].
    ///
    /// ```
    /// use procession::{AnyExecutor, Executor};
    ///
    /// assert!(AnyExecutor::new()?.workers() >= 1);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        Self::builder().build()
    }

    /// Everything that can be said about an executor. A [`Pool`] with limits, a state or a name becomes one by `From`.
    ///
    /// ```
    /// use procession::{AnyExecutor, ExecutorKind, Pool};
    ///
    /// let threads = AnyExecutor::builder().kind(ExecutorKind::Thread).workers(2).build()?;
    /// let processes = AnyExecutor::from(Pool::builder().workers(2).name("resize").build()?);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn builder() -> ExecutorBuilder {
        ExecutorBuilder::default()
    }

    /// Which of the three it is.
    ///
    /// ```
    /// use procession::{AnyExecutor, ExecutorKind, InlineExecutor};
    ///
    /// assert_eq!(AnyExecutor::from(InlineExecutor::new()).kind(), ExecutorKind::Inline);
    /// ```
    pub fn kind(&self) -> ExecutorKind {
        match self {
            Self::Process(_) => ExecutorKind::Process,
            Self::Thread(_) => ExecutorKind::Thread,
            Self::Inline(_) => ExecutorKind::Inline,
        }
    }
}

/// Builds an [`AnyExecutor`]; see [`AnyExecutor::builder`].
///
/// ```
/// use procession::{AnyExecutor, ExecutorKind};
///
/// let executor = AnyExecutor::builder().kind(ExecutorKind::Inline).build()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "nothing is started before `build`"]
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecutorBuilder {
    kind: Option<ExecutorKind>,
    workers: Option<usize>,
}

impl ExecutorBuilder {
    /// Where jobs run; by default what [`ExecutorKind::from_env`] says.
    ///
    /// ```
    /// use procession::{AnyExecutor, ExecutorKind};
    ///
    /// let executor = AnyExecutor::builder().kind(ExecutorKind::Thread).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn kind(mut self, kind: ExecutorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The number of processes or threads, 1 to 1024; by default as [`PoolBuilder::workers`](crate::PoolBuilder::workers).
    /// The caller is always one.
    ///
    /// ```
    /// use procession::{AnyExecutor, Executor, ExecutorKind};
    ///
    /// let threads = AnyExecutor::builder().kind(ExecutorKind::Thread).workers(3).build()?;
    /// assert_eq!(threads.workers(), 3);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Makes the executor.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`](crate::PoolBuilder::build), [`ThreadExecutor::new`] and [`ExecutorKind::from_env`]. A number of
    /// workers that one kind refuses is refused for each.
    ///
    /// ```
    /// use procession::{AnyExecutor, ErrorKind, ExecutorKind};
    ///
    /// let none = AnyExecutor::builder().kind(ExecutorKind::Inline).workers(0).build();
    /// assert_eq!(none.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn build(self) -> Result<AnyExecutor, Error> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => ExecutorKind::from_env()?,
        };
        let asked_for = self
            .workers
            .map(|workers| checked_workers(workers, "an executor"))
            .transpose()?;
        let workers = || {
            asked_for
                .map_or_else(default_workers, Ok)
                .map(|n| n as usize)
        };
        Ok(match kind {
            ExecutorKind::Process => Pool::new(workers()?)?.into(),
            ExecutorKind::Thread => ThreadExecutor::new(workers()?)?.into(),
            ExecutorKind::Inline => InlineExecutor::new().into(),
        })
    }
}

impl From<Pool> for AnyExecutor {
    fn from(pool: Pool) -> Self {
        Self::Process(pool)
    }
}

impl From<ThreadExecutor> for AnyExecutor {
    fn from(threads: ThreadExecutor) -> Self {
        Self::Thread(threads)
    }
}

impl From<InlineExecutor> for AnyExecutor {
    fn from(inline: InlineExecutor) -> Self {
        Self::Inline(inline)
    }
}

impl Executor for AnyExecutor {
    fn workers(&self) -> usize {
        match self {
            Self::Process(pool) => pool.workers(),
            Self::Thread(threads) => threads.workers(),
            Self::Inline(inline) => inline.workers(),
        }
    }

    fn submit<J, Item>(&self, job: J, args: Item) -> Result<ExecutorHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        match self {
            Self::Process(pool) => Executor::submit(pool, job, args),
            Self::Thread(threads) => threads.submit(job, args),
            Self::Inline(inline) => inline.submit(job, args),
        }
    }

    fn map<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        match self {
            Self::Process(pool) => pool.map(job, items),
            Self::Thread(threads) => threads.map(job, items),
            Self::Inline(inline) => inline.map(job, items),
        }
    }

    fn map_each<J, Item>(
        &self,
        job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        match self {
            Self::Process(pool) => pool.map_each(job, items),
            Self::Thread(threads) => threads.map_each(job, items),
            Self::Inline(inline) => inline.map_each(job, items),
        }
    }
}
