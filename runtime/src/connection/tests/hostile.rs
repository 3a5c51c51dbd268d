//! Peers without the key, and peers that have it and go mad.

use std::io::Read;

use proptest::prelude::*;

use super::super::handshake::{Handshake, Role};
use super::super::key::Key;
use super::super::terms::Terms;
use super::*;

#[test]
fn strangers_are_sent_away_and_friends_served_meanwhile() {
    let listener = listener();
    // One is silent, one trickles, one talks another language, one leaves in the middle.
    let (_silent, trickling) = (raw(&listener), raw(&listener));
    write(&trickling, b"\x89");
    write(&raw(&listener), b"GET / HTTP/1.1\r\n\r\n");
    serves(&listener);
    write(&trickling, b"p");
    let leaving = raw(&listener);
    write(&leaving, b"\x89prcsn\r\n");
    drop(leaving);
    serves(&listener);
    refused(&listener, 2);
}

#[test]
fn garbage_is_told_by_its_first_bytes() {
    let listener = listener();
    let stranger = raw(&listener);
    write(&stranger, b"SSH");
    let error = refused(&listener, 1);
    let text = "the other end is no `procession` program: it does not begin as one";
    assert_eq!(error.to_string(), text);
    serves(&listener);
}

#[test]
fn a_trickling_client_has_one_time_for_all_its_bytes() {
    let options = Options::new().handshake_timeout(Duration::from_millis(60));
    let listener = Listener::bind_with("tcp:127.0.0.1:0", KEY, &options).unwrap();
    let mut trickling = raw(&listener);
    thread::scope(|scope| {
        let mut writer = trickling.try_clone().unwrap();
        scope.spawn(move || {
            let beginning = b"\x89prcsn\r\n\x01\0\x01\x08\0\0\0\0".iter();
            for byte in beginning.chain([7; 1000].iter()) {
                if writer.write_all(&[*byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        assert_eq!(refused(&listener, 1), ConnectionError::TimedOut);
        // It hears why: after the greeting a byte that says so.
        let mut heard = Vec::new();
        let _ = trickling.read_to_end(&mut heard);
        assert!(heard.len() <= 49, "{heard:?}");
    });
    serves(&listener);
}

/// Its bytes have come while the listener's program did something else.
#[test]
fn a_client_that_was_in_time_is_let_in_by_a_listener_that_was_not() {
    let limit = Duration::from_millis(30);
    let options = Options::new().handshake_timeout(limit);
    let listener = Listener::bind_with("tcp:127.0.0.1:0", KEY, &options).unwrap();
    let mut client = raw(&listener);
    let mut hello = [0; 48];
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let nobody = listener.accept_timeout::<u64, u64>(Duration::ZERO);
    assert!(nobody.unwrap().is_none());
    client.read_exact(&mut hello).unwrap();
    let key = Key::new(KEY).unwrap();
    let (mut handshake, ours) = Handshake::begin(Role::Client, &key).unwrap();
    write(&client, &ours);
    let step = handshake.take(&hello, &Terms::of::<u64, u64>(1)).unwrap();
    write(&client, &step.reply);
    thread::sleep(2 * limit);
    let accepted = listener.accept_timeout::<u64, u64>(Duration::ZERO);
    assert!(accepted.unwrap().is_some());
    assert_eq!(listener.refused().count, 0);
}

#[test]
fn a_crowd_of_silent_clients_does_not_keep_a_friend_out() {
    let listener = listener();
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        // More at once do not wait at a port of the standard library's.
        crowd.extend((0..100).map(|_| raw(&listener)));
        let nobody = listener.accept_timeout::<u64, u64>(Duration::ZERO);
        assert!(nobody.unwrap().is_none());
    }
    serves(&listener);
    assert!(listener.refused().count >= 300 - 128);
    drop(crowd);
    serves(&listener);
}

#[test]
fn other_types_are_told_at_both_ends() {
    let listener = listener();
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect::<String, ()>(listener.address(), KEY));
        let here = refused(&listener, 1);
        assert_eq!(
            here.to_string(),
            "this end sends `u64` and receives `u64`, the other end sends `String` and receives `()`"
        );
        assert_eq!(
            client.join().unwrap().unwrap_err().to_string(),
            "this end sends `String` and receives `()`, the other end sends `u64` and receives `u64`"
        );
    });
    serves(&listener);
}

#[test]
fn another_key_is_told_at_both_ends() {
    let listener = listener();
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect::<u64, u64>(listener.address(), b"another"));
        assert_eq!(refused(&listener, 1), ConnectionError::WrongKey);
        assert_eq!(
            client.join().unwrap().unwrap_err(),
            ConnectionError::WrongKey
        );
    });
}

#[test]
fn a_listener_that_is_none_is_told_to_the_client_in_time() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let options = Options::new().handshake_timeout(Duration::from_millis(50));
    let connected = Client::connect_with::<u8, u8>(address, KEY, &options);
    assert_eq!(connected.unwrap_err(), ConnectionError::TimedOut);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                nobody
                    .accept()
                    .unwrap()
                    .0
                    .write_all(b"220 mail ready\r\n")
                    .unwrap();
            }
        });
        // The first connection is the one that was given up.
        let connected = Client::connect::<u8, u8>(address, KEY);
        assert!(matches!(connected, Err(ConnectionError::Protocol { .. })));
    });
}

/// The client's stream, after an honest handshake.
fn with_key(listener: &Listener) -> (Connection<u64, u64>, Connection<u64, u64>) {
    thread::scope(|scope| {
        let client = scope.spawn(|| Client::connect(listener.address(), KEY).unwrap());
        (listener.accept().unwrap(), client.join().unwrap())
    })
}

#[test]
fn an_announced_length_beyond_the_limit_ends_the_connection_and_takes_no_memory() {
    let listener = listener();
    for len in [(256 << 20) + 1, u64::MAX - 7, u64::MAX] {
        let (here, there) = with_key(&listener);
        there.send_raw(&len.to_le_bytes());
        let limit = 256 << 20;
        let too_large = Err(ConnectionError::TooLarge { len, limit });
        assert_eq!((here.recv(), here.recv()), (too_large.clone(), too_large));
        assert_eq!(there.recv(), Err(ConnectionError::Closed));
    }
}

#[test]
fn a_length_within_the_limit_takes_memory_as_bytes_come() {
    let (here, there) = with_key(&listener());
    there.send_raw(&(200_u64 << 20).to_le_bytes());
    there.send_raw(&[1; 1000]);
    assert_eq!(here.recv_timeout(Duration::from_millis(20)), Ok(None));
    assert!(here.buffer_len() <= 64 << 10);
    drop(there);
    assert_eq!(here.recv(), Err(ConnectionError::CutShort));
}

#[test]
fn a_message_of_another_length_than_its_type_is_an_error_of_that_message() {
    let (here, there) = with_key(&listener());
    for len in [0_u64, 1, 7, 9] {
        there.send_raw(&len.to_le_bytes());
        there.send_raw(&vec![1; len as usize]);
        assert!(
            matches!(here.recv(), Err(ConnectionError::Codec { .. })),
            "{len}"
        );
    }
    there.send(5).unwrap();
    assert_eq!(here.recv(), Ok(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_open_nothing_and_hold_nobody_up(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        honest in 0..17_usize,
    ) {
        let listener = listener();
        let stranger = raw(&listener);
        write(&stranger, &b"\x89prcsn\r\n\x01\0\x01\x08\0\0\0\0"[..honest]);
        write(&stranger, &bytes);
        drop(stranger);
        refused(&listener, 1);
    }

    #[test]
    fn random_frames_are_messages_or_errors(
        frames in prop::collection::vec((0..40_u64, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
    ) {
        let (here, there) = with_key(&listener());
        for (len, bytes) in &frames {
            there.send_raw(&len.to_le_bytes());
            there.send_raw(bytes);
        }
        drop(there);
        let mut received = std::iter::from_fn(|| Some(here.recv()));
        let last = received.find(|message| !matches!(message, Ok(_) | Err(ConnectionError::Codec { .. })));
        let is_end = matches!(
            last,
            Some(Err(ConnectionError::Closed | ConnectionError::CutShort | ConnectionError::TooLarge { .. }))
        );
        prop_assert!(is_end, "{last:?}");
    }
}
