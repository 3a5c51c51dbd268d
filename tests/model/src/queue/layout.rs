//! The numbers of a queue, as in `queue/layout.rs`, and a lock for the models: what matters here is that it goes over
//! from a dead holder.

use std::mem;
use std::time::Instant;

use super::bytes::Unit;
use super::takers::Takers;
use crate::atomic::{AtomicU32, AtomicU64, Ordering, is_killed};
use crate::kernel::identity::{identity, is_alive};
use crate::shared::{Contents, Things};
use crate::sync::Notice;

/// 0, or the identity of the holder.
#[derive(Debug, Default)]
pub(super) struct Lock(AtomicU64);

#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) lock: Lock,
    pub(super) position: AtomicU64,
    pub(super) limit: AtomicU64,
    pub(super) memory: AtomicU32,
    pub(super) kept: AtomicU32,
    pub(super) rhythm: AtomicU32,
    pub(super) done: Notice,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) putters: Side,
    pub(super) getters: Side,
    pub(super) bound: AtomicU64,
    pub(super) closed: AtomicU32,
    pub(super) takers: Takers,
}

impl Contents for Shared {
    /// Beside the ring.
    fn things(len: usize) -> Things {
        let mut things = Unit::ring(len);
        things.insert(0, Box::new(Self::default()));
        things
    }
}

pub(super) struct Held<'a> {
    lock: &'a Lock,
    /// 0, or the dead holder from which it was taken.
    from: u64,
    pub(super) was_left: bool,
}

impl<'a> Held<'a> {
    /// `None` at once where there is a deadline.
    pub(super) fn acquire(lock: &'a Lock, deadline: Option<Instant>) -> Option<Self> {
        loop {
            let holder = lock.0.load(Ordering::Relaxed);
            let is_free = holder == 0 || !is_alive(holder);
            let taken = is_free && {
                let exchange = lock.0.compare_exchange(
                    holder,
                    identity(),
                    Ordering::Acquire,
                    Ordering::Relaxed,
                );
                exchange.is_ok()
            };
            match deadline {
                _ if taken => {
                    let was_left = holder != 0;
                    return Some(Self {
                        lock,
                        from: holder,
                        was_left,
                    });
                }
                Some(_) => return None,
                None => loom::thread::yield_now(),
            }
        }
    }
}

impl Held<'_> {
    pub(super) fn release_as_it_was(self) {
        self.lock.0.store(self.from, Ordering::Release);
        mem::forget(self);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !is_killed() {
            self.lock.0.store(0, Ordering::Release);
        }
    }
}
