//! What a connection's two ends can choose.

use std::time::Duration;

/// Limits of a connection, for [`Listener::bind_with`](super::Listener::bind_with) and
/// [`Client::connect_with`](super::Client::connect_with).
///
/// ```
/// use std::time::Duration;
/// use procession::connection::{Listener, Options};
///
/// let options = Options::new().max_message_len(4096).handshake_timeout(Duration::from_secs(1));
/// let listener = Listener::bind_with("tcp:127.0.0.1:0", b"a key", &options)?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    max_message_len: Option<u64>,
    handshake_timeout: Option<Duration>,
}

impl Options {
    /// 256 MiB for a message; for the whole of the handshake a listener gives 5 seconds, a client 60.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most bytes that a message received here may have. The other end is told, and refuses to send more.
    #[must_use]
    pub fn max_message_len(mut self, len: u64) -> Self {
        self.max_message_len = Some(len);
        self
    }

    /// The time in which the other end has to show that it has the key, from the first byte to the last.
    ///
    /// A client counts from its call: a listener's program that has not come to `accept` yet is waited for so long. The time in
    /// which a host's name is [looked up](super::ToAddress) comes before it.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = Some(timeout);
        self
    }

    pub(super) fn message_limit(&self) -> u64 {
        self.max_message_len.unwrap_or(256 << 20)
    }

    pub(super) fn time_for_clients(&self) -> Duration {
        self.handshake_timeout.unwrap_or(Duration::from_secs(5))
    }

    pub(super) fn time_for_listener(&self) -> Duration {
        self.handshake_timeout.unwrap_or(Duration::from_secs(60))
    }
}
