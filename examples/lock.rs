//! Two processes add to one value, in turns and then one after the other: a lock makes the difference.
//!
//! Stands for section 1.7 of the tutorial, whose second part is:
//!
//! ```python
//! import multiprocessing as mp
//! import time
//! def job(v, num, l):
//!     l.acquire()
//!     for _ in range(5):
//!         time.sleep(0.1)
//!         v.value += num
//!         print(v.value)
//!     l.release()
//! def multicore():
//!     l = mp.Lock()
//!     v = mp.Value('i', 0)
//!     p1 = mp.Process(target=job, args=(v, 1, l))
//!     p2 = mp.Process(target=job, args=(v, 3, l))
//!     p1.start()
//!     p2.start()
//!     p1.join()
//!     p2.join()
//! if __name__ == '__main__':
//!     multicore()
//! ```
//!
//! and whose first part is the same with ten rounds and without `l`. Three things are different here:
//!
//! - There `v.value += num` reads, adds and writes in three steps, so two processes can lose an addition even though the value
//!   has a lock; and what is printed is whatever the value is by then. `Value::update` is one step, and gives the result.
//! - A process that is killed while it holds the lock leaves the others waiting for ever there. Here the guard releases the
//!   lock however its scope ends, and the death of the whole process is told to the next one (`LockError::OwnerDied`).
//! - Which of two new processes is first at the lock is chance there. Here an `Event` says that the first one has it.
//!
//! Run it with `cargo run --release -p procession-examples --bin lock`.

use std::error::Error;
use std::thread;
use std::time::Duration;

use procession::{Event, Lock, Value, process_job, spawn};

#[process_job]
fn job(v: &Value<i32>, num: i32, n_rounds: u32) {
    for _ in 0..n_rounds {
        thread::sleep(Duration::from_millis(100));
        let sum = v.update(|value| *value += num);
        println!("{sum}");
    }
}

#[process_job]
fn locked_job(v: &Value<i32>, num: i32, l: &Lock, has_lock: &Event) {
    let _guard = l.acquire().expect("nobody has died with the lock");
    has_lock.set();
    job(v, num, 5);
}

fn without_lock() -> Result<(), Box<dyn Error>> {
    println!("without a lock:");
    let v = Value::new(0)?;
    let p1 = spawn!(job(&v, 1, 10))?;
    let p2 = spawn!(job(&v, 3, 10))?;
    p1.join()?;
    p2.join()?;
    Ok(())
}

fn with_lock() -> Result<(), Box<dyn Error>> {
    println!("with a lock:");
    let l = Lock::new()?;
    let v = Value::new(0)?;
    let has_lock = Event::new()?;
    let p1 = spawn!(locked_job(&v, 1, &l, &has_lock))?;
    // An event does not know who was to set it. If that process has failed, its `join` says why.
    while !has_lock.wait_timeout(Duration::from_millis(100)) && p1.is_alive() {}
    let p2 = spawn!(locked_job(&v, 3, &l, &has_lock))?;
    p1.join()?;
    p2.join()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    without_lock()?;
    with_lock()
}
