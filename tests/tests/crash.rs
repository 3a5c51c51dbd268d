//! Each way to die takes one item and nothing else.

#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::raise;
use procession::{ErrorKind, JobError, Pool, job, pool_map, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, supervisor_pid, wait_for};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum End {
    Returns,
    Signal(i32),
    NullWrite,
    Abort,
    StackOverflow,
    StackOverflowInThread,
    Exit(i32),
    ExitNow(i32),
    Panic,
    PanicWithNumber,
    ResumeUnwind,
    DoublePanic,
    PanicInThread,
}

#[process_job]
fn meets(x: u32, end: End) -> u32 {
    match end {
        End::Returns => {}
        End::Signal(number) => raise(Signal::try_from(number).unwrap()).unwrap(),
        End::NullWrite => write_to_null(),
        End::Abort => std::process::abort(),
        End::StackOverflow => drop(overflow(0)),
        End::StackOverflowInThread => drop(std::thread::spawn(|| overflow(0)).join()),
        End::Exit(code) => std::process::exit(code),
        End::ExitNow(code) => exit_now(code),
        End::Panic => panic!("item {x}"),
        End::PanicWithNumber => std::panic::panic_any(x),
        End::ResumeUnwind => std::panic::resume_unwind(Box::new("carried on".to_owned())),
        End::DoublePanic => {
            let _second = PanicsWhenDropped;
            panic!("the first panic");
        }
        End::PanicInThread => assert!(std::thread::spawn(|| panic!("in a thread")).join().is_err()),
    }
    x
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        0
    } else {
        overflow(depth + 1) + room[3]
    }
}

#[expect(unsafe_code, reason = "a crash on purpose")]
fn write_to_null() {
    // SAFETY: there is none; the worker process that runs this dies of it, which is the test.
    unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
}

#[expect(unsafe_code, reason = "std has no `_exit`")]
fn exit_now(code: i32) -> ! {
    // SAFETY: ends the worker process that runs this.
    unsafe { libc::_exit(code) }
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("the second panic");
    }
}

/// One item among twenty meets its end; all others get their results, and so do those of the next map.
#[track_caller]
fn one_item_meets(end: End, worker_lives_on: bool) -> JobError {
    let pool = Pool::new(2).unwrap();
    let mut verdict = None;
    for chunk_size in [1, 5, 20] {
        wait_for("two workers", || pool.pids().len() == 2);
        let before: HashSet<_> = pool.pids().into_iter().collect();
        let items = (0..20).map(|x| (x, if x == 7 { end } else { End::Returns }));
        let error = pool_map!(in pool, meets, items.clone(), chunk_size = chunk_size).unwrap_err();
        assert_eq!(
            (error.kind(), error.index()),
            (ErrorKind::Job, Some(7)),
            "{error}"
        );
        assert!(
            error.worker_pid().is_some_and(|pid| before.contains(&pid)),
            "{error}"
        );
        let mut verdicts = pool.map_each(job!(meets), items).unwrap();
        verdict = Some(verdicts.remove(7).unwrap_err());
        assert_eq!(verdict.as_ref(), error.job_error());
        assert_eq!(
            verdicts,
            (0..20).filter(|&x| x != 7).map(Ok).collect::<Vec<_>>()
        );
        let after: HashSet<_> = pool.pids().into_iter().collect();
        assert_eq!(before == after, worker_lives_on, "{before:?} {after:?}");
        assert_eq!(
            pool.map(job!(meets), (0..50).map(|x| (x, End::Returns)))
                .unwrap()
                .len(),
            50
        );
    }
    let verdict = verdict.unwrap();
    assert!(verdict.may_have_run());
    verdict
}

#[track_caller]
fn killed(end: End) -> (i32, String) {
    match one_item_meets(end, false) {
        JobError::Killed { signal, last_words } => (signal, last_words),
        other => panic!("{other:?}"),
    }
}

#[test]
fn deaths_by_signal_are_told_by_their_signal() {
    let _test = begin();
    for signal in [
        Signal::SIGKILL,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGBUS,
        Signal::SIGSYS,
        Signal::SIGUSR1,
        Signal::SIGALRM,
        Signal::SIGXCPU,
    ] {
        assert_eq!(killed(End::Signal(signal as i32)).0, signal as i32);
    }
}

#[test]
fn a_segmentation_fault() {
    let _test = begin();
    let (signal, last_words) = killed(End::NullWrite);
    assert_eq!(signal, 11);
    assert!(
        last_words.contains("segmentation fault at 0x0"),
        "{last_words}"
    );
    assert_eq!(killed(End::Signal(11)).0, 11);
}

#[test]
fn an_abort() {
    let _test = begin();
    assert_eq!(killed(End::Abort).0, 6);
}

#[test]
fn a_stack_overflow_is_told_by_name() {
    let _test = begin();
    let (signal, last_words) = killed(End::StackOverflow);
    assert_eq!(signal, 11);
    assert!(
        last_words.contains("overflowed its stack"),
        "{last_words:?}"
    );
}

#[test]
fn a_stack_overflow_of_a_jobs_own_thread_is_a_death_like_any_other() {
    let _test = begin();
    // Told by std's handler or by nobody, see the crate's documentation.
    assert!([6, 11].contains(&killed(End::StackOverflowInThread).0));
}

#[test]
fn an_exit() {
    let _test = begin();
    for code in [0, 1, 77, 255] {
        assert_eq!(
            one_item_meets(End::Exit(code), false),
            JobError::Exited { code }
        );
        assert_eq!(
            one_item_meets(End::ExitNow(code), false),
            JobError::Exited { code }
        );
    }
}

#[test]
fn a_panic_travels_and_its_worker_lives_on() {
    let _test = begin();
    let (message, location) = one_item_meets_panic(End::Panic);
    assert_eq!(message, "item 7");
    assert!(location.contains("crash.rs:"), "{location}");
    let (message, location) = one_item_meets_panic(End::PanicWithNumber);
    assert!(
        !message.is_empty() && location.contains("crash.rs:"),
        "{message} {location}"
    );
    let (message, _) = one_item_meets_panic(End::ResumeUnwind);
    assert_eq!(message, "carried on");
}

fn one_item_meets_panic(end: End) -> (String, String) {
    match one_item_meets_quietly(end) {
        JobError::Panicked {
            message, location, ..
        } => (message, location),
        other => panic!("{other:?}"),
    }
}

/// As `one_item_meets`, for ends that no worker dies of.
fn one_item_meets_quietly(end: End) -> JobError {
    let pool = Pool::new(2).unwrap();
    let pids = pool.pids();
    let items = (0..20).map(|x| (x, if x == 7 { end } else { End::Returns }));
    let mut verdicts = pool.map_each(job!(meets), items).unwrap();
    let verdict = verdicts.remove(7).unwrap_err();
    assert_eq!(
        verdicts,
        (0..20).filter(|&x| x != 7).map(Ok).collect::<Vec<_>>()
    );
    assert_eq!(pool.pids(), pids);
    assert!(
        pool.stats()
            .workers
            .iter()
            .all(|worker| worker.restarts == 0)
    );
    verdict
}

#[test]
fn a_panic_during_a_panic_is_an_abort_with_last_words() {
    let _test = begin();
    let (signal, last_words) = killed(End::DoublePanic);
    assert_eq!(signal, 6);
    assert!(last_words.contains("the first panic"), "{last_words}");
}

#[test]
fn a_panic_in_a_thread_that_the_job_joins_is_the_jobs_affair() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let pids = pool.pids();
    assert_eq!(
        pool.map(job!(meets), [(1, End::PanicInThread), (2, End::Returns)])
            .unwrap(),
        [1, 2]
    );
    // Nor is it told for another's death afterwards.
    let verdict = pool
        .submit(job!(meets), (3, End::Signal(9)))
        .unwrap()
        .join();
    assert_eq!(
        verdict,
        Err(JobError::Killed {
            signal: 9,
            last_words: String::new()
        })
    );
    wait_for("another worker", || pool.pids() != pids);
}

#[test]
fn every_item_may_die() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    let ends = [End::Abort, End::Exit(3), End::Signal(9), End::NullWrite];
    let verdicts = pool
        .map_each(job!(meets), (0..60).map(|x| (x, ends[x as usize % 4])))
        .unwrap();
    for (x, verdict) in verdicts.into_iter().enumerate() {
        match (ends[x % 4], verdict.unwrap_err()) {
            (End::Abort, JobError::Killed { signal: 6, .. }) => {}
            (End::Exit(3), JobError::Exited { code: 3 }) => {}
            (End::Signal(9), JobError::Killed { signal: 9, .. }) => {}
            (End::NullWrite, JobError::Killed { signal: 11, .. }) => {}
            other => panic!("{x}: {other:?}"),
        }
    }
    assert_eq!(pool.map(job!(meets), [(1, End::Returns)]).unwrap(), [1]);
}

#[process_job]
fn dies_in_company(path: PathBuf, company: u64) -> u64 {
    Tally::count(&path);
    let begun = || std::fs::metadata(&path).unwrap().len();
    let gives_up = Instant::now() + Duration::from_secs(10);
    while begun() < company && Instant::now() < gives_up {
        std::thread::sleep(Duration::from_millis(1));
    }
    if begun() >= company {
        std::process::abort();
    }
    begun()
}

/// In one task they would wait for each other in vain.
#[test]
fn items_that_die_are_still_shared_out_one_by_one() {
    let _test = begin();
    let (first, last) = (Tally::new(), Tally::new());
    let pool = Pool::new(4).unwrap();
    // As many as are on the board before the first verdict, and then some.
    let alone = (0..32).map(|_| (first.path(), 0));
    let together = (0..4).map(|_| (last.path(), 3));
    let verdicts = pool
        .map_each(job!(dies_in_company), alone.chain(together))
        .unwrap();
    for (item, verdict) in verdicts.into_iter().enumerate() {
        assert!(
            matches!(verdict, Err(JobError::Killed { signal: 6, .. })),
            "item {item}: {verdict:?}"
        );
    }
}

#[derive(Debug, PartialEq)]
struct Moody(u32);

impl Serialize for Moody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            1 => panic!("no writing of {}", self.0),
            2 => Err(serde::ser::Error::custom("it cannot be written")),
            3 => std::process::abort(),
            _ => serializer.serialize_u32(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Moody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u32::deserialize(deserializer)? {
            11 => panic!("no reading of 11"),
            12 => Err(serde::de::Error::custom("it cannot be read")),
            13 => std::process::abort(),
            number => Ok(Self(number)),
        }
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        if self.0 == 21 && in_worker() {
            panic!("no dropping of 21");
        }
    }
}

/// Whether this is a worker of the test program.
fn in_worker() -> bool {
    !processes::name_of(std::process::id()).starts_with("crash")
}

#[process_job]
fn makes_moody(number: u32) -> Moody {
    Moody(number)
}

#[process_job]
fn takes_moody(moody: Moody) -> u32 {
    moody.0
}

#[process_job]
fn lends_moody(moody: &Moody) -> u32 {
    moody.0
}

#[test]
fn results_that_fail_on_their_way_are_one_items_affair() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let verdicts = pool
        .map_each(job!(makes_moody), [0, 1, 2, 3, 4, 12, 21, 5])
        .unwrap();
    assert_eq!(verdicts[0], Ok(Moody(0)));
    assert!(
        matches!(&verdicts[1], Err(JobError::Panicked { message, .. }) if message == "no writing of 1")
    );
    assert!(
        matches!(&verdicts[2], Err(JobError::Codec { message }) if message.contains("it cannot be written"))
    );
    assert!(matches!(
        &verdicts[3],
        Err(JobError::Killed { signal: 6, .. })
    ));
    assert_eq!(verdicts[4], Ok(Moody(4)));
    assert!(
        matches!(&verdicts[5], Err(JobError::Codec { message }) if message.contains("it cannot be read"))
    );
    // Its result had arrived when the drop panicked.
    assert!(
        matches!(&verdicts[6], Ok(Moody(21)) | Err(JobError::Panicked { .. })),
        "{:?}",
        verdicts[6]
    );
    assert_eq!(verdicts[7], Ok(Moody(5)));
}

#[test]
fn arguments_that_fail_on_their_way_are_one_items_affair() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let items = || [0, 2, 11, 12, 13, 4, 5].map(Moody);
    for verdicts in [
        pool.map_each(job!(takes_moody), items()).unwrap(),
        pool.map_each(job!(lends_moody), items()).unwrap(),
    ] {
        assert_eq!(verdicts[0], Ok(0));
        assert!(
            matches!(&verdicts[1], Err(JobError::Codec { message }) if message.contains("it cannot be written"))
        );
        assert!(
            matches!(&verdicts[2], Err(JobError::Panicked { message, .. }) if message == "no reading of 11")
        );
        assert!(
            matches!(&verdicts[3], Err(JobError::Codec { message }) if message.contains("it cannot be read"))
        );
        assert!(matches!(
            &verdicts[4],
            Err(JobError::Killed { signal: 6, .. })
        ));
        assert_eq!((&verdicts[5], &verdicts[6]), (&Ok(4), &Ok(5)));
    }
    let error = pool.submit(job!(takes_moody), Moody(2)).unwrap_err();
    assert!(
        matches!(error.job_error(), Some(JobError::Codec { .. })),
        "{error}"
    );
}

#[process_job]
fn counted_moody(path: PathBuf, millis: u64, _moody: Moody) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
}

#[test]
fn nothing_behind_an_item_that_cannot_be_sent_runs() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    let item = |millis, moody| (tally.path(), millis, Moody(moody));
    // While the first item runs, the other worker has nothing to do.
    let items = [item(300, 0), item(0, 2), item(0, 4), item(0, 5)];
    let error = pool_map!(in pool, counted_moody, items, chunk_size = 4).unwrap_err();
    assert_eq!(error.index(), Some(1));
    assert_eq!(tally.runs(), 1);
}

#[test]
fn a_panic_in_the_program_while_it_encodes_or_decodes_leaves_the_pool_well() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    for _ in 0..3 {
        let fails = |run: &dyn Fn()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err()
        };
        fails(&|| drop(pool.map(job!(takes_moody), [Moody(0), Moody(1)])));
        fails(&|| drop(pool.map(job!(makes_moody), [4, 11, 5])));
        fails(&|| drop(pool.map_each(job!(makes_moody), [4, 11, 5])));
        fails(&|| drop(pool.submit(job!(takes_moody), Moody(1))));
        fails(&|| drop(pool.submit(job!(makes_moody), 11).unwrap().join()));
        assert_eq!(
            pool.map(job!(makes_moody), [4, 5]).unwrap(),
            [Moody(4), Moody(5)]
        );
    }
    pool.close().unwrap();
}

#[process_job]
fn counted_then_sleeps(path: PathBuf, millis: u64) -> u32 {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
    std::process::id()
}

#[test]
fn an_idle_worker_that_is_killed_is_replaced_unnoticed() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    for _ in 0..10 {
        let before = pool.pids();
        before
            .iter()
            .for_each(|&pid| processes::send(pid, Signal::SIGKILL));
        // At once: the map may find no worker at all.
        let results = pool
            .map(job!(meets), (0..30).map(|x| (x, End::Returns)))
            .unwrap();
        assert_eq!(results, (0..30).collect::<Vec<_>>());
        wait_for("three new ones", || {
            let pids = pool.pids();
            let is_new = |pid: &u32| !before.contains(pid) && processes::is_alive(*pid);
            pids.len() == 3 && pids.iter().all(is_new)
        });
    }
    assert_eq!(
        pool.stats()
            .workers
            .iter()
            .map(|worker| worker.restarts)
            .sum::<u32>(),
        30
    );
}

#[test]
fn a_computing_worker_that_is_killed_loses_its_item() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let tally = Tally::new();
    let pid = pool.pids()[0];
    let handle = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 100_000))
        .unwrap();
    let next = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 0))
        .unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    processes::send(pid, Signal::SIGKILL);
    assert_eq!(
        handle.join(),
        Err(JobError::Killed {
            signal: 9,
            last_words: String::new()
        })
    );
    assert_ne!(next.join().unwrap(), pid);
    assert_eq!(tally.runs(), 2);
}

#[test]
fn a_stopped_worker_delays_only_its_item() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let tally = Tally::new();
    let handle = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 50))
        .unwrap();
    wait_for("it to begin", || tally.runs() == 1);
    let all = pool.pids();
    all.iter()
        .for_each(|&pid| processes::send(pid, Signal::SIGSTOP));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!handle.is_finished());
    all.iter()
        .for_each(|&pid| processes::send(pid, Signal::SIGCONT));
    assert!(handle.join().is_ok());
    assert_eq!(pool.pids(), all);
}

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
