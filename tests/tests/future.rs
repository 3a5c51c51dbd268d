//! Handles as futures and callbacks: under tokio and without any executor, with one thread for all of it.

#![cfg(target_os = "linux")]

use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use procession::{JobError, JobHandle, Pool, job, pool_map, process_job};
use procession_tests::processes::{self, Signal};
use procession_tests::{Tally, begin, begin_with_default_pool, nothing, supervisor_pid, wait_for};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn after_millis(millis: u64) -> u64 {
    thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn counted_then_sleeps(path: PathBuf) {
    Tally::count(&path);
    thread::sleep(Duration::from_secs(1000));
}

#[process_job]
fn aborts() {
    std::process::abort();
}

/// An executor of one future, of std alone.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn n(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

fn poll<R>(handle: &mut JobHandle<R>, waker: &Waker) -> Poll<Result<R, JobError>>
where
    JobHandle<R>: Future<Output = Result<R, JobError>>,
{
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

fn threads_named_procession() -> usize {
    processes::held_back_by_threads("procession").len()
}

#[test]
fn a_handle_is_send_and_unpin() {
    fn is<T: Send + Sync + Unpin + Future>() {}
    is::<JobHandle<u64>>();
}

#[test]
fn handles_are_awaited_without_an_executor() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let sum = block_on(async {
        let first = pool.submit(job!(after_millis), 20).unwrap();
        let second = pool.submit(job!(square), 5).unwrap();
        Ok::<_, JobError>(first.await? + second.await?)
    });
    assert_eq!(sum, Ok(45));
    let error = block_on(pool.submit(job!(aborts), ()).unwrap()).unwrap_err();
    assert!(matches!(error, JobError::Killed { signal: 6, .. }));
    for x in 0..200 {
        let handle = pool.submit(job!(square), x).unwrap();
        assert_eq!(block_on(handle), Ok(x * x));
    }
}

#[test]
fn handles_are_awaited_under_tokio() {
    let _test = begin();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pool = Pool::new(2).unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|x| tokio::spawn(pool.submit(job!(square), x).unwrap()))
            .collect();
        for (x, task) in (0..).zip(tasks) {
            assert_eq!(task.await.unwrap(), Ok(x * x));
        }
        let mut slow = pool.submit(job!(after_millis), 100).unwrap();
        tokio::select! {
            result = &mut slow => panic!("{result:?}"),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        assert_eq!(slow.await, Ok(100), "what was left can be awaited again");
        let forever = pool.submit(job!(after_millis), 1_000_000).unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(10), forever).await;
        assert!(waited.is_err());
    });
}

#[test]
fn one_thread_is_started_by_the_first_that_is_awaited_and_serves_all_pools() {
    let _test = begin();
    let pools = [(); 4].map(|()| Pool::new(1).unwrap());
    let waker = Waker::noop();
    // Under `cargo test` another test of this file may have started it already.
    let before = threads_named_procession();
    let [busy, pools @ ..] = &pools;
    let mut handles: Vec<_> = pools
        .iter()
        .map(|pool| pool.submit(job!(after_millis), 50).unwrap())
        .collect();
    assert_eq!(threads_named_procession(), before);
    // The others' ends must not wait for the end of this one.
    let mut forever = busy.submit(job!(after_millis), 1_000_000).unwrap();
    assert!(poll(&mut forever, waker).is_pending());
    for handle in &mut handles {
        assert!(poll(handle, waker).is_pending());
    }
    wait_for("it to have its name", || threads_named_procession() == 1);
    for handle in handles {
        assert_eq!(block_on(handle), Ok(50));
    }
    assert_eq!(threads_named_procession(), 1);
}

#[test]
fn the_waker_of_the_latest_poll_is_woken_and_others_are_let_go() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let (first, second) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let mut handle = pool.submit(job!(after_millis), 100).unwrap();
    assert!(poll(&mut handle, &Waker::from(Arc::clone(&first))).is_pending());
    assert!(poll(&mut handle, &Waker::from(Arc::clone(&second))).is_pending());
    assert_eq!(Arc::strong_count(&first), 1);
    wait_for("the wake", || second.n() == 1);
    assert_eq!(first.n(), 0);
    let waker = Waker::noop();
    assert_eq!(poll(&mut handle, waker), Poll::Ready(Ok(100)));
    let again = poll(&mut handle, waker);
    assert!(matches!(again, Poll::Ready(Err(JobError::Lost { .. }))));

    let mut handle = pool.submit(job!(after_millis), 1_000_000).unwrap();
    assert!(poll(&mut handle, &Waker::from(Arc::clone(&first))).is_pending());
    drop(handle);
    assert_eq!(Arc::strong_count(&first), 1, "let go with the handle");
}

/// A task of an executor: the waker that holds it has another handle die with it.
struct HoldsAHandle(#[expect(dead_code, reason = "to be dropped")] Mutex<JobHandle<u64>>);

impl Wake for HoldsAHandle {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_whose_end_is_another_handles_end_locks_nothing_up() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let mut inner = pool.submit(job!(after_millis), 1_000_000).unwrap();
    assert!(poll(&mut inner, Waker::noop()).is_pending());
    let mut outer = pool.submit(job!(square), 1).unwrap();
    let waker = Waker::from(Arc::new(HoldsAHandle(Mutex::new(inner))));
    assert!(poll(&mut outer, &waker).is_pending());
    drop(waker);
    // Its place is taken, and then that of the next.
    assert!(poll(&mut outer, Waker::noop()).is_pending());
    let mut inner = pool.submit(job!(square), 2).unwrap();
    assert!(poll(&mut inner, Waker::noop()).is_pending());
    let waker = Waker::from(Arc::new(HoldsAHandle(Mutex::new(inner))));
    assert!(poll(&mut outer, &waker).is_pending());
    drop(waker);
    drop(outer);
}

#[test]
fn the_end_of_the_pool_wakes_whoever_awaits() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let handles: Vec<_> = (0..3)
        .map(|_| pool.submit(job!(after_millis), 1_000_000).unwrap())
        .collect();
    let waiting = handles
        .into_iter()
        .map(|handle| thread::spawn(|| block_on(handle)));
    let waiting: Vec<_> = waiting.collect();
    thread::sleep(Duration::from_millis(20));
    drop(pool);
    for waiter in waiting {
        assert_eq!(waiter.join().unwrap(), Err(JobError::Cancelled));
    }
}

#[test]
fn the_supervisors_death_wakes_whoever_awaits_and_calls_back() {
    let _test = begin_with_default_pool();
    let tally = Tally::new();
    let pools = [Pool::new(1).unwrap(), Pool::new(1).unwrap()];
    let (called, calls) = mpsc::channel();
    let waiting: Vec<_> = pools
        .iter()
        .map(|pool| {
            let handle = pool.submit(job!(counted_then_sleeps), tally.path());
            thread::spawn(move || block_on(handle.unwrap()))
        })
        .collect();
    let queued = pools[0].submit(job!(square), 1).unwrap();
    queued
        .on_done(move |result| called.send(result).unwrap())
        .unwrap();
    wait_for("two jobs to begin", || tally.runs() == 2);
    processes::send(supervisor_pid(), Signal::SIGKILL);
    for waiter in waiting {
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, JobError::Lost { started: true, .. }));
    }
    let error = calls.recv().unwrap().unwrap_err();
    assert!(matches!(error, JobError::Lost { started: false, .. }));
    pool_map!(nothing, [()]).unwrap();
}

#[test]
fn killed_workers_wake_whoever_awaits() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let tally = Tally::new();
    for n_killed in 1..=10 {
        let handle = pool
            .submit(job!(counted_then_sleeps), tally.path())
            .unwrap();
        let waiter = thread::spawn(|| block_on(handle));
        wait_for("the job to begin", || tally.runs() == n_killed);
        // A worker may have begun before it is in the list.
        wait_for("its end", || {
            let pids = pool.pids().into_iter();
            pids.for_each(|pid| processes::send(pid, Signal::SIGKILL));
            waiter.is_finished()
        });
        let error = waiter.join().unwrap().unwrap_err();
        assert!(matches!(error, JobError::Killed { signal: 9, .. }));
    }
}

#[test]
fn a_callback_is_called_once_with_what_became_of_the_job() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let (called, calls) = mpsc::channel();
    let call_back = |handle: JobHandle<u64>| {
        let called = called.clone();
        handle
            .on_done(move |result| {
                let thread = thread::current().name().map(str::to_owned);
                called.send((result, thread)).unwrap();
            })
            .unwrap();
    };
    for millis in [0, 30] {
        call_back(pool.submit(job!(after_millis), millis).unwrap());
        let thread = Some("procession".to_owned());
        assert_eq!(calls.recv().unwrap(), (Ok(millis), thread));
    }
    let finished = pool.submit(job!(square), 3).unwrap();
    wait_for("its end", || finished.is_finished());
    call_back(finished);
    assert_eq!(calls.recv().unwrap().0, Ok(9));
    let cancelled = pool.submit(job!(after_millis), 1_000_000).unwrap();
    assert!(cancelled.cancel());
    call_back(cancelled);
    assert_eq!(calls.recv().unwrap().0, Err(JobError::Cancelled));
    let mut taken = pool.submit(job!(square), 3).unwrap();
    wait_for("its result", || {
        taken.join_timeout(Duration::ZERO).unwrap().is_some()
    });
    call_back(taken);
    assert!(matches!(
        calls.recv().unwrap().0,
        Err(JobError::Lost { .. })
    ));
    call_back(pool.submit(job!(after_millis), 1_000_000).unwrap());
    drop(pool);
    assert_eq!(calls.recv().unwrap().0, Err(JobError::Cancelled));
    drop(called);
    assert!(calls.recv().is_err(), "each once");
}

#[test]
fn signals_to_the_program_are_left_to_its_own_threads() {
    let _test = begin();
    let of_this_thread = || processes::held_back("/proc/thread-self".as_ref());
    let before = of_this_thread();
    let pool = Pool::new(1).unwrap();
    assert_eq!(block_on(pool.submit(job!(square), 3).unwrap()), Ok(9));
    assert_eq!(of_this_thread(), before);
    let [held_back] = processes::held_back_by_threads("procession")[..] else {
        panic!("it is one thread");
    };
    for signal in [Signal::SIGTERM, Signal::SIGALRM, Signal::SIGCHLD] {
        assert_ne!(held_back & (1 << (signal as i32 - 1)), 0, "{signal}");
    }
}

#[test]
fn callbacks_that_panic_or_take_their_time_harm_no_job() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    for x in 0..10 {
        let handle = pool.submit(job!(square), x).unwrap();
        handle.on_done(|_| panic!("on purpose")).unwrap();
    }
    let handle = pool.submit(job!(square), 1).unwrap();
    handle.on_done(move |_| may_go_on.recv().unwrap()).unwrap();
    // While it hangs in a callback, jobs run, and whoever joins learns of it.
    let squares = pool.map(job!(square), 0..1000).unwrap();
    assert_eq!(squares[999], 999 * 999);
    assert_eq!(pool.submit(job!(square), 7).unwrap().join(), Ok(49));
    let handle = pool.submit(job!(square), 8).unwrap();
    go_on.send(()).unwrap();
    assert_eq!(block_on(handle), Ok(64));
}

#[test]
fn a_callback_may_use_the_pool() {
    let _test = begin();
    let pool = Arc::new(Pool::new(1).unwrap());
    let (done, is_done) = mpsc::channel();
    let inner = Arc::clone(&pool);
    let handle = pool.submit(job!(square), 3).unwrap();
    handle
        .on_done(move |nine| {
            let again = inner.submit(job!(square), nine.unwrap()).unwrap();
            again
                .on_done(move |result| done.send(result).unwrap())
                .unwrap();
            drop(inner);
        })
        .unwrap();
    assert_eq!(is_done.recv().unwrap(), Ok(81));
    wait_for("the callback to let go of it", || {
        Arc::strong_count(&pool) == 1
    });
}

#[test]
fn a_callback_may_end_the_pool_that_called_it() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let (done, is_done) = mpsc::channel();
    let first = pool.submit(job!(square), 3).unwrap();
    let waits = pool.submit(job!(after_millis), 1_000_000).unwrap();
    let other_pool = Pool::new(1).unwrap();
    let other = other_pool.submit(job!(after_millis), 50).unwrap();
    let (cancelled, completed) = (done.clone(), done.clone());
    waits
        .on_done(move |result| cancelled.send(result).unwrap())
        .unwrap();
    other
        .on_done(move |result| completed.send(result).unwrap())
        .unwrap();
    first
        .on_done(move |nine| {
            drop(pool);
            done.send(nine).unwrap();
        })
        .unwrap();
    let mut results: Vec<_> = (0..3).map(|_| is_done.recv().unwrap()).collect();
    results.sort_by_key(|result| result.clone().unwrap_or(1_000_000));
    assert_eq!(results, [Ok(9), Ok(50), Err(JobError::Cancelled)]);
    assert!(is_done.recv().is_err(), "each once");
}
