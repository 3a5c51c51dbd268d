//! Typed messages between programs that are not related, over Unix sockets and TCP.
//!
//! A [`Listener`] has an address, a [`Client`] connects to it, and both have the same secret key: each shows the other that it
//! has it before a byte of a message is looked at. What comes of it at both ends is a [`Connection`]. Python calls the same
//! `multiprocessing.connection`.
//!
//! ```
//! use procession::connection::{Client, Connection, Listener};
//!
//! let listener = Listener::bind("tcp:127.0.0.1:0", b"a shared key")?;
//! let address = listener.address().clone();
//! let other = std::thread::spawn(move || -> Result<u64, procession::Error> {
//!     // In another program, or on another machine.
//!     let connection: Connection<String, u64> = Client::connect(&address, b"a shared key")?;
//!     connection.send("how many?".to_owned())?;
//!     Ok(connection.recv()?)
//! });
//! let connection: Connection<u64, String> = listener.accept()?;
//! assert_eq!(connection.recv()?, "how many?");
//! connection.send(12)?;
//! assert_eq!(other.join().unwrap()?, 12);
//! # Ok::<(), procession::Error>(())
//! ```
//!
//! # What is promised
//!
//! - A client without the key gets nothing but a greeting, costs the listener a few hundred bytes and a descriptor for some seconds,
//!   and by being slow delays nobody; a flood of strangers can crowd others out, as at any port. A client with the key can send
//!   messages of the types and the size that were agreed on, and nothing else: anything else is an error of that connection.
//! - When the other end's process ends, that is an error, never a wait. When a machine is cut off from the network, the system
//!   does not tell: where that can be, give time limits ([`Connection::set_read_timeout`]).
//!
//! # What is not
//!
//! - Secrecy: bytes are not encrypted, and after the handshake not signed, as in Python. Between machines, use a network that is.
//! - The types of both ends are compared by their names without paths, `Vec<Order>` say. Fields are not compared: give a type
//!   another name when they change. What is decoded wrongly is an error or a wrong value, never more.
//! - Handles of shared memory mean nothing in another program: to send one is an error.
//!
//! # Format, version 1
//!
//! Numbers are little-endian. Both ends must have words of the same size and order; the greeting says so.
//!
//! | step | bytes |
//! |---|---|
//! | both greet at once | `89 70 72 63 73 6e 0d 0a`, version `u16`, role `u8` (1 client, 2 listener), bytes of a word `u8` (+ 128 where big-endian), 4 zeros, 32 random bytes |
//! | the client introduces itself | its terms, HMAC-SHA-256 by the key of: `procession connection, client's proof`, client's greeting, listener's greeting, client's terms |
//! | the listener answers | `u8`: 0 welcome, 1 wrong key, 2 too slow, 3 too many others; after 0 its terms, HMAC of: `procession connection, listener's proof`, client's greeting, listener's greeting, client's terms, listener's terms |
//! | terms | name of the type it sends, name of the type it receives, most bytes of a message that it receives `u64` |
//! | name | FNV-1a of it `u64`, its first 56 bytes, padded with zeros |
//! | each message, from then on | its length in bytes `u64`, the value |
//!
//! A value is bincode 2 over serde with integers of fixed width; lists of numbers and text are a count `u64`, zeros up to a
//! multiple of the element's size as counted from the value's start, and the elements.

mod address;
mod client;
mod error;
mod guest;
mod handshake;
mod key;
mod link;
mod listener;
mod options;
mod reader;
mod socket;
mod stream;
mod terms;
#[cfg(test)]
mod tests;
mod writer;

pub use address::{Address, ToAddress};
pub use client::Client;
pub use error::ConnectionError;
pub use key::random_key;
pub use link::Connection;
pub use listener::{Listener, Refused};
pub use options::Options;
