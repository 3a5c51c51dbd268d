use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::thread;

use super::*;
use crate::codec::{Decoder, Encoder};
use crate::sys::testing::{in_child, watched};

#[test]
fn operations_mean_what_they_mean_in_std() {
    macro_rules! compare {
        ($($integer:ty)*) => {$({
            let (least, most): ($integer, $integer) = (<$integer>::MIN, <$integer>::MAX);
            let atomic = Atomic::new(least).unwrap();
            let std = <$integer as sealed::Operations>::Word::new(least);
            let both = |of_ours: $integer, of_std: $integer| {
                assert_eq!(of_ours, of_std);
                assert_eq!(atomic.load(SeqCst), std.load(SeqCst));
            };
            both(atomic.fetch_sub(1, AcqRel), std.fetch_sub(1, AcqRel));
            both(atomic.fetch_add(3, Relaxed), std.fetch_add(3, Relaxed));
            both(atomic.fetch_max(most / 2, SeqCst), std.fetch_max(most / 2, SeqCst));
            both(atomic.fetch_max(least, SeqCst), std.fetch_max(least, SeqCst));
            both(atomic.fetch_min(most, SeqCst), std.fetch_min(most, SeqCst));
            both(atomic.fetch_min(least, SeqCst), std.fetch_min(least, SeqCst));
            both(atomic.fetch_or(0b1100, SeqCst), std.fetch_or(0b1100, SeqCst));
            both(atomic.fetch_and(0b0110, SeqCst), std.fetch_and(0b0110, SeqCst));
            both(atomic.fetch_xor(0b0011, SeqCst), std.fetch_xor(0b0011, SeqCst));
            both(atomic.swap(most, SeqCst), std.swap(most, SeqCst));
            atomic.store(5, SeqCst);
            assert_eq!(atomic.compare_exchange(4, 6, AcqRel, Acquire), Err(5));
            assert_eq!(atomic.compare_exchange(5, 6, AcqRel, Acquire), Ok(5));
            assert_eq!(atomic.compare_exchange_weak(4, 6, AcqRel, Acquire), Err(6));
            while atomic.compare_exchange_weak(6, 7, AcqRel, Acquire).is_err() {}
            assert_eq!(atomic.load(Acquire), 7);
        })*};
    }
    compare!(i32 u32 i64 u64);
    #[cfg(target_pointer_width = "64")]
    compare!(isize usize);
}

#[test]
fn threads_and_processes_lose_no_addition() {
    watched(|| {
        let atomic = Atomic::new(-4000_i64).unwrap();
        let add = || {
            for _ in 0..1000 {
                atomic.fetch_add(1, Relaxed);
            }
        };
        let children = [in_child(add), in_child(add)];
        thread::scope(|scope| {
            scope.spawn(add);
            scope.spawn(add);
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(atomic.load(Relaxed), 0);
        assert_eq!(format!("{atomic:?}"), "Atomic(0)");
    });
}

#[test]
fn what_was_sent_is_the_same_integer_of_the_same_type() {
    let atomic = Atomic::new(1_u32).unwrap();
    let mut encoder = Encoder::new();
    encoder.value(&atomic).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    assert!(Decoder::new(&bytes).value::<Atomic<i32>>().is_err());
    assert!(Decoder::new(&bytes).value::<Atomic<u64>>().is_err());
    let received: Atomic<u32> = Decoder::new(&bytes).value().unwrap();
    received.clone().store(9, Relaxed);
    assert_eq!(atomic.load(Relaxed), 9);
}
