//! The words of every error that a user can bring about, and calls that have nothing to do.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::error::Error as _;
use std::process::Command;
use std::time::Duration;

use procession::{Error, ErrorKind, JobError, Pool, job, pool_map, process_job, spawn};
use procession_tests::{Story, begin};
use serde::{Deserialize, Serialize};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn refuses(x: u32) -> u32 {
    match x {
        3 => std::process::exit(9),
        5 => panic!("not five"),
        _ => x,
    }
}

#[process_job(name = "another name")]
fn renamed() {
    std::process::exit(1);
}

#[process_job]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[process_job]
fn hangs() {
    loop {
        std::thread::park();
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    x: u32,
    #[serde(flatten)]
    rest: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u32),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Circle { radius: u32 },
}

#[process_job]
fn takes_flat(_value: Flat) {}

#[process_job]
fn takes_untagged(_value: Untagged) {}

#[process_job]
fn takes_tagged(_value: Tagged) {}

#[process_job]
fn takes_json(_value: serde_json::Value) {}

#[process_job]
fn gives_flat() -> Flat {
    Flat {
        x: 1,
        rest: BTreeMap::from([("a".into(), 2)]),
    }
}

#[process_job]
fn gives_untagged(text: bool) -> Untagged {
    if text {
        Untagged::Text("text".into())
    } else {
        Untagged::Number(1)
    }
}

#[process_job]
fn gives_json() -> serde_json::Value {
    serde_json::json!({ "a": [1, 2] })
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, kind: ErrorKind, words: &str) {
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (kind, words));
}

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    let _test = begin();
    let invalid = ErrorKind::InvalidInput;
    refused(
        Pool::new(0),
        invalid,
        "a pool needs 1 to 1024 workers, not 0",
    );
    refused(
        Pool::new(1025),
        invalid,
        "a pool needs 1 to 1024 workers, not 1025",
    );
    refused(
        Pool::new(usize::MAX),
        invalid,
        "a pool needs 1 to 1024 workers, not 18446744073709551615",
    );
    let builder = || Pool::builder().workers(1);
    refused(
        builder().max_queued_bytes(0).build(),
        invalid,
        "`max_queued_bytes` of 0 leaves no room for any job: give it at least the size of one",
    );
    refused(
        builder().max_queued_bytes(u64::MAX).build(),
        invalid,
        "`max_queued_bytes` is more than 1 TiB: give it what memory can hold",
    );
    refused(
        builder().timeout(Duration::ZERO).build(),
        invalid,
        "`timeout` of 0 would kill every job; leave it out for no limit",
    );
    refused(
        builder().memory_limit(0).build(),
        invalid,
        "`memory_limit` of 0 would kill every worker; leave it out for no limit",
    );
    refused(
        builder().max_jobs_per_worker(0).build(),
        invalid,
        "`max_jobs_per_worker` of 0 would start no job; leave it out for no limit",
    );
    let pool = builder().build().unwrap();
    refused(
        pool_map!(in pool, square, 0..3, chunk_size = 0),
        invalid,
        "a `chunk_size` of 0 holds no item: give at least 1, or leave it out",
    );
    refused(
        pool_map!(in pool, square, 0..3, timeout = Duration::ZERO),
        invalid,
        "a `timeout` of 0 would kill every job; leave it out for no limit",
    );
    assert_eq!(
        pool.map(job!(square), 0..3).unwrap(),
        [0, 1, 4],
        "and nothing is broken by it"
    );
}

#[test]
fn an_item_too_large_for_the_queue_says_how_large() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(1 << 20)
        .build()
        .unwrap();
    for outcome in [
        pool.submit(job!(length), vec![0; 2 << 20]).map(drop),
        pool.try_submit(job!(length), vec![0; 2 << 20]).map(drop),
        pool.map(job!(length), [vec![0; 2 << 20]]).map(drop),
        pool.map_each(job!(length), [vec![0; 2 << 20]]).map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueFull);
        let words = error.to_string();
        let (needed, rest) = words
            .strip_prefix("an item and the room for its result need ")
            .and_then(|rest| rest.split_once(" bytes, the pool's queue holds "))
            .unwrap_or_else(|| panic!("{words}"));
        assert_eq!(rest, "1048576: allow more with `max_queued_bytes`");
        let needed: u64 = needed.parse().unwrap();
        assert!((2 << 20..(2 << 20) + 4096).contains(&needed), "{needed}");
    }
    assert_eq!(
        pool.map(job!(length), [vec![0; 1 << 19]]).unwrap(),
        [1 << 19]
    );
}

#[test]
fn a_full_queue_says_so() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(4096)
        .build()
        .unwrap();
    let mut handles = Vec::new();
    let error = loop {
        match pool.try_submit(job!(hangs), ()) {
            Ok(handle) => handles.push(handle),
            Err(error) => break error,
        }
    };
    refused(
        Err::<(), _>(error),
        ErrorKind::QueueFull,
        "the pool's queue is full: wait for results, or allow more with `max_queued_bytes`",
    );
}

#[test]
fn a_failed_map_names_job_item_and_worker() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let worker = pool.pids()[0];
    let error = pool.map(job!(refuses), [1, 2, 5]).unwrap_err();
    let words = error.to_string();
    let start = format!("job `refuses` failed at item 2 in worker {worker}: panicked at ");
    assert!(
        words.starts_with(&start) && words.ends_with(": not five"),
        "{words}"
    );
    assert_eq!(
        (error.kind(), error.job(), error.index(), error.worker_pid()),
        (ErrorKind::Job, Some("refuses"), Some(2), Some(worker))
    );
    let error = pool.map(job!(refuses), 0..10).unwrap_err();
    let words = format!("job `refuses` failed at item 3 in worker {worker}: called exit(9)");
    assert_eq!(error.job_error(), Some(&JobError::Exited { code: 9 }));
    assert_eq!(error.source().unwrap().to_string(), "called exit(9)");
    refused(Err::<(), _>(error), ErrorKind::Job, &words);
    let error = pool.map(job!(renamed), [()]).unwrap_err();
    assert_eq!(error.job(), Some("another name"));
}

#[test]
fn a_taken_result_says_so() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let mut handle = pool.submit(job!(square), 3).unwrap();
    assert_eq!(handle.join_timeout(Duration::MAX), Ok(Some(9)));
    let words = "lost after it had begun: the result of this job was taken already";
    assert_eq!(
        handle.join_timeout(Duration::ZERO).unwrap_err().to_string(),
        words
    );
    assert_eq!(handle.join().unwrap_err().to_string(), words);
    let mut process = spawn!(square(3)).unwrap();
    assert_eq!(process.join_timeout(Duration::MAX), Ok(Some(9)));
    let words = "lost after it had begun: the result of this process was taken already";
    assert_eq!(
        process
            .join_timeout(Duration::ZERO)
            .unwrap_err()
            .to_string(),
        words
    );
}

#[track_caller]
fn says_what_to_do<R: std::fmt::Debug>(outcome: Result<R, JobError>, of_type: &str) {
    let JobError::Codec { message } = outcome.unwrap_err() else {
        panic!("no error of the codec");
    };
    assert!(message.contains(of_type), "{message}");
    let remedy = "send it as a string (for example JSON text), or give it a concrete type";
    assert!(message.contains(remedy), "{message}");
}

#[test]
fn values_that_no_binary_format_carries_say_what_to_do() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let flat = Flat {
        x: 1,
        rest: BTreeMap::new(),
    };
    let of_call = |error: Error| Err::<(), _>(error.job_error().unwrap().clone());
    let error = pool
        .submit(job!(takes_flat), flat.clone())
        .map(drop)
        .unwrap_err();
    says_what_to_do(of_call(error), "Flat");
    let error = spawn!(takes_flat(flat.clone())).map(drop).unwrap_err();
    says_what_to_do(of_call(error), "Flat");
    let error = pool.map(job!(takes_flat), [flat.clone()]).unwrap_err();
    assert_eq!(error.index(), Some(0));
    says_what_to_do(of_call(error), "Flat");
    says_what_to_do(
        pool.map_each(job!(takes_flat), [flat]).unwrap().remove(0),
        "Flat",
    );

    for value in [Untagged::Number(1), Untagged::Text("text".into())] {
        says_what_to_do(
            pool.map_each(job!(takes_untagged), [value])
                .unwrap()
                .remove(0),
            "Untagged",
        );
    }
    let circle = Tagged::Circle { radius: 1 };
    says_what_to_do(
        pool.map_each(job!(takes_tagged), [circle])
            .unwrap()
            .remove(0),
        "Tagged",
    );
    let value = serde_json::json!({ "a": [1, null, "b"] });
    says_what_to_do(
        pool.map_each(job!(takes_json), [value]).unwrap().remove(0),
        "Value",
    );

    says_what_to_do(pool.submit(job!(gives_flat), ()).unwrap().join(), "Flat");
    says_what_to_do(
        pool.submit(job!(gives_untagged), true).unwrap().join(),
        "Untagged",
    );
    says_what_to_do(
        pool.submit(job!(gives_untagged), false).unwrap().join(),
        "Untagged",
    );
    says_what_to_do(pool.submit(job!(gives_json), ()).unwrap().join(), "Value");
    says_what_to_do(spawn!(gives_json()).unwrap().join(), "Value");
    assert_eq!(
        pool.map(job!(square), 0..3).unwrap(),
        [0, 1, 4],
        "the pool goes on"
    );
}

#[test]
fn no_items_give_an_empty_result_of_every_verb() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let none = || std::iter::empty::<u64>();
    assert!(pool.map(job!(square), none()).unwrap().is_empty());
    assert!(pool.map_each(job!(square), none()).unwrap().is_empty());
    assert!(pool_map!(in pool, square, none()).unwrap().is_empty());
    let longest = Duration::MAX;
    let results =
        pool_map!(in pool, square, none(), chunk_size = 3, timeout = longest, retries = 2);
    assert!(results.unwrap().is_empty());
    assert!(
        pool.stats()
            .workers
            .iter()
            .all(|worker| worker.jobs_done == 0)
    );
}

#[test]
fn without_descriptors_there_is_an_error_and_afterwards_it_works() {
    let _test = begin();
    let output = Story::of(
        Command::new(env!("CARGO_BIN_EXE_asks"))
            .arg("descriptors")
            .env_remove("RUST_BACKTRACE"),
    )
    .success();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 14, "{output}");
    for line in &lines[..2] {
        assert!(line.contains("Too many open files (os error 24)"), "{line}");
        assert!(
            line.contains(": System: ") || line.contains(": Start: "),
            "{line}"
        );
    }
    assert_eq!(lines[12..], ["pool: 1", "process: true"]);
}
