//! What can go wrong: [`Error`] for a call to the crate, [`JobError`] for one job.
//!
//! A job's end is always a value: a panic, a crash, a time-out of one item is a `JobError` at that item's
//! place and leaves every other item alone. An `Error` is for the pool, the system or the call itself; a
//! map that stops at its first failed item wraps that item's `JobError` with its index, job and worker.

mod job;
mod travel;

use std::fmt;
use std::io;
use std::time::Duration;

pub use job::JobError;

use crate::sys;

/// Why a call to this crate failed.
///
/// Opaque, so that it may learn more; ask [`kind`](Self::kind), and for a failed map
/// [`job_error`](Self::job_error), [`index`](Self::index), [`job`](Self::job) and
/// [`worker_pid`](Self::worker_pid). The cause, where there is one, is its
/// [`source`](std::error::Error::source).
///
/// ```
/// use procession::{ErrorKind, Pool};
///
/// let error = Pool::new(0).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
    failed_job: Option<FailedJob>,
}

struct FailedJob {
    error: JobError,
    job: &'static str,
    index: Option<usize>,
    worker_pid: Option<u32>,
}

/// What kind of thing an [`Error`] is about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument that cannot mean anything: no workers, a chunk size of 0.
    InvalidInput,
    /// A job failed; [`Error::job_error`] says how.
    Job,
    /// Worker processes cannot be had from this program: because of its file, its threads, its privileges, or how deep pools are
    /// nested. The message says which, and what to do.
    Start,
    /// A system call failed; the `source` has its error number.
    System,
    /// The pool cannot take work any more: it was closed, its workers cannot start, its supervisor is gone.
    PoolGone,
    /// An item is larger than the pool's `max_queued_bytes`, or its queue or a [`Queue`](crate::Queue) is full and the call
    /// may not wait, or has waited long enough.
    QueueFull,
    /// A lock was not simply acquired, see [`LockError`](crate::LockError).
    Lock,
    /// The [`Queue`](crate::Queue) was closed, and a `put` came after that, or a `get` found nothing left.
    QueueClosed,
    /// A [`connection`](crate::connection) to another program failed or could not be made.
    Connection,
    /// A process has ended that others waited for: at the other end of a pipe, or with messages of a
    /// [`Queue`](crate::Queue) that it had not said `task_done` of.
    PeerGone,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
                failed_job: None,
            }),
        }
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// `doing` names what failed, as "make the shared memory of the pool".
    pub(crate) fn system(doing: &str, source: io::Error) -> Self {
        let mut error = Self::new(ErrorKind::System, format!("failed to {doing}: {source}"));
        error.inner.source = Some(source);
        error
    }

    /// As [`failed_job`](Self::failed_job), for the first item that has no result because the map's time was over.
    pub(crate) fn deadline_passed(
        limit: Duration,
        job: &'static str,
        index: usize,
        worker_pid: Option<u32>,
    ) -> Self {
        let error = JobError::TimedOut { limit };
        let mut this = Self::failed_job(error, job, Some(index), worker_pid);
        this.inner.message = format!(
            "the map's deadline of {limit:?} passed: job `{job}` has no result at item {index}"
        );
        this
    }

    pub(crate) fn failed_job(
        error: JobError,
        job: &'static str,
        index: Option<usize>,
        worker_pid: Option<u32>,
    ) -> Self {
        let mut message = format!("job `{job}` failed");
        if let Some(index) = index {
            message += &format!(" at item {index}");
        }
        if let Some(pid) = worker_pid {
            message += &format!(" in worker {pid}");
        }
        message += &format!(": {error}");
        let mut this = Self::new(ErrorKind::Job, message);
        this.inner.failed_job = Some(FailedJob {
            error,
            job,
            index,
            worker_pid,
        });
        this
    }

    /// What kind of thing went wrong.
    ///
    /// ```
    /// use procession::{ErrorKind, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Job);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The failure of the job, where this is [`ErrorKind::Job`].
    ///
    /// ```
    /// use procession::{JobError, Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert_eq!(error.job_error(), Some(&JobError::Exited { code: 5 }));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn job_error(&self) -> Option<&JobError> {
        self.inner.failed_job.as_ref().map(|failed| &failed.error)
    }

    /// The place in the input, counted from 0, of the item whose job failed.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert_eq!(error.index(), Some(2));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn index(&self) -> Option<usize> {
        self.inner
            .failed_job
            .as_ref()
            .and_then(|failed| failed.index)
    }

    /// The name of the job that failed.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert_eq!(error.job(), Some("leave"));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn job(&self) -> Option<&str> {
        self.inner
            .failed_job
            .as_ref()
            .map(|failed| failed.job)
            .filter(|name| !name.is_empty())
    }

    /// The process that ran the job that failed, where one had begun to.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert!(error.worker_pid().is_some());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn worker_pid(&self) -> Option<u32> {
        self.inner
            .failed_job
            .as_ref()
            .and_then(|failed| failed.worker_pid)
    }
}

impl Error {
    /// Whether what failed may have had effects. `false`: it is safe to ask again.
    ///
    /// For a failed map this speaks of the item at [`index`](Self::index), as [`JobError::may_have_run`] does; others of
    /// the same map may well have run.
    ///
    /// ```
    /// use procession::{Pool, job, process_job};
    ///
    /// #[process_job]
    /// fn leave(x: u32) { if x == 2 { std::process::exit(5) } }
    ///
    /// let error = Pool::new(1)?.map(job!(leave), 0..4).unwrap_err();
    /// assert!(error.may_have_run());
    /// assert!(!Pool::new(0).unwrap_err().may_have_run());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn may_have_run(&self) -> bool {
        match self.kind() {
            ErrorKind::InvalidInput | ErrorKind::Start => false,
            _ => self.job_error().is_none_or(JobError::may_have_run),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.inner.kind)
            .field("message", &self.inner.message);
        // What `fn main() -> Result<(), Error>` prints: a backtrace would bury the message.
        if let Some(index) = self.index() {
            debug.field("index", &index);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let inner = &self.inner;
        match (&inner.source, &inner.failed_job) {
            (Some(source), _) => Some(source),
            (None, Some(failed)) => Some(&failed.error),
            (None, None) => None,
        }
    }
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        let mut this = Self::new(ErrorKind::Job, message);
        this.inner.failed_job = Some(FailedJob {
            error,
            job: "",
            index: None,
            worker_pid: None,
        });
        this
    }
}

/// So that a job may use `?` on files as on queues and locks: of kind [`ErrorKind::System`].
///
/// ```
/// use procession::{Error, process_job, spawn};
///
/// #[process_job]
/// fn count_bytes(path: &str) -> Result<usize, Error> {
///     Ok(std::fs::read(path)?.len())
/// }
///
/// let error = spawn!(count_bytes("/no/such/file"))?.join()?.unwrap_err();
/// assert!(error.to_string().contains("No such file"), "{error}");
/// # Ok::<(), Error>(())
/// ```
impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        let mut error = Self::new(ErrorKind::System, source.to_string());
        error.inner.source = Some(source);
        error
    }
}

impl From<sys::StartError> for Error {
    fn from(error: sys::StartError) -> Self {
        let mut this = Self::new(ErrorKind::Start, error.to_string());
        this.inner.source = Some(io::Error::other(error));
        this
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_say_what_happened() {
        let text = |error: JobError| error.to_string();
        let panicked = JobError::Panicked {
            message: "no".into(),
            location: "a.rs:1:2".into(),
            backtrace: String::new(),
        };
        assert_eq!(text(panicked), "panicked at a.rs:1:2: no");
        assert_eq!(
            text(JobError::Killed {
                signal: 9,
                last_words: String::new()
            }),
            "killed by signal 9 (SIGKILL)"
        );
        let overflow = JobError::Killed {
            signal: 11,
            last_words: "\nstack overflow\nmore".into(),
        };
        assert_eq!(
            text(overflow),
            "killed by signal 11 (SIGSEGV): stack overflow"
        );
        assert_eq!(text(JobError::Exited { code: 3 }), "called exit(3)");
        let limit = Duration::from_millis(1500);
        assert_eq!(
            text(JobError::TimedOut { limit }),
            "ran longer than its time limit of 1.5s"
        );
        assert_eq!(
            text(JobError::MemoryExceeded { limit: 7 }),
            "used more than its memory limit of 7 bytes"
        );
        assert_eq!(text(JobError::Cancelled), "cancelled");
        assert_eq!(
            text(JobError::lost("gone", false)),
            "lost before it began: gone"
        );
        assert_eq!(
            text(JobError::lost("gone", true)),
            "lost after it had begun: gone"
        );
    }

    #[test]
    fn only_what_never_began_is_safe_to_run_again() {
        let (message, text) = (String::from("no"), String::new);
        let may_have_run = [
            JobError::Panicked {
                message: message.clone(),
                location: text(),
                backtrace: text(),
            },
            JobError::Killed {
                signal: 9,
                last_words: text(),
            },
            JobError::Exited { code: 0 },
            JobError::TimedOut {
                limit: Duration::ZERO,
            },
            JobError::MemoryExceeded { limit: 0 },
            JobError::Cancelled,
            JobError::Codec { message },
            JobError::lost("gone", true),
        ];
        for error in may_have_run {
            assert!(error.may_have_run(), "{error}");
            let of_map = Error::failed_job(error, "parse", Some(4), None);
            assert!(of_map.may_have_run(), "{of_map}");
        }
        let never_began = JobError::lost("gone", false);
        assert!(!never_began.may_have_run());
        assert!(!Error::from(never_began).may_have_run());
        for kind in [ErrorKind::InvalidInput, ErrorKind::Start] {
            assert!(!Error::new(kind, "no").may_have_run());
        }
        assert!(Error::new(ErrorKind::PoolGone, "gone").may_have_run());
    }

    #[test]
    fn a_failed_map_tells_item_job_and_worker() {
        let error = Error::failed_job(JobError::Exited { code: 1 }, "parse", Some(4), Some(77));
        assert_eq!(
            error.to_string(),
            "job `parse` failed at item 4 in worker 77: called exit(1)"
        );
        assert_eq!(
            (error.kind(), error.index(), error.job()),
            (ErrorKind::Job, Some(4), Some("parse"))
        );
        assert_eq!(error.worker_pid(), Some(77));
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn errors_travel_between_threads() {
        fn travels<T: std::error::Error + Send + Sync + 'static>() {}
        travels::<Error>();
        travels::<JobError>();
    }
}
