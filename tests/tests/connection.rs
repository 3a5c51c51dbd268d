//! Connections between processes: peers that are killed, in the middle of a message too.
#![cfg(target_os = "linux")]

use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use procession::connection::{Client, Connection, ConnectionError, Listener, random_key};
use procession::{Error, JobError, process_job, spawn};
use procession_tests::begin;

type Key = [u8; 32];

/// As long as the messages of the tests.
const LONG: usize = 64 << 20;

#[process_job]
fn send_long(address: &str, key: Key) -> Result<(), Error> {
    let connection: Connection<Vec<u8>, ()> = Client::connect(address, key)?;
    Ok(connection.send(vec![1; LONG])?)
}

#[process_job]
fn echo(address: &str, key: Key) -> Result<(), Error> {
    let connection: Connection<u64, u64> = Client::connect(address, key)?;
    loop {
        connection.send(connection.recv()?)?;
    }
}

fn listener(address: &str) -> (Listener, Key) {
    let key = random_key().unwrap();
    (Listener::bind(address, key).unwrap(), key)
}

fn killed<R>(ended: Result<R, JobError>) -> bool {
    matches!(ended, Err(JobError::Killed { signal: 9, .. }))
}

#[test]
fn a_peer_killed_in_the_middle_of_a_message_cuts_it_short() {
    let _test = begin();
    for address in ["tcp:127.0.0.1:0", "unix:@procession-tests-cut"] {
        let (listener, key) = listener(address);
        let at = listener.address().to_string();
        let child = spawn!(send_long(at.as_str(), key)).unwrap();
        let connection: Connection<(), Vec<u8>> = listener.accept().unwrap();
        // It has begun, and so much does not lie on the way.
        let mut begun = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut begun, PollTimeout::NONE), Ok(1));
        assert!(!connection.poll(Duration::from_millis(5)).unwrap());
        child.kill().unwrap();
        assert!(killed(child.join()));
        assert_eq!(connection.recv(), Err(ConnectionError::CutShort));
        assert_eq!(connection.recv(), Err(ConnectionError::CutShort));
    }
}

#[test]
fn a_peer_killed_while_it_is_waited_for_ends_the_wait() {
    let _test = begin();
    let (listener, key) = listener("unix:@procession-tests-wait");
    let at = listener.address().to_string();
    let child = spawn!(echo(at.as_str(), key)).unwrap();
    let connection: Connection<u64, u64> = listener.accept().unwrap();
    connection.send(5).unwrap();
    assert_eq!(connection.recv(), Ok(5));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| connection.recv());
        child.kill().unwrap();
        assert_eq!(waits.join().unwrap(), Err(ConnectionError::Closed));
    });
    assert!(killed(child.join()));
    let sent = (0..1000).find_map(|i| connection.send(i).err());
    assert_eq!(sent, Some(ConnectionError::Closed));
}

#[test]
fn a_listener_killed_is_the_end_of_its_clients_and_of_those_at_its_door() {
    let _test = begin();
    let (reports, key) = listener("unix:@procession-tests-reports");
    let at = reports.address().to_string();
    let child = spawn!(listen(at.as_str(), key)).unwrap();
    let report: Connection<(), String> = reports.accept().unwrap();
    let address = report.recv().unwrap();
    let inside: Connection<u64, u64> = Client::connect(address.as_str(), key).unwrap();
    std::thread::scope(|scope| {
        let at_the_door = scope.spawn(|| Client::connect::<u64, u64>(address.as_str(), key));
        child.kill().unwrap();
        assert_eq!(inside.recv(), Err(ConnectionError::Closed));
        let refused = at_the_door.join().unwrap().unwrap_err();
        let is_told = matches!(
            refused,
            ConnectionError::Protocol { .. } | ConnectionError::System { .. }
        );
        assert!(is_told, "{refused}");
    });
    drop(child);
}

/// Lets one client in and sleeps.
#[process_job]
fn listen(reports: &str, key: Key) -> Result<(), Error> {
    let listener = Listener::bind("unix:@procession-tests-killed", key)?;
    let report: Connection<String, ()> = Client::connect(reports, key)?;
    report.send(listener.address().to_string())?;
    let _client: Connection<u64, u64> = listener.accept()?;
    loop {
        std::thread::park();
    }
}
