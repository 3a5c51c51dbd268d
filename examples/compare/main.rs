//! The same job twice over: one call after the other, in two threads, in two processes; and what each way took.
//!
//! Stands for section 1.4 of the tutorial, here without the lines that only repeat:
//!
//! ```python
//! import multiprocessing as mp
//! import threading as td
//! import time
//! def job(q):
//!     res = 0
//!     for i in range(10000000):
//!         res += i + i**2 + i**3
//!     q.put(res)
//! def normal():
//!     res = 0
//!     for _ in range(2):
//!         for i in range(10000000):
//!             res += i + i**2 + i**3
//!     print('normal:', res)
//! def multithread():
//!     q = mp.Queue()
//!     t1 = td.Thread(target=job, args=(q,))
//!     t2 = td.Thread(target=job, args=(q,))
//!     ...
//!     print('multithread:', res1 + res2)
//! def multicore():
//!     q = mp.Queue()
//!     p1 = mp.Process(target=job, args=(q,))
//!     p2 = mp.Process(target=job, args=(q,))
//!     ...
//!     print('multicore:', res1 + res2)
//! ```
//!
//! There processes win and threads are no faster than one call after the other, for only the thread that holds the
//! interpreter's lock (the GIL) runs. Rust has no such lock: two threads are two cores at work, exactly as two processes are,
//! and the bars come out alike, the processes' longer by the milliseconds that it takes to make them. The CPU time
//! of the workers is the same in all three ways; divided by the time elapsed it says how many cores were at work. (Where
//! other programs want the cores too, it is less than two.)
//!
//! So for speed alone take threads. Processes are right where a job may crash, hang, leak or eat memory and must be
//! stopped or survived; where a C library is not thread-safe; where code has one global state or a lock of its own,
//! as Python has.
//!
//! Each way is taken three times and the fastest run counts: in release builds the loop takes a nanosecond a step, and
//! whatever else the machine does would be longer than the bars.
//!
//! The sum has more digits than a `u64`: Python's integers grow, here it is a `u128`, and exact. Run it with
//! `cargo run --release -p procession-examples --bin compare`; `-- --steps N` adds up fewer or more.

mod chart;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use procession::{Queue, process_job, spawn};
use procession_examples::ending;

use chart::Bar;

/// Of which the fastest counts.
const N_RUNS: u32 = 3;

const USAGE: &str = "usage: compare [--steps N]";

/// Puts the sum into the queue, and gives the CPU time that it took.
#[process_job]
fn job(q: &Queue<u128>, steps: u32) -> Duration {
    let begin = cpu_time();
    let mut res = 0;
    for i in 0..steps {
        // Unseen, `i` is any number. Otherwise the compiler finds the formula of the whole sum, and takes no time.
        let i = u128::from(black_box(i));
        res += i + i.pow(2) + i.pow(3);
    }
    q.put(res)
        .expect("a queue that nobody closes takes a number");
    cpu_time() - begin
}

/// How long the thread that asks has been running on a core, be it one of the program's or the only one of a worker.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("Linux has a clock for each thread").into()
}

fn normal(q: &Queue<u128>, steps: u32) -> Result<[Duration; 2], Box<dyn Error>> {
    Ok([job(q, steps), job(q, steps)])
}

fn multithread(q: &Queue<u128>, steps: u32) -> Result<[Duration; 2], Box<dyn Error>> {
    thread::scope(|scope| {
        let t1 = scope.spawn(|| job(q, steps));
        let t2 = scope.spawn(|| job(q, steps));
        let join = |thread: thread::ScopedJoinHandle<'_, Duration>| {
            thread.join().map_err(|_| "a thread has panicked")
        };
        Ok([join(t1)?, join(t2)?])
    })
}

fn multicore(q: &Queue<u128>, steps: u32) -> Result<[Duration; 2], Box<dyn Error>> {
    let p1 = spawn!(job(q, steps))?;
    let p2 = spawn!(job(q, steps))?;
    Ok([p1.join()?, p2.join()?])
}

type Way = fn(&Queue<u128>, u32) -> Result<[Duration; 2], Box<dyn Error>>;

const WAYS: [(&str, Way); 3] = [
    ("normal", normal),
    ("multithread", multithread),
    ("multicore", multicore),
];

/// The sum, and the run that took the least time: whatever else the machine does only adds to it.
fn fastest(name: &'static str, way: Way, steps: u32) -> Result<(u128, Bar), Box<dyn Error>> {
    let run = || -> Result<(u128, Bar), Box<dyn Error>> {
        let begin = Instant::now();
        let q = Queue::new()?;
        let cpu_times = way(&q, steps)?;
        let (res1, res2) = (q.get()?, q.get()?);
        let elapsed = begin.elapsed();
        Ok((
            res1 + res2,
            Bar {
                name,
                elapsed,
                cpu_times,
            },
        ))
    };
    let mut fastest = run()?;
    for _ in 1..N_RUNS {
        let next = run()?;
        if next.1.elapsed < fastest.1.elapsed {
            fastest = next;
        }
    }
    Ok(fastest)
}

fn main() -> ExitCode {
    ending::exit_code("compare", run())
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(steps) = steps_from_arguments()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let begin = Instant::now();
    procession::start()?;
    let start = begin.elapsed();

    let mut bars = Vec::new();
    for (name, way) in WAYS {
        let (sum, bar) = fastest(name, way, steps)?;
        println!("{name}: {sum}");
        bars.push(bar);
    }
    println!();
    print!("{}", chart::draw(&bars));
    println!();
    println!(
        "Threads and processes tie: Rust has no lock that lets one thread run at a time, as Python has."
    );
    println!(
        "Take threads for speed, and processes for jobs that may crash, hang or must be stopped."
    );
    println!(
        "(To get ready for processes took {:.1} ms, once, and is in no bar.)",
        start.as_secs_f64() * 1e3
    );
    Ok(ExitCode::SUCCESS)
}

/// `None`: only help was asked for.
fn steps_from_arguments() -> Result<Option<u32>, Box<dyn Error>> {
    use lexopt::prelude::*;
    let mut steps = 10_000_000;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("steps") => steps = arguments.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
        }
    }
    Ok(Some(steps))
}
