use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::*;
use crate::codec::{Decoder, Encoder, Portable};
use crate::error::ErrorKind;
use crate::shared::Atomic;
use crate::sync::{Event, Lock};
use crate::sys::testing::{in_child, watched};

/// A word takes one line of a slot of the arena.
const _: () = assert!(Value::<u64>::LEN <= 64);

/// What a receiver in the same program has of `value`.
fn sent<T: Portable>(value: &T) -> T {
    let mut encoder = Encoder::new();
    encoder.value(value).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    Decoder::new(&bytes).value().unwrap()
}

#[test]
fn clones_and_what_was_sent_are_the_same_value() {
    let value = Value::new([1_u16, 2, 3]).unwrap();
    let clone = value.clone();
    let received = sent(&(1_u8, Some(value.clone()))).1.unwrap();
    clone.set([4, 5, 6]);
    assert_eq!(value.get(), [4, 5, 6]);
    assert_eq!(received.update(|value| value[0] = 9), [9, 5, 6]);
    drop(value);
    drop(clone);
    assert_eq!(received.get(), [9, 5, 6]);
}

#[test]
fn values_of_every_size_are_whole() {
    Value::new(()).unwrap().set(());
    assert_eq!(Value::new(0xab_u8).unwrap().get(), 0xab);
    assert_eq!(Value::new(u128::MAX - 1).unwrap().get(), u128::MAX - 1);
    let large = Value::new([7_u32; 5000]).unwrap();
    assert_eq!(large.update(|large| large[4999] = 8)[4998..], [7, 8]);
    assert_eq!(large.clone().get()[4998..], [7, 8]);
}

#[test]
fn fetch_add_gives_the_old_value_and_wraps() {
    let value = Value::new(i8::MAX).unwrap();
    assert_eq!(value.fetch_add(1), i8::MAX);
    assert_eq!(value.fetch_add(-1), i8::MIN);
    assert_eq!(value.get(), i8::MAX);
}

#[test]
fn threads_and_processes_lose_no_change() {
    watched(|| {
        let value = Value::new([0_u64; 2]).unwrap();
        let count = |value: &Value<[u64; 2]>| {
            for _ in 0..500 {
                value.update(|value| {
                    assert_eq!(value[0], value[1], "seen in the middle of a change");
                    value[0] += 1;
                    value[1] += 1;
                });
            }
        };
        let children = [in_child(|| count(&value)), in_child(|| count(&value))];
        thread::scope(|scope| {
            scope.spawn(|| count(&value));
            scope.spawn(|| count(&value));
        });
        children.into_iter().for_each(|child| child.succeeds());
        assert_eq!(value.get(), [2000, 2000]);
    });
}

#[test]
fn a_guard_keeps_others_out_and_writes_when_it_is_dropped() {
    watched(|| {
        let value = Value::new(1_i32).unwrap();
        let mut guard = value.lock().unwrap();
        *guard = 2;
        in_child(|| {
            assert!(value.try_lock().unwrap().is_none());
            let wait = Duration::from_millis(20);
            assert!(value.lock_timeout(wait).unwrap().is_none());
            let mut there = 0;
            value.block.read(VALUE, bytemuck::bytes_of_mut(&mut there));
            assert_eq!(there, 1, "the guard's copy is private");
        })
        .succeeds();
        drop(guard);
        assert_eq!(value.try_lock().unwrap().as_deref(), Some(&2));
        assert_eq!(
            value.lock_timeout(Duration::MAX).unwrap().as_deref(),
            Some(&2)
        );
    });
}

#[test]
fn a_guard_dropped_by_a_panic_changes_nothing_and_poisons_nothing() {
    let value = Value::new(1_i32).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = value.lock().unwrap();
        *guard = 2;
        panic!("in the middle of a change");
    }));
    assert!(panicked.is_err());
    assert_eq!(*value.lock().unwrap(), 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        value.update(|value| {
            *value = 3;
            panic!("in the middle of a change");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(*value.lock().unwrap(), 1);
}

#[test]
fn what_is_written_while_a_panic_passes_by_is_written() {
    struct Counts(Value<u32>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.update(|n| *n += 1);
        }
    }
    let value = Value::new(0).unwrap();
    let counts = Counts(value.clone());
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _counts = counts;
        panic!("on the way");
    }));
    assert!(panicked.is_err());
    assert_eq!(value.get(), 1);
}

#[test]
fn a_thread_that_holds_the_guard_is_told_instead_of_hanging() {
    watched(|| {
        let value = Value::new(1_i32).unwrap();
        let guard = value.lock().unwrap();
        assert!(matches!(value.lock(), Err(LockError::AlreadyHeld)));
        assert!(matches!(
            value.clone().try_lock(),
            Err(LockError::AlreadyHeld)
        ));
        assert!(matches!(
            value.lock_timeout(Duration::ZERO),
            Err(LockError::AlreadyHeld)
        ));
        let uses: [&dyn Fn() -> i32; 4] = [
            &|| value.get(),
            &|| {
                value.set(1);
                1
            },
            &|| value.update(|_| ()),
            &|| value.fetch_add(1),
        ];
        for use_it in uses {
            let panic = catch_unwind(AssertUnwindSafe(use_it)).unwrap_err();
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap();
            assert!(text.contains("this thread holds the guard"), "{text}");
        }
        drop(guard);
        assert_eq!(value.get(), 1);
    });
}

#[test]
fn the_death_of_a_holder_is_told_once_by_lock_and_healed_by_the_rest() {
    watched(|| {
        let value = Value::new(1_i32).unwrap();
        let die_holding = || {
            let child = in_child(|| {
                let mut guard = value.lock().unwrap();
                *guard = 2;
                std::mem::forget(guard);
                crate::sys::exit_now(3);
            });
            assert_eq!(child.code(), Some(3));
        };
        die_holding();
        let Err(LockError::OwnerDied(mut guard)) = value.lock() else {
            panic!("nobody said that the owner died");
        };
        assert_eq!(*guard, 1, "the dead one's copy was private");
        *guard = 5;
        drop(guard);
        assert_eq!(*value.lock().unwrap(), 5);
        die_holding();
        assert_eq!(value.get(), 5);
        assert!(value.lock().is_ok(), "`get` has healed it");
        die_holding();
        assert_eq!(value.fetch_add(1), 5);
        die_holding();
        // The error's guard releases.
        assert_eq!(
            Error::from(value.lock().unwrap_err()).kind(),
            ErrorKind::Lock
        );
        assert_eq!(value.get(), 6);
    });
}

#[test]
fn a_killed_holder_hangs_nobody() {
    watched(|| {
        let value = Value::new(1_i32).unwrap();
        let is_held = Event::new().unwrap();
        let child = in_child(|| {
            let _guard = value.lock();
            is_held.set();
            loop {
                thread::park();
            }
        });
        is_held.wait();
        thread::scope(|scope| {
            let waits = scope.spawn(|| matches!(value.lock(), Err(LockError::OwnerDied(_))));
            child.kill();
            assert!(waits.join().unwrap());
        });
        assert_eq!(value.get(), 1);
    });
}

#[test]
fn a_copy_of_a_guard_in_a_forked_child_writes_and_releases_nothing() {
    watched(|| {
        let value = Value::new(1_i32).unwrap();
        let lock = Lock::new().unwrap();
        let mut guards = Some((value.lock().unwrap(), lock.acquire().unwrap()));
        in_child(|| {
            let (mut copy, lock_copy) = guards.take().unwrap();
            *copy = 7;
            drop(copy);
            drop(lock_copy);
            assert!(value.try_lock().unwrap().is_none());
            assert!(lock.try_acquire().unwrap().is_none());
        })
        .succeeds();
        let mut there = 0;
        value.block.read(VALUE, bytemuck::bytes_of_mut(&mut there));
        assert_eq!(there, 1);
        drop(guards);
        assert_eq!(value.get(), 1);
        assert_eq!(lock.holder(), None);
    });
}

#[test]
fn handles_go_nowhere_but_to_jobs() {
    let refused = |error: serde_json::Error| error.to_string().contains("outside this program");
    assert!(refused(
        serde_json::to_string(&Value::new(1_u8).unwrap()).unwrap_err()
    ));
    assert!(refused(
        serde_json::to_string(&Atomic::new(1_u32).unwrap()).unwrap_err()
    ));
    assert!(refused(
        serde_json::to_string(&Lock::new().unwrap()).unwrap_err()
    ));
    assert!(refused(
        serde_json::to_string(&Event::new().unwrap()).unwrap_err()
    ));
}

#[test]
fn a_name_is_read_as_what_it_was_written_as() {
    let mut encoder = Encoder::new();
    let value = Value::new(1_u64).unwrap();
    encoder.value(&value).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    assert!(Decoder::new(&bytes).value::<Value<i64>>().is_err());
    assert!(Decoder::new(&bytes).value::<Lock>().is_err());
    assert!(Decoder::new(&bytes).value::<Atomic<u64>>().is_err());
    assert_eq!(Decoder::new(&bytes).value::<Value<u64>>().unwrap().get(), 1);
}

#[test]
fn handles_go_between_threads_and_guards_do_not() {
    fn travels<T: Send + Sync>() {}
    travels::<Value<[f32; 3]>>();
    travels::<Atomic<i64>>();
    travels::<Lock>();
    travels::<Event>();

    /// Ambiguous for what is `Send`.
    trait Stays<Why> {
        fn stays() {}
    }
    struct IsSend;
    impl<T> Stays<()> for T {}
    impl<T: Send> Stays<IsSend> for T {}
    <ValueGuard<u8> as Stays<_>>::stays();
    <crate::sync::LockGuard as Stays<_>>::stays();
}

#[test]
fn a_block_of_another_length_is_refused() {
    let block = fixed::new::<Value<u64>>(Value::<u64>::LEN - 1).unwrap();
    let stream = Value::<u64>::at(block);
    let mut encoder = Encoder::new();
    encoder.value(&stream).unwrap();
    let bytes: Vec<u8> = encoder.chunks().flatten().copied().collect();
    let error = Decoder::new(&bytes).value::<Value<u64>>().unwrap_err();
    assert!(error.to_string().contains("the data is damaged"), "{error}");
}

#[test]
fn debug_waits_for_nobody() {
    watched(|| {
        let value = Value::new(1.5_f32).unwrap();
        let guard = value.lock().unwrap();
        let text = format!("{value:?} {guard:?}");
        assert!(text.contains("f32") && text.ends_with("1.5"), "{text}");
    });
}
