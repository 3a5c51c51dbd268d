//! Why a message could not be put into a queue or got from one.

use std::{fmt, io};

use crate::codec::CodecError;
use crate::error::{Error, ErrorKind};

/// Why a call to a [`Queue`](crate::Queue) failed.
///
/// ```
/// use procession::{Queue, QueueError};
///
/// let queue = Queue::bounded(1)?;
/// queue.put(1)?;
/// assert_eq!(queue.try_put(2), Err(QueueError::Full));
/// queue.close();
/// assert_eq!(queue.put(3), Err(QueueError::Closed));
/// assert_eq!(queue.get(), Ok(1));
/// assert_eq!(queue.get(), Err(QueueError::Closed));
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueError {
    /// The queue was closed; for a `get` it is empty too.
    Closed,
    /// As many messages wait as may, and the call does not wait for room, or has waited long enough.
    Full,
    /// The message cannot be turned into bytes, or the bytes not into a message. That message is lost, no other.
    Codec {
        /// What is wrong with it.
        message: String,
    },
    /// Processes have ended that had got so many messages and not said [`task_done`](crate::Queue::task_done): told by
    /// [`join`](crate::Queue::join), which does not wait for these any more.
    TasksLost {
        /// How many.
        n: usize,
    },
    /// [`task_done`](crate::Queue::task_done) was called more often than this process has got messages.
    NoTask,
    /// There is not enough memory ([`OutOfMemory`](io::ErrorKind::OutOfMemory)), or a process has written at random into
    /// the queue's memory ([`InvalidData`](io::ErrorKind::InvalidData)), which closes it.
    System {
        /// What kind of thing the system refused.
        kind: io::ErrorKind,
        /// What was tried, and why it failed.
        message: String,
    },
}

impl QueueError {
    pub(super) fn system(kind: io::ErrorKind, message: impl Into<String>) -> Self {
        Self::System {
            kind,
            message: message.into(),
        }
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the queue is closed"),
            Self::Full => f.write_str("the queue is full"),
            Self::TasksLost { n } => write!(
                f,
                "{n} of the queue's messages were got by processes that ended without saying `task_done`"
            ),
            Self::NoTask => f.write_str(
                "`task_done` was called more often than this process has got messages from the queue",
            ),
            Self::Codec { message } | Self::System { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for QueueError {}

impl From<CodecError> for QueueError {
    fn from(error: CodecError) -> Self {
        Self::Codec {
            message: error.to_string(),
        }
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        let kind = match error {
            QueueError::Closed => ErrorKind::QueueClosed,
            QueueError::Full => ErrorKind::QueueFull,
            QueueError::Codec { .. } | QueueError::NoTask => ErrorKind::InvalidInput,
            QueueError::TasksLost { .. } => ErrorKind::PeerGone,
            QueueError::System { kind, message } => {
                return Self::system("use a queue", io::Error::new(kind, message));
            }
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_becomes_an_error_of_its_kind_with_its_own_words() {
        let codec = QueueError::Codec {
            message: "no bytes".into(),
        };
        let system = QueueError::system(io::ErrorKind::OutOfMemory, "no memory");
        let lost =
            "2 of the queue's messages were got by processes that ended without saying `task_done`";
        let none =
            "`task_done` was called more often than this process has got messages from the queue";
        for (error, kind, words) in [
            (
                QueueError::Closed,
                ErrorKind::QueueClosed,
                "the queue is closed",
            ),
            (QueueError::Full, ErrorKind::QueueFull, "the queue is full"),
            (codec, ErrorKind::InvalidInput, "no bytes"),
            (QueueError::TasksLost { n: 2 }, ErrorKind::PeerGone, lost),
            (QueueError::NoTask, ErrorKind::InvalidInput, none),
            (
                system,
                ErrorKind::System,
                "failed to use a queue: no memory",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), words);
        }
    }
}
