//! Pools that grow and shrink while they live.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use procession::{
    ErrorKind, Event, JobError, JobHandle, Pool, SubmitOptions, current_process, job, pool_map,
    process_job, worker_index,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, spinning_square, supervisor_pid, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

/// Which worker it meets, once as many as `n` have come.
#[process_job]
fn place_of_one_of(n: usize, path: &Path, all: &Event) -> Option<usize> {
    Tally::count(path);
    if std::fs::read(path).is_ok_and(|runs| runs.len() == n) {
        all.set();
    }
    all.wait();
    worker_index()
}

/// Holds its worker until the event of that worker's place is set.
#[process_job]
fn held(path: &Path, ends: Vec<Event>) -> u32 {
    Tally::count(path);
    ends[worker_index().unwrap()].wait();
    std::process::id()
}

#[process_job]
fn slow_square(x: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(3));
    x * x
}

#[process_job]
fn whose(x: u64) -> (u64, u32) {
    (x, std::process::id())
}

#[process_job(initializer)]
fn only_the_first() -> Result<(), std::fmt::Error> {
    (worker_index() == Some(0))
        .then_some(())
        .ok_or(std::fmt::Error)
}

#[process_job]
fn counted(path: &Path) {
    Tally::count(path);
}

#[process_job]
fn name() -> String {
    current_process().name
}

/// Runs a job on each of the workers at the same time; their places.
fn places(pool: &Pool) -> Vec<Option<usize>> {
    let (tally, all) = (Tally::new(), Event::new().unwrap());
    let n = pool.workers();
    let path = tally.path();
    let handles: Vec<JobHandle<_>> = (0..n)
        .map(|_| pool.submit(job!(place_of_one_of), (n, &path, &all)))
        .collect::<Result<_, _>>()
        .unwrap();
    let mut places: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    places.sort_unstable();
    places
}

fn first(n: usize) -> Vec<Option<usize>> {
    (0..n).map(Some).collect()
}

#[test]
fn a_pool_has_as_many_workers_as_it_was_last_told() {
    let _test = begin();
    let pool = Pool::builder().workers(2).build().unwrap();
    for n in [5, 1, 32, 3, 3, 2] {
        let before = pool.pids();
        pool.resize(n).unwrap();
        assert_eq!(pool.workers(), n);
        // One of them may be about to take a task.
        wait_for("the others to leave", || pool.pids().len() == n);
        assert_eq!(places(&pool), first(n));
        let stayed = n.min(before.len());
        assert_eq!(
            pool.pids()[..stayed],
            before[..stayed],
            "these are the same"
        );
    }
    let stats = pool.stats();
    let living: Vec<u32> = stats
        .workers
        .iter()
        .map(|w| w.pid)
        .filter(|&pid| pid != 0)
        .collect();
    assert_eq!(living, pool.pids());
    assert_eq!(stats.workers.len(), 32, "none is forgotten");
    let n_jobs: u64 = stats.workers.iter().map(|w| w.jobs_done).sum();
    assert_eq!(n_jobs, 5 + 1 + 32 + 3 + 3 + 2);
    assert!(stats.workers.iter().all(|w| w.restarts == 0), "{stats:?}");
}

#[test]
fn new_workers_are_set_up_and_those_that_leave_finish() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(counted), &tally.path())
        .finalizer(job!(name), ())
        .name("grown")
        .build()
        .unwrap();
    pool.resize(4).unwrap();
    assert_eq!(places(&pool), first(4));
    assert_eq!(tally.runs(), 4);
    pool.resize(2).unwrap();
    let mut names = Vec::new();
    wait_for("two farewells", || {
        names.extend(pool.finalizer_results::<String>().unwrap());
        names.len() == 2
    });
    names.sort_by_key(|name| name.clone().ok());
    assert_eq!(names, [Ok("grown-2".to_owned()), Ok("grown-3".to_owned())]);
    let mut names = pool.close_with_results::<String>().unwrap();
    names.sort_by_key(|name| name.clone().ok());
    assert_eq!(names, [Ok("grown-0".to_owned()), Ok("grown-1".to_owned())]);
}

#[test]
fn numbers_that_cannot_be_meant_are_told_and_change_nothing() {
    let _test = begin();
    let pool = Pool::builder().workers(1).max_workers(2).build().unwrap();
    for (n, message) in [
        (0, "a pool needs 1 to 1024 workers, not 0"),
        (
            usize::MAX,
            "a pool needs 1 to 1024 workers, not 18446744073709551615",
        ),
        (
            3,
            "the pool was built for 2 workers at the most, not 3: build it with `max_workers(3)`",
        ),
    ] {
        let error = pool.resize(n).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidInput, message)
        );
        assert_eq!(pool.workers(), 1);
    }
    let error = Pool::new(40).unwrap().resize(41).unwrap_err();
    assert!(error.to_string().contains("`max_workers(41)`"), "{error}");
    for (most, message) in [
        (0, "`max_workers`: a pool needs 1 to 1024 workers, not 0"),
        (
            3,
            "`max_workers(3)` is less than the 4 workers that the pool begins with: raise it, or say fewer `workers`",
        ),
    ] {
        let error = Pool::builder()
            .workers(4)
            .max_workers(most)
            .build()
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::InvalidInput, message)
        );
    }
}

/// A job on each worker of a pool, each of which ends when its event is set.
struct Held {
    handles: Vec<JobHandle<u32>>,
    ends: Vec<Event>,
    /// Its file is there as long as jobs may yet begin.
    _tally: Tally,
}

impl Held {
    fn all_of(pool: &Pool, options: SubmitOptions) -> Self {
        let n = pool.workers();
        let ends: Vec<_> = (0..n).map(|_| Event::new().unwrap()).collect();
        let tally = Tally::new();
        let submit = |_| {
            let args = (&tally.path(), ends.clone());
            pool.submit_with(job!(held), args, options).unwrap()
        };
        let handles = (0..n).map(submit).collect();
        wait_for("all of them to begin", || tally.runs() == n as u64);
        Self {
            handles,
            ends,
            _tally: tally,
        }
    }

    fn release(&self) {
        self.ends.iter().for_each(Event::set);
    }

    fn join(self) -> Vec<Result<u32, JobError>> {
        let mut verdicts: Vec<_> = self.handles.into_iter().map(JobHandle::join).collect();
        verdicts.sort_by_key(|verdict| verdict.clone().ok());
        verdicts
    }
}

fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
    pids.sort_unstable();
    pids
}

#[test]
fn a_worker_that_is_to_leave_finishes_what_it_has_and_takes_no_more() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    let pids = pool.pids();
    let held = Held::all_of(&pool, SubmitOptions::NONE);
    let queued: Vec<_> = (0..9)
        .map(|x| pool.submit(job!(whose), x).unwrap())
        .collect();
    pool.resize(1).unwrap();
    assert_eq!(
        (pool.workers(), pool.pids()),
        (1, pids.clone()),
        "all have something to do"
    );
    // These two leave, and what is queued waits for the first one.
    held.ends[1].set();
    held.ends[2].set();
    wait_for("the two to leave", || pool.pids() == pids[..1]);
    assert!(queued.iter().all(|handle| !handle.is_finished()));
    held.release();
    let ran_in = held
        .join()
        .into_iter()
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    assert_eq!(ran_in, sorted(pids.clone()));
    for (x, handle) in (0..).zip(queued) {
        assert_eq!(handle.join().unwrap(), (x, pids[0]));
    }
}

#[test]
fn a_chunk_that_a_leaving_worker_has_is_finished_whole() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let results = std::thread::scope(|scope| {
        let map = scope.spawn(|| pool_map!(in pool, slow_square, 0..40, chunk_size = 20));
        std::thread::sleep(Duration::from_millis(20));
        pool.resize(1).unwrap();
        map.join().unwrap()
    });
    assert_eq!(results.unwrap(), Vec::from_iter((0..40).map(|x| x * x)));
    wait_for("one to leave", || pool.pids().len() == 1);
}

#[test]
fn a_leaving_worker_that_is_killed_costs_its_item_and_is_not_replaced() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    for retries in [0, 1] {
        pool.resize(2).unwrap();
        wait_for("two", || pool.pids().len() == 2);
        let victim = pool.pids()[1];
        let held = Held::all_of(&pool, SubmitOptions::NONE.retries(retries));
        pool.resize(1).unwrap();
        processes::send(victim, Signal::SIGKILL);
        wait_for("it to be buried", || pool.pids() == pids[..1]);
        held.release();
        let verdicts = held.join();
        match retries {
            0 => {
                assert!(matches!(
                    verdicts[0],
                    Err(JobError::Killed { signal: 9, .. })
                ));
                assert_eq!(verdicts[1], Ok(pids[0]));
            }
            _ => assert_eq!(
                verdicts,
                [Ok(pids[0]), Ok(pids[0])],
                "the other one tries it again"
            ),
        }
        assert_eq!(pool.pids(), pids[..1]);
        assert_eq!(pool.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
    }
}

#[test]
fn a_leaving_worker_that_runs_too_long_is_ended_and_not_replaced() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let limit = Duration::from_millis(300);
    let held = Held::all_of(&pool, SubmitOptions::NONE.timeout(limit));
    pool.resize(1).unwrap();
    assert_eq!(
        held.join(),
        [
            Err(JobError::TimedOut { limit }),
            Err(JobError::TimedOut { limit })
        ]
    );
    wait_for("one, the first one's successor", || {
        let now = pool.pids();
        now.len() == 1 && !pids.contains(&now[0])
    });
    assert_eq!(places(&pool), first(1));
}

#[test]
fn a_post_that_is_opened_again_before_its_worker_has_left_has_one() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .finalizer(job!(name), ())
        .build()
        .unwrap();
    for round in 0..200 {
        pool.resize(1 + round % 4).unwrap();
        assert_eq!(pool.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
    }
    pool.resize(4).unwrap();
    assert_eq!(places(&pool), first(4));
    wait_for("four", || pool.pids().len() == 4);
    // It does not leave in the end because of what was said before.
    let held = Held::all_of(&pool, SubmitOptions::NONE);
    pool.resize(1).unwrap();
    pool.resize(4).unwrap();
    let pids = pool.pids();
    held.release();
    assert_eq!(held.join().len(), 4);
    assert_eq!(places(&pool), first(4));
    assert_eq!(pool.pids(), pids);
    let farewells = pool.close_with_results::<String>().unwrap();
    assert!(
        farewells.len() >= 4 && farewells.iter().all(Result::is_ok),
        "{farewells:?}"
    );
}

#[test]
fn maps_on_their_way_use_the_workers_that_come() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let (tally, all) = (Tally::new(), Event::new().unwrap());
    let path = tally.path();
    // Ends only when four run at the same time.
    let places = std::thread::scope(|scope| {
        let map =
            scope.spawn(|| pool_map!(in pool, place_of_one_of, (0..4).map(|_| (4, &path, &all))));
        wait_for("the first item", || tally.runs() == 1);
        pool.resize(4).unwrap();
        map.join().unwrap().unwrap()
    });
    assert_eq!(BTreeSet::from_iter(places), BTreeSet::from_iter(first(4)));
}

/// Resizes and kills at random while maps and jobs run.
#[test]
fn nothing_is_lost_while_workers_come_go_and_are_killed() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .finalizer(job!(name), ())
        .build()
        .unwrap();
    let supervisor = supervisor_pid();
    for kills in [false, true] {
        let is_over = AtomicBool::new(false);
        let n_killed = std::thread::scope(|scope| {
            let disturber = scope.spawn(|| {
                let mut random = 0x5eed_u64;
                let mut n_killed = 0;
                while !is_over.load(Ordering::Relaxed) {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(99);
                    pool.resize(1 + (random >> 33) as usize % 6).unwrap();
                    let pids = pool.pids();
                    let victim = pids.get((random >> 40) as usize % pids.len().max(1));
                    // The number of one that has died may be another process's by now.
                    let is_one = |pid: &&u32| processes::parent_of(**pid) == Some(supervisor);
                    if let Some(&pid) = victim.filter(is_one).filter(|_| kills) {
                        processes::send(pid, Signal::SIGKILL);
                        n_killed += 1;
                    }
                    std::thread::sleep(Duration::from_micros((random >> 45) % 2000));
                }
                n_killed
            });
            let mut n_lost = 0;
            for round in 0..30 {
                let pause = if round % 2 == 0 { 0 } else { 200 };
                let items = (0..200).map(|x| (x, pause));
                let verdicts = pool.map_each(job!(spinning_square), items).unwrap();
                assert_eq!(verdicts.len(), 200);
                for (x, verdict) in (0..).zip(verdicts) {
                    match verdict {
                        Ok(square) => assert_eq!(square, x * x),
                        Err(JobError::Killed { signal: 9, .. }) => n_lost += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
                let handle = pool.submit(job!(square), round).unwrap();
                n_lost += i32::from(handle.join() != Ok(round * round));
            }
            is_over.store(true, Ordering::Relaxed);
            let n_killed = disturber.join().unwrap();
            assert!(n_lost <= n_killed, "{n_killed} kills, {n_lost} lost");
            n_killed
        });
        assert_eq!(n_killed > 0, kills);
    }
    pool.resize(3).unwrap();
    wait_for("three", || pool.pids().len() == 3);
    assert_eq!(places(&pool), first(3));
    for farewell in pool.close_with_results::<String>().unwrap() {
        // Some were killed while they took their leave.
        assert!(matches!(
            farewell,
            Ok(_) | Err(JobError::Killed { signal: 9, .. })
        ));
    }
}

#[test]
fn workers_that_cannot_start_leave_the_others_alone() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(only_the_first), ())
        .build()
        .unwrap();
    pool.resize(3).unwrap();
    assert_eq!(pool.map(job!(square), 0..50).unwrap().len(), 50);
    pool.resize(1).unwrap();
    assert_eq!(places(&pool), first(1));
    wait_for("nobody else to be tried", || pool.pids().len() == 1);
}

/// Lets a process have so many descriptors open; gives how many it could before.
#[expect(unsafe_code, reason = "a limit of another process")]
fn limit_descriptors(pid: u32, soft: u64) -> u64 {
    let (pid, kind) = (pid as i32, libc::RLIMIT_NOFILE);
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure is this function's own and outlives the call.
    let read = unsafe { libc::prlimit(pid, kind, std::ptr::null(), &raw mut limit) };
    let before = std::mem::replace(&mut limit.rlim_cur, soft);
    // SAFETY: as above; null asks for nothing.
    let set = unsafe { libc::prlimit(pid, kind, &raw const limit, std::ptr::null_mut()) };
    assert_eq!((read, set), (0, 0));
    before
}

#[test]
fn where_no_process_can_be_had_the_pool_stays_as_it_was() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let supervisor = supervisor_pid();
    let before = limit_descriptors(supervisor, 16);
    let error = pool.resize(20).unwrap_err();
    limit_descriptors(supervisor, before);
    assert_eq!(error.kind(), ErrorKind::System, "{error}");
    assert!(
        error.to_string().contains("fork a worker process"),
        "{error}"
    );
    assert_eq!(pool.workers(), 1);
    wait_for("those that had come to leave", || pool.pids().len() == 1);
    assert_eq!(places(&pool), first(1));
    pool.resize(20).unwrap();
    assert_eq!(places(&pool), first(20));
}

#[test]
fn a_pool_that_is_gone_says_so() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let supervisor = supervisor_pid();
    processes::send(supervisor, Signal::SIGKILL);
    let error = pool.resize(4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PoolGone, "{error}");
    assert_eq!(error.to_string(), "the supervisor process was killed");
    drop(pool);
    let pool = Pool::builder()
        .workers(1)
        .initializer(job!(only_the_first), ())
        .build()
        .unwrap();
    pool.resize(2).unwrap();
    assert_eq!(pool.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
}

/// Whatever ends a pool ends the workers that are still to leave, too.
#[test]
fn a_pool_ends_while_workers_are_leaving() {
    let _test = begin();
    for terminates in [true, false] {
        let pool = Pool::new(3).unwrap();
        let held = Held::all_of(&pool, SubmitOptions::NONE);
        pool.resize(1).unwrap();
        if terminates {
            pool.terminate();
            assert!(held.join().iter().all(|v| *v == Err(JobError::Cancelled)));
        } else {
            held.release();
            pool.close().unwrap();
            assert!(held.join().iter().all(Result::is_ok));
        }
    }
}

#[process_job]
fn resized_inside() -> Vec<u64> {
    let pool = Pool::new(1).unwrap();
    pool.resize(3).unwrap();
    let results = pool.map(job!(square), 0..5).unwrap();
    pool.resize(2).unwrap();
    results
}

#[test]
fn pools_inside_jobs_are_resized_too() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    pool.resize(2).unwrap();
    let results = pool.map(job!(resized_inside), [(), ()]).unwrap();
    assert_eq!(results, [[0, 1, 4, 9, 16], [0, 1, 4, 9, 16]]);
}

#[test]
fn places_that_nobody_took_take_no_memory() {
    let _test = begin();
    let resident = |n| {
        let pool = Pool::builder().workers(1).max_workers(n).build().unwrap();
        assert_eq!(pool.map(job!(square), 0..3).unwrap(), [0, 1, 4]);
        assert_eq!((pool.pids().len(), pool.stats().workers.len()), (1, 1));
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let board = smaps.split("procession-board").nth(1).unwrap();
        let line = board.lines().find(|line| line.starts_with("Rss:")).unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let (few, many) = (resident(1), resident(1024));
    assert!(many < few + 64, "{few} kB and {many} kB");
}
