//! A closure mapped over forks of this program: what they see of it, what it does not see of them, and what a large table
//! costs them.
//!
//! Stands for what Python's `fork` start method is used for, and for its classic surprise:
//!
//! ```python
//! import multiprocessing as mp
//! mp.set_start_method('fork')
//! counter = 0
//! def count(n):
//!     global counter
//!     counter += n
//!     return counter
//! with mp.Pool(1) as pool:
//!     print(pool.map(count, [1, 2, 3]))   # [1, 3, 6]
//! print(counter)                          # 0: each process counts in a copy of its own
//! ```
//!
//! There the function must be a global one, and the table that all are to see a global variable. Here it is a closure that
//! borrows what it likes. And a program with threads, which Python lets fork into a deadlock now and then, gets an error.
//!
//! Run it with `cargo run --release -p procession-examples --bin fork_map -- 1024` for a table of 1 GiB; without a number it
//! has 256 MiB.

use std::cell::Cell;
use std::error::Error;
use std::fs;

use procession::{Pool, Value, fork_map};

const MEBIBYTE: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mebibytes = match std::env::args().nth(1) {
        Some(text) => text
            .parse()
            .map_err(|_| format!("{text} is no number of MiB"))?,
        None => 256,
    };
    surprise()?;
    shared_table(mebibytes)
}

/// What a worker writes it writes into its own copy, unless it lies in shared memory.
fn surprise() -> Result<(), procession::Error> {
    let (counter, shared) = (Cell::new(0), Value::new(0)?);
    let seen = Pool::builder().workers(1).fork_map(1..=3, |n| {
        counter.set(counter.get() + n);
        shared.fetch_add(n);
        counter.get()
    })?;
    println!("the worker counts {seen:?}");
    println!("here the counter is {}", counter.get());
    println!("here the shared one is {}", shared.get());
    Ok(())
}

/// All workers read one table that none of them was sent, and none comes to have a copy of it.
fn shared_table(mebibytes: u64) -> Result<(), Box<dyn Error>> {
    let table: Vec<u64> = (0..mebibytes * MEBIBYTE / 8).collect();
    let answers = fork_map(0..8_u64, |place| {
        let sum: u64 = table.iter().map(|number| number ^ place).sum();
        (sum, private_memory())
    })?;
    println!("{mebibytes} MiB were read {} times", answers.len());
    let mut most = 0;
    for (_, private) in answers {
        most = most.max(private?);
    }
    println!("a worker's own memory: {} MiB at the most", most / MEBIBYTE);
    Ok(())
}

/// The bytes that this process shares with no other. See `proc_pid_smaps(5)`.
fn private_memory() -> Result<u64, String> {
    let rollup =
        fs::read_to_string("/proc/self/smaps_rollup").map_err(|error| error.to_string())?;
    let kibibytes = rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(kibibytes.sum::<u64>() * 1024)
}
