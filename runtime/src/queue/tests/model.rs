//! One thread, random operations, compared with a `VecDeque`.

use std::collections::VecDeque;
use std::io;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Get,
    GetAll,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![
        4 => 0..40_usize,
        4 => 0..2000_usize,
        2 => 2000..20_000_usize,
        1 => 50_000..80_000_usize,
    ];
    let step = prop_oneof![
        30 => len.prop_map(Step::Put),
        24 => Just(Step::Get),
        3 => Just(Step::GetAll),
    ];
    let close = prop_oneof![
        Just(vec![]),
        Just(vec![Step::Close, Step::Put(1), Step::GetAll])
    ];
    (proptest::collection::vec(step, 0..300), close)
        .prop_map(|(steps, close)| [steps, close].concat())
}

/// What a ring of 64 KiB must be able to take: all but a step and the length of the message.
const FITS: usize = 64 * KIB - 4 * KIB - 8;

fn behaves_as_the_model(steps: Vec<Step>, bound: u32) {
    let queue = small::<Vec<u8>>(bound);
    let mut model = VecDeque::new();
    let mut is_closed = false;
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Put(len) => {
                let message: Vec<u8> = (0..len).map(|place| (place * 7 + number) as u8).collect();
                match queue.try_put(message.clone()) {
                    Ok(()) => model.push_back(message),
                    Err(QueueError::Closed) => assert!(is_closed),
                    Err(QueueError::Full) => assert_eq!(model.len(), bound as usize),
                    Err(QueueError::System { kind, .. }) => {
                        assert_eq!(kind, io::ErrorKind::OutOfMemory);
                        let waiting: usize = model.iter().map(|it: &Vec<u8>| it.len() + 24).sum();
                        assert!(waiting + len + 24 > FITS, "{len} beside {waiting}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Get => match queue.try_get() {
                Ok(message) => assert!(message == model.pop_front()),
                Err(error) => assert!(error == QueueError::Closed && is_closed && model.is_empty()),
            },
            Step::GetAll => {
                while !model.is_empty() {
                    assert!(queue.try_get() == Ok(model.pop_front()));
                }
            }
            Step::Close => {
                queue.close();
                is_closed = true;
            }
        }
        assert_eq!(queue.len(), model.len());
        assert_eq!(queue.is_closed(), is_closed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_a_queue(steps in steps()) {
        behaves_as_the_model(steps, u32::MAX);
    }

    #[test]
    fn a_bounded_queue_is_one_too(steps in steps(), bound in 1..6_u32) {
        behaves_as_the_model(steps, bound);
    }
}

#[test]
fn numbers_go_on_past_the_end_of_their_words() {
    let queue = small::<u64>(u32::MAX);
    queue
        .ring
        .move_to(u32::MAX - 5 * 8192 + 1, u32::MAX / 2 - 100);
    for number in 0..100_000 {
        queue.put(number).unwrap();
        if number >= 50 {
            assert_eq!(queue.get(), Ok(number - 50));
            assert_eq!(queue.len(), 50);
        }
    }
}

#[test]
fn messages_without_bytes_wait_in_their_number() {
    let queue = small::<()>(u32::MAX);
    for _ in 0..1000 {
        queue.put(()).unwrap();
    }
    assert_eq!(queue.len(), 1000);
    for _ in 0..1000 {
        assert_eq!(queue.try_get(), Ok(Some(())));
    }
    assert_eq!(queue.try_get(), Ok(None));
}

#[test]
fn a_message_larger_than_the_ring_is_an_error_that_says_so_and_harms_nothing() {
    let queue = small::<Vec<u8>>(u32::MAX);
    queue.put(vec![1]).unwrap();
    let error = queue.put(vec![2; 64 * KIB]).unwrap_err();
    assert!(
        matches!(&error, QueueError::System { kind: io::ErrorKind::OutOfMemory, message }
            if message.contains("no room for a message of 65544 bytes")),
        "{error:?}"
    );
    queue.put(vec![3]).unwrap();
    assert_eq!(queue.get(), Ok(vec![1]));
    assert_eq!(queue.get(), Ok(vec![3]));
}

#[test]
fn a_message_larger_than_any_pipe_and_any_piece_arrives_whole() {
    let queue = Queue::new().unwrap();
    let message: Vec<u64> = (0..1_500_000).collect();
    for _ in 0..3 {
        queue.put(message.clone()).unwrap();
        queue.put(vec![]).unwrap();
        assert!(queue.get() == Ok(message.clone()));
        assert_eq!(queue.get(), Ok(vec![]));
    }
}

#[test]
fn an_empty_queue_begins_again_at_the_start_and_takes_no_new_memory() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 16 << 20);
    for len in 0..20_000_usize {
        queue.put(vec![len as u8; len % 5000]).unwrap();
        assert!(queue.get() == Ok(vec![len as u8; len % 5000]));
    }
    // 50 MB have passed: three times the ring.
    let most = (1 << 20) + (256 << 10) + 16 * KIB;
    assert!(queue.ring.resident() <= most, "{}", queue.ring.resident());
}

#[test]
fn the_memory_of_a_long_backlog_is_given_back() {
    let queue = with_ring::<Vec<u8>>(u32::MAX, 32 << 20);
    for turn in 0..3 {
        for _ in 0..240 {
            queue.put(vec![turn; 100 * KIB]).unwrap();
        }
        assert!(queue.ring.resident() > 24_000_000);
        for _ in 0..240 {
            assert!(queue.get() == Ok(vec![turn; 100 * KIB]));
        }
        // The kept piece, what was reserved ahead, and the step in which the head is.
        let most = (1 << 20) + (8 << 20) + (256 << 10) + 16 * KIB;
        assert!(queue.ring.resident() <= most, "{}", queue.ring.resident());
    }
}

#[test]
fn a_full_ring_is_an_error_and_what_waits_stays() {
    let queue = small::<Vec<u8>>(u32::MAX);
    let put = |n: &u8| queue.put(vec![*n; 5000]).is_ok();
    let n_put = (0..).take_while(put).count();
    assert!(n_put >= 11);
    for n in 0..n_put {
        assert!(queue.get() == Ok(vec![n as u8; 5000]));
    }
    queue.put(vec![1; 5000]).unwrap();
    assert_eq!(queue.len(), 1);
}
