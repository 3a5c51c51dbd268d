//! stub until the lock's clone lands: same face
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawLock {
    holder: AtomicU64,
    thread: AtomicU32,
    left: AtomicU32,
    heir: AtomicU64,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics only.
unsafe impl crate::memory::Words for RawLock {}

/// How it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquired {
    Clean,
    OwnerDied,
    Poisoned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAcquired {
    AlreadyHeld,
    TimedOut,
}

fn thread_id() -> u32 {
    // SAFETY: stub
    #[expect(unsafe_code, reason = "stub")]
    unsafe { libc::gettid() }.unsigned_abs()
}

impl RawLock {
    pub(crate) fn acquire(&self, deadline: Option<Instant>) -> Result<Acquired, NotAcquired> {
        loop {
            match self.try_acquire() {
                Err(NotAcquired::TimedOut) if deadline.is_none_or(|at| Instant::now() < at) => {
                    std::thread::yield_now()
                }
                other => return other,
            }
        }
    }

    pub(crate) fn try_acquire(&self) -> Result<Acquired, NotAcquired> {
        let me = crate::sys::identity();
        let mut found = Acquired::Clean;
        if self.is_held_by_this_thread() {
            return Err(NotAcquired::AlreadyHeld);
        }
        if let Err(holder) =
            self.holder
                .compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed)
        {
            if crate::sys::is_alive(holder)
                || self
                    .holder
                    .compare_exchange(holder, me, Ordering::Acquire, Ordering::Relaxed)
                    .is_err()
            {
                return Err(NotAcquired::TimedOut);
            }
            found = Acquired::OwnerDied;
        }
        self.thread.store(thread_id(), Ordering::Relaxed);
        if self.left.swap(0, Ordering::Relaxed) != 0 && found == Acquired::Clean {
            found = Acquired::Poisoned;
        }
        Ok(found)
    }

    pub(crate) fn release(&self, by_panic: bool) {
        if !self.is_held_by_this_thread() {
            return;
        }
        self.left.store(u32::from(by_panic), Ordering::Relaxed);
        self.thread.store(0, Ordering::Relaxed);
        self.holder.store(0, Ordering::Release);
    }

    pub(crate) fn is_held_by_this_thread(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == crate::sys::identity()
            && self.thread.load(Ordering::Relaxed) == thread_id()
    }

    /// The pid of the holding process.
    pub(crate) fn holder(&self) -> Option<u32> {
        let holder = self.holder.load(Ordering::Relaxed);
        (holder != 0).then_some((holder >> 32) as u32)
    }
}
