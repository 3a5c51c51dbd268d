//! Connections between the threads of a test, and peers that are none.

mod exchange;
mod handshakes;
mod hostile;
mod places;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::*;

const KEY: &[u8] = b"the key of the tests";

/// Long enough for whatever has to happen, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A listener at a free port.
fn listener() -> Listener {
    Listener::bind("tcp:127.0.0.1:0", KEY).unwrap()
}

/// As the listener sees it, and as the client does.
type Pair<S, R> = (Connection<S, R>, Connection<R, S>);

fn pair<S: Send, R: Send>() -> Pair<S, R> {
    pair_with(&Options::new())
}

/// Where the listener has these options.
fn pair_with<S: Send, R: Send>(options: &Options) -> Pair<S, R> {
    let listener = Listener::bind_with("tcp:127.0.0.1:0", KEY, options).unwrap();
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(listener.address(), KEY).unwrap());
        (listener.accept().unwrap(), client.join().unwrap())
    })
}

/// A peer by hand.
fn raw(listener: &Listener) -> TcpStream {
    let Address::Tcp(address) = listener.address() else {
        panic!("{listener:?}");
    };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Has the listener look at whoever is there until it has refused so many.
fn refused(listener: &Listener, count: u64) -> ConnectionError {
    while listener.refused().count < count {
        let accepted = listener.accept_timeout::<u64, u64>(Duration::from_millis(5));
        assert!(accepted.unwrap().is_none());
    }
    assert_eq!(listener.refused().count, count);
    listener.refused().last.unwrap()
}

/// That honest ends still find each other.
fn serves(listener: &Listener) {
    thread::scope(|scope| {
        let client = scope.spawn(|| {
            let connection: Connection<u64, u64> = Client::connect(listener.address(), KEY)?;
            connection.send(12)?;
            connection.recv()
        });
        let accepted: Connection<u64, u64> = listener.accept().unwrap();
        accepted.send(accepted.recv().unwrap() * 12).unwrap();
        assert_eq!(client.join().unwrap(), Ok(144));
    });
}

fn write(mut stream: &TcpStream, bytes: &[u8]) {
    // The other end may have had enough of it.
    let _ = stream.write_all(bytes);
}
