//! The sending half of a connection: messages into frames, small ones together where they are fed.
//!
//! Invariants: a frame goes whole, or this half is over; a message that cannot be encoded, or is larger than the other end
//! takes, leaves nothing in the stream.

use std::io::{self, IoSlice};
use std::mem;

use super::error::ConnectionError;
use super::stream::{Deadline, Stream, is_end, is_timeout};
use crate::argument::ByValue;
use crate::codec::{Encoder, beside};

/// Fed messages go when there are so many bytes of them.
const BUFFER_LEN: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Writer {
    /// The most bytes that the other end takes in a message.
    limit: u64,
    /// Frames that were fed and are not sent yet.
    pending: Vec<u8>,
    /// An allocation for encoders.
    spare: Vec<u8>,
    failed: Option<ConnectionError>,
}

impl Writer {
    /// To an end that takes messages of up to `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            pending: Vec::new(),
            spare: Vec::new(),
            failed: None,
        }
    }

    /// Adds a message to those that go with the next flush, or by themselves when they have become many bytes.
    pub(super) fn feed<T: ByValue>(
        &mut self,
        message: &T,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        let mut encoder = Encoder::with_buffer(mem::take(&mut self.spare));
        let encoded = beside::abroad(|| T::encode(message, &mut encoder));
        let fed = encoded
            .map_err(ConnectionError::from)
            .and_then(|()| self.frame(&encoder, stream, deadline));
        self.spare = encoder.into_buffer();
        fed
    }

    fn frame(
        &mut self,
        message: &Encoder<'_>,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        let (len, limit) = (message.len() as u64, self.limit);
        if len > limit {
            return Err(ConnectionError::TooLarge { len, limit });
        }
        if self.pending.len() + message.len() > BUFFER_LEN {
            self.flush(stream, deadline)?;
        }
        self.pending.extend_from_slice(&len.to_le_bytes());
        if message.len() <= BUFFER_LEN {
            message
                .chunks()
                .for_each(|chunk| self.pending.extend_from_slice(chunk));
            return Ok(());
        }
        let header = mem::take(&mut self.pending);
        let chunks = [&header[..]].into_iter().chain(message.chunks());
        let mut pieces: Vec<_> = chunks.map(IoSlice::new).collect();
        self.write(&mut pieces, stream, deadline)
    }

    /// Whether nothing more can be sent.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Sends what was fed.
    pub(super) fn flush(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = mem::take(&mut self.pending);
        let written = self.write(&mut [IoSlice::new(&pending)], stream, deadline);
        pending.clear();
        self.pending = pending;
        written
    }

    /// Sends of what was fed as much as the other end takes in time, with one attempt at least. The rest stays to be sent.
    pub(super) fn flush_some(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let (mut n_sent, mut left) = (0, Ok(deadline.left_or_a_look()));
        let flushed = loop {
            let rest = &self.pending[n_sent..];
            if rest.is_empty() {
                break Ok(());
            }
            match left.and_then(|left| stream.write_within(&[IoSlice::new(rest)], left)) {
                Ok(n) => n_sent += n,
                Err(error) => break Err(in_sending(&error)),
            }
            left = deadline.left();
        };
        self.pending.drain(..n_sent);
        let failure = flushed.clone().err();
        self.failed = failure.filter(|error| *error != ConnectionError::TimedOut);
        flushed
    }

    fn write(
        &mut self,
        pieces: &mut [IoSlice<'_>],
        stream: &Stream,
        deadline: Deadline,
    ) -> Result<(), ConnectionError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let written = stream.write_all_until(pieces, deadline);
        let written = written.map_err(|error| in_sending(&error));
        // Nobody knows how much of a frame has gone.
        self.failed = written.clone().err();
        written
    }
}

/// What an error of a write means.
fn in_sending(error: &io::Error) -> ConnectionError {
    if is_timeout(error) {
        ConnectionError::TimedOut
    } else if is_end(error) {
        ConnectionError::Closed
    } else {
        ConnectionError::system("send a message", error)
    }
}
