//! What a pool's workers may use: the methods of [`PoolBuilder`] for it.
//!
//! Responsible for saying it and for refusing what cannot be meant or had before a worker is forked. Time and memory are
//! kept by the supervisor, which looks; the rest by the kernel, see [`Confinement`].

use std::time::Duration;

use super::PoolBuilder;
use crate::error::Error;
use crate::supervisor::WorkerLimits;
use crate::sys::Confinement;

/// `None`: no limit.
#[derive(Debug, Default)]
pub(super) struct Limits {
    memory: Option<u64>,
    memory_growth: Option<u64>,
    cpu_time: Option<Duration>,
    grace: Option<Duration>,
    /// Whether an affinity was given that holds no CPU.
    names_no_cpu: bool,
    pub(super) confinement: Confinement,
}

impl PoolBuilder {
    /// How many bytes of private resident memory a worker may have while it runs a job; beyond, it is ended.
    ///
    /// The supervisor looks at the worker from time to time, and every millisecond when it is close to the limit. A job that
    /// touches memory as fast as it can is found some megabytes beyond the limit, further where its worker held much already when
    /// the job began; a short spike may pass unseen. A panic's backtrace counts too: the first one in a worker reads the program's
    /// symbols, which can take tens of megabytes; `RUST_BACKTRACE=0` does without.
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn hoard() {
    ///     let mut hoard: Vec<Vec<u8>> = Vec::new();
    ///     loop { hoard.push(vec![1; 1 << 20]) }
    /// }
    ///
    /// let pool = Pool::builder().workers(1).memory_limit(32 << 20).build()?;
    /// let verdicts = pool.map_each(job!(hoard), [()])?;
    /// assert_eq!(verdicts, [Err(JobError::MemoryExceeded { limit: 32 << 20 })]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.limits.memory = Some(bytes);
        self
    }

    /// Replaces a worker whose memory has grown by so many bytes since its first task: for code that leaks.
    ///
    /// The worker looks at its resident anonymous memory between two tasks, so this costs no item; a task is an item, or a
    /// chunk of them. What the allocator keeps for later counts. See
    /// [`max_jobs_per_worker`](Self::max_jobs_per_worker) for the same by number.
    ///
    /// ```
    /// use procession::{MapOptions, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leak() -> u32 {
    ///     std::mem::forget(vec![1_u8; 4 << 20]);
    ///     std::process::id()
    /// }
    ///
    /// let pool = Pool::builder().workers(1).max_memory_growth(10 << 20).build()?;
    /// let pids = pool.map_with(job!(leak), [(); 8], MapOptions::NONE.chunk_size(1))?;
    /// assert_ne!(pids[0], pids[7]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn max_memory_growth(mut self, bytes: u64) -> Self {
        self.limits.memory_growth = Some(bytes);
        self
    }

    /// How much processor time one job may use; beyond, its worker is ended, and the job is
    /// [`Killed`](crate::JobError::Killed) by SIGXCPU.
    ///
    /// As `RLIMIT_CPU` (see `getrlimit(2)`), but each job has its own, the threads it starts count, fractions of a second
    /// are kept, and the signal cannot be ignored. Time in which it sleeps or waits is for
    /// [`timeout`](Self::timeout); processes that a job starts do not count.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn spin() { loop { std::hint::spin_loop() } }
    ///
    /// let pool = Pool::builder().workers(1).cpu_time_limit(Duration::from_millis(50)).build()?;
    /// let error = pool.map(job!(spin), [()]).unwrap_err();
    /// assert!(matches!(error.job_error(), Some(JobError::Killed { signal: 24, .. })));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn cpu_time_limit(mut self, limit: Duration) -> Self {
        self.limits.cpu_time = Some(limit);
        self
    }

    /// How long a worker that is to be ended (a time-out, a cancel, a deadline, a limit, the end of the pool) has between
    /// SIGTERM and SIGKILL. None by default: SIGKILL at once.
    ///
    /// SIGTERM ends a worker at once, too, unless the job has set a handler, to remove its temporary files perhaps. However the
    /// worker then ends, the verdict names the cause (a time-out, say). A worker that is stopped is continued; one that ignores the
    /// signal is killed when the grace is over, or when it uses it to grow far beyond its memory limit.
    ///
    /// A pool that ends begins no queued job in its grace, and whoever ends it waits until no process of it is left; other pools
    /// and processes are not kept waiting.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let limit = Duration::from_millis(20);
    /// let pool = Pool::builder().workers(1).timeout(limit).grace(Duration::from_secs(5)).build()?;
    /// assert_eq!(pool.map_each(job!(forever), [()])?, [Err(JobError::TimedOut { limit })]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn grace(mut self, grace: Duration) -> Self {
        self.limits.grace = Some(grace);
        self
    }

    /// The workers' niceness, -20 (first) to 19 (last), see `setpriority(2)`; by default what the thread had that made the
    /// program's first pool or process, at that moment.
    ///
    /// Less than that takes a privilege or a limit that allows it (`RLIMIT_NICE` in `getrlimit(2)`);
    /// without, `build` fails.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).nice(19).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn nice(mut self, niceness: i32) -> Self {
        self.limits.confinement.niceness = Some(niceness);
        self
    }

    /// The CPUs, counted from 0, that the workers may run on, each on any of them, see `sched_setaffinity(2)`; by default
    /// those of the thread that made the program's first pool or process, at that moment.
    ///
    /// For a CPU that is not there, or not for this process, `build` fails.
    ///
    /// ```
    /// use procession::{ErrorKind, Pool};
    ///
    /// let error = Pool::builder().workers(1).cpu_affinity([1023]).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::System);
    /// assert!(error.to_string().starts_with("failed to run on CPU 1023"), "{error}");
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn cpu_affinity(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.limits.confinement.cpus = cpus.into_iter().collect();
        self.limits.names_no_cpu = self.limits.confinement.cpus.is_empty();
        self
    }

    /// How many descriptors a worker may have open at once, with the few that it has from the start: `RLIMIT_NOFILE` in
    /// `getrlimit(2)`; by default as many as the program.
    ///
    /// More than the program's hard limit is an error.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).open_files_limit(256).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn open_files_limit(mut self, n_files: u64) -> Self {
        self.limits.confinement.open_files = Some(n_files);
        self
    }

    /// How many bytes of memory a worker that crashes may write to a core file, 0 for none: `RLIMIT_CORE` in
    /// `getrlimit(2)`, see `core(5)`; by default as many as the program.
    ///
    /// More than the program's hard limit is an error.
    ///
    /// ```
    /// let pool = procession::Pool::builder().workers(1).core_size_limit(0).build()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn core_size_limit(mut self, bytes: u64) -> Self {
        self.limits.confinement.core_bytes = Some(bytes);
        self
    }
}

impl Limits {
    pub(super) fn kept_by_watching(&self) -> WorkerLimits {
        let nanos = |time: Option<Duration>| {
            time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
        };
        WorkerLimits {
            memory: self.memory.unwrap_or(0),
            memory_growth: self.memory_growth.unwrap_or(0),
            cpu_nanos: nanos(self.cpu_time),
            grace_nanos: nanos(self.grace),
        }
    }

    /// Refuses what cannot be meant, and what the system refuses.
    pub(super) fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| {
            Err(Error::invalid_input(format!(
                "{what}; leave it out for no limit"
            )))
        };
        if self.memory == Some(0) {
            return refuse("`memory_limit` of 0 would kill every worker");
        }
        if self.memory_growth == Some(0) {
            return refuse("`max_memory_growth` of 0 would replace every worker after each task");
        }
        if self.cpu_time == Some(Duration::ZERO) {
            return refuse("`cpu_time_limit` of 0 would kill every job");
        }
        if self.confinement.open_files == Some(0) {
            return refuse("`open_files_limit` of 0 would leave a worker no file at all");
        }
        if self.names_no_cpu {
            let message = "`cpu_affinity` names no CPU: leave it out for all of the program's";
            return Err(Error::invalid_input(message));
        }
        if let Some(niceness) = self.confinement.niceness
            && !(-20..=19).contains(&niceness)
        {
            return Err(Error::invalid_input(format!(
                "`nice` goes from -20 (first) to 19 (last), not {niceness}"
            )));
        }
        self.confinement
            .try_out()
            .map_err(|(doing, error)| Error::system(&doing, error))
    }
}
