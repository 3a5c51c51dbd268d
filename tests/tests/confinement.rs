//! What a pool's workers are confined to: memory, processor time, niceness, processors, files, cores.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Pid, Uid, getuid, setresuid};
use procession::{
    Atomic, ErrorKind, JobError, MapOptions, Pool, StartMethod, job, pool_map, process_job,
};
use procession_tests::begin;

/// Touches fresh memory as fast as it can, and says how much it has.
#[process_job]
fn bursts(touched: &Atomic<u64>, most: u64) {
    const PIECE: usize = 256 << 10;
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    while touched.load(Ordering::Relaxed) < most {
        hoard.push(vec![1; PIECE]);
        touched.fetch_add(PIECE as u64, Ordering::Relaxed);
    }
    std::hint::black_box(&hoard);
}

#[test]
fn a_job_that_takes_memory_at_full_speed_is_caught_before_it_has_twice_its_limit() {
    let _test = begin();
    for limit in [32 << 20, 64 << 20] {
        let pool = Pool::builder()
            .workers(1)
            .memory_limit(limit)
            .build()
            .unwrap();
        // In most of them: somebody else may have the processors for a while.
        let mut reached: Vec<u64> = (0..9)
            .map(|_| {
                let touched = Atomic::new(0).unwrap();
                let items = [(touched.clone(), 4 * limit)];
                let verdicts = pool.map_each(job!(bursts), items).unwrap();
                assert_eq!(verdicts, [Err(JobError::MemoryExceeded { limit })]);
                touched.load(Ordering::Relaxed)
            })
            .collect();
        reached.sort_unstable();
        println!("limit {} MiB, reached {reached:?}", limit >> 20);
        assert!(reached[4] < 2 * limit, "{reached:?}");
    }
}

/// Leaves so many mebibytes behind.
#[process_job]
fn leaks(mebibytes: usize) -> u32 {
    std::mem::forget(vec![1_u8; mebibytes << 20]);
    std::process::id()
}

#[test]
fn a_worker_whose_memory_has_grown_is_replaced_between_two_tasks_and_costs_no_item() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_memory_growth(18 << 20)
        .build()
        .unwrap();
    let one_by_one = MapOptions::NONE.chunk_size(1);
    let pids = pool.map_with(job!(leaks), [4; 30], one_by_one).unwrap();
    let mut runs: BTreeMap<u32, usize> = BTreeMap::new();
    for pid in pids {
        *runs.entry(pid).or_default() += 1;
    }
    assert_eq!(
        runs.into_values().collect::<Vec<_>>(),
        [6; 5],
        "after the first, five times 4 MiB are too much"
    );

    let pids = pool.map_with(job!(leaks), [0; 30], one_by_one).unwrap();
    let last = pids[29];
    assert!(pids[1..].iter().all(|&pid| pid == last), "{pids:?}");
}

#[process_job]
fn spins(millis_of_cpu: u64, blocks_signals: bool) -> u64 {
    if blocks_signals {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
    }
    let used = || {
        let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
        Duration::from(clock.now().unwrap())
    };
    let start = used();
    while used() - start < Duration::from_millis(millis_of_cpu) {}
    millis_of_cpu
}

#[test]
fn a_job_out_of_processor_time_is_killed_by_sigxcpu_and_each_has_its_own_time() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .cpu_time_limit(Duration::from_millis(300))
        .build()
        .unwrap();
    for blocks_signals in [false, true] {
        let items = [50, 100, 1_000_000, 100, 100, 100, 100].map(|millis| (millis, blocks_signals));
        let mut verdicts = pool.map_each(job!(spins), items).unwrap();
        let out_of_time = JobError::Killed {
            signal: libc::SIGXCPU,
            last_words: String::new(),
        };
        assert_eq!(out_of_time.to_string(), "killed by signal 24 (SIGXCPU)");
        assert_eq!(verdicts.remove(2), Err(out_of_time));
        assert_eq!(verdicts, [50, 100, 100, 100, 100, 100].map(Ok));
    }
}

#[process_job]
fn sleeps(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[test]
fn time_asleep_is_no_processor_time() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .cpu_time_limit(Duration::from_millis(50))
        .build()
        .unwrap();
    pool.map(job!(sleeps), [300]).unwrap();
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Confines {
    niceness: i64,
    cpus: Vec<usize>,
    open_files: (u64, u64),
    core_bytes: (u64, u64),
}

fn own_confines() -> Confines {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, third_and_on) = stat.rsplit_once(')').unwrap();
    let niceness = third_and_on.split_whitespace().nth(16).unwrap();
    let cpus = sched_getaffinity(Pid::from_raw(0)).unwrap();
    Confines {
        niceness: niceness.parse().unwrap(),
        cpus: (0..CpuSet::count())
            .filter(|&cpu| cpus.is_set(cpu).unwrap())
            .collect(),
        open_files: getrlimit(Resource::RLIMIT_NOFILE).unwrap(),
        core_bytes: getrlimit(Resource::RLIMIT_CORE).unwrap(),
    }
}

#[process_job]
fn confines() -> Confines {
    // What a job starts has them too.
    std::thread::spawn(own_confines).join().unwrap()
}

#[process_job]
fn dies() {
    std::process::abort();
}

#[test]
fn workers_are_confined_as_was_said_also_later_ones_and_the_program_is_not() {
    let _test = begin();
    let own = own_confines();
    let last_cpu = *own.cpus.last().unwrap();
    let pool = Pool::builder()
        .workers(1)
        .nice(7)
        .cpu_affinity([last_cpu])
        .open_files_limit(50)
        .core_size_limit(0)
        .build()
        .unwrap();
    let expected = Confines {
        niceness: 7,
        cpus: vec![last_cpu],
        open_files: (50, 50),
        core_bytes: (0, 0),
    };
    assert_eq!(pool.map(job!(confines), [()]).unwrap(), [expected]);
    pool.map(job!(dies), [()]).unwrap_err();
    assert_eq!(pool.map(job!(confines), [()]).unwrap()[0].niceness, 7);
    assert_eq!(own_confines(), own);
    let other = Pool::new(1).unwrap();
    assert_eq!(other.map(job!(confines), [()]).unwrap(), [own]);
}

#[process_job]
fn opens(n: usize) -> usize {
    let files = (0..n).map_while(|_| File::open("/dev/null").ok());
    files.collect::<Vec<_>>().len()
}

#[test]
fn a_worker_opens_so_many_files_and_no_more() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .open_files_limit(40)
        .build()
        .unwrap();
    let n_open = pool.map(job!(opens), [100]).unwrap()[0];
    assert!((10..40).contains(&n_open), "{n_open}");
    assert_eq!(
        Pool::new(1).unwrap().map(job!(opens), [100]).unwrap(),
        [100]
    );
}

/// What it says of a pool that only the privileged may have.
#[process_job]
fn asks_for_more_than_it_may() -> Vec<String> {
    if getuid().is_root() {
        let nobody = Uid::from_raw(65534);
        setresuid(nobody, nobody, nobody).unwrap();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let builders = [
        Pool::builder().nice(-5),
        Pool::builder().open_files_limit(hard + 1),
    ];
    let errors = builders.map(|builder| builder.workers(1).build().unwrap_err());
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::System));
    errors.map(|error| error.to_string()).to_vec()
}

#[test]
fn what_cannot_be_is_an_error_of_build_with_its_cause() {
    let _test = begin();
    let errors = Pool::new(1)
        .unwrap()
        .map(job!(asks_for_more_than_it_may), [()])
        .unwrap();
    assert!(
        errors[0][0].starts_with("failed to have niceness -5: "),
        "{errors:?}"
    );
    assert!(errors[0][0].contains("Permission denied"), "{errors:?}");
    assert!(
        errors[0][1].contains("this process itself may have"),
        "{errors:?}"
    );

    let one = || Pool::builder().workers(1);
    let refusals = [
        (
            one().cpu_affinity([0, 1023]),
            ErrorKind::System,
            "failed to run on CPU 1023: there is no such CPU, or it is not for this process",
        ),
        (
            one().cpu_affinity([1 << 20]),
            ErrorKind::System,
            "failed to run on CPU 1048576: ",
        ),
        (
            one().cpu_affinity([]),
            ErrorKind::InvalidInput,
            "`cpu_affinity` names no CPU: leave it out for all of the program's",
        ),
        (
            one().nice(20),
            ErrorKind::InvalidInput,
            "`nice` goes from -20 (first) to 19 (last), not 20",
        ),
        (
            one().nice(-21),
            ErrorKind::InvalidInput,
            "`nice` goes from -20 (first) to 19 (last), not -21",
        ),
        (
            one().cpu_time_limit(Duration::ZERO),
            ErrorKind::InvalidInput,
            "`cpu_time_limit` of 0 would kill every job; leave it out for no limit",
        ),
        (
            one().max_memory_growth(0),
            ErrorKind::InvalidInput,
            "`max_memory_growth` of 0 would replace every worker after each task; leave it out for no limit",
        ),
        (
            one().memory_limit(0),
            ErrorKind::InvalidInput,
            "`memory_limit` of 0 would kill every worker; leave it out for no limit",
        ),
        (
            one().open_files_limit(0),
            ErrorKind::InvalidInput,
            "`open_files_limit` of 0 would leave a worker no file at all; leave it out for no limit",
        ),
    ];
    for (builder, kind, words) in refusals {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(words), "{error}");
    }
}

/// A pool that is forked from a worker, which has one thread.
#[process_job]
fn niceness_of_a_forked_pool() -> i64 {
    let pool = Pool::builder()
        .workers(1)
        .start_method(StartMethod::Fork)
        .nice(11)
        .build()
        .unwrap();
    pool_map!(in pool, confines, [()]).unwrap()[0].niceness
}

#[test]
fn a_pool_forked_from_its_program_is_confined_too() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    assert_eq!(
        pool.map(job!(niceness_of_a_forked_pool), [()]).unwrap(),
        [11]
    );
}
