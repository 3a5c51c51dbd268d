//! Two programs that are not related send each other messages over a socket: one listens, the other connects.
//!
//! Stands for Python's `multiprocessing.connection`:
//!
//! ```python
//! from multiprocessing.connection import Client, Listener
//! # One program
//! with Listener(('localhost', 6000), authkey=key) as listener:
//!     connection = listener.accept()
//!     while True:
//!         connection.send(connection.recv() * 2)      # EOFError at the end
//! # The other
//! with Client(('localhost', 6000), authkey=key) as connection:
//!     connection.send(21)
//!     print(connection.recv())
//! ```
//!
//! There any object that can be pickled may come, and to unpickle it may run any code. Here both ends agree on the types of their
//! messages and show each other that they have the key before anything is decoded; and a client without the key
//! does not end `accept`, which there raises `AuthenticationError`.
//!
//! To have two programs, this one starts itself once more, with the listener's address. Run it with
//! `cargo run --release -p procession-examples --bin connection`.

use std::env;
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use procession::connection::{Client, Connection, ConnectionError, Listener, random_key};

/// The environment variable by which the other program gets the key.
const KEY: &str = "CONNECTION_KEY";

const N_NUMBERS: u32 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        None => listen(),
        Some(address) => connect(&address),
    }
}

/// Doubles the numbers that come, until the other program has gone.
fn listen() -> Result<(), Box<dyn Error>> {
    let key = random_key()?.map(|byte| format!("{byte:02x}")).concat();
    let listener = Listener::bind("tcp:127.0.0.1:0", &key)?;
    let mut other = Command::new(env::current_exe()?)
        .arg(listener.address().to_string())
        .env(KEY, &key)
        .spawn()?;
    let accepted = listener.accept_timeout(Duration::from_secs(30))?;
    let connection: Connection<u64, u64> = accepted.ok_or("the other program has not connected")?;
    loop {
        match connection.recv() {
            Ok(number) => connection.send(number * 2)?,
            Err(ConnectionError::Closed) => break,
            Err(error) => return Err(error.into()),
        }
    }
    println!("listener: the other program has closed the connection");
    if other.wait()?.success() {
        Ok(())
    } else {
        Err("the other program has failed".into())
    }
}

fn connect(address: &str) -> Result<(), Box<dyn Error>> {
    if let Err(error) = Client::connect::<u64, u64>(address, "a guess") {
        println!("client: with another key: {error}");
    }
    let connection: Connection<u64, u64> = Client::connect(address, env::var(KEY)?)?;
    let start = Instant::now();
    for number in 0..N_NUMBERS {
        connection.send(number.into())?;
        assert_eq!(connection.recv()?, u64::from(number) * 2);
    }
    let each = start.elapsed() / N_NUMBERS;
    println!("client: {N_NUMBERS} numbers were doubled, {each:?} each, there and back");
    Ok(())
}
