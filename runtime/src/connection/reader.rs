//! The receiving half of a connection: frames out of a stream of bytes.
//!
//! Invariants: memory is taken as bytes arrive, never because a length was announced; what has come of a frame stays when the
//! time is over. A failure that leaves the place in the stream unknown is final, and so is the end.

use std::ops::Range;

use super::error::ConnectionError;
use super::stream::{Deadline, Stream, is_end, is_timeout};

/// The bytes in front of each message: its length.
pub(super) const HEADER_LEN: usize = size_of::<u64>();

/// What is read at once at the most, small messages being many to one call.
const BUFFER_LEN: usize = 64 << 10;

/// Beyond this the buffer of a large message is not kept for the next one.
const KEPT_LEN: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Reader {
    limit: u64,
    buffer: Vec<u8>,
    /// What of the buffer has come and was not taken.
    filled: Range<usize>,
    failed: Option<ConnectionError>,
}

impl Reader {
    /// For messages of up to `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            filled: 0..0,
            failed: None,
        }
    }

    /// Waits until a whole message has come and gives its bytes, once.
    pub(super) fn next(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<&[u8], ConnectionError> {
        let len = self.wait(stream, deadline)?;
        let begin = self.filled.start + HEADER_LEN;
        self.filled.start = begin + len;
        Ok(&self.buffer[begin..begin + len])
    }

    /// Waits until a whole message has come and gives its length.
    pub(super) fn wait(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<usize, ConnectionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let awaited = self.await_frame(stream, deadline);
        if let Err(error) = &awaited
            && *error != ConnectionError::TimedOut
        {
            self.failed = Some(error.clone());
            // Also where the other end would go on for ever.
            stream.shut_down();
        }
        awaited
    }

    fn await_frame(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<usize, ConnectionError> {
        self.fill(HEADER_LEN, stream, deadline)?;
        let header = &self.buffer[self.filled.start..][..HEADER_LEN];
        let len = header
            .iter()
            .rev()
            .fold(0, |len, byte| len << 8 | u64::from(*byte));
        let limit = self.limit;
        let too_large = || ConnectionError::TooLarge { len, limit };
        if len > limit {
            return Err(too_large());
        }
        let len = usize::try_from(len).map_err(|_| too_large())?;
        let whole = len.checked_add(HEADER_LEN).ok_or_else(too_large)?;
        self.fill(whole, stream, deadline)?;
        Ok(len)
    }

    /// Reads until `n` bytes are there, and whatever else has come; once also where the time is over.
    fn fill(
        &mut self,
        n: usize,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        let mut left = Ok(deadline.left_or_a_look());
        while self.filled.len() < n {
            self.make_room(n)?;
            let room = &mut self.buffer[self.filled.end..];
            match left.and_then(|left| stream.read_within(room, left)) {
                Ok(0) => return Err(self.end()),
                Ok(n_read) => self.filled.end += n_read,
                Err(error) if is_timeout(&error) => return Err(ConnectionError::TimedOut),
                Err(error) if is_end(&error) => return Err(self.end()),
                Err(error) => return Err(ConnectionError::system("receive a message", &error)),
            }
            left = deadline.left();
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    fn end(&self) -> ConnectionError {
        if self.filled.is_empty() {
            ConnectionError::Closed
        } else {
            ConnectionError::CutShort
        }
    }

    /// Has room behind what is there, towards `n` bytes in all: at the most as much as has come already, but for the first.
    fn make_room(&mut self, n: usize) -> Result<(), ConnectionError> {
        let has_room = self.filled.end < self.buffer.len();
        if has_room && self.filled.start + n <= self.buffer.len() {
            return Ok(());
        }
        self.buffer.copy_within(self.filled.clone(), 0);
        self.filled = 0..self.filled.len();
        if self.filled.is_empty() && n <= BUFFER_LEN && self.buffer.len() > KEPT_LEN {
            self.buffer = Vec::new();
        }
        let len = n.min(2 * self.filled.len()).max(BUFFER_LEN);
        if let Some(more) = len.checked_sub(self.buffer.len()) {
            let reserved = self.buffer.try_reserve_exact(more);
            reserved.map_err(|_| ConnectionError::System {
                kind: std::io::ErrorKind::OutOfMemory,
                message: format!("there is not enough memory for a message of {n} bytes"),
            })?;
            self.buffer.resize(len, 0);
        }
        Ok(())
    }
}
