//! A program whose workers go mad: `mad SEED`, or `mad row`. They write numbers over every shared mapping that they can write, before,
//! during and after a job.
//!
//! Prints `well` when it has survived that, and the next pool was clean.
//!
//! # Safety
//!
//! Only workers write where they should not, and they are what is tested. Bytes of shared mappings have no owner that could
//! count on them: that the program does not is the claim.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::fs;
use std::time::Duration;

use procession::{Array, ErrorKind, Event, JobError, Lock, Pool, Queue, Value, job, process_job};

/// A generator with a seed (xorshift).
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn one_in(n: u64, seed: &mut u64) -> bool {
    next(seed).is_multiple_of(n)
}

/// Addresses of all that this process shares with others and may write.
fn shared_mappings() -> Vec<std::ops::Range<usize>> {
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    let mappings = maps.lines().filter(|line| line.contains(" rw-s "));
    let ranges = mappings.filter_map(|line| {
        let (begin, rest) = line.split_once('-')?;
        let end = rest.split(' ').next()?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(address(begin)?..address(end)?)
    });
    ranges.collect()
}

/// Writes words that may mean something, and words that do not, over the front of each mapping and here and there.
fn scribble(seed: &mut u64, n_words: u64) -> usize {
    let mappings = shared_mappings();
    for mapping in &mappings {
        let len = (mapping.end - mapping.start) as u64 / 8;
        for _ in 0..n_words {
            let within = if one_in(4, seed) { len } else { len.min(8192) };
            let place = mapping.start + (next(seed) % within) as usize * 8;
            let value = match next(seed) % 6 {
                0 => next(seed),
                1 => u64::MAX - next(seed) % 4,
                2 => next(seed) % 100,
                3 => next(seed) % 4096 * 64,
                4 => ((next(seed) % 8) << 32) | (next(seed) % 8),
                _ => 1 << (next(seed) % 64),
            };
            write(place, value);
        }
    }
    mappings.len()
}

#[expect(unsafe_code, reason = "a worker gone mad")]
fn write(address: usize, value: u64) {
    // SAFETY: aligned, and within a mapping of this process that may be written; see the head for what lies there.
    unsafe { std::ptr::with_exposed_provenance_mut::<u64>(address).write_volatile(value) };
}

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn text(x: u64) -> String {
    x.to_string().repeat(100)
}

/// Goes mad in its job.
#[process_job]
fn go_mad(mut seed: u64) -> usize {
    scribble(&mut seed, 3000)
}

/// Goes mad and stays so: in its next jobs, and while there is none.
#[process_job]
fn stay_mad(mut seed: u64) -> usize {
    std::thread::spawn(move || {
        for _ in 0..200 {
            scribble(&mut seed, 50);
            std::thread::sleep(Duration::from_micros(500));
        }
    });
    shared_mappings().len()
}

/// Writes over what its own task was to be, a row of the board's table, and never comes to an end.
#[process_job]
fn write_over_own_row() {
    const LINE: usize = 64;
    let mappings = shared_mappings();
    let board = mappings.iter().find(|mapping| mapping.len() > 1 << 30);
    let board = board.expect("a board with its regions");
    let tables = board.start..board.start + (64 << 20);
    // A place for its input, a room, a job, one item; claimed by the first worker in the first generation.
    let word = |row: usize, place: usize| read(row + place * 8);
    let is_own = |&row: &usize| {
        [9, 11, 12, 24, 25]
            .iter()
            .all(|&place| word(row, place) != 0)
            && word(row, 13) as u32 == 1
            && word(row, 8) == 2
    };
    let row = tables.step_by(LINE).find(is_own).expect("its row");
    write(row + 13 * 8, word(row, 13) + 999);
    loop {
        std::thread::park();
    }
}

#[expect(unsafe_code, reason = "a worker gone mad")]
fn read(address: usize) -> u64 {
    // SAFETY: aligned, and within a mapping of this process; see the head for what lies there.
    unsafe { std::ptr::with_exposed_provenance::<u64>(address).read_volatile() }
}

/// Who waits for a task that was written over is told.
fn be_told() {
    let pool = Pool::new(1).expect("a clean pool");
    let first = pool.submit(job!(write_over_own_row), ());
    let second = pool.submit(job!(square), 3);
    for error in [
        first.expect("a queue").join().expect_err("no result"),
        second
            .expect("a queue")
            .join()
            .map(drop)
            .expect_err("no result"),
    ] {
        assert!(error.to_string().contains("written over"), "{error}");
    }
    let error = pool.map(job!(square), 0..3).expect_err("a pool given up");
    assert_eq!(error.kind(), ErrorKind::PoolGone);
    assert!(pool.close().is_err());
    let pool = Pool::new(1).expect("the next pool");
    assert_eq!(pool.map(job!(square), 0..3).expect("squares"), [0, 1, 4]);
    println!("well");
}

/// Before its first job.
#[process_job]
fn begin_mad(seed: u64) {
    let mut seed = seed ^ u64::from(std::process::id()) << 32;
    if one_in(2, &mut seed) {
        scribble(&mut seed, 300);
    }
}

/// Whatever comes back, it comes back.
fn suffer(seed: &mut u64) {
    let n_workers = 1 + next(seed) as usize % 3;
    let mut builder = Pool::builder().workers(n_workers);
    let begins_mad = one_in(3, seed);
    if begins_mad {
        builder = builder.initializer(job!(begin_mad), *seed);
    }
    if one_in(2, seed) {
        builder = builder.timeout(Duration::from_millis(500));
    }
    let Ok(pool) = builder.build() else {
        assert!(begins_mad, "a clean pool cannot be made");
        return;
    };
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.extend(pool.submit(job!(square), 3));
        let mad = if one_in(2, seed) {
            pool.submit(job!(go_mad), next(seed))
        } else {
            pool.submit(job!(stay_mad), next(seed))
        };
        if let Ok(mad) = mad {
            // The board at least, and the arena where it is.
            assert!(!matches!(mad.join(), Ok(0)), "it had nothing to write to");
        }
        let _: Result<Vec<Result<String, JobError>>, _> = pool.map_each(job!(text), 0..50);
        let _: Result<Vec<Result<u64, JobError>>, _> = pool.map_each(job!(square), 0..500);
    }
    let _ = (pool.stats(), pool.pids());
    match next(seed) % 3 {
        0 => drop(pool),
        1 => pool.terminate(),
        _ => drop(pool.close()),
    }
    for handle in handles {
        let _ = handle.join();
    }
}

fn private_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.expect("a line of this name").trim_end_matches("kB");
    number.trim().parse().expect("a number")
}

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("row") {
        return be_told();
    }
    let seed = argument.and_then(|text| text.parse::<u64>().ok());
    let mut seed = seed.expect("a seed").wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // In the arena, which all workers have mapped, and in a file that one is given.
    let (value, lock, event) = (Value::new([7_u64; 16]), Lock::new(), Event::new());
    let (value, lock, event) = (
        value.expect("a value"),
        lock.expect("a lock"),
        event.expect("an event"),
    );
    let (queue, array) = (
        Queue::bounded(4).expect("a queue"),
        Array::new(0..1000_u64).expect("an array"),
    );
    for _ in 0..4 {
        suffer(&mut seed);
        // They may hold anything by now; nobody waits for ever for it.
        let _ = value.get();
        let _ = lock.acquire_timeout(Duration::from_millis(5)).map(drop);
        event.wait_timeout(Duration::from_millis(5));
        let _ = (queue.try_put(vec![1_u8; 100]), queue.try_get());
        assert_eq!(array.len(), 1000);
        // What nobody has gone mad in is as ever.
        let pool = Pool::new(2).expect("a clean pool");
        let squares = pool.map(job!(square), 0..1000).expect("squares");
        assert!((0..).zip(squares).all(|(x, square)| square == x * x));
        let texts = pool.map(job!(text), 0..100).expect("texts");
        assert!(
            (0_u64..)
                .zip(texts)
                .all(|(x, text)| text == x.to_string().repeat(100))
        );
        pool.close().expect("an end");
    }
    assert!(private_kib() < 300 << 10, "{} KiB", private_kib());
    println!("well");
}
