//! Workers that retire when they have nothing to do, and come again when there is something.
//!
//! Where a test asks whether a job is finished, without waiting for it, nobody looks after the pool meanwhile: the job finds a
//! worker by the protocol alone, not by the audit of a caller that waits.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procession::{
    Barrier, ErrorKind, Event, JobError, JobHandle, Pool, PoolBuilder, job, process_job,
    worker_index,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, spinning_square, supervisor_pid, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn sleeps(millis: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(millis));
    std::process::id()
}

/// One of several at the same time: its place.
#[process_job]
fn beside(all: &Barrier) -> Option<usize> {
    all.wait().ok()?;
    worker_index()
}

#[process_job]
fn held(begun: &Event, end: &Event) -> u32 {
    begun.set();
    end.wait();
    std::process::id()
}

#[process_job]
fn counted(path: &Path) {
    Tally::count(path);
}

#[process_job]
fn own_place() -> Option<usize> {
    worker_index()
}

fn idle(n: usize, millis: u64) -> PoolBuilder {
    Pool::builder()
        .workers(n)
        .idle_timeout(Duration::from_millis(millis))
}

fn wait_until_nobody_is_there(pool: &Pool) {
    wait_for("all to retire", || pool.pids().is_empty());
}

/// Jobs that run only if each worker of the pool has one of them, without anybody waiting for them.
fn all_come(pool: &Pool) {
    let all = Barrier::new(pool.workers()).unwrap();
    let submit = |_| pool.submit(job!(beside), &all).unwrap();
    let handles: Vec<JobHandle<_>> = (0..pool.workers()).map(submit).collect();
    wait_for("all to come", || handles.iter().all(JobHandle::is_finished));
    let mut places: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, Vec::from_iter((0..pool.workers()).map(Some)));
}

#[test]
fn workers_with_nothing_to_do_finish_and_leave_and_come_again() {
    let _test = begin();
    let tally = Tally::new();
    let pool = idle(3, 30)
        .initializer(job!(counted), &tally.path())
        .finalizer(job!(own_place), ())
        .build()
        .unwrap();
    for round in 1..4 {
        wait_until_nobody_is_there(&pool);
        assert_eq!(pool.workers(), 3);
        let mut farewells = pool.finalizer_results::<Option<usize>>().unwrap();
        farewells.sort_by_key(|farewell| farewell.clone().ok());
        assert_eq!(farewells, [0, 1, 2].map(|place| Ok(Some(place))));
        assert_eq!(tally.runs(), 3 * round);
        all_come(&pool);
        assert_eq!(pool.pids().len(), 3);
    }
    wait_until_nobody_is_there(&pool);
    let stats = pool.stats();
    assert_eq!(stats.workers.len(), 3);
    assert!(
        stats
            .workers
            .iter()
            .all(|w| (w.pid, w.restarts, w.jobs_done) == (0, 0, 3))
    );
    assert_eq!(pool.close_with_results::<Option<usize>>().unwrap().len(), 3);
}

#[test]
fn a_job_is_no_idleness() {
    let _test = begin();
    let pool = idle(1, 20).build().unwrap();
    let pids = pool.map(job!(sleeps), [200, 0, 200]).unwrap();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(pool.stats().workers[0].restarts, 0);
}

/// Jobs come at the very moment when workers retire.
#[test]
fn a_job_submitted_at_any_moment_finds_a_worker() {
    let _test = begin();
    for n in [1, 2, 4] {
        let pool = idle(n, 2).build().unwrap();
        for round in 0..250 {
            let handle = pool.submit(job!(square), round).unwrap();
            wait_for("a worker", || handle.is_finished());
            assert_eq!(handle.join().unwrap(), round * round);
            std::thread::sleep(Duration::from_micros(1500 + round * 37 % 1500));
        }
    }
}

#[test]
fn maps_of_any_size_find_workers() {
    let _test = begin();
    let pool = idle(4, 1).build().unwrap();
    for round in 0..100 {
        let n = round * 7 % 60;
        let results = pool.map(job!(spinning_square), (0..n).map(|x| (x, 50)));
        assert_eq!(results.unwrap(), Vec::from_iter((0..n).map(|x| x * x)));
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_micros(900 + round * 11));
        }
    }
    wait_until_nobody_is_there(&pool);
    all_come(&pool);
}

#[test]
fn as_many_come_as_there_are_jobs_for() {
    let _test = begin();
    let pool = idle(3, 200).build().unwrap();
    wait_until_nobody_is_there(&pool);
    let (begun, end) = (Event::new().unwrap(), Event::new().unwrap());
    let handle = pool.submit(job!(held), (&begun, &end)).unwrap();
    begun.wait();
    // A job may begin before the supervisor has noted whom it forked.
    wait_for("its number", || !pool.pids().is_empty());
    // One more where the job came while the last one was being buried.
    assert!((1..=2).contains(&pool.pids().len()), "{:?}", pool.pids());
    let other = pool.submit(job!(square), 5).unwrap();
    wait_for("another worker", || other.is_finished());
    assert_eq!(other.join().unwrap(), 25);
    end.set();
    handle.join().unwrap();
}

/// Kills, sizes and pauses at random while maps and jobs run.
#[test]
fn nothing_is_lost_while_workers_retire_come_again_and_are_killed() {
    let _test = begin();
    let pool = idle(3, 1).finalizer(job!(own_place), ()).build().unwrap();
    let supervisor = supervisor_pid();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let disturber = scope.spawn(|| {
            let (mut random, mut n_killed) = (0x5eed_u64, 0);
            while !is_over.load(Ordering::Relaxed) {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                if random >> 60 == 0 {
                    pool.resize(1 + (random >> 33) as usize % 4).unwrap();
                }
                let pids = pool.pids();
                let victim = pids.get((random >> 40) as usize % pids.len().max(1));
                // The number of one that has retired may be another process's by now.
                let is_one = |pid: &&u32| processes::parent_of(**pid) == Some(supervisor);
                if let Some(&pid) = victim.filter(is_one) {
                    processes::send(pid, Signal::SIGKILL);
                    n_killed += 1;
                }
                std::thread::sleep(Duration::from_micros((random >> 45) % 4000));
            }
            n_killed
        });
        let mut n_lost = 0;
        for round in 0..200 {
            let items = (0..20).map(|x| (x, round % 4 * 50));
            for (x, verdict) in (0..).zip(pool.map_each(job!(spinning_square), items).unwrap()) {
                match verdict {
                    Ok(square) => assert_eq!(square, x * x),
                    Err(JobError::Killed { signal: 9, .. }) => n_lost += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            std::thread::sleep(Duration::from_micros(round * 13 % 2500));
            let handle = pool.submit(job!(square), round).unwrap();
            wait_for("a worker", || handle.is_finished());
            n_lost += i32::from(handle.join() != Ok(round * round));
        }
        is_over.store(true, Ordering::Relaxed);
        let n_killed = disturber.join().unwrap();
        assert!(
            n_killed > 0 && n_lost <= n_killed,
            "{n_killed} kills, {n_lost} lost"
        );
    });
    pool.resize(3).unwrap();
    all_come(&pool);
    wait_until_nobody_is_there(&pool);
    for farewell in pool.close_with_results::<Option<usize>>().unwrap() {
        // Some were killed while they took their leave.
        assert!(matches!(
            farewell,
            Ok(_) | Err(JobError::Killed { signal: 9, .. })
        ));
    }
}

#[test]
fn pools_are_resized_while_their_workers_are_away() {
    let _test = begin();
    let tally = Tally::new();
    let pool = idle(3, 20)
        .initializer(job!(counted), &tally.path())
        .build()
        .unwrap();
    for n in [1, 4, 2, 4] {
        wait_until_nobody_is_there(&pool);
        let (n_before, n_runs) = (pool.workers(), tally.runs() as usize);
        pool.resize(n).unwrap();
        assert_eq!(pool.workers(), n);
        let n_new = n.saturating_sub(n_before);
        wait_for("those that are new", || {
            tally.runs() as usize >= n_runs + n_new
        });
        all_come(&pool);
    }
}

/// The worker that is awake leaves, with what was meant for it, and the one that stays is away.
#[test]
fn work_is_left_to_nobody_who_leaves() {
    let _test = begin();
    for _ in 0..100 {
        let pool = idle(2, 10).build().unwrap();
        let all = Barrier::new(2).unwrap();
        wait_until_nobody_is_there(&pool);
        let both = [(); 2].map(|()| pool.submit(job!(beside), &all).unwrap());
        for handle in both {
            handle.join().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
        let handle = std::thread::scope(|scope| {
            let resized = scope.spawn(|| pool.resize(1));
            let handle = pool.submit(job!(square), 3).unwrap();
            resized.join().unwrap().unwrap();
            handle
        });
        wait_for("a worker", || handle.is_finished());
        assert_eq!(handle.join().unwrap(), 9);
    }
}

#[test]
fn a_worker_that_is_stopped_when_it_is_counted_on_holds_up_no_job() {
    let _test = begin();
    let pool = idle(2, 100).build().unwrap();
    let (begun, end) = (Event::new().unwrap(), Event::new().unwrap());
    let handle = pool.submit(job!(held), (&begun, &end)).unwrap();
    begun.wait();
    wait_for("the other to retire", || pool.pids().len() == 1);
    end.set();
    processes::send(handle.join().unwrap(), Signal::SIGSTOP);
    assert_eq!(pool.submit(job!(square), 4).unwrap().join().unwrap(), 16);
}

#[test]
fn pools_end_and_break_while_their_workers_are_away() {
    let _test = begin();
    let away = || {
        let pool = idle(2, 5).build().unwrap();
        wait_until_nobody_is_there(&pool);
        pool
    };
    away().close().unwrap();
    away().terminate();
    drop(away());
    let pool = away();
    processes::send(supervisor_pid(), Signal::SIGKILL);
    let lost = pool
        .submit(job!(square), 1)
        .and_then(|handle| Ok(handle.join()?));
    assert!(
        lost.unwrap_err()
            .to_string()
            .contains("the supervisor process was killed")
    );
}

#[process_job(initializer)]
fn only_once(path: &Path) -> Result<(), std::fmt::Error> {
    Tally::count(path);
    let is_first = std::fs::read(path).is_ok_and(|runs| runs.len() == 1);
    is_first.then_some(()).ok_or(std::fmt::Error)
}

#[test]
fn workers_that_cannot_come_again_are_told_of() {
    let _test = begin();
    let tally = Tally::new();
    let pool = idle(1, 5)
        .initializer(job!(only_once), &tally.path())
        .build()
        .unwrap();
    wait_until_nobody_is_there(&pool);
    let error = pool.map(job!(square), [1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job, "{error}");
    assert!(
        error.to_string().contains("the pool's initializer failed"),
        "{error}"
    );
}

#[process_job]
fn idles_inside() -> u64 {
    let pool = idle(2, 5).build().unwrap();
    wait_until_nobody_is_there(&pool);
    pool.map(job!(square), 0..4).unwrap().iter().sum()
}

#[test]
fn workers_of_pools_inside_jobs_retire_too() {
    let _test = begin();
    let pool = idle(2, 5).build().unwrap();
    assert_eq!(pool.map(job!(idles_inside), [(), ()]).unwrap(), [14, 14]);
}

#[test]
fn no_time_at_all_is_refused() {
    let error = idle(1, 0).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        error.to_string(),
        "`idle_timeout` of 0 would let no worker wait for a job; leave it out for no limit"
    );
    let pool = Pool::builder()
        .workers(1)
        .idle_timeout(Duration::MAX)
        .build()
        .unwrap();
    assert_eq!(pool.map(job!(square), [2]).unwrap(), [4]);
}
