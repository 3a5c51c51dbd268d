//! Messages between two honest ends.

use std::io::Read;
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};

use super::*;
use crate::{ErrorKind, Value};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u32,
    items: Vec<String>,
    price: Option<f64>,
}

#[test]
fn messages_of_any_type_come_in_order_and_both_ways() {
    let (here, there) = pair::<Order, Vec<f64>>();
    for number in 0..100 {
        let order = Order {
            number,
            items: vec!["tea".into(); number as usize],
            price: (number % 2 == 0).then_some(0.5),
        };
        here.send(order.clone()).unwrap();
        there.send(vec![0.25; number as usize]).unwrap();
        assert_eq!(there.recv().unwrap(), order);
        assert_eq!(here.recv().unwrap(), vec![0.25; number as usize]);
    }
}

#[test]
fn messages_of_every_length_around_the_buffers_ends_are_whole() {
    let (here, there) = pair::<Vec<u8>, ()>();
    let lens = [
        0,
        1,
        7,
        8,
        65_519,
        65_520,
        65_521,
        65_535,
        65_536,
        65_537,
        200_000,
        9 << 20,
        3,
    ];
    let message = |len: usize| (0..len).map(|i| (i % 251) as u8).collect::<Vec<u8>>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for len in lens {
                here.feed(&message(len)).unwrap();
                here.feed(&message(len)).unwrap();
                here.send(message(len)).unwrap();
            }
        });
        for len in lens {
            for _ in 0..3 {
                assert!(there.recv().unwrap() == message(len), "{len}");
            }
        }
    });
}

#[test]
fn what_is_fed_goes_with_a_flush_and_before_a_wait_for_an_answer() {
    let (here, there) = pair::<u64, u64>();
    here.feed(&1).unwrap();
    assert_eq!(there.recv_timeout(Duration::from_millis(20)), Ok(None));
    here.flush().unwrap();
    assert_eq!(there.recv(), Ok(1));
    here.feed(&2).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| there.send(there.recv().unwrap() + 1).unwrap());
        assert_eq!(here.recv(), Ok(3));
    });
    here.feed(&4).unwrap();
    assert!(!here.poll(Duration::ZERO).unwrap());
    assert_eq!(there.recv(), Ok(4));
    here.feed(&5).unwrap();
    drop(here);
    assert_eq!(there.recv(), Ok(5));
    assert_eq!(there.recv(), Err(ConnectionError::Closed));
}

#[test]
fn a_look_without_a_wait_takes_what_has_come() {
    let (here, there) = pair::<u64, u64>();
    there.send(5).unwrap();
    let looks = (0..1000).map(|_| {
        thread::sleep(Duration::from_millis(1));
        here.recv_timeout(Duration::ZERO).unwrap()
    });
    assert_eq!(looks.flatten().next(), Some(5));
}

/// It has fed more than lies on the way, and nobody reads.
#[test]
fn what_was_fed_and_is_not_taken_neither_stretches_a_wait_nor_is_lost() {
    let (here, there) = pair::<Vec<u8>, u64>();
    let [mut out, mut into] =
        [here.as_fd(), there.as_fd()].map(|fd| TcpStream::from(fd.try_clone_to_owned().unwrap()));
    out.set_nonblocking(true).unwrap();
    let filled: u64 = std::iter::from_fn(|| out.write(&[0; 1000]).ok())
        .map(|n| n as u64)
        .sum();
    out.set_nonblocking(false).unwrap();
    here.feed(&vec![7; 1000]).unwrap();
    let moment = Duration::from_millis(20);
    assert_eq!(here.recv_timeout(moment), Ok(None));
    assert_eq!(here.poll(moment), Ok(false));
    there.send(9).unwrap();
    assert_eq!(here.recv_timeout(PATIENCE), Ok(Some(9)));
    thread::scope(|scope| {
        scope.spawn(|| here.send(vec![8; 10]).unwrap());
        std::io::copy(&mut (&mut into).take(filled), &mut std::io::sink()).unwrap();
        assert_eq!(there.recv(), Ok(vec![7; 1000]));
        assert_eq!(there.recv(), Ok(vec![8; 10]));
    });
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn a_fork_that_drops_its_copy_sends_nothing_and_ends_nothing() {
    let (here, there) = pair::<u64, u64>();
    here.feed(&1).unwrap();
    let here = std::cell::Cell::new(Some(here));
    crate::sys::testing::in_child(|| drop(here.take())).succeeds();
    let here = here.take().unwrap();
    assert_eq!(there.recv_timeout(Duration::from_millis(20)), Ok(None));
    here.send(2).unwrap();
    assert_eq!((there.recv(), there.recv()), (Ok(1), Ok(2)));
    thread::scope(|scope| {
        let waits = scope.spawn(|| here.recv());
        thread::sleep(Duration::from_millis(20));
        there.send(3).unwrap();
        assert_eq!(waits.join().unwrap(), Ok(3));
    });
}

#[test]
#[cfg(all(target_os = "linux", not(procession_unsupported)))]
fn an_end_that_is_dropped_is_gone_whatever_forks_have_copies() {
    let (here, there) = pair::<u64, u64>();
    let fork = crate::sys::testing::in_child(|| thread::sleep(PATIENCE));
    here.feed(&1).unwrap();
    drop(here);
    // The fork is there for longer.
    let wait = PATIENCE / 2;
    assert_eq!(there.recv_timeout(wait), Ok(Some(1)));
    assert_eq!(there.recv_timeout(wait), Err(ConnectionError::Closed));
    fork.kill();
}

#[test]
fn threads_send_and_receive_on_one_connection_at_once() {
    const N: u64 = 20_000;
    let (here, there) = pair::<u64, u64>();
    let sum =
        |connection: &Connection<u64, u64>| (0..N).map(|_| connection.recv().unwrap()).sum::<u64>();
    thread::scope(|scope| {
        for connection in [&here, &there] {
            scope.spawn(move || (0..N).for_each(|i| connection.send(i).unwrap()));
            scope.spawn(move || assert_eq!(sum(connection), N * (N - 1) / 2));
        }
    });
}

#[test]
fn who_sends_and_is_not_read_does_not_keep_another_thread_from_receiving() {
    let (here, there) = pair::<Vec<u8>, u64>();
    thread::scope(|scope| {
        let sender = scope.spawn(|| here.send(vec![7; 32 << 20]));
        // It is in the middle of its message by then, on most machines, and nobody reads.
        thread::sleep(Duration::from_millis(50));
        there.send(9).unwrap();
        assert_eq!(here.recv(), Ok(9));
        assert!(there.recv().unwrap() == vec![7; 32 << 20]);
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_message_in_pieces_survives_the_time_limits_in_between() {
    let (here, there) = pair::<Vec<u8>, ()>();
    there.set_read_timeout(Some(Duration::from_millis(2)));
    thread::scope(|scope| {
        scope.spawn(|| here.send(vec![3; 8 << 20]).unwrap());
        let received = loop {
            match there.recv() {
                Err(ConnectionError::TimedOut) => {}
                received => break received,
            }
        };
        assert!(received.unwrap() == vec![3; 8 << 20]);
    });
    there.set_read_timeout(None);
    drop(here);
    assert!(there.poll(PATIENCE).unwrap());
    assert_eq!(there.recv(), Err(ConnectionError::Closed));
}

#[test]
fn a_send_that_nobody_takes_ends_in_time_and_ends_the_sending_half_alone() {
    let (here, there) = pair::<Vec<u8>, u64>();
    here.set_write_timeout(Some(Duration::from_millis(20)));
    assert_eq!(here.send(vec![0; 64 << 20]), Err(ConnectionError::TimedOut));
    assert_eq!(here.send(vec![1]), Err(ConnectionError::TimedOut));
    there.send(5).unwrap();
    assert_eq!(here.recv_timeout(PATIENCE), Ok(Some(5)));
    drop(here);
    assert_eq!(there.recv(), Err(ConnectionError::CutShort));
}

#[test]
fn what_the_other_end_does_not_take_is_refused_where_it_is_sent() {
    let (here, there) = pair_with::<u8, Vec<u8>>(&Options::new().max_message_len(100));
    let error = there.send(vec![0; 100]).unwrap_err();
    let text = "a message of 108 bytes is larger than the receiving end takes, 100 bytes";
    assert_eq!(error.to_string(), text);
    there.send(vec![0; 92]).unwrap();
    assert_eq!(here.recv(), Ok(vec![0; 92]));
}

#[test]
fn handles_of_shared_memory_are_refused_at_both_ends() {
    let (here, there) = pair::<(u64, u32, u64), Option<Value<u64>>>();
    let error = there.send(Some(Value::new(1).unwrap())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("means nothing outside this program"),
        "{error}"
    );
    // The connection is none the worse for it.
    there.send(None).unwrap();
    assert!(here.recv().unwrap().is_none());
}

#[test]
fn bytes_that_are_no_message_cost_that_message_alone() {
    mod elsewhere {
        #[derive(serde::Serialize, serde::Deserialize)]
        pub(super) struct Word(pub(super) u8, pub(super) u8);
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Word(bool);
    let listener = listener();
    thread::scope(|scope| {
        let client =
            scope.spawn(|| Client::connect::<elsewhere::Word, ()>(listener.address(), KEY));
        let here: Connection<(), Word> = listener.accept().unwrap();
        let there = client.join().unwrap().unwrap();
        there.send(elsewhere::Word(9, 9)).unwrap();
        there.send(elsewhere::Word(1, 1)).unwrap();
        for _ in 0..2 {
            assert!(matches!(here.recv(), Err(ConnectionError::Codec { .. })));
        }
        drop(there);
        assert_eq!(here.recv(), Err(ConnectionError::Closed));
    });
}

/// Programs of different builds meet: whoever changes these bytes changes the version of the format.
#[test]
fn values_of_version_1_have_these_bytes() {
    assert_eq!(crate::connection::handshake::VERSION, 1);
    let order = Order {
        number: 258,
        items: vec!["tea".into()],
        price: Some(0.5),
    };
    let expected = [
        // Length, number, how many items.
        &[32, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..],
        &[
            3, 0, 0, 0, 0, 0, 0, 0, b't', b'e', b'a', 1, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f,
        ],
    ];
    assert_eq!(frame_of(order), expected.concat());
    let words = [
        16, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0, 4, 0,
    ];
    assert_eq!(frame_of(vec![1_u16, 2, 3, 4]), words);
}

/// The bytes that are sent for a message.
fn frame_of<T: crate::argument::ByValue + Send>(message: T) -> Vec<u8> {
    use std::os::fd::OwnedFd;

    let (here, there) = pair::<T, ()>();
    here.send(message).unwrap();
    let socket: OwnedFd = there.as_fd().try_clone_to_owned().unwrap();
    drop(here);
    let mut bytes = Vec::new();
    TcpStream::from(socket).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_address_or_a_key_that_is_none_is_invalid_input() {
    for (address, key) in [("nowhere", KEY), ("tcp:127.0.0.1:9", b"")] {
        let refused = Client::connect::<u8, u8>(address, key).unwrap_err();
        assert_eq!(crate::Error::from(refused).kind(), ErrorKind::InvalidInput);
        assert_eq!(
            Listener::bind(address, key).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}

#[test]
fn errors_become_errors_of_the_crate() {
    let error = crate::Error::from(ConnectionError::WrongKey);
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert_eq!(
        error.to_string(),
        "the two ends of the connection have different keys"
    );
}
