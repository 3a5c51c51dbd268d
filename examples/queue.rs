//! Two processes put what they have computed into a queue.
//!
//! Stands for section 1.3 of the tutorial:
//!
//! ```python
//! import multiprocessing as mp
//! def job(q):
//!     res = 0
//!     for i in range(1000):
//!         res += i + i**2 + i**3
//!     q.put(res)
//! if __name__ == '__main__':
//!     q = mp.Queue()
//!     p1 = mp.Process(target=job, args=(q,))
//!     p2 = mp.Process(target=job, args=(q,))
//!     p1.start()
//!     p2.start()
//!     p1.join()
//!     p2.join()
//!     res1 = q.get()
//!     res2 = q.get()
//!     print(res1 + res2)
//! ```
//!
//! To join before one gets is a trap there: a thread of the child feeds the queue's pipe, and once that is full (64 KiB)
//! the child waits for a reader and `join` for the child, for ever. Here messages of any size wait in shared memory, and
//! a process that has put them may end. Run it with `cargo run --release -p procession-examples --bin queue`.

use std::error::Error;

use procession::{Queue, process_job, spawn};

#[process_job]
fn job(q: &Queue<u64>) {
    let res = (0..1000_u64).map(|i| i + i.pow(2) + i.pow(3)).sum();
    // A panic becomes an error of `join`.
    q.put(res)
        .expect("a queue that nobody closes takes a number");
}

fn main() -> Result<(), Box<dyn Error>> {
    let q = Queue::new()?;
    let p1 = spawn!(job(&q))?;
    let p2 = spawn!(job(&q))?;
    p1.join()?;
    p2.join()?;
    let res1 = q.get()?;
    let res2 = q.get()?;
    println!("{}", res1 + res2);
    Ok(())
}
