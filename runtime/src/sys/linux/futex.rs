//! Sleeping until a word in shared memory changes.
//!
//! Responsible for: one sleep, on one word or on several, and one wake. Not responsible for what the word means, nor for learning of the death of
//! whoever should wake: callers sleep with a timeout and look.
//!
//! Invariants: none of its own. A sleep may end at any time and for no reason, so callers loop over their condition.
//!
//! Man pages: `futex(2)`, FUTEX_WAIT and FUTEX_WAKE, without FUTEX_PRIVATE_FLAG: the sleepers are other processes.
//! `futex_waitv(2)` (Linux 5.16) sleeps on several words; where there is none, that sleep is short.
//!
//! # Safety
//!
//! The kernel reads the word while the caller borrows it, atomically, and never writes it.

#![expect(unsafe_code, reason = "no crate we depend on wraps the system call")]

use std::ptr;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::clock::{monotonic_nanos, timespec};

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

/// The kernel's `struct futex_waitv`.
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// A 32-bit word that other processes see; `FUTEX2_SIZE_U32` without `FUTEX2_PRIVATE`.
const SHARED_U32: u32 = 2;

/// The kernel takes no more words at once.
const MOST_WORDS: usize = 128;

/// A sleep that cannot be ended by each of the words.
const SHORT: Duration = Duration::from_millis(1);

/// As [`wait`], while each of the words is as expected, until one of them is woken.
pub(crate) fn wait_any(words: &[(&AtomicU32, u32)], timeout: Duration) {
    let Some(&(first, expected)) = words.first() else {
        std::thread::sleep(timeout);
        return;
    };
    let timeout = if words.len() > MOST_WORDS {
        timeout.min(SHORT)
    } else {
        timeout
    };
    let waiters: Vec<Waiter> = words
        .iter()
        .take(MOST_WORDS)
        .map(|&(word, expected)| Waiter {
            expected: u64::from(expected),
            address: word.as_ptr().addr() as u64,
            flags: SHARED_U32,
            reserved: 0,
        })
        .collect();
    let until = Duration::from_nanos(monotonic_nanos()).saturating_add(timeout);
    // The kernel's own `timespec`, which is wider than the C library's on some systems.
    let until = [until.as_secs() as i64, i64::from(until.subsec_nanos())];
    // SAFETY:
    // - `waiters` and `until` live on while the kernel reads them; it writes neither.
    // - Each address is that of a word borrowed for the call; other processes may change it meanwhile, which the kernel's
    //   read allows for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            waiters.len(),
            0,
            until.as_ptr(),
            libc::CLOCK_MONOTONIC,
        )
    };
    // Not there (before Linux 5.16), or forbidden by a sandbox.
    if result < 0 && !is_expected(nix::errno::Errno::last()) {
        wait(first, expected, Some(timeout.min(SHORT)));
    }
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
    fn a_wake_of_any_word_ends_the_sleep_on_several() {
        watched(|| {
            with_shared_words(|words| {
                for turn in 0..200 {
                    let [first, second] = words.each_ref();
                    first.store(0, Release);
                    second.store(0, Release);
                    let rung = &words[turn % 2];
                    let child = in_child(|| {
                        rung.store(1, Release);
                        wake(rung, 1);
                    });
                    while rung.load(Acquire) == 0 {
                        wait_any(&[(first, 0), (second, 0)], Duration::from_secs(1000));
                    }
                    child.succeeds();
                }
            });
        });
    }

    #[test]
    fn a_sleep_on_several_words_has_an_end() {
        let words: Vec<AtomicU32> = (0..MOST_WORDS as u32 + 1).map(AtomicU32::new).collect();
        for n_words in [0, 1, 2, MOST_WORDS, MOST_WORDS + 1] {
            let seen: Vec<_> = words[..n_words].iter().zip(0..).collect();
            wait_any(&seen, Duration::from_millis(1));
        }
        let before = Instant::now();
        wait_any(&[(&words[0], 0), (&words[1], 7)], Duration::from_secs(1000));
        assert!(
            before.elapsed() < Duration::from_secs(1000),
            "one has changed"
        );
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
    fn who_sleeps_on_several_words_is_woken_by_any() {
        watched(|| {
            with_shared_words(|words| {
                for woken in 0..words.len() {
                    let child = in_child(|| {
                        let all: Vec<_> = words.iter().map(|word| (word, 0)).collect();
                        while words[woken].load(Acquire) == 0 {
                            wait_any(&all, Duration::from_secs(30));
                        }
                    });
                    std::thread::sleep(Duration::from_millis(5));
                    words[woken].store(1, Release);
                    wake(&words[woken], 1);
                    child.succeeds();
                    words[woken].store(0, Release);
                }
            });
        });
    }

    #[test]
    fn more_words_than_the_kernel_takes_are_a_short_sleep() {
        watched(|| {
            let words: Vec<_> = (0..2 * MOST_WORDS).map(|_| AtomicU32::new(1)).collect();
            let all: Vec<_> = words.iter().map(|word| (word, 1)).collect();
            wait_any(&all, Duration::MAX);
            // Of no words the kernel knows nothing.
            wait_any(&[], Duration::from_millis(1));
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
