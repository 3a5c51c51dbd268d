//! Time, memory, tries, numbers of jobs, initializers.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, raise, sigprocmask};
use procession::{ErrorKind, JobError, Pool, PoolBuilder, job, pool_map, process_job, spawn};
use procession_tests::processes::Signal;
use procession_tests::{Tally, begin, wait_for};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Way {
    Sleeps(u64),
    Spins,
    Stops,
    BlocksSignals,
    Panics,
    IsKilled,
}

#[process_job]
fn goes(x: u32, way: Way) -> u32 {
    match way {
        Way::Sleeps(millis) => std::thread::sleep(Duration::from_millis(millis)),
        Way::Spins => loop {
            std::hint::spin_loop();
        },
        Way::Stops => raise(Signal::SIGSTOP).unwrap(),
        Way::BlocksSignals => {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
            sleep_for_ever();
        }
        Way::Panics => panic!("on purpose"),
        Way::IsKilled => raise(Signal::SIGKILL).unwrap(),
    }
    x
}

#[process_job]
fn counted_then_goes(path: PathBuf, x: u32, way: Way) -> u32 {
    Tally::count(&path);
    goes(x, way)
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

#[process_job]
fn sleeps() {
    sleep_for_ever();
}

#[process_job(timeout = "300ms")]
fn sleeps_with_an_attribute() {
    sleep_for_ever();
}

#[process_job(retries = 1)]
fn counted_with_an_attribute(path: PathBuf) {
    Tally::count(&path);
    panic!("on purpose");
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

/// Holds so many mebibytes for a moment.
#[process_job]
fn touches(mebibytes: usize, millis: u64) -> usize {
    let mut memory: Vec<Vec<u8>> = Vec::new();
    for _ in 0..mebibytes {
        memory.push(vec![1; 1 << 20]);
    }
    std::thread::sleep(Duration::from_millis(millis));
    std::hint::black_box(&memory).len()
}

static INITIALIZED: AtomicU32 = AtomicU32::new(0);

#[process_job]
fn initialize(number: u32, text: &str) {
    INITIALIZED.fetch_add(number + text.len() as u32, Ordering::Relaxed);
}

#[process_job]
fn initialized() -> u32 {
    INITIALIZED.load(Ordering::Relaxed)
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum BadStart {
    Panics,
    Exits,
    Aborts,
}

#[process_job]
fn starts_badly(how: BadStart) {
    match how {
        BadStart::Panics => panic!("no licence"),
        BadStart::Exits => std::process::exit(3),
        BadStart::Aborts => std::process::abort(),
    }
}

#[process_job]
fn starts_badly_after(path: PathBuf, n_good: u64) {
    Tally::count(&path);
    assert!(
        std::fs::metadata(&path).unwrap().len() <= n_good,
        "no more licences"
    );
}

#[track_caller]
fn timed_out(way: Way) {
    let _test = begin();
    let limit = Duration::from_millis(150);
    let pool = Pool::new(2).unwrap();
    for chunk_size in [1, 4, 10] {
        let started = Instant::now();
        let tally = Tally::new();
        let items = (0..10).map(|x| (tally.path(), x, if x == 4 { way } else { Way::Sleeps(0) }));
        let error = pool_map!(in pool, counted_then_goes, items.clone(), chunk_size = chunk_size, timeout = limit).unwrap_err();
        assert!(started.elapsed() >= limit, "{:?}", started.elapsed());
        assert_eq!(
            (error.index(), error.job_error()),
            (Some(4), Some(&JobError::TimedOut { limit }))
        );

        let limited = Pool::builder().workers(2).timeout(limit).build().unwrap();
        let tally = Tally::new();
        let items = (0..10).map(|x| (tally.path(), x, if x == 4 { way } else { Way::Sleeps(0) }));
        let mut verdicts = limited.map_each(job!(counted_then_goes), items).unwrap();
        assert_eq!(verdicts.remove(4), Err(JobError::TimedOut { limit }));
        assert_eq!(
            verdicts,
            (0..10).filter(|&x| x != 4).map(Ok).collect::<Vec<_>>()
        );
        assert_eq!(tally.runs(), 10);
    }
}

#[test]
fn an_item_that_sleeps_is_timed_out_alone() {
    timed_out(Way::Sleeps(1_000_000));
}

#[test]
fn an_item_that_spins_is_timed_out_alone() {
    timed_out(Way::Spins);
}

#[test]
fn an_item_that_stopped_itself_is_timed_out_alone() {
    timed_out(Way::Stops);
}

#[test]
fn an_item_that_blocks_all_signals_is_timed_out_alone() {
    timed_out(Way::BlocksSignals);
}

#[test]
fn a_timeout_is_each_items_own_and_never_comes_early() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let limit = Duration::from_millis(400);
    // Together they take several times the limit.
    let items = (0..8).map(|x| (x, Way::Sleeps(200)));
    assert_eq!(
        pool_map!(in pool, goes, items, chunk_size = 8, timeout = limit).unwrap(),
        (0..8).collect::<Vec<_>>()
    );
    for millis in [1, 10, 50, 200] {
        let limit = Duration::from_millis(millis);
        let started = Instant::now();
        let error = pool_map!(in pool, sleeps, [()], timeout = limit).unwrap_err();
        assert!(started.elapsed() >= limit);
        assert_eq!(error.job_error(), Some(&JobError::TimedOut { limit }));
    }
}

#[test]
fn time_in_the_queue_does_not_count() {
    let _test = begin();
    let limit = Duration::from_millis(500);
    let pool = Pool::builder().workers(1).timeout(limit).build().unwrap();
    let handles: Vec<_> = (0..10)
        .map(|x| pool.submit(job!(goes), (x, Way::Sleeps(100))).unwrap())
        .collect();
    for (x, handle) in (0..).zip(handles) {
        assert_eq!(handle.join(), Ok(x));
    }
}

#[test]
fn the_calls_timeout_goes_before_the_jobs_and_that_before_the_pools() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let limit = |error: &JobError| match error {
        JobError::TimedOut { limit } => limit.as_millis(),
        other => panic!("{other:?}"),
    };
    let of_call = Duration::from_millis(100);
    let error = pool_map!(in pool, sleeps_with_an_attribute, [()], timeout = of_call).unwrap_err();
    assert_eq!(limit(error.job_error().unwrap()), 100);
    let error = pool_map!(in pool, sleeps, [()], timeout = of_call).unwrap_err();
    assert_eq!(limit(error.job_error().unwrap()), 100);
    let error = pool_map!(in pool, sleeps_with_an_attribute, [()]).unwrap_err();
    assert_eq!(limit(error.job_error().unwrap()), 300);
    assert_eq!(
        limit(
            &pool
                .submit(job!(sleeps_with_an_attribute), ())
                .unwrap()
                .join()
                .unwrap_err()
        ),
        300
    );
    assert_eq!(
        limit(
            &spawn!(sleeps_with_an_attribute())
                .unwrap()
                .join()
                .unwrap_err()
        ),
        300
    );
    assert_eq!(
        limit(&pool.submit(job!(sleeps), ()).unwrap().join().unwrap_err()),
        200
    );
}

#[test]
fn the_calls_retries_go_before_the_jobs_and_those_before_the_pools() {
    let _test = begin();
    let pool = Pool::builder().workers(1).retries(3).build().unwrap();
    let runs = |run: &dyn Fn(PathBuf)| {
        let tally = Tally::new();
        run(tally.path());
        tally.runs()
    };
    let call = |path| drop(pool_map!(in pool, counted_with_an_attribute, [path], retries = 0));
    assert_eq!(runs(&call), 1);
    let call = |path| drop(pool_map!(in pool, counted_with_an_attribute, [path], retries = 5));
    assert_eq!(runs(&call), 6);
    let attribute = |path| drop(pool_map!(in pool, counted_with_an_attribute, [path]));
    assert_eq!(runs(&attribute), 2);
    let of_pool = |path| drop(pool_map!(in pool, counted_then_goes, [(path, 1, Way::Panics)]));
    assert_eq!(runs(&of_pool), 4);
}

#[test]
fn a_failing_item_is_tried_exactly_as_often_as_asked_and_no_other_twice() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let limit = Duration::from_millis(100);
    for way in [Way::Panics, Way::IsKilled, Way::Spins] {
        for retries in [0, 1, 3] {
            for chunk_size in [1, 5] {
                let (bad, good) = (Tally::new(), Tally::new());
                let items = (0..10).map(|x| match x {
                    2 => (bad.path(), x, way),
                    _ => (good.path(), x, Way::Sleeps(0)),
                });
                let pool = PoolBuilder::default()
                    .workers(2)
                    .timeout(limit)
                    .retries(retries)
                    .build()
                    .unwrap();
                let mut verdicts = pool
                    .map_each(job!(counted_then_goes), items.clone())
                    .unwrap();
                assert!(verdicts.remove(2).is_err());
                assert!(verdicts.iter().all(Result::is_ok));
                assert_eq!(
                    (bad.runs(), good.runs()),
                    (u64::from(retries) + 1, 9),
                    "{way:?}"
                );
                drop(
                    pool_map!(in pool, counted_then_goes, items, chunk_size = chunk_size)
                        .unwrap_err(),
                );
                assert_eq!(bad.runs(), 2 * (u64::from(retries) + 1), "{way:?}");
            }
        }
    }
    drop(pool);
}

#[test]
fn a_job_that_takes_too_much_memory_is_stopped_alone() {
    let _test = begin();
    let limit = 64 << 20;
    let pool = Pool::builder()
        .workers(2)
        .memory_limit(limit)
        .build()
        .unwrap();
    let items = (0..10).map(|x| if x == 3 { (2000, 100_000) } else { (x, 1) });
    let mut verdicts = pool.map_each(job!(touches), items).unwrap();
    assert_eq!(verdicts.remove(3), Err(JobError::MemoryExceeded { limit }));
    assert_eq!(
        verdicts,
        (0..10).filter(|&x| x != 3).map(Ok).collect::<Vec<_>>()
    );
    let error =
        pool_map!(in pool, touches, [(1, 0), (1, 0), (400, 100_000)], chunk_size = 3).unwrap_err();
    assert_eq!(
        (error.index(), error.job_error()),
        (Some(2), Some(&JobError::MemoryExceeded { limit }))
    );
    assert_eq!(
        pool.map(job!(touches), [(30, 100), (40, 100)]).unwrap(),
        [30, 40],
        "below the limit"
    );
}

#[test]
fn what_the_program_itself_has_in_memory_does_not_count() {
    let _test = begin();
    let ballast = vec![1_u8; 100 << 20];
    let pool = Pool::builder()
        .workers(1)
        .memory_limit(64 << 20)
        .build()
        .unwrap();
    assert_eq!(pool.map(job!(touches), [(10, 50)]).unwrap(), [10]);
    drop(std::hint::black_box(ballast));
}

#[test]
fn a_worker_is_replaced_after_exactly_its_number_of_jobs() {
    let _test = begin();
    for chunk_size in [1, 7, 10, 100] {
        let pool = Pool::builder()
            .workers(1)
            .max_jobs_per_worker(7)
            .build()
            .unwrap();
        let pids = pool_map!(in pool, pid, [(); 100], chunk_size = chunk_size).unwrap();
        let mut runs: BTreeMap<u32, usize> = BTreeMap::new();
        for &pid in &pids {
            *runs.entry(pid).or_default() += 1;
        }
        assert_eq!(runs.len(), 100_usize.div_ceil(7), "chunks of {chunk_size}");
        assert_eq!(runs.remove(&pids[99]), Some(100 % 7));
        assert!(runs.values().all(|&n_jobs| n_jobs == 7), "{runs:?}");
    }
}

#[test]
fn an_initializer_runs_once_in_each_worker_also_in_later_ones() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .initializer(job!(initialize), (40, "ab"))
        .max_jobs_per_worker(10)
        .build()
        .unwrap();
    assert_eq!(pool.map(job!(initialized), [(); 100]).unwrap(), [42; 100]);
}

#[test]
fn an_initializer_that_fails_is_the_pools_failure_with_its_cause() {
    let _test = begin();
    for (how, words) in [
        (BadStart::Panics, "no licence"),
        (BadStart::Exits, "exited with code 3"),
        (BadStart::Aborts, "killed by signal 6 (SIGABRT)"),
    ] {
        let pool = Pool::builder()
            .workers(2)
            .initializer(job!(starts_badly), how)
            .build();
        let Ok(pool) = pool else {
            assert!(pool.unwrap_err().to_string().contains(words));
            continue;
        };
        let handles: Vec<_> = (0..5)
            .map_while(|_| pool.submit(job!(pid), ()).ok())
            .collect();
        for handle in handles {
            match handle.join().unwrap_err() {
                JobError::Lost { reason, started } => {
                    assert!(reason.contains(words) && !started, "{how:?}: {reason}");
                }
                other => panic!("{other:?}"),
            }
        }
        let error = pool.map(job!(pid), [(); 10]).unwrap_err();
        assert!(error.to_string().contains(words), "{how:?}: {error}");
        assert!(
            error
                .to_string()
                .contains("the pool's workers cannot start"),
            "{how:?}: {error}"
        );
        let error = pool.submit(job!(pid), ()).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PoolGone);
        assert!(pool.close().is_err());
    }
}

#[test]
fn an_initializer_that_fails_later_does_not_end_a_pool_that_works() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(2)
        .initializer(job!(starts_badly_after), (tally.path(), 2))
        .build()
        .unwrap();
    wait_for("both to start", || tally.runs() == 2);
    assert_eq!(pool.map(job!(goes), [(1, Way::Sleeps(0))]).unwrap(), [1]);
    let verdict = pool.submit(job!(goes), (1, Way::IsKilled)).unwrap().join();
    assert!(matches!(verdict, Err(JobError::Killed { signal: 9, .. })));
    wait_for("vain starts", || tally.runs() > 10);
    assert_eq!(
        pool.map(job!(goes), (0..50).map(|x| (x, Way::Sleeps(0))))
            .unwrap()
            .len(),
        50
    );
}
