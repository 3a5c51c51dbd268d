//! Workers killed at random while maps run: only what is hit is lost.

#![cfg(target_os = "linux")]

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procession::{JobError, Pool, job, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{begin, supervisor_pid};

/// A small generator with a seed, so that a storm can be had again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

impl fmt::Display for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Kills workers of `pool` at random while `work` runs; returns how many.
fn storm(pool: &Pool, seed: u64, pause_micros: u64, work: impl FnOnce()) -> u32 {
    let supervisor = supervisor_pid();
    let is_over = AtomicBool::new(false);
    let mut n_killed = 0;
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut random = Random(seed);
            while !is_over.load(Ordering::Relaxed) {
                let pids = pool.pids();
                // Between a death and the next worker there may be none.
                let place = random.below(pids.len().max(1) as u64) as usize;
                let Some(&pid) = pids.get(place) else {
                    continue;
                };
                // The number of one that has died may be another process's by now.
                if processes::parent_of(pid) == Some(supervisor) && processes::is_alive(pid) {
                    processes::send(pid, Signal::SIGKILL);
                    n_killed += 1;
                }
                std::thread::sleep(Duration::from_micros(random.below(2 * pause_micros)));
            }
        });
        let over = Over(&is_over);
        work();
        drop(over);
        killer.join().unwrap();
    });
    n_killed
}

/// Ends the storm, also when the work panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[process_job]
fn spins(x: u64, micros: u64) -> u64 {
    let until = std::time::Instant::now() + Duration::from_micros(micros);
    while std::time::Instant::now() < until {}
    x * x
}

#[process_job]
fn text_of(x: u64) -> String {
    format!("{x}").repeat(1 + x as usize % 50)
}

#[test]
fn a_storm_of_kills_costs_only_the_items_it_hits() {
    let _test = begin();
    for seed in [0x5eed_0001, 0x5eed_0002, 0x5eed_0003] {
        let pool = Pool::new(4).unwrap();
        let (mut n_lost, mut n_items) = (0, 0);
        let n_killed = storm(&pool, seed, 3000, || {
            for round in 0..10 {
                let micros = if round % 2 == 0 { 500 } else { 0 };
                let verdicts = pool
                    .map_each(job!(spins), (0..400).map(|x| (x, micros)))
                    .unwrap();
                assert_eq!(verdicts.len(), 400);
                for (x, verdict) in (0..).zip(verdicts) {
                    match verdict {
                        Ok(result) => assert_eq!(result, x * x, "seed {seed:#x}"),
                        Err(JobError::Killed { signal: 9, .. }) => n_lost += 1,
                        Err(other) => panic!("seed {seed:#x}: {x}: {other}"),
                    }
                    n_items += 1;
                }
            }
        });
        println!("seed {seed:#x}: {n_killed} kills, {n_lost} of {n_items} items lost");
        assert!(
            n_killed > 50 && n_lost <= n_killed,
            "seed {seed:#x}: {n_killed} kills, {n_lost} lost"
        );
        assert!(n_lost > 0, "seed {seed:#x}");
        pool.close().unwrap();
    }
}

#[test]
fn with_retries_a_storm_costs_nothing() {
    let _test = begin();
    let pool = Pool::builder().workers(4).retries(1000).build().unwrap();
    let n_killed = storm(&pool, 0x5eed_0004, 2000, || {
        for _ in 0..6 {
            let results = pool.map(job!(spins), (0..500).map(|x| (x, 300))).unwrap();
            assert_eq!(results, (0..500).map(|x| x * x).collect::<Vec<u64>>());
            let texts = pool.map(job!(text_of), 0..20_000).unwrap();
            assert!(
                (0..)
                    .zip(texts)
                    .all(|(x, text)| text == format!("{x}").repeat(1 + x % 50))
            );
            let handles: Vec<_> = (0..200)
                .map(|x| pool.submit(job!(spins), (x, 100)).unwrap())
                .collect();
            for (x, handle) in (0..).zip(handles) {
                assert_eq!(handle.join().unwrap(), x * x);
            }
        }
    });
    println!("{n_killed} kills");
    assert!(n_killed > 50, "{n_killed}");
}

#[test]
fn a_storm_over_many_threads() {
    let _test = begin();
    let pool = Pool::new(4).unwrap();
    storm(&pool, 0x5eed_0005, 2000, || {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        for (x, verdict) in (0..).zip(
                            pool.map_each(job!(spins), (0..100).map(|x| (x, 100)))
                                .unwrap(),
                        ) {
                            assert!(
                                matches!(verdict, Err(JobError::Killed { signal: 9, .. }))
                                    || verdict == Ok(x * x)
                            );
                        }
                        let handle = pool.submit(job!(spins), (7, 100)).unwrap();
                        if !handle.cancel() {
                            assert!(matches!(
                                handle.join(),
                                Ok(49) | Err(JobError::Killed { signal: 9, .. })
                            ));
                        } else {
                            assert_eq!(handle.join(), Err(JobError::Cancelled));
                        }
                    }
                });
            }
        });
    });
}
