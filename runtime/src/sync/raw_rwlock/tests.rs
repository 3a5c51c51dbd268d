use super::*;
use crate::sys::testing::{in_child, watched};

/// Past the largest pid of any Linux.
const DEAD: u64 = 1 << 55;

fn now() -> Option<Instant> {
    Some(Instant::now())
}

#[test]
fn a_dead_readers_share_is_given_back_and_a_living_ones_is_not() {
    watched(|| {
        let lock = RawRwLock::default();
        let place = lock.readers.take(0).unwrap();
        lock.readers.at(place).n.store(2, Ordering::Relaxed);
        assert_eq!(lock.write(now()), Err(NoAccess::TimedOut));
        assert!(!lock.has_writer());
        lock.readers.at(place).who.store(DEAD, Ordering::Relaxed);
        assert_eq!(lock.write(now()), Ok(Acquired::Clean));
        lock.end_write(false);
    });
}

#[test]
fn as_many_threads_read_as_there_are_places() {
    watched(|| {
        let lock = RawRwLock::default();
        while let Some(place) = lock.readers.take(0) {
            lock.readers.at(place).n.store(1, Ordering::Relaxed);
        }
        assert_eq!(lock.read(None), Err(NoAccess::NoPlace));
        assert_eq!(lock.lock.holder(), None);
        lock.readers.at(7).who.store(DEAD, Ordering::Relaxed);
        assert_eq!(lock.read(None), Ok((Acquired::Clean, 7)));
    });
}

/// Who comes in, and who waits for readers to go, has changed nothing.
#[test]
fn a_death_is_told_only_of_one_who_may_have_written() {
    watched(|| {
        for stage in [COMING, CLEARING, WRITING] {
            crate::sync::testing::with_shared_page(|page| {
                let lock = RawRwLock::default();
                in_child(|| {
                    page.lock.acquire(None).unwrap();
                })
                .succeeds();
                lock.stage.store(stage, Ordering::Relaxed);
                let acquired = page.lock.acquire(None).unwrap();
                lock.settle(acquired);
                let told = lock.how_left() == Acquired::OwnerDied;
                assert_eq!((told, lock.has_writer()), (stage == WRITING, false));
            });
        }
    });
}
