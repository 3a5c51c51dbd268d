//! A counter that one process changes and another waits for.
//!
//! No wake-up is lost: the sleeper says that it is about to sleep and then looks again, the ringer counts and then
//! looks for sleepers, all in one total order; the kernel compares once more. Man page: `futex(2)`.
//!
//! # Safety
//!
//! System calls on the address of a live atomic; see the head of [`super`].
#![expect(unsafe_code, reason = "futex; see `# Safety` above")]

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::memory::Words;

/// Alone on its cache lines.
#[repr(C, align(128))]
#[derive(Debug)]
pub(super) struct Bell {
    count: AtomicU32,
    n_sleepers: AtomicU32,
}

// SAFETY: two atomics.
unsafe impl Words for Bell {}

/// How to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Spin,
    SpinThenSleep(Duration),
    Sleep,
}

impl Bell {
    pub(super) fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    pub(super) fn ring(&self) {
        self.count.fetch_add(1, SeqCst);
        if self.n_sleepers.load(SeqCst) != 0 {
            // SAFETY: the word is alive and aligned; the kernel only looks up who sleeps on it.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.count.as_ptr(),
                    libc::FUTEX_WAKE,
                    i32::MAX,
                )
            };
        }
    }

    /// Until the count is no longer what it was.
    pub(super) fn wait(&self, seen: u32, patience: Patience) {
        match patience {
            Patience::Spin => {
                while self.count() == seen {
                    spin_loop();
                }
            }
            Patience::SpinThenSleep(time) => {
                let start = Instant::now();
                while self.count() == seen && start.elapsed() < time {
                    (0..16).for_each(|_| spin_loop());
                }
                self.sleep(seen);
            }
            Patience::Sleep => self.sleep(seen),
        }
    }

    fn sleep(&self, seen: u32) {
        while self.count() == seen {
            self.n_sleepers.fetch_add(1, SeqCst);
            // SAFETY: the word is alive and aligned; without a timeout no other memory is read.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.count.as_ptr(),
                    libc::FUTEX_WAIT,
                    seen,
                    std::ptr::null::<libc::timespec>(),
                )
            };
            self.n_sleepers.fetch_sub(1, SeqCst);
        }
    }
}
