//! Why a message could not be sent or received.

use std::{fmt, io};

use crate::error::{Error, ErrorKind};
use crate::queue::QueueError;

/// Why a call to a [`Connection`](crate::Connection) failed.
///
/// ```
/// use procession::{ErrorKind, PipeError, pipe};
///
/// let (ours, theirs) = pipe::<u32, u32>()?;
/// drop(theirs);
/// let error = ours.recv().unwrap_err();
/// assert_eq!(error, PipeError::Disconnected);
/// assert_eq!(procession::Error::from(error).kind(), ErrorKind::PeerGone);
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipeError {
    /// The other end was dropped, or its process has ended; for a `recv` nothing is left of what it sent.
    Disconnected,
    /// The message cannot be turned into bytes, or the bytes not into a message. That message is lost, no other.
    Codec {
        /// What is wrong with it.
        message: String,
    },
    /// There is not enough memory ([`OutOfMemory`](io::ErrorKind::OutOfMemory)); a process has written at random into
    /// the pipe's memory ([`InvalidData`](io::ErrorKind::InvalidData)), which ends it; or this process was forked from the one
    /// that has this end ([`PermissionDenied`](io::ErrorKind::PermissionDenied)).
    System {
        /// What kind of thing was refused.
        kind: io::ErrorKind,
        /// What was tried, and why it failed.
        message: String,
    },
}

impl PipeError {
    pub(super) fn not_ours() -> Self {
        Self::System {
            kind: io::ErrorKind::PermissionDenied,
            message:
                "this end of a pipe belongs to the process from which this one was forked: pass it as an argument"
                    .to_owned(),
        }
    }
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected => f.write_str("nobody has the other end of the pipe any more"),
            Self::Codec { message } | Self::System { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for PipeError {}

impl From<QueueError> for PipeError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Closed => Self::Disconnected,
            QueueError::Codec { message } => Self::Codec { message },
            QueueError::System { kind, message } => Self::System { kind, message },
            // Of calls that a pipe does not make.
            QueueError::Full | QueueError::TasksLost { .. } | QueueError::NoTask => Self::System {
                kind: io::ErrorKind::Other,
                message: error.to_string(),
            },
        }
    }
}

impl From<PipeError> for Error {
    fn from(error: PipeError) -> Self {
        let kind = match error {
            PipeError::Disconnected => ErrorKind::PeerGone,
            PipeError::Codec { .. } => ErrorKind::InvalidInput,
            PipeError::System { kind, message } => {
                return Self::system("use a pipe", io::Error::new(kind, message));
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
        let codec = PipeError::from(QueueError::Codec {
            message: "no bytes".into(),
        });
        let gone = PipeError::from(QueueError::Closed);
        for (error, kind, words) in [
            (
                gone,
                ErrorKind::PeerGone,
                "nobody has the other end of the pipe any more",
            ),
            (codec, ErrorKind::InvalidInput, "no bytes"),
            (
                PipeError::not_ours(),
                ErrorKind::System,
                "failed to use a pipe: this end of a pipe belongs to the process from which this one was forked: pass it as an argument",
            ),
        ] {
            let error = Error::from(error);
            assert_eq!(error.kind(), kind);
            assert_eq!(error.to_string(), words);
        }
    }
}
