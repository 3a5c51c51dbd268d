//! Maps: order, verdicts, failures, sizes, threads.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use procession::{ErrorKind, JobError, Pool, job, pool_map, process_job};
use procession_tests::{Tally, begin, begin_with_default_pool};
use serde::{Deserialize, Serialize};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn after_millis(x: u64, millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    x
}

#[process_job]
fn worker_pid() -> u32 {
    std::process::id()
}

#[process_job]
fn fails_at_seven(x: u32) -> u32 {
    assert_ne!(x, 7, "seven is not liked");
    x
}

#[process_job]
fn fails_after_millis(x: u32, millis: u64) -> u32 {
    std::thread::sleep(Duration::from_millis(millis));
    panic!("item {x}")
}

#[process_job]
fn counted(path: PathBuf, x: u32) -> u32 {
    Tally::count(&path);
    if x == 0 {
        // Quicker than a panic, whose first backtrace takes a while.
        std::process::exit(1);
    }
    std::thread::sleep(Duration::from_millis(10));
    x
}

#[process_job]
fn zeros(len: usize) -> Vec<u8> {
    vec![0; len]
}

#[process_job]
fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

#[process_job]
fn nothing(_nothing: ()) {}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Polygon {
        name: String,
        corners: Vec<(i32, i32)>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    text: String,
    character: char,
    yes: bool,
    big: u128,
    small: i8,
    nothing: Option<Box<Everything>>,
    table: BTreeMap<String, Vec<Option<u16>>>,
    shapes: Vec<Shape>,
    outcome: Result<u8, String>,
    path: PathBuf,
    lapse: Duration,
}

#[process_job]
fn same<T: Serialize + serde::de::DeserializeOwned>(value: T) -> T {
    value
}

#[process_job]
fn joined(text: &str, numbers: &[i32], path: &Path, flag: bool) -> String {
    format!("{text} {numbers:?} {} {flag}", path.display())
}

#[test]
fn results_come_in_input_order_though_the_first_takes_longest() {
    let _test = begin();
    let pool = Pool::new(4).unwrap();
    let items = (0..20).map(|x| (x, 20 - x));
    assert_eq!(
        pool.map(job!(after_millis), items).unwrap(),
        (0..20).collect::<Vec<_>>()
    );
}

#[test]
fn no_items_give_no_results() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.map(job!(square), []).unwrap(), []);
    assert_eq!(pool.map_each(job!(square), std::iter::empty()).unwrap(), []);
    assert_eq!(pool_map!(in pool, square, Vec::new()).unwrap(), []);
}

#[test]
fn the_default_pool_maps() {
    let _test = begin_with_default_pool();
    assert_eq!(
        pool_map!(square, 0..1000).unwrap(),
        (0..1000).map(|x| x * x).collect::<Vec<u64>>()
    );
    let n_workers = pool_map!(worker_pid, [(); 2000])
        .unwrap()
        .into_iter()
        .collect::<HashSet<_>>()
        .len();
    assert!(
        n_workers <= std::thread::available_parallelism().unwrap().get(),
        "{n_workers}"
    );
}

#[test]
fn one_worker_does_everything() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let pids = pool.map(job!(worker_pid), [(); 500]).unwrap();
    assert_eq!(HashSet::from_iter(pids), HashSet::from([pool.pids()[0]]));
}

#[test]
fn two_hundred_workers_share_the_work() {
    let _test = begin();
    let pool = Pool::new(200).unwrap();
    assert_eq!(pool.workers(), 200);
    assert_eq!(pool.pids().into_iter().collect::<HashSet<_>>().len(), 200);
    let items = (0..1000).map(|x| (x, 5));
    assert_eq!(
        pool.map(job!(after_millis), items).unwrap(),
        (0..1000).collect::<Vec<_>>()
    );
    let n_who_worked = pool
        .stats()
        .workers
        .iter()
        .filter(|worker| worker.jobs_done > 0)
        .count();
    // How many get anything while the first ones work on is the machine's affair.
    assert!(n_who_worked > 20, "{n_who_worked}");
}

#[test]
fn values_of_many_types_come_back_as_they_went() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let inner = Everything {
        text: "zwölf \0 \u{1F980}".into(),
        character: '\u{10FFFF}',
        yes: true,
        big: u128::MAX,
        small: i8::MIN,
        nothing: None,
        table: BTreeMap::from([("a".into(), vec![None, Some(7)]), (String::new(), vec![])]),
        shapes: vec![
            Shape::Point,
            Shape::Circle(f64::NEG_INFINITY),
            Shape::Polygon {
                name: "p".into(),
                corners: vec![(1, -1)],
            },
        ],
        outcome: Err("no".into()),
        path: "/a/b c".into(),
        lapse: Duration::new(3, 999_999_999),
    };
    let outer = Everything {
        nothing: Some(Box::new(inner.clone())),
        outcome: Ok(3),
        ..inner.clone()
    };
    assert_eq!(
        pool.map(job!(same), [inner.clone(), outer.clone()])
            .unwrap(),
        [inner, outer]
    );

    let floats = [
        f64::NAN,
        -0.0,
        f64::MIN_POSITIVE,
        f64::from_bits(0x7ff8_0000_dead_beef),
    ];
    let back = pool.map(job!(same), floats).unwrap();
    assert_eq!(back.map_bits(), floats.to_vec().map_bits());
    assert_eq!(
        pool.map(job!(same), [u128::MAX, 0, 1]).unwrap(),
        [u128::MAX, 0, 1]
    );
    assert_eq!(
        pool.map(job!(same), ["".to_owned(), "x".repeat(100_000)])
            .unwrap(),
        ["".to_owned(), "x".repeat(100_000)]
    );
    assert_eq!(
        pool.map(job!(same), [vec![], vec![vec![1_u16], vec![]]])
            .unwrap(),
        [vec![], vec![vec![1], vec![]]]
    );
    assert_eq!(
        pool.map(job!(same), [Some(()), None]).unwrap(),
        [Some(()), None]
    );
    assert_eq!(pool.map(job!(same), [[1_i64; 32]]).unwrap(), [[1; 32]]);
    assert_eq!(
        pool.map(job!(same), [('a', true, (1_u8, "b".to_owned()))])
            .unwrap(),
        [('a', true, (1, "b".to_owned()))]
    );
}

trait Bits {
    fn map_bits(&self) -> Vec<u64>;
}

impl Bits for Vec<f64> {
    fn map_bits(&self) -> Vec<u64> {
        self.iter().map(|float| float.to_bits()).collect()
    }
}

#[test]
fn tuples_are_spread_over_the_parameters() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let items = [
        ("a", vec![1, 2], PathBuf::from("/x"), true),
        ("", vec![], PathBuf::new(), false),
    ];
    assert_eq!(
        pool.map(job!(joined), items).unwrap(),
        ["a [1, 2] /x true", " []  false"]
    );
}

#[test]
fn ten_thousand_items_of_nothing() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    assert_eq!(
        pool.map(job!(nothing), vec![(); 10_000]).unwrap().len(),
        10_000
    );
}

#[test]
fn every_item_gets_its_verdict() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let verdicts = pool.map_each(job!(fails_at_seven), 0..100).unwrap();
    assert_eq!(verdicts.len(), 100);
    for (x, verdict) in (0..).zip(verdicts) {
        match verdict {
            Ok(y) => assert!(x == y && x != 7),
            Err(JobError::Panicked {
                message, location, ..
            }) => {
                assert_eq!(x, 7);
                assert!(message.contains("seven is not liked"), "{message}");
                assert!(location.contains("pool.rs:"), "{location}");
            }
            Err(other) => panic!("{x}: {other}"),
        }
    }
}

#[test]
fn the_first_failure_in_input_order_counts_though_a_later_one_comes_earlier() {
    let _test = begin();
    let pool = Pool::new(4).unwrap();
    let error = pool_map!(in pool, fails_after_millis, [(0, 300), (1, 100), (2, 0), (3, 0)], chunk_size = 1).unwrap_err();
    assert_eq!(
        (error.kind(), error.index(), error.job()),
        (ErrorKind::Job, Some(0), Some("fails_after_millis"))
    );
    assert!(
        matches!(error.job_error(), Some(JobError::Panicked { message, .. }) if message == "item 0"),
        "{error}"
    );
    assert!(
        error
            .worker_pid()
            .is_some_and(|pid| pool.pids().contains(&pid)),
        "{error}"
    );

    let error = pool.map(job!(fails_at_seven), 0..10_000).unwrap_err();
    assert_eq!(error.index(), Some(7));
}

#[test]
fn after_a_failure_what_is_queued_never_runs() {
    let _test = begin();
    let tally = Tally::new();
    let pool = Pool::new(2).unwrap();
    for chunk_size in [1, 50] {
        let before = tally.runs();
        let items = (0..1000).map(|x| (tally.path(), x));
        let error = pool_map!(in pool, counted, items, chunk_size = chunk_size).unwrap_err();
        assert_eq!(error.index(), Some(0));
        // Those that ran already may finish; the pool is free for others at once.
        assert_eq!(pool.map(job!(square), [3]).unwrap(), [9]);
        let when_free = tally.runs();
        std::thread::sleep(Duration::from_millis(100));
        assert!(
            tally.runs() - when_free <= 1,
            "{when_free} and then {}",
            tally.runs()
        );
        // Two chunks of 50 would be a hundred.
        assert!(tally.runs() - before < 90, "{before} {}", tally.runs());
    }
}

/// The room that a task asks for its results is a guess from those before it.
#[test]
fn results_too_large_for_the_queue_are_no_reason_to_refuse_their_items() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .max_queued_bytes(16 * 1024)
        .build()
        .unwrap();
    for results in [
        pool.map(job!(zeros), [16_000; 40]).unwrap(),
        pool_map!(in pool, zeros, [16_000; 40], chunk_size = 4).unwrap(),
    ] {
        assert_eq!(results.len(), 40);
        assert!(results.iter().all(|result| result.len() == 16_000));
    }
}

#[test]
fn results_and_arguments_of_64_mib() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    const LEN: usize = 64 << 20;
    let results = pool.map(job!(zeros), [LEN, 0, LEN, 1]).unwrap();
    assert_eq!(
        results.iter().map(Vec::len).collect::<Vec<_>>(),
        [LEN, 0, LEN, 1]
    );
    drop(results);
    let argument = vec![1_u8; LEN];
    assert_eq!(
        pool.map(job!(sum_of), [&argument, &argument]).unwrap(),
        [LEN as u64; 2]
    );
    assert_eq!(
        pool.submit(job!(zeros), LEN).unwrap().join().unwrap().len(),
        LEN
    );
}

#[test]
fn a_map_may_return_far_more_than_its_queue_holds() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(2)
        .max_queued_bytes(64 << 10)
        .build()
        .unwrap();
    let results = pool.map(job!(zeros), vec![20_000; 2000]).unwrap();
    assert_eq!(results.len(), 2000);
    assert!(results.iter().all(|result| result.len() == 20_000));
    let argument = vec![1_u8; 40_000];
    assert_eq!(
        pool.map(job!(sum_of), vec![&argument; 500]).unwrap(),
        [40_000; 500]
    );
}

#[test]
fn any_chunk_size_gives_the_same_results() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    for chunk_size in [1, 2, 7, 99, 100, 101, 100_000, usize::MAX] {
        let results = pool_map!(in pool, square, 0..100, chunk_size = chunk_size).unwrap();
        assert_eq!(
            results,
            (0..100).map(|x| x * x).collect::<Vec<u64>>(),
            "{chunk_size}"
        );
    }
}

#[test]
fn many_threads_use_one_pool_at_once() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..20 {
                    let (start, len) = (thread * 1000 + round, 50);
                    let squares = pool.map(job!(square), start..start + len).unwrap();
                    assert_eq!(
                        squares,
                        (start..start + len).map(|x| x * x).collect::<Vec<_>>()
                    );
                    let handle = pool.submit(job!(square), start).unwrap();
                    let verdicts = pool.map_each(job!(fails_at_seven), 0..9).unwrap();
                    assert_eq!(
                        verdicts.iter().filter(|verdict| verdict.is_err()).count(),
                        1
                    );
                    assert_eq!(handle.join().unwrap(), start * start);
                }
            });
        }
    });
    let jobs: u64 = pool
        .stats()
        .workers
        .iter()
        .map(|worker| worker.jobs_done)
        .sum();
    assert_eq!(jobs, 16 * 20 * (50 + 1 + 9));
}

#[test]
fn a_pool_works_for_any_thread_after_the_one_that_made_it_has_ended() {
    let _test = begin();
    let pools: Vec<_> = (0..4)
        .map(|_| std::thread::spawn(|| Pool::new(2).unwrap()).join().unwrap())
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    for pool in &pools {
        let pids: HashSet<_> = pool.pids().into_iter().collect();
        assert_eq!(pool.map(job!(square), 0..100).unwrap().len(), 100);
        assert_eq!(
            pool.pids().into_iter().collect::<HashSet<_>>(),
            pids,
            "nobody was replaced"
        );
    }
}

#[test]
fn figures_add_up() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    pool.map(job!(after_millis), (0..20).map(|x| (x, 10)))
        .unwrap();
    pool.map_each(job!(fails_at_seven), 0..10).unwrap();
    let stats = pool.stats();
    assert_eq!(
        stats
            .workers
            .iter()
            .map(|worker| worker.pid)
            .collect::<Vec<_>>(),
        pool.pids()
    );
    assert_eq!(
        stats
            .workers
            .iter()
            .map(|worker| worker.jobs_done)
            .sum::<u64>(),
        30
    );
    let busy: Duration = stats.workers.iter().map(|worker| worker.busy_time).sum();
    assert!(busy >= Duration::from_millis(200), "{busy:?}");
    let cpu: Duration = stats.workers.iter().map(|worker| worker.cpu_time).sum();
    assert!(cpu > Duration::ZERO && cpu < busy, "{cpu:?}: they slept");
    assert!(
        stats
            .workers
            .iter()
            .all(|worker| worker.private_memory > 0 && worker.restarts == 0),
        "{stats:?}"
    );
}
