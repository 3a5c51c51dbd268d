//! Large arrays summed by two children: one copy in, read in place.
//!
//! # Safety
//!
//! See the head of [`super`]: each child has a buffer of its own, which the parent touches while that child waits for a
//! request.
#![expect(unsafe_code, reason = "bytes change hands; see `# Safety` above")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bell::{Bell, Patience};
use super::memory::{Shared, SharedBytes, Words, bytes_of};
use super::process::Child;
use crate::harness::Result;
use crate::jobs::plain_sum;

#[repr(C)]
struct Table {
    request: Bell,
    answer: Bell,
    sum: AtomicU64,
}

// SAFETY: atomics, and bells, which are atomics.
unsafe impl Words for Table {}

struct Worker {
    table: Shared<Table>,
    numbers: SharedBytes,
    n_requests: u32,
    _child: Child,
}

/// Two children that sum arrays of `len` numbers.
pub(crate) struct Sums {
    workers: [Worker; 2],
    len: usize,
    patience: Patience,
}

impl Sums {
    pub(crate) fn new(len: usize, patience: Patience) -> Result<Self> {
        let workers = [Worker::new(len, patience)?, Worker::new(len, patience)?];
        Ok(Self {
            workers,
            len,
            patience,
        })
    }

    /// Sends the same numbers so many times, by value, and gives the sum of the answers.
    pub(crate) fn sum(&mut self, numbers: &[f64], n_times: usize) -> f64 {
        assert_eq!(numbers.len(), self.len, "an array of another length");
        assert!(n_times >= 2, "work for each of the two");
        let mut total = 0.0;
        for turn in 0..n_times {
            let worker = &mut self.workers[turn % 2];
            if turn >= 2 {
                total += worker.answer(self.patience);
            }
            worker.request(numbers);
        }
        for turn in n_times..n_times + 2 {
            total += self.workers[turn % 2].answer(self.patience);
        }
        total
    }
}

impl Worker {
    fn new(len: usize, patience: Patience) -> Result<Self> {
        let table = Shared::<Table>::new()?;
        let numbers = SharedBytes::new(len * size_of::<f64>())?;
        let serve = || {
            let mut seen = 0;
            loop {
                table.request.wait(seen, patience);
                seen = seen.wrapping_add(1);
                // SAFETY: after the request and before the answer the buffer is the child's, which only reads.
                let sum = plain_sum(unsafe { numbers.numbers(len) });
                table.sum.store(sum.to_bits(), Relaxed);
                table.answer.ring();
            }
        };
        // SAFETY: the child waits, adds and rings until it is killed.
        let child = unsafe { Child::fork(serve) }?;
        Ok(Self {
            table,
            numbers,
            n_requests: 0,
            _child: child,
        })
    }

    fn request(&mut self, numbers: &[f64]) {
        self.n_requests = self.n_requests.wrapping_add(1);
        // SAFETY: the last answer was awaited before, so the child waits for a request.
        unsafe { self.numbers.fill(bytes_of(numbers)) };
        self.table.request.ring();
    }

    fn answer(&self, patience: Patience) -> f64 {
        // One answer was rung for each request but the last.
        let seen = self.n_requests.wrapping_sub(1);
        self.table.answer.wait(seen, patience);
        f64::from_bits(self.table.sum.load(Relaxed))
    }
}
