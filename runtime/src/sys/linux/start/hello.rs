//! The one message that a supervisor-to-be sends before any other: "here I am", or why not.
//!
//! Responsible for its bytes. Both ends are the same binary, so nothing here has a version.
//!
//! ```text
//! 0..4 kind   4..8 number (a count or an errno)   8.. the name of the call that failed
//! ```

use std::borrow::Cow;
use std::io;

use super::error::StartError;

/// What the copy says of itself.
#[derive(Debug)]
pub(super) enum Hello {
    /// The supervisor runs; its pidfd comes with the message.
    Ready,
    /// It cannot: what the program will return to its caller.
    Failed(StartError),
}

/// The longest message: the head and a call's name.
pub(super) const MAX_BYTES: usize = 64;

const READY: u32 = 0;
const CONSTRUCTOR_THREADS: u32 = 1;
const NOT_THE_PARENT: u32 = 2;
const SYSTEM: u32 = 3;

impl Hello {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (kind, number, call) = match self {
            Self::Ready => (READY, 0, ""),
            Self::Failed(StartError::ConstructorThreads { n_threads }) => {
                (CONSTRUCTOR_THREADS, *n_threads as u32, "")
            }
            Self::Failed(StartError::System { call, source }) => {
                (SYSTEM, source.raw_os_error().unwrap_or(0) as u32, &**call)
            }
            Self::Failed(_) => (NOT_THE_PARENT, 0, ""),
        };
        let mut bytes = Vec::with_capacity(MAX_BYTES);
        bytes.extend(kind.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(call.bytes());
        bytes.truncate(MAX_BYTES);
        bytes
    }

    /// `None` if that is no hello.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Hello> {
        let (kind, rest) = bytes.split_first_chunk()?;
        let (number, call) = rest.split_first_chunk()?;
        let number = u32::from_le_bytes(*number);
        match u32::from_le_bytes(*kind) {
            READY => Some(Self::Ready),
            CONSTRUCTOR_THREADS => Some(Self::Failed(StartError::ConstructorThreads {
                n_threads: number as usize,
            })),
            NOT_THE_PARENT => Some(Self::Failed(StartError::NotTheParent)),
            SYSTEM => Some(Self::Failed(StartError::System {
                call: Cow::Owned(String::from_utf8_lossy(call).into_owned()),
                source: io::Error::from_raw_os_error(number as i32),
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(hello: &Hello) -> String {
        format!("{:?}", Hello::from_bytes(&hello.to_bytes()).unwrap())
    }

    #[test]
    fn every_hello_arrives_as_it_was_sent() {
        for hello in [
            Hello::Ready,
            Hello::Failed(StartError::ConstructorThreads { n_threads: 3 }),
            Hello::Failed(StartError::NotTheParent),
            Hello::Failed(StartError::system("fork")(io::Error::from_raw_os_error(
                libc::EAGAIN,
            ))),
        ] {
            assert_eq!(there_and_back(&hello), format!("{hello:?}"));
        }
    }

    #[test]
    fn what_is_not_a_hello_is_none() {
        assert!(Hello::from_bytes(b"").is_none());
        assert!(Hello::from_bytes(&[0; 7]).is_none());
        assert!(Hello::from_bytes(&[9; 8]).is_none());
    }
}
