//! The ends of a job that gave no result.

use std::fmt;
use std::time::Duration;

use crate::codec::CodecError;
use crate::sys;

/// How one job ended without a result.
///
/// ```
/// use procession::{JobError, process_job, spawn};
///
/// #[process_job]
/// fn leave() {
///     std::process::exit(3);
/// }
///
/// let end = spawn!(leave())?.join();
/// assert_eq!(end, Err(JobError::Exited { code: 3 }));
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobError {
    /// The job panicked. The worker of a pool catches that and lives on, unless the job had borrowed its
    /// [state](crate::PoolBuilder::initializer); that of a [`fork_map`](crate::fork_map()) and a process of
    /// [`spawn!`](crate::spawn) end.
    ///
    /// In a program built with `panic = "abort"` a panic is [`Killed`](Self::Killed) by SIGABRT, and the
    /// message, place and backtrace are its last words.
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`, empty where the panic went round the panic hook (`resume_unwind`).
        location: String,
        /// The stack at the panic; empty where `RUST_BACKTRACE=0` forbids it.
        backtrace: String,
    },
    /// The worker was killed by a signal: SIGSEGV, SIGABRT, a stack overflow, the OOM killer, `kill -9`.
    Killed {
        /// The signal's number, see `signal(7)`.
        signal: i32,
        /// What the worker could still say (a stack overflow, a panic before an abort), empty otherwise.
        last_words: String,
    },
    /// The job called `exit`.
    Exited {
        /// The code it gave.
        code: i32,
    },
    /// The job ran longer than it may, or was running when the map's deadline passed, and its worker was ended.
    TimedOut {
        /// The time it had.
        limit: Duration,
    },
    /// The worker's private memory grew beyond the pool's `memory_limit`, and it was killed.
    MemoryExceeded {
        /// The bytes it had.
        limit: u64,
    },
    /// The job was cancelled, or its pool was dropped or terminated.
    Cancelled,
    /// An argument or the result could not be made into bytes, or read back from them, or there was no shared memory for the
    /// result.
    Codec {
        /// What the codec said, and what to do.
        message: String,
    },
    /// The pool or its supervisor is gone.
    Lost {
        /// What happened to it.
        reason: String,
        /// Whether the job had begun; `false`: it never ran.
        started: bool,
    },
}

impl JobError {
    /// Whether the job may have had effects. `false`: it never ran and is safe to run again.
    ///
    /// ```
    /// use procession::JobError;
    ///
    /// assert!(JobError::Exited { code: 1 }.may_have_run());
    /// assert!(!JobError::Lost { reason: "the pool is gone".into(), started: false }.may_have_run());
    /// ```
    pub fn may_have_run(&self) -> bool {
        !matches!(self, Self::Lost { started: false, .. })
    }

    pub(crate) fn panicked(report: sys::PanicReport) -> Self {
        Self::Panicked {
            message: report.message,
            location: report.location,
            backtrace: report.backtrace,
        }
    }

    pub(crate) fn lost(reason: impl Into<String>, started: bool) -> Self {
        Self::Lost {
            reason: reason.into(),
            started,
        }
    }
}

impl From<CodecError> for JobError {
    fn from(error: CodecError) -> Self {
        Self::Codec {
            message: error.to_string(),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked {
                message, location, ..
            } if location.is_empty() => write!(f, "panicked: {message}"),
            Self::Panicked {
                message, location, ..
            } => write!(f, "panicked at {location}: {message}"),
            Self::Killed { signal, last_words } => {
                write!(f, "killed by signal {signal}")?;
                if let Some(name) = sys::signal_name(*signal) {
                    write!(f, " ({name})")?;
                }
                match last_words.lines().find(|line| !line.trim().is_empty()) {
                    Some(line) => write!(f, ": {line}"),
                    None => Ok(()),
                }
            }
            Self::Exited { code } => write!(f, "called exit({code})"),
            Self::TimedOut { limit } => write!(f, "ran longer than its time limit of {limit:?}"),
            Self::MemoryExceeded { limit } => {
                write!(f, "used more than its memory limit of {limit} bytes")
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Codec { message } => f.write_str(message),
            Self::Lost {
                reason,
                started: true,
            } => write!(f, "lost after it had begun: {reason}"),
            Self::Lost {
                reason,
                started: false,
            } => write!(f, "lost before it began: {reason}"),
        }
    }
}

impl std::error::Error for JobError {}
