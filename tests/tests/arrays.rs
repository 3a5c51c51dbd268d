//! Arrays, slices and chunks on their way through workers.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use procession::{
    Array, ArrayChunk, Error, Event, JobError, LockError, Pool, Queue, SharedSlice, Value, job,
    pool_map, process_job, spawn,
};
use procession_tests::processes::{self, Signal, shared_files_of};
use procession_tests::{begin, wait_for};

#[process_job]
fn increment(numbers: &Array<u64>, index: usize) -> u64 {
    let mut numbers = numbers.lock().expect("nobody dies here");
    numbers[index] += 1;
    numbers[index]
}

#[test]
fn an_array_goes_to_many_jobs_by_reference_and_by_value() -> Result<(), Error> {
    let _test = begin();
    let numbers = Array::new(0..10_u64)?;
    let pool = Pool::new(2)?;
    pool_map!(in pool, increment, (0..1000).map(|n| (&numbers, n % 10)))?;
    spawn!(increment(&numbers, 0))?.join()?;
    let expected: Vec<u64> = (0..10).map(|n| n + 100 + u64::from(n == 0)).collect();
    assert_eq!(numbers.to_vec(), expected);
    Ok(())
}

#[process_job]
fn sum(slice: &SharedSlice<u64>, from: usize, to: usize) -> u64 {
    slice[from..to].iter().sum()
}

#[process_job]
fn make_slice(len: u64) -> Result<SharedSlice<u64>, String> {
    let array = Array::new(0..len).map_err(|error| error.to_string())?;
    array.freeze().map_err(|error| error.to_string())
}

#[test]
fn a_frozen_array_is_read_by_all_also_one_that_a_worker_made() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let slice = pool.submit(job!(make_slice), 10_000)?.join()?.unwrap();
    assert_eq!(slice.len(), 10_000);
    let parts = pool_map!(in pool, sum, (0..10).map(|n| (&slice, n * 1000, (n + 1) * 1000)))?;
    assert_eq!(parts.iter().sum::<u64>(), slice.iter().sum());
    Ok(())
}

#[test]
fn an_array_can_be_frozen_once_the_jobs_that_had_it_are_done() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    for _ in 0..20 {
        let numbers = Array::new(0..10_u64)?;
        pool_map!(in pool, increment, (0..10).map(|n| (&numbers, n)), chunk_size = 1)?;
        let slice = numbers.freeze()?;
        assert_eq!(*slice, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }
    Ok(())
}

#[process_job]
fn fill(mut chunk: ArrayChunk<u32>, with: u32) -> ArrayChunk<u32> {
    let first = chunk.range().start as u32;
    for (n, element) in (first..).zip(chunk.iter_mut()) {
        *element = n * with;
    }
    chunk
}

#[test]
fn chunks_are_moved_into_jobs_and_come_back() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let mut array = Array::<u32>::zeroed(10_001)?;
    for round in 1..=3 {
        let chunks = array.into_chunks(17)?;
        let chunks = pool_map!(in pool, fill, chunks.into_iter().map(|chunk| (chunk, round)))?;
        array = Array::from_chunks(chunks)?;
        assert!((0..).zip(array.to_vec()).all(|(n, x)| x == n * round));
    }
    let mut chunks = array.into_chunks(2)?;
    let one = spawn!(fill(chunks.remove(1), 9))?.join()?;
    let handle = pool.submit(job!(fill), (chunks.remove(0), 9))?;
    let array = Array::from_chunks([handle.join()?, one])?;
    assert!((0..).zip(array.to_vec()).all(|(n, x)| x == n * 9));
    Ok(())
}

#[process_job]
fn length(chunk: &ArrayChunk<u32>) -> usize {
    chunk.len()
}

#[test]
fn a_chunk_that_its_sender_keeps_is_refused_and_stays_where_it_is() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    let mut chunks = Array::<u32>::zeroed(10)?.into_chunks(2)?;
    let verdicts = pool.map_each(job!(length), &chunks)?;
    for verdict in &verdicts {
        let Err(JobError::Codec { message }) = verdict else {
            panic!("{verdict:?}");
        };
        assert!(message.contains("pass it by value"), "{message}");
    }
    chunks[0][0] = 5;
    assert_eq!(pool_map!(in pool, length, chunks)?, [5, 5]);
    Ok(())
}

#[process_job]
fn die_with(mut chunk: ArrayChunk<u32>, n: u32) -> ArrayChunk<u32> {
    chunk.fill(n);
    if n == 1 {
        std::process::abort();
    }
    chunk
}

#[test]
fn a_crash_costs_one_chunk_and_not_the_array() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let chunks = Array::<u32>::zeroed(30)?.into_chunks(3)?;
    let verdicts = pool.map_each(job!(die_with), chunks.into_iter().zip(0..))?;
    let survivors: Vec<_> = verdicts.into_iter().flatten().collect();
    assert_eq!(survivors.len(), 2);
    let array = Array::from_chunks(survivors)?.to_vec();
    assert_eq!((array[0], array[29]), (0, 2));
    Ok(())
}

#[test]
fn a_retried_job_finds_its_chunk_again() -> Result<(), Error> {
    #[process_job]
    fn die_once(mut chunk: ArrayChunk<u32>) -> ArrayChunk<u32> {
        chunk[0] += 1;
        if chunk[0] == 1 {
            std::process::abort();
        }
        chunk
    }
    let _test = begin();
    let pool = Pool::new(1)?;
    let chunks = Array::<u32>::zeroed(4)?.into_chunks(2)?;
    let chunks = pool_map!(in pool, die_once, chunks, retries = 2)?;
    assert_eq!(Array::from_chunks(chunks)?.to_vec(), [2, 0, 2, 0]);
    Ok(())
}

#[process_job]
fn die_locked(array: &Array<u32>) {
    let mut guard = array.lock().expect("nobody died yet");
    guard[0] = 7;
    std::process::abort();
}

#[test]
fn who_dies_with_the_guard_is_reported_and_does_not_stop_a_freeze() -> Result<(), Error> {
    let _test = begin();
    let array = Array::<u32>::zeroed(4)?;
    assert!(spawn!(die_locked(&array))?.join().is_err());
    match array.lock() {
        Err(LockError::OwnerDied(guard)) => assert_eq!(guard[0], 7),
        other => panic!("{other:?}"),
    }
    assert!(spawn!(die_locked(&array))?.join().is_err());
    assert_eq!(array.freeze()?[0], 7);
    Ok(())
}

#[process_job]
fn keep(array: Array<u32>, secs: u64) {
    std::thread::sleep(std::time::Duration::from_secs(secs));
    drop(array);
}

#[test]
fn an_array_that_a_job_has_is_not_frozen_and_the_error_says_so() -> Result<(), Error> {
    let _test = begin();
    let array = Array::<u32>::zeroed(4)?;
    let child = spawn!(keep(array.clone(), 1000))?;
    let error = array.freeze().unwrap_err().to_string();
    assert!(error.contains("handle"), "{error}");
    child.kill()?;
    Ok(())
}

/// The memory files that a process has mapped.
fn mapped_by(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let files: BTreeSet<_> = maps
        .lines()
        .filter(|line| line.contains("procession-shared"))
        .map(|line| line.split_whitespace().nth(4).map(str::to_owned))
        .collect();
    files.len()
}

#[process_job]
fn nth(numbers: &Array<u64>, index: usize) -> (u64, usize) {
    (
        numbers.get(index).unwrap_or(0),
        mapped_by(std::process::id()),
    )
}

#[test]
fn one_array_in_many_jobs_is_mapped_once_and_many_arrays_are_let_go() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    let numbers = Array::new(0..1000_u64)?;
    let seen = pool_map!(in pool, nth, (0..1000).map(|n| (&numbers, n)), chunk_size = 10)?;
    assert!(
        (0..)
            .zip(&seen)
            .all(|(n, &(x, n_mapped))| x == n && n_mapped == 1)
    );
    for n in 0..100 {
        let other = Array::new([n])?;
        let (x, n_mapped) = pool.submit(job!(nth), (&other, 0))?.join()?;
        assert!(x == n && n_mapped < 40, "{n_mapped} mappings");
    }
    assert_eq!(mapped_by(std::process::id()), 1);
    Ok(())
}

#[process_job]
fn make_arrays(n: u64) -> Result<Vec<Array<u64>>, String> {
    (0..n)
        .map(|n| Array::new([n]).map_err(|error| error.to_string()))
        .collect()
}

#[test]
fn arrays_that_a_process_made_outlive_it() -> Result<(), Error> {
    let _test = begin();
    let arrays = spawn!(make_arrays(100))?.join()?.unwrap();
    let values: Vec<u64> = arrays.iter().filter_map(|array| array.get(0)).collect();
    assert_eq!(values, (0..100).collect::<Vec<_>>());
    let pool = Pool::new(1)?;
    pool_map!(in pool, increment, arrays.iter().map(|array| (array, 0)))?;
    assert_eq!(arrays[99].get(0), Some(100));
    Ok(())
}

#[process_job]
fn hand_down(array: &Array<u64>, depth: u32) -> Result<(Array<u64>, Array<u64>), String> {
    array.set(depth as usize, 1);
    let text = |error: Error| error.to_string();
    if depth == 0 {
        return Ok((array.clone(), Array::new([5]).map_err(text)?));
    }
    let below = spawn!(hand_down(array, depth - 1)).map_err(text)?;
    below.join().map_err(|error| error.to_string())?
}

#[test]
fn arrays_mean_the_same_in_pools_within_pools() -> Result<(), Error> {
    let _test = begin();
    let array = Array::<u64>::zeroed(4)?;
    let (same, made) = spawn!(hand_down(&array, 2))?.join()?.unwrap();
    same.set(3, 2);
    assert_eq!(array.to_vec(), [1, 1, 1, 2]);
    assert_eq!(made.to_vec(), [5]);
    Ok(())
}

/// How many mappings of memory files a process has; a file may be mapped more than once.
fn mappings_of(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.matches("procession-shared").count()
}

#[test]
fn a_worker_keeps_the_last_sixteen_mappings_and_finds_them_again() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(1)?;
    let worker = pool.pids()[0];
    let arrays: Vec<Array<u64>> = (0..40).map(|n| Array::new([n])).collect::<Result<_, _>>()?;
    for (n_used, n_kept) in [(10, 10), (40, 16), (12, 16)] {
        for _ in 0..3 {
            for array in &arrays[..n_used] {
                pool.submit(job!(increment), (array, 0))?.join()?;
            }
            assert!(mappings_of(worker) <= n_kept);
        }
        assert_eq!((mapped_by(worker), mappings_of(worker)), (n_kept, n_kept));
        assert_eq!(shared_files_of(worker).len(), n_kept);
    }
    let counts: Vec<u64> = arrays.iter().filter_map(|array| array.get(0)).collect();
    let expected = |n: u64| n + 3 + if n < 10 { 3 } else { 0 } + if n < 12 { 3 } else { 0 };
    assert_eq!(counts, (0..40).map(expected).collect::<Vec<_>>());
    Ok(())
}

/// Drops its handle after the program has dropped its own.
#[process_job]
fn drop_late(array: Array<u8>, go: Event) {
    go.wait();
    drop(array);
}

#[test]
fn memory_that_nobody_has_a_handle_of_is_given_back_though_workers_have_it_mapped()
-> Result<(), Error> {
    const LEN: usize = 1 << 20;
    let _test = begin();
    let (pool, go) = (Pool::new(1)?, Event::new()?);
    let worker = pool.pids()[0];
    let bytes_of_worker = || shared_files_of(worker).iter().sum::<u64>();
    for _ in 0..5 {
        let array = Array::<u8>::zeroed(LEN)?;
        pool.submit(job!(at), (&array, 5))?.join()?;
        assert!(bytes_of_worker() >= LEN as u64);
        drop(array);
        wait_for("the memory to be given back", || {
            bytes_of_worker() < LEN as u64
        });
    }
    // The other way round, the program's handle goes as soon as the job is sent, and the worker's at its end.
    go.set();
    for _ in 0..5 {
        let job = pool.submit(job!(drop_late), (Array::zeroed(LEN)?, go.clone()))?;
        job.join()?;
        wait_for("the memory to be given back", || {
            bytes_of_worker() < LEN as u64
        });
    }
    Ok(())
}

#[process_job]
fn at(array: &Array<u8>, index: usize) -> Option<u8> {
    array.get(index)
}

#[test]
fn what_a_name_on_its_way_stands_for_keeps_its_contents() -> Result<(), Error> {
    let _test = begin();
    let (pool, queue) = (Pool::new(1)?, Queue::new()?);
    for n in 0..20 {
        let array = Array::<u8>::zeroed(10_000)?;
        array.set(9_999, n);
        // So that somebody has it mapped, and it lives though its memory were given back.
        pool.submit(job!(at), (&array, 5))?.join()?;
        queue.put(array)?;
        assert_eq!(queue.get()?.get(9_999), Some(n));
    }
    Ok(())
}

static KEPT: OnceLock<(Array<u64>, Value<u64>)> = OnceLock::new();

#[process_job]
fn set_kept(array: Array<u64>, value: Value<u64>) {
    KEPT.set((array, value)).expect("the first time");
}

#[process_job]
fn use_kept() -> (u64, u64, u32) {
    let (array, value) = KEPT.get().expect("what the initializer was given");
    let mut numbers = array.lock().expect("nobody dies here");
    numbers[0] += 1;
    (numbers[0], value.fetch_add(1), std::process::id())
}

#[test]
fn replaced_workers_find_what_the_initializer_is_given_long_after_the_program_dropped_it()
-> Result<(), Error> {
    let _test = begin();
    let args = (Array::new([0])?, Value::new(0)?);
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(set_kept), args)
        .build()?;
    for n in 0..10 {
        // Others come and would take its place.
        let _others: Vec<_> = (0..100).map(|_| Value::new(7_u64)).collect();
        let (first, second, worker) = pool.submit(job!(use_kept), ())?.join()?;
        assert_eq!((first, second), (n + 1, n));
        processes::send(worker, Signal::SIGKILL);
        wait_for("another worker", || !pool.pids().contains(&worker));
    }
    Ok(())
}

#[process_job]
fn keep_chunk(mut chunk: ArrayChunk<u32>) {
    chunk[0] = 8;
    std::mem::forget(chunk);
}

#[process_job]
fn length_beside(chunk: ArrayChunk<u32>, _ballast: Vec<u8>) -> usize {
    chunk.len()
}

#[test]
fn chunks_are_given_away_to_initializers_and_by_maps_that_send_few_items_at_a_time()
-> Result<(), Error> {
    let _test = begin();
    let mut chunks = Array::<u32>::zeroed(10)?.into_chunks(1)?;
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(keep_chunk), chunks.remove(0))
        .build()?;
    pool_map!(in pool, length, Array::zeroed(10)?.into_chunks(2)?)?;
    // Too much for one task, though it is one chunk by its number of items.
    let pool = Pool::builder()
        .workers(2)
        .max_queued_bytes(1 << 20)
        .build()?;
    let chunks = Array::<u32>::zeroed(64)?.into_chunks(64)?;
    let items = chunks.into_iter().map(|chunk| (chunk, vec![0; 100_000]));
    let lengths = pool_map!(in pool, length_beside, items, chunk_size = 64)?;
    assert_eq!(lengths, [1; 64]);
    Ok(())
}

#[test]
fn more_than_there_is_is_an_error_before_anything_is_taken() -> Result<(), Error> {
    let _test = begin();
    let meminfo = std::fs::read_to_string("/proc/meminfo").expect("/proc");
    let kilobytes = |name: &str| -> usize {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        number.and_then(|n| n.parse().ok()).expect("a number")
    };
    for len in [1 << 50, (kilobytes("MemTotal:") << 10) + 1] {
        let error = Array::<u8>::zeroed(len).expect_err("no such memory");
        assert!(error.to_string().contains("memory"), "{error}");
        let error = Array::<u8>::zeroed(1)?
            .into_chunks(len)
            .expect_err("nor this");
        assert!(error.to_string().contains("memory"), "{error}");
    }
    assert_eq!(Array::<u8>::zeroed(10)?.to_vec(), [0; 10]);
    Ok(())
}

#[process_job]
fn panic_with(mut chunk: ArrayChunk<u32>, n: u32) -> ArrayChunk<u32> {
    chunk.fill(n);
    assert_ne!(n, 1, "this one panics");
    chunk
}

#[test]
fn a_panic_costs_one_chunk_and_not_the_array() -> Result<(), Error> {
    let _test = begin();
    let pool = Pool::new(2)?;
    let chunks = Array::<u32>::zeroed(30)?.into_chunks(3)?;
    let verdicts = pool.map_each(job!(panic_with), chunks.into_iter().zip(0..))?;
    let survivors: Vec<_> = verdicts.into_iter().flatten().collect();
    assert_eq!(survivors.len(), 2);
    let array = Array::from_chunks(survivors)?.to_vec();
    assert_eq!((array[0], array[15], array[29]), (0, 1, 2));
    Ok(())
}

#[process_job]
fn forget_to_return(chunk: ArrayChunk<u32>) -> usize {
    chunk.len()
}

#[test]
fn a_chunk_that_a_job_did_not_return_is_missed_by_name() -> Result<(), Error> {
    let _test = begin();
    let mut chunks = Array::<u32>::zeroed(4)?.into_chunks(2)?;
    spawn!(forget_to_return(chunks.remove(1)))?.join()?;
    let error = Array::from_chunks(chunks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "these chunks cannot be joined: chunk 1 was dropped: a job has to return it"
    );
    Ok(())
}
