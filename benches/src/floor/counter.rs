//! One counter, two processes.
//!
//! # Safety
//!
//! See the head of [`super`]; only atomics are shared here.
#![expect(unsafe_code, reason = "forks; see `# Safety` above")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use super::memory::{Shared, Words};
use super::process::Child;
use crate::clock::monotonic_nanos;
use crate::harness::{Result, check};

#[repr(C, align(128))]
struct Line(AtomicU64);

#[repr(C)]
struct Table {
    counter: Line,
    n_ready: Line,
    began: [Line; 2],
    ended: [Line; 2],
}

// SAFETY: atomics alone.
unsafe impl Words for Table {}

/// Nanoseconds for `n` additions by each of two processes at once.
pub(crate) fn counted_by_two(n: u64) -> Result<f64> {
    let table = Shared::<Table>::new()?;
    let count = |place: usize| {
        table.n_ready.0.fetch_add(1, SeqCst);
        while table.n_ready.0.load(SeqCst) < 2 {
            std::thread::yield_now();
        }
        table.began[place].0.store(monotonic_nanos(), Relaxed);
        for _ in 0..n {
            table.counter.0.fetch_add(1, Relaxed);
        }
        table.ended[place].0.store(monotonic_nanos(), Relaxed);
    };
    // SAFETY: the child yields, reads the clock and changes atomics.
    let first = unsafe { Child::fork(|| count(0)) }?;
    // SAFETY: the same.
    let second = unsafe { Child::fork(|| count(1)) }?;
    first.wait()?;
    second.wait()?;
    check(
        table.counter.0.load(SeqCst) == 2 * n,
        "two counters by hand",
    )?;
    let times = |lines: &[Line; 2]| [lines[0].0.load(SeqCst), lines[1].0.load(SeqCst)];
    let ([a, b], [c, d]) = (times(&table.began), times(&table.ended));
    Ok((c.max(d) - a.min(b)) as f64)
}
