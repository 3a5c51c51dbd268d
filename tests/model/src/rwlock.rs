//! The lock of readers and writers: no reader beside a writer, no change half seen that is not told, nobody waits for the dead.

#[path = "../../../runtime/src/sync/raw_rwlock.rs"]
mod raw_rwlock;

use std::sync::Arc;

use raw_rwlock::RawRwLock;

use crate::atomic::{AtomicU32, Ordering, check, check_deaths};
use crate::kernel::{BY_ITSELF, WOKEN, enter, spawn, spawn_mortal};
use crate::sync::Acquired;

/// A lock, and two numbers that are equal but for the time between two writes.
#[derive(Default)]
struct Guarded {
    lock: RawRwLock,
    numbers: [AtomicU32; 2],
}

impl Guarded {
    fn write(&self) -> Acquired {
        let how = self.lock.write(None).unwrap();
        let [one, other] = self.look();
        assert!(
            one == other || how == Acquired::OwnerDied,
            "nobody was told"
        );
        self.numbers[0].store(one + 1, Ordering::Relaxed);
        self.numbers[1].store(one + 1, Ordering::Relaxed);
        self.lock.end_write(false);
        how
    }

    fn read(&self) -> Acquired {
        let (how, place) = self.lock.read(None).unwrap();
        let [one, other] = self.look();
        assert!(one == other || how == Acquired::OwnerDied, "half a change");
        self.lock.end_read(place);
        how
    }

    fn look(&self) -> [u32; 2] {
        [0, 1].map(|n| self.numbers[n].load(Ordering::Relaxed))
    }
}

/// There are no timeouts here: a lost wake-up is a deadlock.
#[test]
fn a_reader_and_a_writer_take_turns() {
    check(Some(2), || {
        let guarded = Arc::<Guarded>::default();
        enter(1, 1, WOKEN);
        let shared = Arc::clone(&guarded);
        let reader = spawn(2, WOKEN, move || shared.read());
        assert_eq!(guarded.write(), Acquired::Clean);
        assert_eq!(reader.join().unwrap(), Acquired::Clean);
    });
}

#[test]
fn a_writer_that_dies_at_any_step_is_told_if_it_has_begun() {
    check_deaths(Some(2), |life| {
        let guarded = Arc::<Guarded>::default();
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&guarded);
        let mortal = spawn_mortal(2, life, move || {
            shared.write();
        });
        guarded.read();
        let lived = mortal.join().unwrap();
        let how = guarded.write();
        assert!(!lived || how == Acquired::Clean);
        assert_eq!(guarded.write(), Acquired::Clean, "told twice");
    });
}

#[test]
fn a_reader_that_dies_at_any_step_is_neither_waited_for_nor_told() {
    check_deaths(Some(2), |life| {
        let guarded = Arc::<Guarded>::default();
        enter(1, 1, BY_ITSELF);
        let shared = Arc::clone(&guarded);
        let mortal = spawn_mortal(2, life, move || {
            shared.read();
        });
        assert_eq!(guarded.write(), Acquired::Clean);
        mortal.join().unwrap();
        assert_eq!(guarded.write(), Acquired::Clean);
    });
}
