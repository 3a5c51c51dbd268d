//! The end of a pool, and what outlives it.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{
    Array, ArrayChunk, Error, JobError, JobHandle, Pool, Queue, SharedSlice, job, pool_map,
    process_job,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn counted(path: PathBuf, millis: u64) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
}

fn submit_counted(pool: &Pool, tally: &Tally, n_jobs: usize, millis: u64) -> Vec<JobHandle<()>> {
    let submit = |_| pool.submit(job!(counted), (tally.path(), millis)).unwrap();
    (0..n_jobs).map(submit).collect()
}

#[track_caller]
fn assert_all_cancelled(handles: Vec<JobHandle<()>>) {
    for handle in handles {
        assert_eq!(handle.join(), Err(JobError::Cancelled));
    }
}

#[process_job]
fn ignores_everything(path: PathBuf) {
    use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
    Tally::count(&path);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn a_worker_that_does_not_leave_a_closing_pool_is_ended() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let pid = pool.pids()[0];
    processes::send(pid, Signal::SIGSTOP);
    pool.close().unwrap();
    assert!(!processes::is_alive(pid));
}

#[test]
fn close_waits_for_all_that_was_queued() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let handles = submit_counted(&pool, &tally, 40, 5);
    pool.close().unwrap();
    assert_eq!(tally.runs(), 40);
    assert!(
        pids.into_iter().all(|pid| !processes::is_alive(pid)),
        "close returns when they are gone"
    );
    assert!(handles.into_iter().all(|handle| handle.join() == Ok(())));
}

#[test]
fn a_dropped_pool_cancels_what_is_open() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let finished = pool.submit(job!(square), 4).unwrap();
    wait_for("the first result", || finished.is_finished());
    let open: Vec<_> = (0..50)
        .map(|_| pool.submit(job!(counted), (tally.path(), 100_000)).unwrap())
        .collect();
    wait_for("two to begin", || tally.runs() == 2);
    drop(pool);
    assert!(
        pids.into_iter().all(|pid| !processes::is_alive(pid)),
        "drop returns when they are gone"
    );
    assert_eq!(finished.join(), Ok(16), "what was finished is kept");
    for mut handle in open {
        assert!(handle.is_finished());
        assert!(!handle.cancel());
        assert_eq!(
            handle.join_timeout(Duration::ZERO),
            Err(JobError::Cancelled)
        );
    }
    assert_eq!(tally.runs(), 2);
}

#[test]
fn terminate_ends_jobs_that_ignore_everything() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let handles: Vec<_> = (0..4)
        .map(|_| pool.submit(job!(ignores_everything), tally.path()).unwrap())
        .collect();
    wait_for("two to begin", || tally.runs() == 2);
    pool.terminate();
    assert_all_cancelled(handles);
}

#[test]
fn terminate_with_a_full_queue() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(64 << 10)
        .build()
        .unwrap();
    let mut handles = vec![pool.submit(job!(counted), (tally.path(), 100_000)).unwrap()];
    while let Ok(handle) = pool.try_submit(job!(counted), (tally.path(), 100_000)) {
        handles.push(handle);
    }
    assert!(handles.len() > 50);
    pool.terminate();
    assert_all_cancelled(handles);
}

#[test]
fn terminate_with_ten_thousand_queued_jobs() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let handles = submit_counted(&pool, &tally, 10_000, 100_000);
    wait_for("two to begin", || tally.runs() == 2);
    pool.terminate();
    assert_all_cancelled(handles);
    assert_eq!(tally.runs(), 2, "a cancelled job never runs");
}

#[test]
fn a_pool_is_dropped_by_another_thread_while_that_which_made_it_is_gone() {
    let _test = begin();
    let tally = Tally::new();
    let made = std::thread::spawn(|| Pool::new(2).unwrap());
    let pool = made.join().unwrap();
    let pids = pool.pids();
    let handles = submit_counted(&pool, &tally, 4, 100_000);
    wait_for("two to begin", || tally.runs() == 2);
    std::thread::spawn(move || drop(pool)).join().unwrap();
    assert!(pids.into_iter().all(|pid| !processes::is_alive(pid)));
    assert_all_cancelled(handles);
}

#[test]
fn a_thread_that_waits_learns_of_the_pools_end() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(1).unwrap();
    let handles = submit_counted(&pool, &tally, 8, 100_000);
    let threads: Vec<_> = handles
        .into_iter()
        .map(|handle| std::thread::spawn(|| handle.join()))
        .collect();
    wait_for("one to begin", || tally.runs() == 1);
    std::thread::sleep(Duration::from_millis(50));
    drop(pool);
    assert!(
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap() == Err(JobError::Cancelled))
    );
}

#[test]
fn an_idle_pool_that_nobody_used_ends_either_way() {
    let _test = begin();
    for round in 0..20 {
        let pool = Pool::new(1 + round % 3).unwrap();
        match round % 3 {
            0 => pool.close().unwrap(),
            1 => pool.terminate(),
            _ => drop(pool),
        }
    }
}

#[test]
fn two_hundred_pools_one_after_another_and_thirty_at_once() {
    let _test = begin();
    for round in 0..200 {
        let pool = Pool::new(2).unwrap();
        assert_eq!(
            pool.submit(job!(square), round).unwrap().join(),
            Ok(round * round)
        );
    }
    let pools: Vec<_> = (0..30).map(|_| Pool::new(2).unwrap()).collect();
    std::thread::scope(|scope| {
        for pool in pools {
            scope.spawn(move || {
                assert_eq!(pool.map(job!(square), 0..50).unwrap().len(), 50);
                pool.close().unwrap();
            });
        }
    });
}

#[test]
fn pools_are_made_and_dropped_by_many_threads_at_once() {
    let _test = begin();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let pool = Pool::new(2).unwrap();
                    let handle = pool.submit(job!(square), 7).unwrap();
                    drop(pool);
                    assert!(matches!(handle.join(), Ok(49) | Err(JobError::Cancelled)));
                }
            });
        }
    });
}

#[test]
fn a_panic_of_the_program_ends_its_pool_in_passing() {
    let _test = begin();
    let pids = std::thread::spawn(|| {
        let pool = Pool::new(2).unwrap();
        let _handle = pool.submit(job!(square), 1).unwrap();
        std::panic::panic_any(pool.pids());
    })
    .join()
    .unwrap_err();
    let pids = pids.downcast::<Vec<u32>>().unwrap();
    assert!(pids.into_iter().all(|pid| !processes::is_alive(pid)));
}

/// How many descriptors this program has open, and how many files in memory it has mapped.
fn open_and_mapped() -> (usize, usize) {
    let open = fs::read_dir("/proc/self/fd").expect("/proc").count();
    let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
    let mapped = maps.lines().filter(|line| line.contains("memfd:"));
    let files: BTreeSet<_> = mapped.map(|line| line.split_whitespace().nth(4)).collect();
    (open, files.len())
}

#[process_job]
fn sum_of(array: &Array<u64>, slice: SharedSlice<u64>, queue: Queue<u64>) -> u64 {
    array.to_vec().iter().sum::<u64>() + slice.iter().sum::<u64>() + queue.get().unwrap_or(0)
}

#[process_job]
fn same(chunk: ArrayChunk<u64>) -> ArrayChunk<u64> {
    chunk
}

#[test]
fn a_large_thing_is_one_descriptor_and_one_mapping_and_neither_when_it_is_dropped()
-> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    let (n_open, n_mapped) = open_and_mapped();
    let check = |n: usize| {
        let (open, mapped) = open_and_mapped();
        assert!(
            open <= n_open + n && mapped <= n_mapped + n,
            "{open} {mapped}"
        );
    };
    for _ in 0..10_000 {
        let _array = Array::new([1_u64, 2])?;
        let _queue = Queue::<u64>::new()?;
        let chunks = Array::new([1_u64, 2])?.into_chunks(2)?;
        Array::from_chunks(chunks)?.freeze()?;
    }
    check(0);
    for n in 0..200 {
        let (array, queue) = (Array::new([1, 2])?, Queue::new()?);
        let slice = Array::new([3, 4])?.freeze()?;
        queue.put(n)?;
        let args = (&array, slice.clone(), queue.clone());
        assert_eq!(pool.submit(job!(sum_of), args)?.join()?, 10 + n);
        check(3);
        // The division has a block of its own.
        let chunks = pool_map!(in pool, same, array.into_chunks(2)?)?;
        check(4);
        assert_eq!(Array::from_chunks(chunks)?.to_vec(), [1, 2]);
    }
    check(0);
    Ok(())
}

#[process_job]
fn make(n: u64) -> Array<u64> {
    Array::new([n]).expect("memory")
}

#[test]
fn without_descriptors_errors_say_so_and_with_them_all_goes_on() -> Result<(), Error> {
    let _test = begin();
    let (pool, queue) = (Pool::new(1)?, Queue::new()?);
    let old = Array::new([7])?;
    queue.put(old.clone())?;
    pool_map!(in pool, make, 0..4)?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let (n_open, _) = open_and_mapped();
    setrlimit(Resource::RLIMIT_NOFILE, n_open as u64 + 8, hard).expect("a limit");
    let mut arrays = Vec::new();
    let error = loop {
        match Array::new([arrays.len() as u64]) {
            Ok(array) => arrays.push(array),
            Err(error) => break error.to_string(),
        }
    };
    let queues = Queue::<u64>::new().map(drop);
    let passed = pool.submit(job!(same_array), arrays[0].clone()).map(drop);
    let returned = pool.map_each(job!(make), 0..4);
    let put = queue.put(arrays[1].clone());
    let plain = pool.map(job!(square), 0..4);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("a limit");

    let words = "Too many open files";
    assert!(error.contains(words), "{error}");
    let error = queues.expect_err("no descriptor").to_string();
    assert!(error.contains(words), "{error}");
    let error = passed.expect_err("no descriptor").to_string();
    assert!(error.contains(words), "{error}");
    for verdict in returned? {
        let error = verdict.expect_err("no descriptor").to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = put.expect_err("no descriptor").to_string();
    assert!(error.contains(words), "{error}");
    assert_eq!(plain?, [0, 1, 4, 9]);

    assert!((0..).zip(&arrays).all(|(n, array)| array.get(0) == Some(n)));
    assert_eq!(queue.try_get()?.and_then(|array| array.get(0)), Some(7));
    assert!(queue.try_get()?.is_none());
    let first = pool.submit(job!(same_array), arrays[0].clone())?.join()?;
    assert_eq!(first.get(0), Some(0));
    assert_eq!(pool_map!(in pool, make, 0..4)?.len(), 4);
    // No name of what was not sent is on its way.
    assert_eq!(arrays.swap_remove(1).freeze()?[0], 1);
    assert_eq!(old.freeze()?[0], 7);
    Ok(())
}

#[process_job]
fn same_array(array: Array<u64>) -> Array<u64> {
    array
}
