//! Sleeping until a word in shared memory changes.
//!
//! Responsible for: one sleep and one wake. Not responsible for what the word means, nor for learning of the death of
//! whoever should wake: callers sleep with a timeout and look.
//!
//! Invariants: none of its own. A sleep may end at any time and for no reason, so callers loop over their condition.
//!
//! Man pages: `futex(2)`, FUTEX_WAIT and FUTEX_WAKE, without FUTEX_PRIVATE_FLAG: the sleepers are other processes.
//!
//! # Safety
//!
//! The kernel reads the word while the caller borrows it, atomically, and never writes it.

#![expect(unsafe_code, reason = "no crate we depend on wraps the system call")]

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::clock::timespec;

/// Sleeps while `word` is `expected`, until woken or for `timeout` at the longest.
///
/// Returns on a wake, on a word that is something else, on a signal and on time-out; callers look at their condition
/// again in every case.
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(timespec);
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY:
    // - `word` is borrowed for the call; other processes may change it meanwhile, which the kernel's read allows for.
    // - `timeout` is null or points to a `timespec` of this frame.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            timeout,
        )
    };
    // EAGAIN, EINTR and ETIMEDOUT are the loop's affair, see above; no other error is possible for such arguments.
    debug_assert!(
        result == 0 || is_expected(nix::errno::Errno::last()),
        "futex: {}",
        nix::errno::Errno::last()
    );
}

fn is_expected(error: nix::errno::Errno) -> bool {
    use nix::errno::Errno::{EAGAIN, EINTR, ETIMEDOUT};
    matches!(error, EAGAIN | EINTR | ETIMEDOUT)
}

/// Wakes up to `n_sleepers` of those who sleep on `word`, in whatever process, and says whether there was any.
pub(crate) fn wake(word: &AtomicU32, n_sleepers: u32) -> bool {
    let n_sleepers = i32::try_from(n_sleepers).unwrap_or(i32::MAX);
    // SAFETY: the kernel uses the address of the borrowed `word` only to find those who sleep on it.
    let result =
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, n_sleepers) };
    debug_assert!(result >= 0, "futex: {}", nix::errno::Errno::last());
    result > 0
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::{Acquire, Release};
    use std::time::Instant;

    use super::*;
    use crate::sys::testing::{in_child, watched};
    use crate::sys::{Mapping, memfd};

    /// Two words that processes forked from here share.
    fn with_shared_words(test: impl FnOnce(&[AtomicU32; 2])) {
        let mapping = Mapping::shared(&memfd("futex", 4096).unwrap(), 4096).unwrap();
        // SAFETY: the page is large enough and aligned; it lives until the end of `test`, and every process of these
        // tests touches it only as atomics.
        test(unsafe { mapping.base().cast().as_ref() });
    }

    fn wait_for(word: &AtomicU32, wanted: u32) {
        loop {
            let value = word.load(Acquire);
            if value == wanted {
                return;
            }
            wait(word, value, None);
        }
    }

    #[test]
    fn processes_wake_each_other() {
        watched(|| {
            with_shared_words(|[ping, pong]| {
                let child = in_child(|| {
                    for turn in 1..=1000 {
                        wait_for(ping, turn);
                        pong.store(turn, Release);
                        wake(pong, 1);
                    }
                });
                for turn in 1..=1000 {
                    ping.store(turn, Release);
                    wake(ping, 1);
                    wait_for(pong, turn);
                }
                child.succeeds();
            });
        });
    }

    #[test]
    fn a_wake_for_all_reaches_all() {
        watched(|| {
            with_shared_words(|[word, asleep]| {
                let sleeper = || {
                    in_child(|| {
                        asleep.fetch_add(1, Release);
                        wait_for(word, 1);
                    })
                };
                let children = [sleeper(), sleeper(), sleeper()];
                while asleep.load(Acquire) < 3 {
                    std::thread::yield_now();
                }
                word.store(1, Release);
                wake(word, u32::MAX);
                children.into_iter().for_each(|child| child.succeeds());
            });
        });
    }

    #[test]
    fn a_wait_ends_at_once_on_another_value_and_in_time_on_the_same() {
        watched(|| {
            let word = AtomicU32::new(1);
            wait(&word, 2, None);
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {
                wait(&word, 1, Some(Duration::from_millis(20)));
            }
            wait(&word, 1, Some(Duration::ZERO));
            // The longest timeout there is: no overflow, the other value ends it.
            wait(&word, 2, Some(Duration::MAX));
        });
    }
}
