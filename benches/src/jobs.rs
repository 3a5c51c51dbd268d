//! What is worked off, the same for every contestant: as plain functions, and as jobs.

use std::hint::black_box;
use std::sync::atomic::Ordering;

use procession::connection::{Client, Connection};
use procession::{Atomic, Error, Queue, SharedSlice, Value, process_job};

use crate::clock::{monotonic_nanos, thread_cpu_nanos};

/// A call and not a loop that the optimiser sees through: for every contestant alike.
#[inline(never)]
pub(crate) fn plain_square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

#[inline(never)]
pub(crate) fn plain_sum(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

/// Some ten milliseconds of arithmetic. Without `black_box` it is folded into a formula and takes no time at all.
#[inline(never)]
pub(crate) fn plain_arithmetic(n: u64) -> u128 {
    (0..n).fold(0, |sum, i| {
        let i = u128::from(black_box(i));
        sum + i + i * i + i * i * i
    })
}

#[process_job]
pub(crate) fn square(x: u64) -> u64 {
    plain_square(x)
}

#[process_job]
pub(crate) fn arithmetic(n: u64) -> u128 {
    plain_arithmetic(n)
}

#[process_job]
pub(crate) fn sum(numbers: &[f64]) -> f64 {
    plain_sum(numbers)
}

#[process_job]
pub(crate) fn sum_shared(numbers: SharedSlice<f64>) -> f64 {
    plain_sum(&numbers)
}

#[process_job]
pub(crate) fn echo(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

#[process_job]
pub(crate) fn count_zeroes(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == 0).count() as u64
}

/// Arithmetic of so many steps; gives the CPU time it took.
#[process_job]
pub(crate) fn busy(n_steps: u64) -> u64 {
    let before = thread_cpu_nanos();
    black_box(plain_arithmetic(n_steps));
    thread_cpu_nanos() - before
}

/// When a process began a piece of work and when it had ended it.
pub(crate) type Span = (u64, u64);

/// From the first beginning to the last end, in nanoseconds.
pub(crate) fn from_first_to_last(spans: &[Span]) -> f64 {
    let began = spans.iter().map(|span| span.0).min().unwrap_or(0);
    let ended = spans.iter().map(|span| span.1).max().unwrap_or(0);
    (ended - began) as f64
}

/// Waits until all `n` processes have come here, and measures what each then does.
fn together(n_ready: &Atomic<u64>, n: u64, work: impl FnOnce()) -> Span {
    n_ready.fetch_add(1, Ordering::SeqCst);
    while n_ready.load(Ordering::SeqCst) < n {
        std::thread::yield_now();
    }
    let began = monotonic_nanos();
    work();
    (began, monotonic_nanos())
}

#[process_job]
pub(crate) fn update(value: &Value<u64>, n: u64, n_ready: &Atomic<u64>, crew: u64) -> Span {
    together(n_ready, crew, || {
        for _ in 0..n {
            value.update(|value| *value += 1);
        }
    })
}

#[process_job]
pub(crate) fn add(counter: &Atomic<u64>, n: u64, n_ready: &Atomic<u64>, crew: u64) -> Span {
    together(n_ready, crew, || {
        for _ in 0..n {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    })
}

/// One end of a queue: puts the numbers below `n`, or gets as many. Gives the time, and the sum of what it got.
#[process_job]
pub(crate) fn queue_end(
    queue: &Queue<u64>,
    puts: bool,
    n: u64,
    n_ready: &Atomic<u64>,
    crew: u64,
) -> Result<(Span, u64), String> {
    let mut result = Ok(0);
    let span = together(n_ready, crew, || {
        result = (0..n).try_fold(0_u64, |sum, i| {
            if puts {
                queue.put(i).map(|()| 0)
            } else {
                queue.get().map(|number| sum + number)
            }
        });
    });
    result
        .map(|sum| (span, sum))
        .map_err(|error| error.to_string())
}

/// Sends so many messages of so many bytes, small ones gathered or each by itself, and waits until all have come.
#[process_job]
pub(crate) fn send_bytes(at: &str, n: u64, len: usize, gathered: bool) -> Result<(), Error> {
    let connection: Connection<Vec<u8>, ()> = Client::connect(at, CONNECTION_KEY)?;
    let message = vec![7; len];
    for _ in 0..n {
        connection.feed(&message)?;
        if !gathered {
            connection.flush()?;
        }
    }
    Ok(connection.recv()?)
}

/// The same with numbers.
#[process_job]
pub(crate) fn send_numbers(at: &str, n: u64, gathered: bool) -> Result<(), Error> {
    let connection: Connection<u64, ()> = Client::connect(at, CONNECTION_KEY)?;
    for number in 0..n {
        if gathered {
            connection.feed(&number)?;
        } else {
            connection.send(number)?;
        }
    }
    Ok(connection.recv()?)
}

/// Both ends of the connections that are measured have it.
pub(crate) const CONNECTION_KEY: &[u8] = b"the key of the bench";
