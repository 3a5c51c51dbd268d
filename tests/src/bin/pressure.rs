//! A program in a memory cgroup of 96 MiB, of which it and its jobs want more than there is, and then less again.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use procession::{Array, ErrorKind, JobError, Pool, Queue, job, process_job};

const MIB: usize = 1 << 20;

/// Touches so much, in steps, so that what is killed is certainly this process.
#[process_job]
fn holds(n_mib: usize) -> usize {
    let steps: Vec<_> = (0..n_mib).map(|step| vec![step as u8 | 1; MIB]).collect();
    std::hint::black_box(steps).len()
}

fn main() {
    let pool = Pool::new(2).expect("a pool");
    assert_eq!(pool.map(job!(holds), [1, 2]).expect("well"), [1, 2]);

    // What is shared is refused where it is made, and says so.
    let error = Array::<u8>::zeroed(200 * MIB).expect_err("more than the group may have");
    assert_eq!(error.kind(), ErrorKind::System, "{error}");
    println!("{error}");
    let kept = Array::<u8>::zeroed(8 * MIB).expect("there is room for this");

    // What a job takes for itself is its own death, and nobody else's.
    let verdicts = pool
        .map_each(job!(holds), [1, 1, 400, 1, 1, 1])
        .expect("a pool");
    for (item, verdict) in verdicts.iter().enumerate() {
        match verdict {
            Err(JobError::Killed { signal: 9, .. }) if item == 2 => {}
            Ok(1) if item != 2 => {}
            other => panic!("item {item}: {other:?}"),
        }
    }

    // The pressure is over.
    assert_eq!(kept.len(), 8 * MIB);
    let queue = Queue::new().expect("a queue");
    queue.put(String::from("well")).expect("room");
    assert_eq!(pool.map(job!(holds), [3; 10]).expect("well"), [3; 10]);
    pool.close().expect("an end");
    println!("{}", queue.get().expect("what was put"));
}
