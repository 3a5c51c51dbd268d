//! Handles inside of messages: they stay alive while the message waits.

use super::*;
use crate::supervisor::door;
use crate::sys::testing::watched;
use crate::{process_job, spawn};

#[test]
fn a_queue_in_a_message_outlives_its_sender_s_handles() {
    watched(|| {
        let outer = Queue::<Vec<Queue<String>>>::new().unwrap();
        let inner = Queue::new().unwrap();
        inner.put("inside".to_owned()).unwrap();
        outer.put(vec![inner]).unwrap();
        let inner = outer.get().unwrap().remove(0);
        assert_eq!(inner.get(), Ok("inside".to_owned()));
        assert!(!inner.ring.block().is_in_transit());
    });
}

#[test]
fn a_message_that_was_not_put_keeps_nothing_alive() {
    watched(|| {
        let outer = Queue::<Queue<u8>>::bounded(1).unwrap();
        let inner = Queue::new().unwrap();
        outer.put(inner.clone()).unwrap();
        assert!(inner.ring.block().is_in_transit());
        assert_eq!(outer.try_put(inner.clone()), Err(QueueError::Full));
        drop(outer.get().unwrap());
        assert!(!inner.ring.block().is_in_transit());
        outer.close();
        assert_eq!(outer.put(inner.clone()), Err(QueueError::Closed));
        assert!(!inner.ring.block().is_in_transit());
    });
}

#[test]
fn what_nobody_can_get_any_more_is_not_kept() {
    watched(|| {
        let outer = Queue::<Queue<u8>>::new().unwrap();
        let inner = Queue::new().unwrap();
        let id = inner.ring.block().id();
        outer.put(inner).unwrap();
        let another = outer.clone();
        drop(outer);
        assert!(door::want(id, 0).is_ok());
        drop(another);
        assert!(door::want(id, 0).is_err());
    });
}

#[test]
fn a_handle_of_another_type_is_refused() {
    watched(|| {
        let outer = Queue::<Queue<u8>>::new().unwrap();
        outer.put(Queue::new().unwrap()).unwrap();
        let same: Queue<Queue<u16>> = Queue::of(outer.ring.clone());
        assert!(matches!(same.get(), Err(QueueError::Codec { .. })));
    });
}

#[test]
fn a_queue_means_nothing_outside_the_program() {
    let queue = Queue::<u8>::new().unwrap();
    let error = serde_json::to_string(&queue).unwrap_err().to_string();
    assert!(error.contains("pass it to a job"), "{error}");
}

#[test]
fn handles_go_from_thread_to_thread_whatever_they_carry() {
    fn is_send_and_sync<T: Send + Sync + 'static>() {}
    is_send_and_sync::<Queue<std::rc::Rc<u8>>>();
    is_send_and_sync::<QueueError>();
}

#[process_job]
fn send_a_queue(to: Queue<Queue<u64>>, n_messages: u64) {
    let inner = Queue::new().unwrap();
    (0..n_messages).for_each(|number| inner.put(number).unwrap());
    to.put(inner).unwrap();
}

#[process_job]
fn first_of(queue: &Queue<Queue<u64>>) -> u64 {
    let inner = queue.get().unwrap();
    let first = inner.get().unwrap();
    queue.put(inner).unwrap();
    first
}

#[test]
fn a_queue_made_by_a_process_that_has_ended_goes_on_through_queues() {
    watched(|| {
        let outer = Queue::new().unwrap();
        spawn!(send_a_queue(outer.clone(), 3))
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(spawn!(first_of(&outer)).unwrap().join(), Ok(0));
        let inner = outer.get().unwrap();
        inner.close();
        assert_eq!(inner.iter().collect::<Vec<_>>(), [Ok(1), Ok(2)]);
    });
}
