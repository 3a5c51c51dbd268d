//! Errors through serde, so that a job can return `Result<T, Error>` and use `?` on queues, locks and pools of its own.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Error, ErrorKind};

const KINDS: [ErrorKind; 10] = [
    ErrorKind::InvalidInput,
    ErrorKind::Job,
    ErrorKind::Start,
    ErrorKind::System,
    ErrorKind::PoolGone,
    ErrorKind::QueueFull,
    ErrorKind::QueueClosed,
    ErrorKind::Lock,
    ErrorKind::Connection,
    ErrorKind::PeerGone,
];

/// Its kind and its text travel; what it knows of a failed job, and its source, stay behind.
///
/// ```
/// use procession::{Error, Queue, process_job, spawn};
///
/// #[process_job]
/// fn put_late(queue: &Queue<u32>) -> Result<(), Error> {
///     queue.put(1)?;
///     Ok(())
/// }
///
/// let queue = Queue::new()?;
/// queue.close();
/// let error = spawn!(put_late(&queue))?.join()?.unwrap_err();
/// assert_eq!(error.kind(), procession::ErrorKind::QueueClosed);
/// # Ok::<(), Error>(())
/// ```
impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind());
        (kind, self.to_string()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (kind, text) = <(Option<usize>, String)>::deserialize(from)?;
        let kind = kind.and_then(|kind| KINDS.get(kind));
        let kind = kind.ok_or_else(|| D::Error::custom("this is no error of this crate"))?;
        Ok(Self::new(*kind, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_travels() {
        for kind in KINDS {
            // Each has to be named here, and there.
            match kind {
                ErrorKind::InvalidInput
                | ErrorKind::Job
                | ErrorKind::Start
                | ErrorKind::System
                | ErrorKind::PoolGone
                | ErrorKind::QueueFull
                | ErrorKind::QueueClosed
                | ErrorKind::Lock
                | ErrorKind::Connection
                | ErrorKind::PeerGone => {}
            }
            let sent = serde_json::to_string(&Error::new(kind, "why")).unwrap();
            let received: Error = serde_json::from_str(&sent).unwrap();
            assert_eq!(
                (received.kind(), received.to_string()),
                (kind, "why".into())
            );
        }
        assert!(serde_json::from_str::<Error>("[99,\"\"]").is_err());
    }
}
