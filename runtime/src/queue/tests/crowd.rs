//! Many producers and consumers, in threads and in processes.

use super::*;
use crate::sys::testing::{in_child, watched};

const N_PRODUCERS: u64 = 4;
const N_MESSAGES: u64 = 2000;

fn produce(queue: &Queue<Vec<u64>>, producer: u64) {
    for number in 0..N_MESSAGES {
        let len = (number * 31 + producer * 7) % 400;
        queue.put(sealed(producer, number, len as usize)).unwrap();
    }
}

/// What a consumer got: in order for every producer.
fn consume(queue: &Queue<Vec<u64>>) -> Vec<(u64, u64)> {
    let got: Vec<_> = queue.iter().map(|it| unsealed(&it.unwrap())).collect();
    for producer in 0..N_PRODUCERS {
        let numbers: Vec<_> = got.iter().filter(|it| it.0 == producer).collect();
        assert!(numbers.is_sorted(), "not in the order they were put");
    }
    got
}

fn are_all(mut got: Vec<(u64, u64)>) {
    got.sort_unstable();
    let all = (0..N_PRODUCERS).flat_map(|it| (0..N_MESSAGES).map(move |number| (it, number)));
    assert!(got.into_iter().eq(all), "not every message exactly once");
}

#[test]
fn threads_get_every_message_once_and_in_order() {
    watched(|| {
        for bound in [3, 16] {
            let queue = small(bound);
            thread::scope(|scope| {
                let consumers: Vec<_> = (0..3).map(|_| scope.spawn(|| consume(&queue))).collect();
                let producers: Vec<_> = (0..N_PRODUCERS)
                    .map(|it| {
                        scope.spawn({
                            let queue = &queue;
                            move || produce(queue, it)
                        })
                    })
                    .collect();
                producers.into_iter().for_each(|it| it.join().unwrap());
                queue.close();
                are_all(
                    consumers
                        .into_iter()
                        .flat_map(|it| it.join().unwrap())
                        .collect(),
                );
            });
        }
    });
}

#[test]
fn processes_get_every_message_once_and_in_order() {
    watched(|| {
        for bound in [3, 16] {
            let queue = small(bound);
            let results = Queue::new().unwrap();
            let consumers: Vec<_> = (0..3)
                .map(|_| in_child(|| results.put(consume(&queue)).unwrap()))
                .collect();
            let producers: Vec<_> = (0..N_PRODUCERS)
                .map(|it| in_child(|| produce(&queue, it)))
                .collect();
            producers.into_iter().for_each(|it| it.succeeds());
            queue.close();
            consumers.into_iter().for_each(|it| it.succeeds());
            assert_eq!(results.len(), 3);
            are_all((0..3).flat_map(|_| results.get().unwrap()).collect());
        }
    });
}

#[test]
fn processes_that_put_megabytes_and_end_before_anyone_gets_lose_nothing() {
    watched(|| {
        let queue = Queue::new().unwrap();
        for producer in 0..2 {
            in_child(|| (0..30).for_each(|n| queue.put(sealed(producer, n, 20_000)).unwrap()))
                .succeeds();
        }
        assert_eq!(queue.len(), 60);
        for producer in 0..2 {
            for n in 0..30 {
                assert_eq!(unsealed(&queue.get().unwrap()), (producer, n));
            }
        }
        assert!(queue.is_empty());
    });
}
