//! Why a message was not put or got, as in `queue/error.rs`.

use std::io;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QueueError {
    Closed,
    Full,
    TasksLost {
        n: usize,
    },
    NoTask,
    System {
        kind: io::ErrorKind,
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
