//! The bytes of a message that was taken out, in this process's own memory.
//!
//! Responsible for having that memory, or for the error that there is not enough.

use std::io;
use std::ops::Deref;

use super::error::QueueError;
use crate::sys;

/// Memory for a message is had without a look at what is available, up to so many bytes.
const UNASKED: usize = 16 << 20;

/// Messages of up to so many bytes take no memory of the heap, which would cost as much as all the rest of a `get`.
const SHORT: usize = 64;

/// See the module's head.
#[derive(Debug)]
pub(super) enum Message {
    Short { bytes: [u8; SHORT], len: usize },
    Long(Vec<u8>),
}

impl Default for Message {
    #[inline]
    fn default() -> Self {
        Self::Short {
            bytes: [0; SHORT],
            len: 0,
        }
    }
}

impl Message {
    /// Some bytes, `len` of them, if there is so much memory.
    #[inline]
    pub(super) fn set_len(&mut self, len: usize) -> Result<(), QueueError> {
        match self {
            Self::Short { len: own, .. } if len <= SHORT => *own = len,
            _ => *self = Self::zeroed(len)?,
        }
        Ok(())
    }

    fn zeroed(len: usize) -> Result<Self, QueueError> {
        if len <= SHORT {
            let bytes = [0; SHORT];
            return Ok(Self::Short { bytes, len });
        }
        if len <= UNASKED {
            return Ok(Self::Long(vec![0; len]));
        }
        if len as u64 > sys::available_memory() {
            return Err(QueueError::system(
                io::ErrorKind::OutOfMemory,
                format!(
                    "there is not enough memory for the next message in the queue, {len} bytes"
                ),
            ));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(len)
            .map_err(|error| QueueError::system(io::ErrorKind::OutOfMemory, error.to_string()))?;
        bytes.resize(len, 0);
        Ok(Self::Long(bytes))
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Short { bytes, len } => &mut bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Deref for Message {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { bytes, len } => &bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_there_is_is_an_error_with_the_number_and_not_an_abort() {
        let error = Message::zeroed(1 << 50).unwrap_err();
        let QueueError::System { kind, message } = error else {
            panic!("{error}");
        };
        assert_eq!(kind, io::ErrorKind::OutOfMemory);
        assert!(message.contains("1125899906842624 bytes"), "{message}");
    }

    #[test]
    fn it_is_as_long_as_it_is_to_be() {
        for len in [0, 1, SHORT, SHORT + 1, 1000] {
            let mut message = Message::default();
            message.set_len(len).unwrap();
            message.bytes_mut().fill(7);
            assert_eq!(*message, vec![7; len]);
        }
    }
}
