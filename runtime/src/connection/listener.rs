//! The end that others come to.
//!
//! Responsible for leading all handshakes at once in whichever thread has called `accept`, so that a slow client delays nobody.
//!
//! Invariants: a handshake has a deadline as a whole; there are at most [`MOST_GUESTS`] under way, and the oldest makes room for
//! a new one; no socket is waited for but all together.

use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io, mem};

use super::address::{Address, ToAddress};
use super::error::ConnectionError;
use super::guest::{Guest, Progress};
use super::handshake::{CROWDED_REPLY, TOO_SLOW_REPLY};
use super::key::Key;
use super::link::Connection;
use super::options::Options;
use super::socket::Socket;
use super::stream::{Deadline, Stream, is_timeout};
use super::terms::Terms;
use crate::error::Error;
use crate::sys::PollSet;

/// Handshakes under way at once. Each costs the listener a descriptor and a few hundred bytes.
const MOST_GUESTS: usize = 128;

/// Where other programs connect to with [`Client::connect`](super::Client::connect).
///
/// Whoever cannot show that it has the key is sent away while `accept` goes on waiting, so nobody without the key can
/// hold up the listener by silence or slowness; [`refused`](Self::refused) tells of them.
///
/// Dropped by the process that made it, it is closed, also where forks of that process have copies: whoever has not been
/// accepted yet is told so, and the file of a `unix:/path` address is removed. One that a killed listener left behind is replaced.
/// The name of a `unix:@name` address is free again when the last copy has gone.
///
/// ```
/// use procession::connection::{Client, Connection, Listener};
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", b"a shared key")?;
/// let address = listener.address().clone();
/// let client = std::thread::spawn(move || {
///     Client::connect::<u64, ()>(&address, b"a shared key")?.send(144)
/// });
/// let connection: Connection<(), u64> = listener.accept()?;
/// assert_eq!(connection.recv()?, 144);
/// client.join().unwrap()?;
/// # Ok::<(), procession::Error>(())
/// ```
pub struct Listener {
    socket: Socket,
    key: Key,
    options: Options,
    lobby: Mutex<Lobby>,
    refused: Mutex<Refused>,
}

/// Whom a [`Listener`] sent away.
///
/// ```
/// use procession::connection::Listener;
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", b"a key")?;
/// assert_eq!(listener.refused().count, 0);
/// assert_eq!(listener.refused().last, None);
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many there were.
    pub count: u64,
    /// Why the last one was.
    pub last: Option<ConnectionError>,
}

/// Those whose handshakes are under way, the oldest first.
#[derive(Default)]
struct Lobby {
    guests: Vec<Guest>,
    ready: PollSet,
}

impl Listener {
    /// Listens at `address`; `key` is the secret that the clients have too.
    ///
    /// A key that people think up can be guessed by whoever listens to a handshake on a network: have
    /// [`random_key`](super::random_key) make it, or another source of random bytes. Messages are not encrypted: between
    /// machines that is the network's affair.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is no address and for a key without bytes, of kind
    /// [`System`](crate::ErrorKind::System) where the system refuses, for example because another program listens there.
    ///
    /// ```
    /// use procession::connection::Listener;
    ///
    /// let listener = Listener::bind("tcp:127.0.0.1:0", b"a key")?;
    /// assert!(Listener::bind(listener.address(), b"a key").is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn bind(address: impl ToAddress, key: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::bind_with(address, key, &Options::new())
    }

    /// As [`bind`](Self::bind), with limits of one's own.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// ```
    /// use procession::connection::{Listener, Options};
    ///
    /// let options = Options::new().max_message_len(1 << 20);
    /// let listener = Listener::bind_with("tcp:127.0.0.1:0", b"a key", &options)?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn bind_with(
        address: impl ToAddress,
        key: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<Self, Error> {
        let (address, key) = (address.to_address()?, Key::new(key)?);
        let socket = Socket::bind(&address)
            .map_err(|cause| Error::system(&format!("listen at {address}"), cause))?;
        Ok(Self {
            socket,
            key,
            options: options.clone(),
            lobby: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Where it listens: for a TCP port 0 the port that was found.
    ///
    /// ```
    /// use procession::connection::{Address, Listener};
    ///
    /// let listener = Listener::bind("tcp:127.0.0.1:0", b"a key")?;
    /// assert!(matches!(listener.address(), Address::Tcp(address) if address.port() != 0));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn address(&self) -> &Address {
        self.socket.address()
    }

    /// Whom it sent away.
    ///
    /// ```
    /// use procession::connection::Listener;
    ///
    /// let listener = Listener::bind("tcp:127.0.0.1:0", b"a key")?;
    /// assert_eq!(listener.refused().count, 0);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn refused(&self) -> Refused {
        let refused = self.refused.lock();
        refused.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the next client that has the key and whose types are the other side of these. Calls of several threads
    /// take turns.
    ///
    /// # Errors
    ///
    /// [`System`](ConnectionError::System), where the system refuses: too many descriptors are open, say; and in a fork, once
    /// the process that made the listener has dropped it.
    ///
    /// ```
    /// # use procession::connection::{Client, Connection, Listener};
    /// # let listener = Listener::bind("tcp:127.0.0.1:0", b"key")?;
    /// # let address = listener.address().clone();
    /// # let other = std::thread::spawn(move || Client::connect::<u8, String>(&address, b"key"));
    /// let connection: Connection<String, u8> = listener.accept()?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn accept<S, R>(&self) -> Result<Connection<S, R>, ConnectionError> {
        loop {
            if let Some(connection) = self.accept_until(Deadline::NEVER)? {
                return Ok(connection);
            }
        }
    }

    /// As [`accept`](Self::accept), waiting for `timeout` at the longest, or until another thread's turn is over; `None`:
    /// nobody came.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::connection::Listener;
    ///
    /// let listener = Listener::bind("tcp:127.0.0.1:0", b"a key")?;
    /// let nobody = listener.accept_timeout::<u8, u8>(Duration::from_millis(5))?;
    /// assert!(nobody.is_none());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn accept_timeout<S, R>(
        &self,
        timeout: Duration,
    ) -> Result<Option<Connection<S, R>>, ConnectionError> {
        self.accept_until(Deadline::after(Some(timeout)))
    }

    fn accept_until<S, R>(
        &self,
        deadline: Deadline,
    ) -> Result<Option<Connection<S, R>>, ConnectionError> {
        let ours = Terms::of::<S, R>(self.options.message_limit());
        let mut lobby = self.lobby.lock().unwrap_or_else(PoisonError::into_inner);
        let Lobby { guests, ready } = &mut *lobby;
        // Who waited in the lobby meanwhile is looked at before the time is.
        let mut is_first_look = true;
        loop {
            let next = guests
                .iter()
                .map(|guest| guest.deadline)
                .fold(deadline, Deadline::earlier);
            let wait = if is_first_look {
                Some(Duration::ZERO)
            } else {
                next.wait()
            };
            ready.clear();
            let door = ready.add_borrowed(self.socket.as_fd());
            for guest in guests.iter() {
                ready.add_borrowed(guest.stream.as_fd());
            }
            ready
                .wait(wait)
                .map_err(|error| ConnectionError::system("wait for clients", &error))?;
            let welcome = self.lead(guests, ready, &ours);
            if let Some((stream, theirs)) = welcome {
                match stream.set_nonblocking(false) {
                    Ok(()) => return Ok(Some(Connection::new(stream, &ours, &theirs))),
                    Err(error) => self.refuse(ConnectionError::system("accept a client", &error)),
                }
            }
            if ready.is_hung_up(door) {
                return Err(closed_elsewhere());
            }
            if ready.is_ready(door) {
                self.let_in(guests)?;
            }
            // After a first look what has come in time may lie there still.
            if !is_first_look {
                self.send_away_the_slow(guests);
                if deadline.has_passed() {
                    return Ok(None);
                }
            }
            is_first_look = false;
        }
    }

    /// Takes one step in each handshake whose socket is ready, in the order of `ready` after the door, until one is over.
    fn lead(
        &self,
        guests: &mut Vec<Guest>,
        ready: &PollSet,
        ours: &Terms,
    ) -> Option<(Stream, Terms)> {
        let mut welcome = None;
        for (place, mut guest) in mem::take(guests).into_iter().enumerate() {
            if welcome.is_some() || !ready.is_ready(1 + place) {
                guests.push(guest);
                continue;
            }
            match guest.go_on(ours) {
                Ok(Progress::Waits) => guests.push(guest),
                Ok(Progress::Welcome(theirs)) => welcome = Some((guest.stream, theirs)),
                Err(error) => self.refuse(error),
            }
        }
        welcome
    }

    fn send_away_the_slow(&self, guests: &mut Vec<Guest>) {
        guests.retain(|guest| {
            let stays = !guest.deadline.has_passed();
            if !stays {
                guest.send_away(&TOO_SLOW_REPLY);
                self.refuse(ConnectionError::TimedOut);
            }
            stays
        });
    }

    /// Takes in those who wait at the door, as many as there may be guests.
    fn let_in(&self, guests: &mut Vec<Guest>) -> Result<(), ConnectionError> {
        for _ in 0..MOST_GUESTS {
            match self.socket.accept() {
                Ok(stream) => {
                    if guests.len() == MOST_GUESTS {
                        self.turn_out_the_oldest(guests);
                    }
                    let deadline = Deadline::after(Some(self.options.time_for_clients()));
                    match Guest::greet(stream, &self.key, deadline) {
                        Ok(guest) => guests.push(guest),
                        Err(error) => self.refuse(error),
                    }
                }
                Err(error) if is_timeout(&error) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Want of descriptors, or of memory: those who have not shown yet who they are give way.
                Err(_) if !guests.is_empty() => {
                    self.turn_out_the_oldest(guests);
                    return Ok(());
                }
                Err(error) => return Err(ConnectionError::system("accept a client", &error)),
            }
        }
        Ok(())
    }

    fn turn_out_the_oldest(&self, guests: &mut Vec<Guest>) {
        guests.remove(0).send_away(&CROWDED_REPLY);
        self.refuse(ConnectionError::protocol(
            "gave way to others before its handshake was over",
        ));
    }

    fn refuse(&self, error: ConnectionError) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        refused.last = Some(error);
    }
}

/// For a fork that goes on with its copy.
fn closed_elsewhere() -> ConnectionError {
    let error = io::Error::new(
        io::ErrorKind::NotConnected,
        "the process that made this listener has dropped it",
    );
    ConnectionError::system("accept a client", &error)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.socket.is_own() {
            let lobby = self.lobby.get_mut().unwrap_or_else(PoisonError::into_inner);
            for guest in &lobby.guests {
                guest.stream.shut_down();
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Listener");
        debug
            .field("address", self.address())
            .finish_non_exhaustive()
    }
}
