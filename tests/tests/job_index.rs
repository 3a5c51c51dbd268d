//! The place of a job's item in its map, and random streams.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::path::PathBuf;

use procession::{MapOptions, Pool, job, job_index, pool_map, process_job, spawn};
use procession_tests::{Tally, begin};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[process_job]
fn index(_item: u64) -> Option<u64> {
    job_index()
}

#[process_job]
fn index_in_a_thread() -> Option<u64> {
    std::thread::spawn(job_index).join().unwrap()
}

/// Dies at its first try.
#[process_job]
fn index_after_deaths(path: PathBuf, panics: bool) -> Option<u64> {
    Tally::count(&path);
    if std::fs::metadata(&path).unwrap().len() == 1 {
        if panics {
            panic!("on purpose");
        }
        std::process::abort();
    }
    job_index()
}

#[process_job]
fn index_around_another_map() -> (Option<u64>, Vec<Option<u64>>, Option<u64>) {
    let before = job_index();
    let inner = Pool::new(1).unwrap().map(job!(index), [0; 3]).unwrap();
    (before, inner, job_index())
}

#[process_job]
fn fails_in_a_map() {
    assert_eq!(job_index(), None, "an initializer belongs to no map");
}

#[test]
fn it_is_the_same_for_any_number_of_workers_and_any_chunks() {
    let _test = begin();
    let expected: Vec<_> = (0..5000).map(Some).collect();
    for workers in [1, 2, 8] {
        let pool = Pool::builder()
            .workers(workers)
            .max_jobs_per_worker(700)
            .initializer(job!(fails_in_a_map), ())
            .build()
            .unwrap();
        for chunk_size in [1, 7, 5000] {
            let options = MapOptions::NONE.chunk_size(chunk_size);
            let items = || (0..5000).rev();
            let indices = pool.map_with(job!(index), items(), options).unwrap();
            assert!(
                indices == expected,
                "{workers} workers, chunks of {chunk_size}"
            );
        }
        let indices = pool.map(job!(index), vec![0; 5000]).unwrap();
        assert!(indices == expected, "{workers} workers");
    }
}

#[test]
fn it_is_the_same_at_a_second_try() {
    let _test = begin();
    let pool = Pool::builder().workers(2).retries(1).build().unwrap();
    for panics in [false, true] {
        let tallies: Vec<_> = (0..12).map(|_| Tally::new()).collect();
        let items = tallies.iter().map(|tally| (tally.path(), panics));
        let indices = pool_map!(in pool, index_after_deaths, items, chunk_size = 4).unwrap();
        assert_eq!(indices, (0..12).map(Some).collect::<Vec<_>>());
        assert!(tallies.iter().all(|tally| tally.runs() == 2));
    }
}

#[test]
fn there_is_none_outside_a_map_and_each_map_has_its_own() {
    let _test = begin();
    assert_eq!(job_index(), None);
    let pool = Pool::new(1).unwrap();
    assert_eq!(
        pool.map(job!(index_in_a_thread), [(); 3]).unwrap()[2],
        Some(2)
    );
    assert_eq!(pool.submit(job!(index), 0).unwrap().join().unwrap(), None);
    assert_eq!(spawn!(index(0)).unwrap().join().unwrap(), None);
    let inner: Vec<_> = (0..3).map(Some).collect();
    assert_eq!(
        pool.map(job!(index_around_another_map), [(); 2]).unwrap()[1],
        (Some(1), inner, Some(1))
    );
}

#[process_job]
fn seeded(seed: u64) -> Vec<u64> {
    let mut random = StdRng::seed_from_u64(seed ^ job_index().unwrap());
    (0..4).map(|_| random.next_u64()).collect()
}

#[process_job]
fn unseeded() -> (u32, Vec<u64>) {
    let mut random = rand::rng();
    (
        std::process::id(),
        (0..4).map(|_| random.next_u64()).collect(),
    )
}

#[test]
fn streams_seeded_by_it_are_the_same_for_any_number_of_workers() {
    let _test = begin();
    let streams = |workers| {
        let pool = Pool::new(workers).unwrap();
        pool.map(job!(seeded), [42; 200]).unwrap()
    };
    let alone = streams(1);
    assert_eq!(alone.iter().collect::<HashSet<_>>().len(), 200);
    assert_eq!(streams(3), alone);
}

#[test]
fn workers_that_seed_themselves_do_not_repeat_each_other() {
    let _test = begin();
    // In the program too, before there is any worker of this pool.
    let own: Vec<u64> = unseeded().1;
    let pool = Pool::builder()
        .workers(3)
        .max_jobs_per_worker(5)
        .build()
        .unwrap();
    let streams = pool.map(job!(unseeded), [(); 300]).unwrap();
    let workers: HashSet<_> = streams.iter().map(|(pid, _)| pid).collect();
    assert!(workers.len() >= 60);
    let numbers: Vec<u64> = streams.iter().flat_map(|(_, four)| four).copied().collect();
    let distinct: HashSet<_> = numbers.iter().chain(&own).collect();
    assert_eq!(distinct.len(), numbers.len() + own.len());
}
