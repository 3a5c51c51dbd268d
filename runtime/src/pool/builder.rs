//! Everything that can be said about a pool before it is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::finalizer::{Finalizer, NewFinalizer};
use super::hooks::SentJob;
use super::limits::Limits;
use super::{Defaults, Pool};
use crate::board::MAX_WORKERS;
use crate::dispatch::{Dispatch, Places, Plan};
use crate::error::Error;
use crate::job::StateType;
use crate::relatives;
use crate::shared::Block;
use crate::supervisor::{Link, Terms};
use crate::sys;
use crate::worker::Closure;

/// Where workers come from.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartMethod {
    /// From a clean, single-threaded copy of the program that stopped before `main`. Statics that `main`
    /// filled are not there: use an initializer or an argument.
    #[default]
    ForkServer,
    /// From the program as it stands when the pool is built: workers see all its memory of that moment,
    /// copy-on-write. An error in a program with more than one thread, since a fork takes only one along and
    /// leaves the others' locks held.
    Fork,
}

/// Builds a [`Pool`]; see [`Pool::builder`].
///
/// ```
/// use std::time::Duration;
/// use procession::{Pool, StartMethod, job, process_job};
///
/// #[process_job]
/// fn greet(name: &str) { println!("a worker of {name} is here"); }
///
/// let pool = Pool::builder()
///     .workers(2)
///     .start_method(StartMethod::ForkServer)
///     .initializer(job!(greet), "the example")
///     .max_jobs_per_worker(1000)
///     .timeout(Duration::from_secs(5))
///     .retries(1)
///     .memory_limit(256 << 20)
///     .max_queued_bytes(64 << 20)
///     .name("example")
///     .build()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "nothing is started before `build`"]
#[derive(Default)]
pub struct PoolBuilder {
    workers: Option<usize>,
    max_workers: Option<usize>,
    start_method: StartMethod,
    pub(super) initializer: Option<Result<SentJob, Error>>,
    /// What the initializer returns.
    pub(super) state: Option<StateType>,
    pub(super) finalizer: Option<Result<NewFinalizer, Error>>,
    max_jobs_per_worker: Option<u64>,
    idle_timeout: Option<Duration>,
    timeout: Option<Duration>,
    retries: u32,
    pin_workers: bool,
    pub(super) limits: Limits,
    max_queued_bytes: Option<u64>,
    name: Option<String>,
}

/// What a pool's workers are forks of.
enum Origin<'program> {
    CleanCopy,
    /// The program as it stands, perhaps with a closure to be run in place of jobs.
    Fork(Option<Closure<'program>>),
}

impl PoolBuilder {
    /// The number of workers, 1 to 1024; [`Pool::resize`] changes it later.
    ///
    /// By default one for each core that the program may use (affinity and cgroup quota respected), or what
    /// the environment variable `PROCESSION_WORKERS` says.
    ///
    /// ```
    /// assert_eq!(procession::Pool::builder().workers(2).build()?.workers(), 2);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// How many workers the pool can have after [`Pool::resize`]: 32 by default, or as many as it has from the start where these
    /// are more. Up to 1024.
    ///
    /// Each takes address space for its results, as much as the machine or its cgroup has memory but 16 GiB at the most, and no
    /// memory before it is used.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).max_workers(2).build()?;
    /// pool.resize(2)?;
    /// assert!(pool.resize(3).is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = Some(workers);
        self
    }

    /// Whether each worker keeps to one CPU: the first worker to the first one that workers may use, the second to the
    /// second, and round again where there are more workers. `false` by default.
    ///
    /// It helps where about as many workers as cores compute for long and the scheduler puts two of them on one core while
    /// another idles. It harms where anything else runs on these CPUs: a pinned worker waits there, whatever is free
    /// elsewhere. The processes and threads that a job starts keep to the same CPU. Where the kernel refuses, since that
    /// CPU went offline, say, the worker runs unpinned. See `sched_setaffinity(2)`.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(2).pin_workers(true).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn pin_workers(mut self, pin: bool) -> Self {
        self.pin_workers = pin;
        self
    }

    /// Where workers come from; [`StartMethod::ForkServer`] by default.
    ///
    /// ```
    /// use procession::{Pool, StartMethod};
    ///
    /// let pool = Pool::builder().workers(1).start_method(StartMethod::ForkServer).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn start_method(mut self, method: StartMethod) -> Self {
        self.start_method = method;
        self
    }

    /// Replaces a worker after so many jobs: for code that leaks.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leaky() -> u32 { std::process::id() }
    ///
    /// let pool = Pool::builder().workers(1).max_jobs_per_worker(1).build()?;
    /// let pids = pool.map(job!(leaky), [(), ()])?;
    /// assert_ne!(pids[0], pids[1]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn max_jobs_per_worker(mut self, jobs: u64) -> Self {
        self.max_jobs_per_worker = Some(jobs);
        self
    }

    /// How long a worker waits for something to do before it retires: it runs its [finalizer](Self::finalizer), its process ends,
    /// and its memory is the system's again. When there is something to do, workers come again, each with the
    /// [initializer](Self::initializer): as many as there are jobs for or one more, and no more than the pool is to have. By
    /// default workers wait for ever.
    ///
    /// A job submitted while no worker is there waits for one to be forked, for well under a millisecond and what the
    /// initializer takes. With [`StartMethod::Fork`] later workers, too, see the program's memory of the moment when the
    /// pool was built. [`Pool::workers`] counts those that have retired, [`Pool::pids`] does not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// let pool = Pool::builder().workers(2).idle_timeout(Duration::from_millis(5)).build()?;
    /// assert_eq!(pool.map(job!(square), 0..4)?, [0, 1, 4, 9]);
    /// while !pool.pids().is_empty() {
    ///     std::thread::sleep(Duration::from_millis(1));
    /// }
    /// assert_eq!(pool.map(job!(square), 0..4)?, [0, 1, 4, 9]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// How long a job may run, where neither it nor the call says otherwise. Its worker is then killed. Waiting for a
    /// [`Lock`](crate::Lock) or a [`Queue`](crate::Queue) is running too.
    ///
    /// The supervisor enforces it by looking from time to time: a job never has less than its time, but may have some tens of
    /// milliseconds more.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let pool = Pool::builder().workers(1).timeout(Duration::from_millis(20)).build()?;
    /// let verdicts = pool.map_each(job!(forever), [()])?;
    /// assert_eq!(verdicts, [Err(JobError::TimedOut { limit: Duration::from_millis(20) })]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How often a job that fails (panics, dies, runs too long) is tried again, where neither it nor the call
    /// says otherwise. 0 by default: a job that failed may have had effects.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).retries(2).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// How many bytes of arguments, and of room for their results, may wait in the queue.
    ///
    /// They lie in shared memory, which takes what is in it: an argument is written there once, whatever its size, and a `&[T]` or a
    /// `&str` is read there in place; a large result is written to the worker's own shared memory and read from there.
    ///
    /// By default an eighth of the memory that the program may use, but at least 64 MiB and at the most 4 GiB. At most one
    /// task for each 128 of these bytes waits at a time, and 1,048,576 in all; those with up to 64 bytes of arguments and results
    /// together count only as tasks.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).max_queued_bytes(16 << 20).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn max_queued_bytes(mut self, bytes: u64) -> Self {
        self.max_queued_bytes = Some(bytes);
        self
    }

    /// What workers are called, `worker` by default, followed by their place in the pool: `resize-0`, `resize-1` (see
    /// [`current_process`](crate::current_process)). `ps` shows up to 15 bytes, the place always among them.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).name("resize").build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the pool: forks its workers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for what cannot be meant (no workers, a limit
    /// of nothing), [`ErrorKind::Start`](crate::ErrorKind::Start) and
    /// [`ErrorKind::System`](crate::ErrorKind::System) where processes cannot be had.
    ///
    /// ```
    /// use procession::{ErrorKind, Pool};
    ///
    /// let error = Pool::builder().max_queued_bytes(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn build(self) -> Result<Pool, Error> {
        let n_workers = self.n_workers()?;
        let origin = match self.start_method {
            StartMethod::ForkServer => Origin::CleanCopy,
            StartMethod::Fork => Origin::Fork(None),
        };
        let n_places = self.n_places(n_workers)?;
        self.build_from(origin, n_workers, n_places)
    }

    /// A pool whose workers run this closure, whatever the job; no more of them than there are items.
    pub(super) fn build_for(self, closure: Closure<'_>, n_items: usize) -> Result<Pool, Error> {
        let n_workers = self.n_workers()?;
        let n_useful = u32::try_from(n_items).unwrap_or(u32::MAX).max(1);
        let n_workers = n_workers.min(n_useful);
        let n_places = Places::Exactly(n_workers);
        self.build_from(Origin::Fork(Some(closure)), n_workers, n_places)
    }

    fn n_workers(&self) -> Result<u32, Error> {
        match self.workers {
            Some(workers) => checked_workers(workers, "a pool"),
            None => default_workers(),
        }
    }

    fn n_places(&self, n_workers: u32) -> Result<Places, Error> {
        const USUAL: u32 = 32;
        let Some(most) = self.max_workers else {
            return Ok(Places::UpTo(n_workers.max(USUAL)));
        };
        let most = checked_workers(most, "`max_workers`: a pool")?;
        if most < n_workers {
            return Err(Error::invalid_input(format!(
                "`max_workers({most})` is less than the {n_workers} workers that the pool begins with: \
                 raise it, or say fewer `workers`"
            )));
        }
        Ok(Places::Exactly(most))
    }

    fn build_from(
        self,
        origin: Origin<'_>,
        n_workers: u32,
        n_places: Places,
    ) -> Result<Pool, Error> {
        let max_queued_bytes = self.max_queued_bytes.unwrap_or_else(default_queued_bytes);
        self.refuse_nothing(max_queued_bytes)?;
        self.limits.check()?;
        let initializer = self.initializer.transpose()?;
        let finalizer = self.finalizer.transpose()?;
        let state = self.state.unwrap_or_else(StateType::NOTHING);
        if let Some(finalizer) = &finalizer {
            (finalizer.check)(state)?;
        }
        let sent = [
            initializer.as_ref(),
            finalizer.as_ref().map(|new| &new.sent),
        ];
        let terms = Terms {
            one_shot: false,
            pinned: self.pin_workers,
            max_jobs: self.max_jobs_per_worker.unwrap_or(0),
            idle_nanos: self.idle_timeout.map_or(0, |limit| {
                u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX)
            }),
            limits: self.limits.kept_by_watching(),
            initializer: sent[0].map(SentJob::to_words),
            finalizer: sent[1].map(SentJob::to_words),
            ..Terms::default()
        };
        let plan = Plan {
            n_workers,
            n_places,
            n_tasks: rows_for(max_queued_bytes, n_places.most()),
            arena_len: max_queued_bytes,
            terms,
            name: self.name.as_deref().unwrap_or("worker"),
            confinement: &self.limits.confinement,
            initializer_args: sent[0].map_or(&[], |job| &job.args),
            finalizer_args: sent[1].map_or(&[], |job| &job.args),
            keeps: sent
                .into_iter()
                .flatten()
                .flat_map(|job| job.keeps.clone())
                .collect(),
        };
        let make = |link| Dispatch::make(link, &plan, None);
        let dispatch = match origin {
            Origin::CleanCopy => Link::with_program(&plan.keeps, make)?,
            Origin::Fork(closure) => {
                Block::note_inheritance();
                make(Link::fork(closure)?)?
            }
        };
        let dispatch = Arc::new(dispatch);
        relatives::note_crew(&dispatch);
        let limit = Duration::from_nanos(terms.time_to_finish());
        let (timeout, retries, max_jobs) = (self.timeout, self.retries, terms.max_jobs);
        Ok(Pool {
            dispatch,
            defaults: Defaults {
                timeout,
                retries,
                max_jobs,
            },
            state,
            finalizer: Finalizer::new(finalizer, limit),
        })
    }

    fn refuse_nothing(&self, max_queued_bytes: u64) -> Result<(), Error> {
        let refuse = |what: &str| {
            Err(Error::invalid_input(format!(
                "{what}; leave it out for no limit"
            )))
        };
        if max_queued_bytes == 0 {
            let message = "`max_queued_bytes` of 0 leaves no room for any job: give it at least the size of one";
            return Err(Error::invalid_input(message));
        }
        if max_queued_bytes > 1 << 40 {
            return Err(Error::invalid_input(
                "`max_queued_bytes` is more than 1 TiB: give it what memory can hold",
            ));
        }
        if self.timeout == Some(Duration::ZERO) {
            return refuse("`timeout` of 0 would kill every job");
        }
        if self.idle_timeout == Some(Duration::ZERO) {
            return refuse("`idle_timeout` of 0 would let no worker wait for a job");
        }
        if self.max_jobs_per_worker == Some(0) {
            return refuse("`max_jobs_per_worker` of 0 would start no job");
        }
        Ok(())
    }
}

pub(crate) fn checked_workers(workers: usize, whose: &str) -> Result<u32, Error> {
    let in_range = u32::try_from(workers)
        .ok()
        .filter(|workers| (1..=MAX_WORKERS).contains(workers));
    in_range.ok_or_else(|| {
        Error::invalid_input(format!(
            "{whose} needs 1 to {MAX_WORKERS} workers, not {workers}"
        ))
    })
}

pub(crate) fn default_workers() -> Result<u32, Error> {
    const VARIABLE: &str = "PROCESSION_WORKERS";
    match std::env::var_os(VARIABLE) {
        Some(value) => {
            let number = value
                .to_str()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| {
                    Error::invalid_input(format!(
                        "{VARIABLE} is {value:?}: give it a number of workers, or unset it"
                    ))
                })?;
            checked_workers(number, VARIABLE)
        }
        None => {
            // Respects affinity and cgroup quotas.
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            Ok(u32::try_from(cores).unwrap_or(MAX_WORKERS).min(MAX_WORKERS))
        }
    }
}

fn default_queued_bytes() -> u64 {
    (sys::total_memory() / 8).clamp(64 << 20, 4 << 30)
}

/// Rows for as many of the smallest tasks as the bytes can hold, within reason.
fn rows_for(max_queued_bytes: u64, n_workers: u32) -> u32 {
    const SMALLEST_TASK: u64 = 128;
    let rows = (max_queued_bytes / SMALLEST_TASK).clamp(16, 1 << 20) as u32;
    rows.max(n_workers * 4)
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("max_workers", &self.max_workers)
            .field("start_method", &self.start_method)
            .field("idle_timeout", &self.idle_timeout)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("pin_workers", &self.pin_workers)
            .field("limits", &self.limits)
            .field("max_queued_bytes", &self.max_queued_bytes)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
