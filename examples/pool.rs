//! A pool of two workers: `map`, `apply_async`, and the answer to "are several cores really used?"
//!
//! Stands for section 1.5 of the tutorial:
//!
//! ```python
//! import multiprocessing as mp
//! def job(x):
//!     return x*x
//! def multicore():
//!     pool = mp.Pool(processes=2)
//!     res = pool.map(job, range(10))
//!     print(res)
//!     res = pool.apply_async(job, (2,))
//!     print(res.get())
//!     multi_res = [pool.apply_async(job, (i,)) for i in range(10)]
//!     print([res.get() for res in multi_res])
//! if __name__ == '__main__':
//!     multicore()
//! ```
//!
//! There, `apply_async(job, (2, 3, 4))` is a `TypeError` when it runs; here `spawn!(in &pool, job(2, 3, 4))` does not
//! compile. To see whether the cores are used the tutorial opens the system's monitor; here the pool itself
//! tells what each worker did, after work long enough to measure. Run it with
//! `cargo run --release -p procession-examples --bin pool`.

use std::time::Instant;

use procession::{Pool, pool_map, process_job, spawn};

#[process_job]
fn job(x: u64) -> u64 {
    x * x
}

/// The most steps that any of 20,000 numbers from `first` on takes down to 1, halved if even, else `3n + 1`.
#[process_job]
fn longest_collatz_chain(first: u64) -> u32 {
    (first..first + 20_000)
        .map(collatz_steps)
        .max()
        .unwrap_or(0)
}

fn collatz_steps(mut number: u64) -> u32 {
    let mut steps = 0;
    while number > 1 {
        number = if number.is_multiple_of(2) {
            number / 2
        } else {
            3 * number + 1
        };
        steps += 1;
    }
    steps
}

fn main() -> Result<(), procession::Error> {
    let pool = Pool::new(2)?;

    let res = pool_map!(in &pool, job, 0..10)?;
    println!("{res:?}");

    let res = spawn!(in &pool, job(2))?;
    println!("{}", res.join()?);

    let handles = (0..10)
        .map(|i| spawn!(in &pool, job(i)))
        .collect::<Result<Vec<_>, _>>()?;
    let multi_res = handles
        .into_iter()
        .map(|handle| handle.join())
        .collect::<Result<Vec<_>, _>>()?;
    println!("{multi_res:?}");

    let begin = Instant::now();
    let chains = pool_map!(in &pool, longest_collatz_chain, (1..10_000_000).step_by(20_000))?;
    let elapsed = begin.elapsed();
    println!(
        "longest Collatz chain below 10,000,000: {} steps",
        chains.iter().max().unwrap_or(&0)
    );
    report(&pool, elapsed.as_secs_f64());
    pool.close()
}

fn report(pool: &Pool, elapsed: f64) {
    let workers = pool.stats().workers;
    println!("{:>8} {:>6} {:>10} {:>10}", "worker", "jobs", "busy", "CPU");
    for worker in &workers {
        let (busy, cpu) = (
            worker.busy_time.as_secs_f64(),
            worker.cpu_time.as_secs_f64(),
        );
        println!(
            "{:>8} {:>6} {busy:>8.3} s {cpu:>8.3} s",
            worker.pid, worker.jobs_done
        );
    }
    let cpu: f64 = workers
        .iter()
        .map(|worker| worker.cpu_time.as_secs_f64())
        .sum();
    println!(
        "{cpu:.3} s of CPU in {elapsed:.3} s: {:.1} cores at work",
        cpu / elapsed
    );
}
