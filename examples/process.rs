//! A process runs a function, and its return value comes back.
//!
//! Stands for section 1.2 of the tutorial:
//!
//! ```python
//! import multiprocessing as mp
//! def job(a, b):
//!     print('abc')
//! if __name__ == '__main__':
//!     p1 = mp.Process(target=job, args=(1, 2))
//!     p1.start()
//!     p1.join()
//! ```
//!
//! Python's `Process` drops what the function returns; here `join` gives it. Run it with
//! `cargo run --release -p procession-examples --bin process`.

use procession::{process_job, spawn};

#[process_job]
fn job(a: u32, b: u32) -> u32 {
    println!("abc");
    a + b
}

fn main() -> Result<(), procession::Error> {
    let p1 = spawn!(job(1, 2))?;
    let pid = p1.pid();
    let sum = p1.join()?;
    println!("process {pid} returned {sum}");
    Ok(())
}
