use super::*;
use crate::sys::testing::{in_child, watched};
use crate::{ErrorKind, Queue};

type Ends = (Connection<u64, String>, Connection<String, u64>);

fn ends() -> Ends {
    pipe().unwrap()
}

#[test]
fn what_one_end_sends_the_other_receives_in_order_both_ways() {
    let (ours, theirs) = ends();
    for n in 0..100 {
        ours.send(n).unwrap();
        theirs.send(n.to_string()).unwrap();
    }
    for n in 0..100 {
        assert_eq!(theirs.recv(), Ok(n));
        assert_eq!(ours.recv(), Ok(n.to_string()));
    }
    assert_eq!((ours.try_recv(), theirs.try_recv()), (Ok(None), Ok(None)));
}

#[test]
fn an_end_that_is_dropped_is_told_after_what_it_sent_and_wakes_who_waits() {
    watched(|| {
        let (ours, theirs) = ends();
        let waiter = std::thread::spawn(move || {
            let received = (ours.recv(), ours.recv(), ours.recv());
            (received, ours.poll(Duration::MAX), ours.send(1))
        });
        theirs.send("last".to_owned()).unwrap();
        theirs.send("words".to_owned()).unwrap();
        drop(theirs);
        let (received, polled, sent) = waiter.join().unwrap();
        let [last, words] = ["last", "words"].map(|it| Ok(it.to_owned()));
        assert_eq!(received, (last, words, Err(PipeError::Disconnected)));
        assert!(polled, "recv would not wait");
        assert_eq!(sent, Err(PipeError::Disconnected));
    });
}

#[test]
fn an_end_dropped_by_a_panic_is_gone_too() {
    watched(|| {
        let (ours, theirs) = ends();
        let panicked = std::thread::spawn(move || {
            let _theirs = theirs;
            panic!("with an end of a pipe");
        });
        assert!(panicked.join().is_err());
        assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    });
}

#[test]
fn waits_never_end_early() {
    let (ours, _theirs) = ends();
    let (start, timeout) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(ours.recv_timeout(timeout), Ok(None));
    assert!(start.elapsed() >= timeout);
    let start = Instant::now();
    assert!(!ours.poll(timeout));
    assert!(start.elapsed() >= timeout);
}

#[test]
fn a_forked_copy_has_no_end_and_ends_nothing() {
    watched(|| {
        let (ours, theirs) = ends();
        in_child(|| {
            let refused = [
                ours.send(1),
                ours.recv().map(drop),
                theirs.try_recv().map(drop),
            ];
            for refused in refused {
                let kind = std::io::ErrorKind::PermissionDenied;
                assert!(matches!(refused, Err(PipeError::System { kind: k, .. }) if k == kind));
            }
            assert!(ours.poll(Duration::MAX));
        })
        .succeeds();
        ours.send(2).unwrap();
        assert_eq!(theirs.recv(), Ok(2));
    });
}

#[test]
fn an_end_in_a_message_lives_until_nobody_can_receive_it() {
    watched(|| {
        let (ours, theirs) = ends();
        let post = Queue::new().unwrap();
        post.put(theirs).unwrap();
        ours.send(1).unwrap();
        assert!(!ours.poll(Duration::from_millis(10)), "it is on its way");
        let theirs = post.get().unwrap();
        assert_eq!(theirs.recv(), Ok(1));
        post.put(theirs).unwrap();
        assert!(!ours.poll(Duration::from_millis(10)));
        drop(post);
        assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    });
}

/// Between two looks, at the name on its way and at who has it, it may have arrived.
#[test]
fn an_end_that_goes_from_hand_to_hand_is_never_taken_for_gone() {
    watched(|| {
        let (ours, theirs) = ends();
        let post = Queue::new().unwrap();
        post.put(theirs).unwrap();
        std::thread::scope(|scope| {
            let hands = scope.spawn(|| (0..5000).try_for_each(|_| post.put(post.get()?)));
            while !hands.is_finished() {
                ours.look_after_other();
            }
            hands.join().unwrap().unwrap();
        });
        let theirs = post.get().unwrap();
        ours.send(1).unwrap();
        assert_eq!(theirs.recv(), Ok(1));
    });
}

#[test]
fn an_end_that_could_not_be_sent_is_gone() {
    watched(|| {
        let (ours, theirs) = ends();
        let post = Queue::new().unwrap();
        post.close();
        assert!(post.put(theirs).is_err());
        assert_eq!(ours.recv(), Err(PipeError::Disconnected));
    });
}

#[test]
fn outside_of_the_program_an_end_means_nothing() {
    let (ours, _theirs) = ends();
    let error = serde_json::to_string(&ours).unwrap_err();
    assert!(error.to_string().contains("means nothing"), "{error}");
}

#[test]
fn a_message_that_cannot_be_written_is_an_error_of_its_own() {
    let (ours, theirs) = pipe::<Vec<serde_json::Value>, u8>().unwrap();
    ours.send(vec![serde_json::Value::Null]).unwrap();
    let error = theirs.recv().unwrap_err();
    assert!(matches!(error, PipeError::Codec { .. }), "{error:?}");
    assert_eq!(Error::from(error).kind(), ErrorKind::InvalidInput);
    assert_eq!(theirs.try_recv(), Ok(None));
}
