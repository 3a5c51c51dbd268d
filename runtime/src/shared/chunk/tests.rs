use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::*;
use crate::Queue;

use crate::shared::testing::{Sent, Steps, send};
use crate::sys;
use crate::sys::testing::{alone, in_child, watched};

const SIGSEGV: i32 = 11;

type Chunk = ArrayChunk<u32>;

fn divided(len: usize, n: usize) -> Vec<Chunk> {
    let array = Array::new(0..len as u32).unwrap();
    array.into_chunks(n).unwrap()
}

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn chunks_in_any_order_make_the_array_again() {
    let mut chunks = divided(10, 3);
    for chunk in &mut chunks {
        let index = chunk.index() as u32;
        chunk.iter_mut().for_each(|x| *x += 100 * index);
    }
    chunks.rotate_left(1);
    let array = Array::from_chunks(chunks).unwrap();
    assert_eq!(array.to_vec(), [0, 1, 2, 3, 104, 105, 106, 207, 208, 209]);
    array.lock().unwrap()[0] = 5;
    let again = array.into_chunks(2).unwrap();
    assert_eq!(again[0][0], 5);
    let array = Array::from_chunks(again).unwrap();
    assert_eq!(array.freeze().unwrap()[9], 209);
}

#[test]
fn a_chunk_passed_by_value_is_the_receivers() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let first = chunks.remove(0);
        let sent = send(first);
        let mut first: Chunk = sent.read().unwrap();
        assert_eq!(first[..], [0, 1]);
        first[0] = 9;
        let error = sent.refusal::<Chunk>();
        assert!(
            error.contains("chunk 0 was claimed already, by process"),
            "{error}"
        );
        // On, and on.
        let sent_on = send(first);
        let error = sent.refusal::<Chunk>();
        assert!(error.contains("claimed already, and sent on"), "{error}");
        let first: Chunk = send(sent_on.read::<Chunk>().unwrap()).read().unwrap();
        chunks.push(first);
        let array = Array::from_chunks(chunks).unwrap();
        assert_eq!(array.to_vec(), [9, 1, 2, 3]);
        let error = sent.refusal::<Chunk>();
        assert!(error.contains("joined again"), "{error}");
    });
}

#[test]
fn what_somebody_keeps_is_refused_and_stays() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let sent = Sent::of(&chunks[1]);
        sent.depart();
        assert!(sent.refusal::<Chunk>().contains("pass it by value"));
        chunks[1][0] = 7;
        // Now by value.
        let sent = send(chunks.pop().unwrap());
        chunks.push(sent.read().unwrap());
        assert_eq!(Array::from_chunks(chunks).unwrap().to_vec(), [0, 1, 7, 3]);
    });
}

#[test]
fn a_chunk_that_is_named_twice_in_one_value_is_refused() {
    watched(|| {
        struct Twice(Chunk);
        impl Serialize for Twice {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                (&self.0, &self.0).serialize(to)
            }
        }
        impl<'de> Deserialize<'de> for Twice {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let (one, _other) = <(Chunk, Chunk)>::deserialize(from)?;
                Ok(Self(one))
            }
        }
        let mut chunks = divided(4, 2);
        let sent = send(Twice(chunks.remove(0)));
        assert!(sent.read::<Twice>().is_err());
    });
}

#[test]
fn a_message_that_is_never_sent_costs_nothing() {
    let chunks = divided(4, 2);
    drop(Sent::of(&chunks[0]));
    assert_eq!(Array::from_chunks(chunks).unwrap().len(), 4);
}

#[test]
fn a_chunk_cannot_be_written_to_a_file() {
    assert!(serde_json::to_string(&divided(4, 2)[0]).is_err());
}

#[test]
fn a_receiver_waits_until_the_sender_lets_go() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let chunk = chunks.pop().unwrap();
        let sent = Sent::of(&chunk);
        let steps = Steps::new();
        let child = in_child(|| {
            steps.reach(1);
            let chunk: Chunk = sent.read().unwrap();
            assert_eq!(chunk[..], [22, 3]);
        });
        steps.wait_for(1);
        std::thread::sleep(Duration::from_millis(30));
        let mut chunk = chunk;
        chunk[0] = 22;
        drop(chunk);
        sent.depart();
        child.succeeds();
    });
}

#[test]
fn a_receiver_inherits_from_a_sender_that_died() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let given = send(chunks.pop().unwrap());
        // The name that the child writes, as bytes that outlive it.
        let board = Array::<u8>::zeroed(4096).unwrap();
        let steps = Steps::new();
        let child = in_child(|| {
            let mut chunk: Chunk = given.read().unwrap();
            chunk[0] = 33;
            let sent = Sent::of(&chunk);
            for (i, byte) in sent.bytes().iter().enumerate() {
                board.set(i + 1, *byte);
            }
            board.set(0, sent.bytes().len() as u8);
            steps.reach(1);
            steps.wait_for(2);
        });
        steps.wait_for(1);
        let bytes = board.to_vec();
        let len = usize::from(bytes[0]);
        let sent = Sent::from_bytes(bytes[1..=len].to_vec());
        std::thread::scope(|threads| {
            let receiver = threads.spawn(|| sent.read::<Chunk>().unwrap());
            std::thread::sleep(Duration::from_millis(30));
            assert!(!receiver.is_finished());
            child.kill();
            chunks.push(receiver.join().unwrap());
        });
        assert_eq!(Array::from_chunks(chunks).unwrap().to_vec(), [0, 1, 33, 3]);
    });
}

#[test]
fn a_worker_that_dies_with_a_chunk_does_not_cost_the_picture() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let sent = send(chunks.pop().unwrap());
        let steps = Steps::new();
        let child = in_child(|| {
            let mut chunk: Chunk = sent.read().unwrap();
            chunk[1] = 99;
            steps.reach(1);
            steps.wait_for(2);
        });
        steps.wait_for(1);
        let pid = child.pid();
        let error = refusal(Array::from_chunks(chunks));
        assert_eq!(
            error,
            format!("these chunks cannot be joined: chunk 1 is held by process {pid}")
        );
        child.kill();
        // The item is tried again; the chunk given in vain is found too.
        let last: Chunk = sent.read().unwrap();
        assert_eq!(last[..], [2, 99]);
        assert_eq!(Array::from_chunks([last]).unwrap().to_vec(), [0, 1, 2, 99]);
    });
}

#[test]
fn the_dead_leave_their_chunks_to_whoever_joins() {
    watched(|| {
        let mut chunks = divided(9, 3);
        let sent: Vec<Sent> = chunks.drain(1..).map(send).collect();
        in_child(|| {
            let mut taken: Vec<Chunk> = sent.iter().map(|name| name.read().unwrap()).collect();
            taken[1][2] = 80;
            std::process::abort();
        })
        .signal();
        let array = Array::from_chunks(chunks).unwrap();
        assert_eq!(array.to_vec(), [0, 1, 2, 3, 4, 5, 6, 7, 80]);
        // Nobody else comes by them now.
        assert!(sent[0].refusal::<Chunk>().contains("joined again"));
    });
}

#[test]
fn joining_names_what_is_missing() {
    watched(|| {
        let mut chunks = divided(12, 12);
        let kept = chunks.split_off(10);
        drop(chunks.remove(0));
        let pid = sys::pid();
        let error = refusal(Array::from_chunks(chunks));
        assert_eq!(
            error,
            format!(
                "these chunks cannot be joined: chunk 0 was dropped: a job has to return it, chunk 10 is held by process {pid}, \
                 chunk 11 is held by process {pid}"
            )
        );
        let mut chunks = divided(12, 12);
        chunks.truncate(1);
        let error = refusal(Array::from_chunks(chunks));
        assert!(
            error.ends_with("chunk 8 was dropped: a job has to return it, and 3 more are missing"),
            "{error}"
        );
        drop(kept);
    });
}

#[test]
fn chunks_of_different_arrays_or_none_cannot_be_joined() {
    let chunks = divided(4, 2).into_iter().chain(divided(4, 2));
    assert!(refusal(Array::from_chunks(chunks)).contains("different arrays"));
    let none: [Chunk; 0] = [];
    assert!(refusal(Array::from_chunks(none)).contains("no chunks"));
}

#[test]
fn joining_in_vain_loses_nothing() {
    watched(|| {
        let mut chunks = divided(6, 3);
        let late = chunks.remove(1);
        chunks[0][0] = 50;
        refusal(Array::from_chunks(chunks));
        let array = Array::from_chunks([late]).unwrap();
        assert_eq!(array.to_vec(), [50, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn what_was_sent_and_never_taken_is_joined() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let sent = send(chunks.pop().unwrap());
        let array = Array::from_chunks(chunks).unwrap();
        assert_eq!(array.to_vec(), [0, 1, 2, 3]);
        assert!(sent.refusal::<Chunk>().contains("joined again"));
    });
}

#[test]
fn a_forked_copy_of_a_chunk_is_none() {
    // The child panics, and what the harness does then it cannot do in a fork of many threads.
    alone(|| {
        let chunks = RefCell::new(divided(4, 2));
        let pid = sys::pid();
        in_child(|| {
            let mut chunks = chunks.take();
            let read = catch_unwind(AssertUnwindSafe(|| chunks[0][0]));
            let text = *read.unwrap_err().downcast::<String>().unwrap();
            assert!(
                text.contains(&format!("belongs to process {pid}")),
                "{text}"
            );
            assert!(catch_unwind(AssertUnwindSafe(|| chunks[0][0] = 1)).is_err());
            drop(chunks.pop());
            let error = refusal(Array::from_chunks(chunks));
            assert!(
                error.contains(&format!("belong to process {pid}")),
                "{error}"
            );
        })
        .succeeds();
        // What the child has dropped is still this process's to send.
        let mut chunks = chunks.take();
        let sent = send(chunks.pop().unwrap());
        chunks.push(sent.read().unwrap());
        assert_eq!(Array::from_chunks(chunks).unwrap().to_vec(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_leaked_chunk_stays_out_of_children() {
    watched(|| {
        let mut chunks = divided(4, 2);
        let leaked: &'static mut ArrayChunk<u32> = Box::leak(Box::new(chunks.pop().unwrap()));
        let leaked: &'static mut [u32] = leaked;
        let child = in_child(|| leaked[0] = 1);
        assert_eq!(child.signal(), Some(SIGSEGV));
        assert!(refusal(Array::from_chunks(chunks)).contains("chunk 1 is held"));
        assert_eq!(leaked, [2, 3]);
    });
}

#[test]
fn two_processes_never_have_one_chunk() {
    watched(|| {
        // Many read the same names at once: each chunk is had by one, who alone may write it.
        const N: usize = 40;
        const RACERS: u32 = 4;
        let sent: Vec<Sent> = divided(N, N).into_iter().map(send).collect();
        let (wins, done) = (
            Array::<u32>::zeroed(N).unwrap(),
            Array::<u32>::zeroed(1).unwrap(),
        );
        let steps = Steps::new();
        let race = || {
            steps.wait_for(1);
            let mut mine: Vec<Chunk> = sent.iter().filter_map(|name| name.read().ok()).collect();
            for chunk in &mut mine {
                assert_eq!(chunk[0], chunk.index() as u32);
                chunk[0] = 1000;
                wins.lock().unwrap()[chunk.index()] += 1;
            }
            done.lock().unwrap()[0] += 1;
            // A holder that dies leaves its chunks to others; that is another test.
            while done.get(0) < Some(RACERS) {
                std::thread::yield_now();
            }
        };
        let children = [in_child(race), in_child(race), in_child(race)];
        steps.reach(1);
        race();
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(wins.to_vec(), [1; N]);
    });
}

/// Blocks of one function give their types one name; read as the other one, chunks would overlap.
#[test]
fn elements_of_another_size_and_the_same_name_are_refused() {
    let (of_four, name, sent) = {
        #[derive(Clone, Copy, crate::Shareable)]
        #[repr(C)]
        #[shareable(crate = crate)]
        struct Element([u8; 4]);
        let array = Array::<Element>::zeroed(3).unwrap();
        let of_four = (Sent::of(&array), array);
        let mut chunks = Array::<Element>::zeroed(3).unwrap().into_chunks(2).unwrap();
        let sent = (send(chunks.remove(1)), chunks);
        (of_four, std::any::type_name::<Element>(), sent)
    };
    #[derive(Clone, Copy, crate::Shareable)]
    #[repr(C)]
    #[shareable(crate = crate)]
    struct Element(u8);
    let refused = "of another type";
    if std::any::type_name::<Element>() == name {
        assert!(of_four.0.refusal::<Array<Element>>().contains(refused));
        // Of 12 bytes, the second half would begin within the first chunk of 8.
        assert!(sent.0.refusal::<ArrayChunk<Element>>().contains(refused));
    }
}

#[test]
fn elements_of_another_alignment_and_the_same_name_are_refused() {
    let (array, name) = {
        #[derive(Clone, Copy, crate::Shareable)]
        #[repr(C)]
        #[shareable(crate = crate)]
        struct Element([u8; 8192]);
        let array = Array::<Element>::zeroed(1).unwrap();
        ((Sent::of(&array), array), std::any::type_name::<Element>())
    };
    #[derive(Clone, Copy, crate::Shareable)]
    #[repr(C, align(8192))]
    #[shareable(crate = crate)]
    struct Element([u8; 8192]);
    if std::any::type_name::<Element>() == name {
        assert!(
            array
                .0
                .refusal::<Array<Element>>()
                .contains("of another type")
        );
    }
}

#[test]
fn kills_at_any_moment_leave_each_chunk_with_one_owner_or_none() {
    const N_KILLS: u64 = 600;
    const N: usize = 6;
    watched(|| {
        let (mut random, mut n_passed) = (1_u64, 0);
        for _ in 0..N_KILLS / 2 {
            let mut chunks = Array::<u64>::zeroed(4 * N).unwrap().into_chunks(N).unwrap();
            let kept = chunks.pop().unwrap();
            let work = Queue::new().unwrap();
            chunks
                .into_iter()
                .for_each(|chunk| work.put(chunk).unwrap());
            let pass_on = |mark: u64| {
                for chunk in &work {
                    let mut chunk: ArrayChunk<u64> = chunk.unwrap();
                    let n_before = chunk.iter().max().map_or(0, |n| n >> 2);
                    let own = (n_before + 1) << 2 | mark;
                    for place in 0..chunk.len() {
                        chunk[place] = own;
                    }
                    assert!(chunk.iter().all(|&there| there == own), "two owners");
                    work.put(chunk).unwrap();
                }
            };
            let children = [in_child(|| pass_on(1)), in_child(|| pass_on(2))];
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            std::thread::sleep(Duration::from_micros((random >> 33) % 4000));
            let [first, second] = children;
            first.kill();
            std::thread::sleep(Duration::from_micros((random >> 43) % 1000));
            let pid = second.pid();
            second.kill();
            let array = Array::from_chunks([kept]).unwrap_or_else(|e| panic!("{e}, killed {pid}"));
            // What is left in the queue are names of chunks that are no more.
            while !work.is_empty() {
                assert!(work.try_get().is_err());
            }
            n_passed += array.to_vec().into_iter().map(|n| n >> 2).sum::<u64>();
        }
        assert!(n_passed > 1000, "{n_passed}");
    });
}
