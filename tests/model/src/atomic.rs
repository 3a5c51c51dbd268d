//! Loom's atomics with a count of steps, so that a process can be killed before any one of them.
//!
//! Each has a turnstile beside it, through which every access goes. Loom looks for the order of two accesses that
//! conflict, but remembers only the last access to a word: a thread's own read before its write hides the access
//! of another thread before both, and their other order is never tried. On the turnstile all accesses conflict.
//! It is relaxed throughout and so makes nothing visible to anybody.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use loom::model::Builder;
pub(crate) use loom::sync::atomic::{Ordering, fence};

loom::thread_local! {
    static STEPS_LEFT: Cell<Option<u32>> = Cell::new(None);
    static IS_KILLED: Cell<bool> = Cell::new(false);
}

/// The payload of the unwinding that stands for a SIGKILL. What has a destructor on its way asks [`is_killed`].
struct Killed;

/// Whether this process was killed and only its thread unwinds: no destructor may touch shared memory.
pub(crate) fn is_killed() -> bool {
    IS_KILLED.with(Cell::get)
}

/// One step on shared memory, before which this process may be killed. That of each atomic is counted already.
pub(crate) fn step() {
    let is_over = STEPS_LEFT.with(|left| match left.get() {
        Some(0) => true,
        Some(n) => {
            left.set(Some(n - 1));
            false
        }
        None => false,
    });
    if is_over {
        STEPS_LEFT.with(|left| left.set(None));
        IS_KILLED.with(|killed| killed.set(true));
        resume_unwind(Box::new(Killed));
    }
}

/// How many steps a process lives.
#[derive(Clone)]
pub(crate) struct Life {
    n_steps: u32,
    was_cut: Arc<AtomicBool>,
}

impl Life {
    /// `None`: it was killed on the way.
    pub(crate) fn live<T>(&self, deeds: impl FnOnce() -> T) -> Option<T> {
        STEPS_LEFT.with(|left| left.set(Some(self.n_steps)));
        match catch_unwind(AssertUnwindSafe(deeds)) {
            Ok(value) => {
                STEPS_LEFT.with(|left| left.set(None));
                Some(value)
            }
            Err(payload) if payload.is::<Killed>() => {
                IS_KILLED.with(|killed| killed.set(false));
                self.was_cut.store(true, Relaxed);
                None
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Checks a model without deaths. `preemptions`: at most so many where all interleavings are too many.
pub(crate) fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(model);
}

/// Checks a model once for every step before which its mortal process can be killed, and once where it is not.
pub(crate) fn check_deaths(
    preemptions: Option<usize>,
    model: impl Fn(&Life) + Clone + Sync + Send + 'static,
) {
    for n_steps in 0.. {
        let life = Life {
            n_steps,
            was_cut: Arc::default(),
        };
        let (model, one) = (model.clone(), life.clone());
        check(preemptions, move || model(&one));
        if !life.was_cut.load(Relaxed) {
            assert!(n_steps > 0, "no death was tried");
            return;
        }
    }
}

macro_rules! mortal_atomic {
    ($name:ident, $number:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name {
            word: loom::sync::atomic::$name,
            turnstile: loom::sync::atomic::AtomicU32,
        }

        #[expect(
            dead_code,
            reason = "each of the two numbers is used in a part of these ways"
        )]
        impl $name {
            pub(crate) fn new(value: $number) -> Self {
                Self {
                    word: loom::sync::atomic::$name::new(value),
                    turnstile: loom::sync::atomic::AtomicU32::new(0),
                }
            }

            fn access(&self) -> &loom::sync::atomic::$name {
                step();
                self.turnstile.fetch_add(0, Ordering::Relaxed);
                &self.word
            }

            pub(crate) fn load(&self, order: Ordering) -> $number {
                self.access().load(order)
            }

            pub(crate) fn store(&self, value: $number, order: Ordering) {
                self.access().store(value, order);
            }

            pub(crate) fn swap(&self, value: $number, order: Ordering) -> $number {
                self.access().swap(value, order)
            }

            pub(crate) fn fetch_add(&self, value: $number, order: Ordering) -> $number {
                self.access().fetch_add(value, order)
            }

            pub(crate) fn fetch_sub(&self, value: $number, order: Ordering) -> $number {
                self.access().fetch_sub(value, order)
            }

            pub(crate) fn fetch_or(&self, value: $number, order: Ordering) -> $number {
                self.access().fetch_or(value, order)
            }

            pub(crate) fn fetch_and(&self, value: $number, order: Ordering) -> $number {
                self.access().fetch_and(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                old: $number,
                new: $number,
                done: Ordering,
                failed: Ordering,
            ) -> Result<$number, $number> {
                self.access().compare_exchange(old, new, done, failed)
            }

            pub(crate) fn fetch_update(
                &self,
                done: Ordering,
                failed: Ordering,
                update: impl FnMut($number) -> Option<$number>,
            ) -> Result<$number, $number> {
                self.access().fetch_update(done, failed, update)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                old: $number,
                new: $number,
                done: Ordering,
                failed: Ordering,
            ) -> Result<$number, $number> {
                self.access().compare_exchange_weak(old, new, done, failed)
            }
        }
    };
}

mortal_atomic!(AtomicU32, u32);
mortal_atomic!(AtomicU64, u64);
