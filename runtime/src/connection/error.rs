//! Why a connection could not be made, or a message not be sent or received.

use std::{fmt, io};

use crate::codec::CodecError;
use crate::error::{Error, ErrorKind};

/// Why a call to a [`Connection`](super::Connection), a [`Client`](super::Client) or a [`Listener`](super::Listener) failed.
///
/// ```
/// use procession::connection::{Client, Connection, ConnectionError, Listener};
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", b"the right key")?;
/// let address = listener.address().clone();
/// let stranger = std::thread::spawn(move || {
///     let connected = Client::connect(&address, b"another key");
///     connected.map(|_: Connection<u8, u8>| ())
/// });
/// // Strangers are sent away while it waits for a friend.
/// let wait = std::time::Duration::from_millis(200);
/// assert!(listener.accept_timeout::<u8, u8>(wait)?.is_none());
/// assert_eq!(stranger.join().unwrap(), Err(ConnectionError::WrongKey));
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// The other end was closed, or its process has ended; between two messages, so none was cut.
    Closed,
    /// The other end was closed, or its process has ended, in the middle of a message, which is lost.
    CutShort,
    /// The other end does not have the same key.
    WrongKey,
    /// The other end speaks another version of the format.
    WrongVersion {
        /// The version spoken here.
        ours: u16,
        /// The version spoken there.
        theirs: u16,
    },
    /// What one end sends is not what the other receives.
    WrongType {
        /// What this end sends and receives.
        ours: String,
        /// What the other end sends and receives.
        theirs: String,
    },
    /// What came is not what the format has at that place: the other end is no `procession` program, or is damaged.
    Protocol {
        /// What is wrong with it.
        message: String,
    },
    /// A message has more bytes than the receiving end takes. Where it was to be sent, nothing was, and the connection
    /// goes on; where it was received, the connection is over.
    TooLarge {
        /// Its bytes.
        len: u64,
        /// The most that a message may have.
        limit: u64,
    },
    /// The time for it was over. A message that was partly received goes on being received by the next call; one that was
    /// partly sent ends the sending side.
    TimedOut,
    /// The message cannot be turned into bytes, or the bytes not into a message. That message is lost, no other.
    Codec {
        /// What is wrong with it.
        message: String,
    },
    /// The system refused something.
    System {
        /// What kind of thing it refused.
        kind: io::ErrorKind,
        /// What was tried, and why it failed.
        message: String,
    },
}

impl ConnectionError {
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol {
            message: message.into(),
        }
    }

    /// `doing` names what failed, as "listen at tcp:127.0.0.1:80".
    pub(super) fn system(doing: &str, source: &io::Error) -> Self {
        Self::System {
            kind: source.kind(),
            message: format!("failed to {doing}: {source}"),
        }
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the other end of the connection is closed"),
            Self::CutShort => f.write_str("the connection ended in the middle of a message"),
            Self::WrongKey => f.write_str("the two ends of the connection have different keys"),
            Self::WrongVersion { ours, theirs } => write!(
                f,
                "the other end speaks version {theirs} of the connection's format, this one version {ours}"
            ),
            Self::WrongType { ours, theirs } => {
                write!(f, "this end {ours}, the other end {theirs}")
            }
            Self::TooLarge { len, limit } => write!(
                f,
                "a message of {len} bytes is larger than the receiving end takes, {limit} bytes"
            ),
            Self::TimedOut => f.write_str("the time for it was over"),
            Self::Protocol { message } | Self::Codec { message } | Self::System { message, .. } => {
                f.write_str(message)
            }
        }
    }
}

impl std::error::Error for ConnectionError {}

impl From<CodecError> for ConnectionError {
    fn from(error: CodecError) -> Self {
        Self::Codec {
            message: error.to_string(),
        }
    }
}

/// Of kind [`ErrorKind::Connection`]; what is no address, no key, or no message that can be sent is
/// [`ErrorKind::InvalidInput`].
impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        let kind = match error {
            ConnectionError::Codec { .. }
            | ConnectionError::System {
                kind: io::ErrorKind::InvalidInput,
                ..
            } => ErrorKind::InvalidInput,
            _ => ErrorKind::Connection,
        };
        Self::new(kind, error.to_string())
    }
}
