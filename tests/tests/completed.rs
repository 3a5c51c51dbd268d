//! `as_completed` and `wait`: several handles at once.

#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::time::Duration;

use procession::{
    JobError, JobHandle, Pool, WaitFor, Waited, as_completed, job, pool_map, process_job, wait,
};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, begin_with_default_pool, nothing, supervisor_pid, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn after_millis(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn counted_then_sleeps(path: PathBuf) -> u64 {
    Tally::count(&path);
    std::thread::sleep(Duration::from_secs(1000));
    0
}

#[process_job]
fn panics() -> u64 {
    panic!("on purpose");
}

const FOREVER: u64 = 1_000_000;

fn submit(pool: &Pool, millis: u64) -> JobHandle<u64> {
    pool.submit(job!(after_millis), millis).unwrap()
}

#[test]
fn results_come_as_they_end_each_once_and_with_its_place() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    let mut completed = as_completed([300, 1, 100].map(|millis| submit(&pool, millis)));
    assert_eq!(completed.len(), 3);
    assert_eq!(completed.next(), Some((1, Ok(1))));
    assert_eq!(completed.next(), Some((2, Ok(100))));
    assert_eq!(completed.len(), 1);
    assert_eq!(completed.next(), Some((0, Ok(300))));
    assert_eq!(completed.next(), None);
    assert_eq!(as_completed(Vec::<JobHandle<u64>>::new()).next(), None);

    let handles: Vec<_> = (0..5000)
        .map(|x| pool.submit(job!(square), x).unwrap())
        .collect();
    let mut results: Vec<_> = as_completed(handles).collect();
    results.sort_by_key(|(place, _)| *place);
    assert!(
        results
            .into_iter()
            .eq((0..).zip((0..5000).map(|x| Ok(x * x))))
    );
}

#[test]
fn handles_of_several_pools_go_together() {
    let _test = begin();
    let pools: Vec<_> = (0..5).map(|_| Pool::new(1).unwrap()).collect();
    let handles = |round: u64| {
        let handles = pools
            .iter()
            .zip(0..)
            .map(|(pool, x)| pool.submit(job!(square), round + x));
        handles.collect::<Result<Vec<_>, _>>().unwrap()
    };
    for round in 0..100 {
        assert_eq!(as_completed(handles(round)).count(), pools.len());
        let waited = wait(&handles(round), WaitFor::All, None);
        assert_eq!(waited.done.len(), pools.len());
    }
    let mut others = handles(0);
    others.push(submit(&pools[4], FOREVER));
    let results: Vec<_> = as_completed(others).take(5).collect();
    assert!(
        results
            .iter()
            .all(|(place, result)| *result == Ok((place * place) as u64))
    );
}

#[test]
fn errors_cancelled_and_taken_results_complete_too() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let cancelled = submit(&pool, FOREVER);
    assert!(cancelled.cancel());
    let mut taken = submit(&pool, 0);
    wait_for("its result", || {
        taken.join_timeout(Duration::ZERO).unwrap().is_some()
    });
    let handles = [pool.submit(job!(panics), ()).unwrap(), cancelled, taken];
    let mut results: Vec<_> = as_completed(handles).collect();
    results.sort_by_key(|(place, _)| *place);
    assert!(matches!(results[0], (0, Err(JobError::Panicked { .. }))));
    assert_eq!(results[1], (1, Err(JobError::Cancelled)));
    assert!(matches!(results[2], (2, Err(JobError::Lost { .. }))));
}

#[test]
fn it_waits_for_the_first_for_a_failure_or_for_all() {
    let _test = begin();
    let pool = Pool::new(3).unwrap();
    let handles = [submit(&pool, FOREVER), submit(&pool, 1)];
    let waited = wait(&handles, WaitFor::FirstCompleted, None);
    let expected = Waited {
        done: vec![1],
        not_done: vec![0],
    };
    assert_eq!(waited, expected);
    for until in [WaitFor::All, WaitFor::FirstException] {
        let waited = wait(&handles, until, Some(Duration::from_millis(5)));
        assert_eq!(waited, expected, "{until:?}: that is all for now");
    }
    let [forever, one] = handles;
    assert_eq!(one.join(), Ok(1), "the result is still there");

    let handles = [
        forever,
        submit(&pool, 1),
        pool.submit(job!(panics), ()).unwrap(),
    ];
    let waited = wait(&handles, WaitFor::FirstException, None);
    assert!(waited.done.contains(&2) && waited.not_done.contains(&0));
    assert!(handles[0].cancel());
    let all = Waited {
        done: vec![0, 1, 2],
        not_done: vec![],
    };
    assert_eq!(wait(&handles, WaitFor::All, None), all);
    assert_eq!(wait(&handles, WaitFor::All, Some(Duration::ZERO)), all);

    let none: [JobHandle<u64>; 0] = [];
    for until in [
        WaitFor::All,
        WaitFor::FirstCompleted,
        WaitFor::FirstException,
    ] {
        assert_eq!(wait(&none, until, None), Waited::default());
    }
}

#[test]
fn a_cancelled_job_is_no_failure_to_wait_for() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let handles = [submit(&pool, FOREVER), submit(&pool, FOREVER)];
    assert!(handles[0].cancel());
    let moment = Some(Duration::from_millis(20));
    let waited = wait(&handles, WaitFor::FirstException, moment);
    assert_eq!((waited.done, waited.not_done), (vec![0], vec![1]));
    assert!(handles[1].cancel());
    assert_eq!(wait(&handles, WaitFor::FirstException, None).done, [0, 1]);
    // It waits on for the other one.
    let handles = [submit(&pool, FOREVER), submit(&pool, 200)];
    assert!(handles[0].cancel());
    assert_eq!(wait(&handles, WaitFor::FirstException, None).done, [0, 1]);
}

#[test]
fn a_failure_that_was_told_already_is_one_still() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let mut handles = [
        submit(&pool, FOREVER),
        pool.submit(job!(panics), ()).unwrap(),
    ];
    let told = handles[1].join_timeout(Duration::MAX).unwrap_err();
    assert!(matches!(told, JobError::Panicked { .. }), "{told:?}");
    let waited = wait(&handles, WaitFor::FirstException, None);
    assert_eq!((waited.done, waited.not_done), (vec![1], vec![0]));
    assert!(handles[0].cancel());
    // A result, or the news that it was cancelled, is no failure, though it be one to ask for it again.
    let mut handles = [submit(&pool, FOREVER), submit(&pool, 1)];
    assert_eq!(handles[1].join_timeout(Duration::MAX), Ok(Some(1)));
    assert!(handles[1].join_timeout(Duration::ZERO).is_err());
    assert!(handles[0].cancel());
    let cancelled = handles[0].join_timeout(Duration::MAX);
    assert_eq!(cancelled, Err(JobError::Cancelled));
    let [cancelled, done] = handles;
    let handles = [cancelled, done, submit(&pool, 100)];
    let waited = wait(&handles, WaitFor::FirstException, None);
    assert_eq!(waited.done, [0, 1, 2], "it waited for the last one");
}

#[test]
fn threads_that_wait_for_the_same_handles_all_learn_of_the_end() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let handles = [submit(&pool, 50), submit(&pool, 1)];
    std::thread::scope(|scope| {
        let waiters = [(); 4].map(|()| scope.spawn(|| wait(&handles, WaitFor::All, None)));
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().done, [0, 1]);
        }
    });
}

#[test]
fn killed_workers_and_the_end_of_a_pool_complete_handles() {
    let _test = begin();
    let (pool, other) = (Pool::new(1).unwrap(), Pool::new(1).unwrap());
    let tally = Tally::new();
    let begun = pool
        .submit(job!(counted_then_sleeps), tally.path())
        .unwrap();
    let handles = [begun, submit(&other, FOREVER), submit(&other, FOREVER)];
    wait_for("the job to begin", || tally.runs() == 1);
    wait_for("its worker's number", || !pool.pids().is_empty());
    processes::send(pool.pids()[0], Signal::SIGKILL);
    let waited = wait(&handles, WaitFor::FirstException, None);
    assert_eq!((waited.done, waited.not_done), (vec![0], vec![1, 2]));
    let errors = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| as_completed(handles).collect::<Vec<_>>());
        std::thread::sleep(Duration::from_millis(20));
        drop(other);
        waiter.join().unwrap()
    });
    assert!(matches!(
        errors[0],
        (0, Err(JobError::Killed { signal: 9, .. }))
    ));
    assert!(
        errors[1..]
            .iter()
            .all(|(_, error)| *error == Err(JobError::Cancelled))
    );
}

#[test]
fn the_supervisors_death_completes_every_handle() {
    let _test = begin_with_default_pool();
    let tally = Tally::new();
    let pools = [Pool::new(1).unwrap(), Pool::new(1).unwrap()];
    let handles: Vec<_> = pools
        .iter()
        .chain(&pools)
        .map(|pool| {
            pool.submit(job!(counted_then_sleeps), tally.path())
                .unwrap()
        })
        .collect();
    wait_for("two jobs to begin", || tally.runs() == 2);
    let waited = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&handles, WaitFor::All, None));
        processes::send(supervisor_pid(), Signal::SIGKILL);
        waiter.join().unwrap()
    });
    assert_eq!(waited.done, [0, 1, 2, 3]);
    let n_begun = as_completed(handles).filter(|(_, result)| {
        let error = result.as_ref().unwrap_err();
        assert!(matches!(error, JobError::Lost { .. }));
        error.may_have_run()
    });
    assert_eq!(n_begun.count(), 2);
    pool_map!(nothing, [()]).unwrap();
}
