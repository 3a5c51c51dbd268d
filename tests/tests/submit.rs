//! Single calls on a pool: handles, cancelling, the queue's limits.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use procession::{ErrorKind, JobError, JobHandle, Pool, job, process_job, spawn};
use procession_tests::{Tally, begin, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[process_job]
fn after_millis(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn counted_then_sleeps(path: PathBuf, millis: u64) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(millis));
}

#[process_job]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[process_job]
fn panics() {
    panic!("on purpose");
}

/// Occupies the only worker of `pool` until it is cancelled.
fn occupy(pool: &Pool) -> JobHandle<()> {
    let tally = Tally::new();
    let handle = pool
        .submit(job!(counted_then_sleeps), (tally.path(), 100_000))
        .unwrap();
    wait_for("the worker to begin", || tally.runs() == 1);
    handle
}

#[test]
fn a_handle_gives_the_result_once() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    assert_eq!(pool.submit(job!(square), 12).unwrap().join().unwrap(), 144);
    assert_eq!(spawn!(in pool, add(1, 2)).unwrap().join().unwrap(), 3);

    let mut handle = pool.submit(job!(after_millis), 200).unwrap();
    assert_eq!(handle.join_timeout(Duration::ZERO).unwrap(), None);
    assert_eq!(
        handle.join_timeout(Duration::from_millis(10)).unwrap(),
        None
    );
    assert!(!handle.is_finished());
    wait_for("its end", || handle.is_finished());
    assert_eq!(handle.join_timeout(Duration::ZERO).unwrap(), Some(200));
    assert!(handle.is_finished());
    assert!(matches!(
        handle.join_timeout(Duration::from_secs(1)),
        Err(JobError::Lost { .. })
    ));
    assert!(
        matches!(handle.join(), Err(JobError::Lost { .. })),
        "it does not wait for ever"
    );
}

#[test]
fn a_timeout_without_end_waits() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let mut handle = pool.submit(job!(after_millis), 150).unwrap();
    assert_eq!(handle.join_timeout(Duration::MAX).unwrap(), Some(150));
}

#[test]
fn a_failure_is_given_once_too() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let mut handle = pool.submit(job!(panics), ()).unwrap();
    assert!(matches!(
        handle.join_timeout(Duration::from_secs(10)),
        Err(JobError::Panicked { .. })
    ));
    assert!(matches!(
        handle.join_timeout(Duration::ZERO),
        Err(JobError::Lost { .. })
    ));
}

#[test]
fn a_queued_job_that_is_cancelled_never_runs() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let running = occupy(&pool);
    let tally = Tally::new();
    let queued: Vec<_> = (0..5)
        .map(|_| {
            pool.submit(job!(counted_then_sleeps), (tally.path(), 0))
                .unwrap()
        })
        .collect();
    assert!(queued[1].cancel() && queued[3].cancel());
    assert!(queued[1].is_finished() && !queued[0].is_finished());
    assert!(running.cancel());
    for (place, handle) in queued.into_iter().enumerate() {
        let expected = if place % 2 == 1 {
            Err(JobError::Cancelled)
        } else {
            Ok(())
        };
        assert_eq!(handle.join(), expected, "{place}");
    }
    assert_eq!(tally.runs(), 3);
    pool.close().unwrap();
    assert_eq!(tally.runs(), 3);
}

#[test]
fn a_running_job_that_is_cancelled_dies_with_its_worker() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let worker = pool.pids()[0];
    let running = occupy(&pool);
    assert!(running.cancel());
    assert!(running.is_finished());
    assert_eq!(running.join(), Err(JobError::Cancelled));
    assert_eq!(pool.submit(job!(square), 3).unwrap().join().unwrap(), 9);
    wait_for("another worker", || {
        pool.pids().first().is_some_and(|&pid| pid != worker)
    });
    assert_eq!(pool.stats().workers[0].restarts, 1);
}

#[test]
fn a_finished_job_cannot_be_cancelled() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let worker = pool.pids()[0];
    let handle = pool.submit(job!(square), 5).unwrap();
    wait_for("its end", || handle.is_finished());
    assert!(!handle.cancel());
    assert_eq!(handle.join().unwrap(), 25);
    let failed = pool.submit(job!(panics), ()).unwrap();
    wait_for("its end", || failed.is_finished());
    assert!(!failed.cancel());
    assert!(matches!(failed.join(), Err(JobError::Panicked { .. })));
    assert_eq!(pool.pids()[0], worker);
}

/// Whatever the moment, `cancel` and `join` agree with each other.
#[test]
fn cancelling_at_any_moment_tells_the_truth() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let (mut n_cancelled, mut n_finished) = (0, 0);
    for round in 0..300_u64 {
        let handle = pool.submit(job!(square), round).unwrap();
        let until = Instant::now() + Duration::from_micros(round);
        while Instant::now() < until {}
        if handle.cancel() {
            assert_eq!(handle.join(), Err(JobError::Cancelled), "{round}");
            n_cancelled += 1;
        } else {
            assert_eq!(handle.join(), Ok(round * round));
            n_finished += 1;
        }
    }
    assert_eq!(n_cancelled + n_finished, 300);
    assert_eq!(pool.map(job!(square), 0..100).unwrap().len(), 100);
}

#[test]
fn many_cancel_one_job_and_wait_for_it_at_once() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    for _ in 0..20 {
        let running = occupy(&pool);
        std::thread::scope(|scope| {
            let cancels: Vec<_> = (0..4).map(|_| scope.spawn(|| running.cancel())).collect();
            assert!(cancels.into_iter().any(|cancel| cancel.join().unwrap()));
        });
        assert_eq!(running.join(), Err(JobError::Cancelled));
    }
}

#[test]
fn ten_thousand_jobs_wait_before_anybody_joins() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let handles: Vec<_> = (0..10_000)
        .map(|x| pool.submit(job!(square), x).unwrap())
        .collect();
    for (x, handle) in handles.into_iter().enumerate().rev() {
        let x = x as u64;
        assert_eq!(handle.join().unwrap(), x * x);
    }
}

#[test]
fn a_full_queue_says_so_or_waits_for_room() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(16 << 10)
        .build()
        .unwrap();
    let running = occupy(&pool);
    let bytes = vec![1_u8; 1000];
    let mut queued = Vec::new();
    let error = loop {
        match pool.try_submit(job!(length), &bytes) {
            Ok(handle) => queued.push(handle),
            Err(error) => break error,
        }
        assert!(
            queued.len() < 17,
            "16 KiB hold no more than 16 times 1000 bytes"
        );
    };
    assert_eq!(error.kind(), ErrorKind::QueueFull);
    assert!(
        error.to_string().contains("the pool's queue is full"),
        "{error}"
    );
    assert!(!queued.is_empty());

    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.submit(job!(length), &bytes).unwrap().join());
        std::thread::sleep(Duration::from_millis(200));
        assert!(
            !waiting.is_finished(),
            "it waits while the worker is occupied"
        );
        assert!(running.cancel());
        assert_eq!(waiting.join().unwrap(), Ok(1000));
    });
    for handle in queued {
        assert_eq!(handle.join().unwrap(), 1000);
    }
    // Alone: rule 2, whoever waits for room takes in what is finished.
    let handles: Vec<_> = (0..2000)
        .map(|_| pool.submit(job!(length), &bytes).unwrap())
        .collect();
    assert!(handles.into_iter().all(|handle| handle.join() == Ok(1000)));
}

#[test]
fn who_only_tries_finds_the_room_that_finished_jobs_left() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(16 << 10)
        .build()
        .unwrap();
    let bytes = vec![1_u8; 1000];
    let mut handles = Vec::new();
    // Far more than fit at a time; nobody joins, nobody waits.
    wait_for("room for a hundred jobs", || {
        handles.extend(pool.try_submit(job!(length), &bytes));
        handles.len() == 100
    });
    for handle in handles {
        assert_eq!(handle.join().unwrap(), 1000);
    }
}

#[test]
fn room_comes_too_when_a_queued_job_is_cancelled() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(8 << 10)
        .build()
        .unwrap();
    let running = occupy(&pool);
    let bytes = vec![1_u8; 5000];
    let queued = pool.submit(job!(length), &bytes).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.submit(job!(length), &bytes).unwrap());
        std::thread::sleep(Duration::from_millis(50));
        assert!(queued.cancel());
        let now_queued = waiting.join().unwrap();
        assert!(running.cancel());
        assert_eq!(now_queued.join().unwrap(), 5000);
    });
}

#[test]
fn what_can_never_fit_is_an_error_and_no_wait() {
    let _test = begin();
    let pool = Pool::builder()
        .workers(1)
        .max_queued_bytes(16 << 10)
        .build()
        .unwrap();
    let bytes = vec![1_u8; 17 << 10];
    for error in [
        pool.submit(job!(length), &bytes).unwrap_err(),
        pool.try_submit(job!(length), &bytes).unwrap_err(),
        pool.map(job!(length), [&bytes[..10], &bytes]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::QueueFull);
        assert!(
            error
                .to_string()
                .contains("the pool's queue holds 16384: allow more with `max_queued_bytes`"),
            "{error}"
        );
    }
    assert_eq!(
        pool.submit(job!(length), &bytes[..100])
            .unwrap()
            .join()
            .unwrap(),
        100
    );
}

#[test]
fn handles_are_joined_by_other_threads() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let handles: Vec<_> = (0..200)
        .map(|x| pool.submit(job!(square), x).unwrap())
        .collect();
    let threads = (0..)
        .zip(handles)
        .map(|(x, handle)| (x, std::thread::spawn(move || handle.join().unwrap())));
    for (x, thread) in threads.collect::<Vec<_>>() {
        assert_eq!(thread.join().unwrap(), x * x);
    }
}
