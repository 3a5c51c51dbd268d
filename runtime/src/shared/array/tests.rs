use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::*;
use crate::Value;
use crate::shared::testing::{Sent, Steps};
use crate::sys::testing::{alone, in_child, watched};

const SIGSEGV: i32 = 11;

fn refusal<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

fn panic_of<R>(act: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(_) => panic!("it did not panic"),
        Err(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap()).to_owned(),
        },
    }
}

#[test]
fn elements_are_those_that_were_put_in() {
    let array = Array::new((0..5000_u32).map(|x| x * 3)).unwrap();
    assert_eq!((array.len(), array.is_empty()), (5000, false));
    assert_eq!(array.get(4999), Some(14997));
    assert_eq!(array.get(5000), None);
    array.set(4999, 1);
    assert_eq!(array.to_vec()[4998..], [14994, 1]);
    let points = Array::new([[1.0, 2.0, 3.0_f64]]).unwrap();
    assert_eq!(points.get(0), Some([1.0, 2.0, 3.0]));
    assert!(Array::<u64>::zeroed(700).unwrap().to_vec() == [0; 700]);
    assert_eq!(
        panic_of(|| array.set(5000, 0)),
        "index 5000 is out of range for an array of 5000 elements"
    );
}

#[test]
fn an_array_of_nothing_can_all_that_others_can() {
    let array = Array::<u64>::new([]).unwrap();
    assert!(array.is_empty());
    assert_eq!((array.get(0), array.to_vec()), (None, vec![]));
    assert!(array.lock().unwrap().is_empty());
    let chunks = array.into_chunks(3).unwrap();
    assert!(chunks.iter().all(|chunk| chunk.is_empty()));
    let array = Array::from_chunks(chunks).unwrap();
    assert!(array.freeze().unwrap().is_empty());
}

#[test]
fn what_cannot_be_had_is_an_error_at_once() {
    let error = refusal(Array::<u64>::zeroed(usize::MAX));
    assert!(
        error.contains("more bytes than a process can address"),
        "{error}"
    );
    let error = refusal(Array::<u8>::zeroed(isize::MAX as usize));
    assert!(
        error.contains("more bytes than a process can address"),
        "{error}"
    );
    refusal(Array::<u8>::zeroed(1 << 60));
    let error = refusal(Array::<u8>::zeroed(1 << 45));
    assert!(error.contains("shared memory"), "{error}");
    let error = refusal(Array::<()>::zeroed(1));
    assert!(error.contains("take no bytes"), "{error}");
    let error = refusal(Array::<u8>::zeroed(1).unwrap().into_chunks(0));
    assert!(error.contains("0 chunks"), "{error}");
    refusal(Array::<u8>::zeroed(1).unwrap().into_chunks(usize::MAX));
    refusal(Array::<u8>::zeroed(1).unwrap().into_chunks(1 << 45));
}

/// Or the first write to a page could find no memory, which is a signal and not an error.
#[test]
fn memory_is_had_when_an_array_is_made_and_also_for_the_words_of_its_chunks() {
    let array = Array::<u8>::zeroed(3 << 20).unwrap();
    assert!(array.block.is_whole());
    let words = Division::words(10_000).unwrap();
    assert!(words.is_whole());
}

#[test]
fn packed_and_widely_aligned_structs_are_elements_like_any_other() {
    #[derive(Clone, Copy, Debug, PartialEq, crate::Shareable)]
    #[repr(C, packed)]
    #[shareable(crate = crate)]
    struct Packed(u8, u32);
    #[derive(Clone, Copy, Debug, PartialEq, crate::Shareable)]
    #[repr(C, align(256))]
    #[shareable(crate = crate)]
    struct Wide([u8; 256]);
    let packed = Array::new([Packed(1, 2), Packed(3, 4)]).unwrap();
    assert_eq!(size_of_val(&packed.lock().unwrap()[..]), 10);
    assert_eq!(packed.get(1), Some(Packed(3, 4)));
    let wide = Array::new([Wide([1; 256]), Wide([2; 256])]).unwrap();
    let mut chunks = wide.into_chunks(2).unwrap();
    chunks[1][0].0[255] = 9;
    assert!(chunks.iter().all(|chunk| chunk.as_ptr().is_aligned()));
    let wide = Array::from_chunks(chunks).unwrap();
    assert_eq!(wide.get(1).unwrap().0[254..], [2, 9]);
    let value = Value::new(Packed(5, 6)).unwrap();
    assert_eq!(value.update(|it| it.1 += 1), Packed(5, 7));
}

#[test]
fn who_holds_the_guard_is_told_and_others_wait() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        let guard = array.lock().unwrap();
        assert!(matches!(array.lock(), Err(LockError::AlreadyHeld)));
        assert!(matches!(array.try_lock(), Err(LockError::AlreadyHeld)));
        assert!(panic_of(|| array.get(0)).contains("this thread has the guard"));
        assert!(panic_of(|| array.set(0, 1)).contains("this thread has the guard"));
        assert!(panic_of(|| array.to_vec()).contains("this thread has the guard"));
        std::thread::scope(|threads| {
            threads.spawn(|| {
                assert!(array.try_lock().unwrap().is_none());
                let begin = Instant::now();
                let patience = Duration::from_millis(30);
                assert!(array.lock_timeout(patience).unwrap().is_none());
                assert!(begin.elapsed() >= patience);
            });
        });
        drop(guard);
        assert!(array.lock_timeout(Duration::MAX).unwrap().is_some());
    });
}

#[test]
fn two_guards_never_meet_in_threads_and_processes() {
    watched(|| {
        const ROUNDS: u64 = 300;
        let array = Array::<u64>::zeroed(3).unwrap();
        let work = |array: &Array<u64>| {
            for _ in 0..ROUNDS {
                let mut guard = array.lock().unwrap();
                assert_eq!(guard[0], guard[1], "somebody is in the middle of a change");
                guard[0] += 1;
                std::thread::yield_now();
                guard[1] += 1;
                drop(guard);
                array.set(2, 5);
            }
        };
        // One by its inherited handle, one by a name.
        let inherits = in_child(|| work(&array));
        let name = Sent::of(&array);
        let reads = in_child(|| work(&name.read().unwrap()));
        std::thread::scope(|threads| {
            threads.spawn(|| work(&array));
            threads.spawn(|| work(&array));
        });
        inherits.succeeds();
        reads.succeeds();
        assert_eq!(array.to_vec(), [4 * ROUNDS, 4 * ROUNDS, 5]);
    });
}

#[test]
fn who_dies_with_the_guard_is_reported_with_it() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        let steps = Steps::new();
        let child = in_child(|| {
            let mut guard = array.lock().unwrap();
            guard[0] = 100;
            steps.reach(1);
            steps.wait_for(2);
        });
        steps.wait_for(1);
        assert!(array.try_lock().unwrap().is_none());
        let pid = child.pid();
        assert_eq!(
            refusal(array.clone().freeze()),
            format!("cannot freeze this array: process {pid} has it locked")
        );
        child.kill();
        let Err(LockError::OwnerDied(guard)) = array.lock() else {
            panic!("nobody said so");
        };
        assert_eq!(guard[..], [100, 2]);
        drop(guard);
        drop(array.lock().unwrap());
    });
}

#[test]
fn a_refused_freeze_leaves_the_news_of_a_death_to_the_next() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        for divides in [false, true] {
            in_child(|| std::mem::forget(array.lock().unwrap())).succeeds();
            let another = array.clone();
            let refused = match divides {
                true => refusal(another.into_chunks(2)),
                false => refusal(another.freeze()),
            };
            assert!(refused.contains("another handle"), "{refused}");
            assert!(matches!(array.lock(), Err(LockError::Poisoned(_))));
            drop(array.lock().unwrap());
        }
    });
}

#[test]
fn a_panic_with_the_guard_poisons_and_moments_heal() {
    let array = Array::new([1]).unwrap();
    let poison = || {
        panic_of(|| {
            let _guard = array.lock().unwrap();
            panic!("in the middle");
        })
    };
    poison();
    assert!(matches!(array.lock(), Err(LockError::Poisoned(_))));
    poison();
    assert_eq!(array.get(0), Some(1));
    drop(array.lock().unwrap());
}

#[test]
fn a_leaked_guard_keeps_the_array_and_stays_out_of_children() {
    watched(|| {
        let array = Array::new([1_u32, 2]).unwrap();
        let leaked: &'static mut ArrayGuard<u32> = Box::leak(Box::new(array.lock().unwrap()));
        let leaked: &'static mut [u32] = leaked;
        leaked[0] = 7;
        let child = in_child(|| {
            assert!(array.try_lock().unwrap().is_none());
        });
        child.succeeds();
        let child = in_child(|| leaked[0] = 8);
        assert_eq!(child.signal(), Some(SIGSEGV));
        std::thread::scope(|threads| {
            threads.spawn(|| assert!(array.try_lock().unwrap().is_none()));
        });
        assert_eq!(
            refusal(array.freeze()),
            "cannot freeze this array: this thread has its guard"
        );
        assert_eq!(leaked, [7, 2]);
    });
}

#[test]
fn a_guard_in_a_forked_copy_is_none() {
    // The child panics, and what the harness does then it cannot do in a fork of many threads.
    alone(|| {
        let array = Array::new([1, 2]).unwrap();
        let guard = RefCell::new(Some(array.lock().unwrap()));
        in_child(|| {
            let text = panic_of(|| guard.borrow().as_ref().map(|guard| guard[0]));
            assert!(text.contains("lock the array here"), "{text}");
        })
        .succeeds();
        // Its end there does not end it here.
        in_child(|| drop(guard.take())).succeeds();
        std::thread::scope(|threads| {
            threads.spawn(|| assert!(array.try_lock().unwrap().is_none()));
        });
        drop(guard);
        assert_eq!(array.to_vec(), [1, 2]);
    });
}

#[test]
fn a_handle_that_a_child_inherits_is_the_same_array() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        in_child(|| {
            array.set(1, 20);
            array.clone().lock().unwrap()[0] += 9;
            assert_eq!(array.len(), 2);
        })
        .succeeds();
        assert_eq!(array.to_vec(), [10, 20]);
    });
}

#[test]
fn a_name_is_read_as_the_same_array_and_as_nothing_else() {
    let array = Array::new([1_u32, 2]).unwrap();
    let name = Sent::of(&array);
    let same: Array<u32> = name.read().unwrap();
    same.set(0, 9);
    assert_eq!(array.to_vec(), [9, 2]);
    assert!(
        name.refusal::<Array<f32>>()
            .contains("not the name of such")
    );
    assert!(
        name.refusal::<SharedSlice<u32>>()
            .contains("not the name of a frozen array")
    );
    // Where nobody sees to it that the memory lasts:
    assert!(serde_json::to_string(&array).is_err());
}

#[test]
fn freezing_names_who_else_has_the_array() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        let steps = Steps::new();
        let name = Sent::of(&array);
        let keep = array.clone();
        let error = refusal(array.freeze());
        assert!(
            error.contains("this process has another handle of it"),
            "{error}"
        );

        let bytes_only = Sent::of(&keep);
        let child = in_child(|| {
            let array: Array<i32> = bytes_only.read().unwrap();
            steps.reach(1);
            steps.wait_for(2);
            drop(array);
        });
        steps.wait_for(1);
        drop((name, bytes_only));
        let pid = child.pid();
        let again = Sent::of(&keep);
        let error = refusal(keep.into_chunks(2));
        assert!(error.contains("has another handle"), "{error}");
        let last: Array<i32> = again.read().unwrap();
        drop(again);
        assert_eq!(
            refusal(last.freeze()),
            format!("cannot freeze this array: process {pid} still has a handle of it")
        );
        steps.reach(2);
        child.succeeds();
    });
}

#[test]
fn freezing_is_refused_while_a_name_is_on_its_way() {
    watched(|| {
        let array = Array::new([1, 2]).unwrap();
        drop(Sent::given(&array));
        let error = refusal(array.freeze());
        assert!(error.contains("on its way"), "{error}");
    });
}

#[test]
fn another_thread_with_the_guard_is_named() {
    let array = Array::new([1, 2]).unwrap();
    let handle = array.clone();
    let steps = Steps::new();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let guard = handle.lock().unwrap();
            steps.reach(1);
            steps.wait_for(2);
            drop(guard);
        });
        steps.wait_for(1);
        assert_eq!(
            refusal(array.freeze()),
            "cannot freeze this array: another thread has it locked"
        );
        steps.reach(2);
    });
}

#[track_caller]
fn is_stale(array: &Array<u32>) {
    assert!(matches!(array.lock(), Err(LockError::Detached)));
    assert!(matches!(array.try_lock(), Err(LockError::Detached)));
    assert!(panic_of(|| array.set(0, 1)).contains("frozen or divided"));
    assert!(panic_of(|| array.get(0)).contains("frozen or divided"));
    let error = refusal(array.clone().freeze());
    assert!(error.contains("frozen or divided"), "{error}");
    let error = refusal(array.clone().into_chunks(1));
    assert!(error.contains("frozen or divided"), "{error}");
}

#[test]
fn an_old_name_touches_neither_frozen_nor_divided_elements() {
    watched(|| {
        let array = Array::new([1_u32, 2]).unwrap();
        let mut name = Sent::of(&array);
        name.forget();
        let chunks = array.into_chunks(2).unwrap();
        is_stale(&name.read().unwrap());
        let array = Array::from_chunks(chunks).unwrap();
        // It is an array again, but not the one that was named.
        is_stale(&name.read().unwrap());
        let slice = array.freeze().unwrap();
        is_stale(&name.read().unwrap());
        assert_eq!(slice[..], [1, 2]);
    });
}

#[test]
fn an_inherited_handle_touches_neither_frozen_nor_divided_elements() {
    // The child panics, and what the harness does then it cannot do in a fork of many threads.
    alone(|| {
        let steps = Steps::new();
        let array = RefCell::new(Some(Array::new([1, 2]).unwrap()));
        let child = in_child(|| {
            let array = array.take().unwrap();
            for step in [1, 3] {
                steps.wait_for(step);
                is_stale(&array);
                steps.reach(step + 1);
            }
        });
        // The child has not asked for it yet, so nobody knows of it.
        let chunks = array.take().unwrap().into_chunks(2).unwrap();
        steps.reach(1);
        steps.wait_for(2);
        let slice = Array::from_chunks(chunks).unwrap().freeze().unwrap();
        steps.reach(3);
        child.succeeds();
        assert_eq!(slice[..], [1, 2]);
    });
}

#[test]
fn kills_at_any_moment_wedge_nobody_and_are_told() {
    const N_KILLS: u64 = 800;
    watched(|| {
        let array = Array::<u64>::zeroed(64).unwrap();
        let value = Value::new([0_u64; 64]).unwrap();
        let change = |elements: &mut [u64], has_died: bool| {
            let first = elements[0];
            assert!(
                has_died || elements.iter().all(|&x| x == first),
                "nobody told of a death"
            );
            elements.fill(first + 1);
        };
        let take_turns = || loop {
            match array.lock() {
                Ok(mut guard) => change(&mut guard, false),
                Err(LockError::OwnerDied(mut guard)) => change(&mut guard, true),
                Err(error) => panic!("{error}"),
            }
            match value.lock() {
                Ok(mut guard) => change(&mut *guard, false),
                Err(LockError::OwnerDied(mut guard)) => change(&mut *guard, true),
                Err(error) => panic!("{error}"),
            }
        };
        let mut children = [in_child(take_turns), in_child(take_turns)];
        let mut random = 1_u64;
        for n_kill in 0..N_KILLS {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            std::thread::sleep(Duration::from_micros((random >> 33) % 1500));
            let victim = (n_kill % 2) as usize;
            children[victim].pidfd().kill(9).unwrap();
            // Here too: whoever is first hears of it, and makes it whole.
            match array.lock() {
                Ok(mut guard) => change(&mut guard, false),
                Err(LockError::OwnerDied(mut guard)) => change(&mut guard, true),
                Err(error) => panic!("{error}"),
            }
            children[victim] = in_child(take_turns);
        }
        assert!(array.get(0) > Some(N_KILLS));
        assert!(value.get()[0] > 0);
    });
}
