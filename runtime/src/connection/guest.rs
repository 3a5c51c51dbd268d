//! The listener's side of one handshake.
//!
//! Responsible for: one step at a time, on a socket that is never waited for. Not responsible for how many there are and how long
//! each may take; that is [`super::listener`]'s.

use super::error::ConnectionError;
use super::handshake::{Handshake, Role};
use super::key::Key;
use super::stream::{Deadline, Stream, ended_in_handshake, in_handshake, is_timeout};
use super::terms::Terms;

/// A program that has come and has not shown yet that it has the key.
pub(super) struct Guest {
    pub(super) stream: Stream,
    handshake: Handshake,
    pub(super) deadline: Deadline,
}

pub(super) enum Progress {
    Waits,
    Welcome(Terms),
}

impl Guest {
    pub(super) fn greet(
        stream: Stream,
        key: &Key,
        deadline: Deadline,
    ) -> Result<Self, ConnectionError> {
        let begun = Handshake::begin(Role::Listener, key);
        let (handshake, hello) =
            begun.map_err(|error| ConnectionError::protocol(error.to_string()))?;
        stream
            .set_nonblocking(true)
            .map_err(|error| in_handshake(&error))?;
        let guest = Self {
            stream,
            handshake,
            deadline,
        };
        guest.say(&hello)?;
        Ok(guest)
    }

    /// A step at the most, so that nobody who sends much keeps others waiting.
    pub(super) fn go_on(&mut self, ours: &Terms) -> Result<Progress, ConnectionError> {
        let mut bytes = [0; 256];
        let n_awaited = self.handshake.n_awaited();
        let n_read = match self.stream.read(&mut bytes[..n_awaited]) {
            Ok(0) => return Err(ended_in_handshake()),
            Ok(n_read) => n_read,
            Err(error) if is_timeout(&error) => return Ok(Progress::Waits),
            Err(error) => return Err(in_handshake(&error)),
        };
        match self.handshake.take(&bytes[..n_read], ours) {
            Ok(step) => {
                self.say(&step.reply)?;
                Ok(step.theirs.map_or(Progress::Waits, Progress::Welcome))
            }
            Err(failure) => {
                self.send_away(&failure.reply);
                Err(failure.error)
            }
        }
    }

    /// All that a handshake says fits into a socket's buffer, unless nothing was ever read from it.
    fn say(&self, bytes: &[u8]) -> Result<(), ConnectionError> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.stream.write(bytes) {
            Ok(n_written) if n_written == bytes.len() => Ok(()),
            Ok(_) => Err(ConnectionError::TimedOut),
            Err(error) => Err(in_handshake(&error)),
        }
    }

    pub(super) fn send_away(&self, reply: &[u8]) {
        // Whoever does not hear it is gone.
        let _ = self.say(reply);
        self.stream.shut_down();
    }
}
