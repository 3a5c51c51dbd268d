//! The end that goes to a listener.

use super::address::{Address, ToAddress};
use super::error::ConnectionError;
use super::handshake::{Handshake, Role};
use super::key::Key;
use super::link::Connection;
use super::options::Options;
use super::stream::{Deadline, Stream, ended_in_handshake, in_handshake, is_timeout};
use super::terms::Terms;
use crate::error::Error;

/// Makes connections to a [`Listener`](super::Listener).
///
/// ```
/// use procession::connection::{Client, Connection, Listener};
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", b"a shared key")?;
/// let address = listener.address().to_string();
/// let client = std::thread::spawn(move || {
///     let connection: Connection<u64, ()> = Client::connect(address.as_str(), b"a shared key")?;
///     connection.send(144)
/// });
/// assert_eq!(listener.accept::<(), u64>()?.recv()?, 144);
/// client.join().unwrap()?;
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a name for its functions")]
pub struct Client;

impl Client {
    /// Connects, shows that it has the key, and demands the same of the listener.
    ///
    /// # Errors
    ///
    /// What the listener or the system refused, see [`ConnectionError`]. A listener that has not come to `accept` yet is
    /// waited for, 60 seconds at the longest; no limit is on the time in which a host's name is [looked up](ToAddress).
    ///
    /// ```
    /// use procession::connection::{Client, Connection, ConnectionError};
    ///
    /// let nobody: Result<Connection<u8, u8>, _> = Client::connect("unix:/no/such/socket", b"key");
    /// assert!(matches!(nobody, Err(ConnectionError::System { .. })));
    /// ```
    pub fn connect<S, R>(
        address: impl ToAddress,
        key: impl AsRef<[u8]>,
    ) -> Result<Connection<S, R>, ConnectionError> {
        Self::connect_with(address, key, &Options::new())
    }

    /// As [`connect`](Self::connect), with limits of one's own.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// ```
    /// use procession::connection::{Client, Connection, Options};
    ///
    /// let options = Options::new().handshake_timeout(std::time::Duration::from_secs(1));
    /// let nobody: Result<Connection<u8, u8>, _> =
    ///     Client::connect_with("unix:/no/such/socket", b"key", &options);
    /// assert!(nobody.is_err());
    /// ```
    pub fn connect_with<S, R>(
        address: impl ToAddress,
        key: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<Connection<S, R>, ConnectionError> {
        let (address, key) = (
            address.to_address().map_err(refused)?,
            Key::new(key).map_err(refused)?,
        );
        let deadline = Deadline::after(Some(options.time_for_listener()));
        let stream =
            Stream::connect(&address, deadline).map_err(|error| not_connected(&address, &error))?;
        let ours = Terms::of::<S, R>(options.message_limit());
        let theirs = shake_hands(&stream, &key, &ours, deadline)?;
        Ok(Connection::new(stream, &ours, &theirs))
    }
}

fn shake_hands(
    stream: &Stream,
    key: &Key,
    ours: &Terms,
    deadline: Deadline,
) -> Result<Terms, ConnectionError> {
    let (mut handshake, hello) = Handshake::begin(Role::Client, key).map_err(refused)?;
    let send = |bytes: &[u8]| stream.write_all_until(&mut [std::io::IoSlice::new(bytes)], deadline);
    // A listener that has ended may have said why before.
    let mut sent = send(&hello);
    loop {
        let mut bytes = [0; 256];
        let n_awaited = handshake.n_awaited();
        let n_read = stream.read_until(&mut bytes[..n_awaited], deadline);
        let n_read = match n_read.map_err(|error| in_handshake(&error))? {
            0 => return Err(ended_in_handshake()),
            n_read => n_read,
        };
        let step = handshake
            .take(&bytes[..n_read], ours)
            .map_err(|failure| failure.error)?;
        if let Some(theirs) = step.theirs {
            return sent.map(|()| theirs).map_err(|error| in_handshake(&error));
        }
        sent = sent.and_then(|()| send(&step.reply));
    }
}

fn not_connected(address: &Address, error: &std::io::Error) -> ConnectionError {
    match is_timeout(error) {
        true => ConnectionError::TimedOut,
        false => ConnectionError::system(&format!("connect to {address}"), error),
    }
}

/// An argument, or a system without random bytes.
fn refused(error: Error) -> ConnectionError {
    let kind = match error.kind() {
        crate::ErrorKind::InvalidInput => std::io::ErrorKind::InvalidInput,
        _ => std::io::ErrorKind::Other,
    };
    let message = error.to_string();
    ConnectionError::System { kind, message }
}
