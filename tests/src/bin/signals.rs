//! A program that treats its signals and children in some way, and uses pools all the same: `signals WHAT`.
//!
//! Prints `well` when everything was as ever.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, sigprocmask,
};
use nix::sys::wait::{WaitPidFlag, waitpid};
use procession::{
    Array, ErrorKind, Event, JobError, Lock, Pool, Queue, job, pool_map, process_job, spawn,
};
use procession_tests::{Tally, processes, supervisor_pid};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

#[process_job]
fn sleeps() {
    std::thread::sleep(Duration::from_secs(1000));
}

#[process_job]
fn raises(signal: i32) {
    let signal = Signal::try_from(signal).expect("a signal");
    raise(signal).expect("a signal to itself");
}

#[process_job]
fn exits(code: i32) {
    std::process::exit(code);
}

#[process_job]
fn answer(questions: &Queue<u64>, answers: &Queue<u64>, lock: &Lock, end: &Event) {
    while let Ok(number) = questions.get() {
        let _guard = lock.acquire().expect("nobody dies");
        answers.put(number + 1).expect("it is open");
    }
    end.set();
}

#[process_job]
fn counted(path: PathBuf) {
    Tally::count(&path);
    std::thread::sleep(Duration::from_millis(20));
}

/// A bit of everything.
fn work() {
    let pool = Pool::builder()
        .workers(2)
        .timeout(Duration::from_millis(300))
        .build()
        .expect("a pool");
    let squares = pool.map(job!(square), 0..5000).expect("squares");
    assert!((0..).zip(squares).all(|(x, square)| square == x * x));
    let deaths = [Signal::SIGUSR1, Signal::SIGTERM, Signal::SIGSEGV].map(|signal| signal as i32);
    let verdicts = pool.map_each(job!(raises), deaths).expect("verdicts");
    for (signal, verdict) in deaths.into_iter().zip(verdicts) {
        // No handler of the program's runs in a job.
        assert!(
            matches!(verdict, Err(JobError::Killed { signal: told, .. }) if told == signal),
            "{verdict:?}"
        );
    }
    let ended = pool.submit(job!(exits), 7).expect("a handle").join();
    assert_eq!(ended, Err(JobError::Exited { code: 7 }));
    let late = pool.submit(job!(sleeps), ()).expect("a handle").join();
    assert!(matches!(late, Err(JobError::TimedOut { .. })), "{late:?}");
    let cancelled = pool.submit(job!(sleeps), ()).expect("a handle");
    assert!(cancelled.cancel());
    assert_eq!(cancelled.join(), Err(JobError::Cancelled));
    pool.close().expect("an end");
    assert_eq!(spawn!(square(12)).expect("a process").join(), Ok(144));
    assert_eq!(
        spawn!(exits(3)).expect("a process").join(),
        Err(JobError::Exited { code: 3 })
    );
    let (questions, answers) = (
        Queue::new().expect("a queue"),
        Queue::new().expect("a queue"),
    );
    let (lock, end) = (
        Lock::new().expect("a lock"),
        Event::new().expect("an event"),
    );
    let process = spawn!(answer(
        questions.clone(),
        answers.clone(),
        lock.clone(),
        end.clone()
    ));
    let process = process.expect("a process");
    for number in 0..300 {
        questions.put(number).expect("it is open");
        assert_eq!(answers.get(), Ok(number + 1));
        drop(lock.acquire().expect("nobody dies"));
    }
    questions.close();
    end.wait();
    process.join().expect("an end");
    let array = Array::new(0..10_000_u64).expect("an array");
    assert_eq!(
        array.lock().expect("nobody dies").iter().sum::<u64>(),
        49_995_000
    );
}

static N_HEARD: AtomicU32 = AtomicU32::new(0);

extern "C" fn hear(_: i32) {
    N_HEARD.fetch_add(1, Ordering::Relaxed);
}

#[expect(unsafe_code, reason = "handling a signal")]
fn handle(signal: Signal, handler: SigHandler) {
    // System calls that it comes in between are not begun again.
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the one handler there is adds to a number.
    unsafe { sigaction(signal, &action) }.expect("a disposition");
}

#[expect(unsafe_code, reason = "a timer that sends signals")]
fn tick(micros: i64) {
    let every = libc::timeval {
        tv_sec: 0,
        tv_usec: micros,
    };
    let ticks = libc::itimerval {
        it_interval: every,
        it_value: every,
    };
    // SAFETY: the kernel reads the value behind the first address; the second may be null.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const ticks, std::ptr::null_mut()) };
}

/// Reaps whatever child there is, all the time, as a careless library does.
fn reap_all(is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(_) | Err(Errno::ECHILD | Errno::EINTR) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "sigchld ignored" => {
            handle(Signal::SIGCHLD, SigHandler::SigIgn);
            work();
        }
        "children reaped by another" => {
            let is_over = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| reap_all(&is_over));
                work();
                is_over.store(true, Ordering::Relaxed);
            });
        }
        "interrupted all the time" => {
            handle(Signal::SIGALRM, SigHandler::Handler(hear));
            tick(300);
            work();
            tick(0);
            assert!(N_HEARD.load(Ordering::Relaxed) > 100);
        }
        "all blocked" => {
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).expect("a mask");
            work();
        }
        "all handled" => {
            for signal in Signal::iterator() {
                // One child ends when the supervisor is started.
                let is_special =
                    matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | Signal::SIGCHLD);
                if !is_special {
                    handle(signal, SigHandler::Handler(hear));
                }
            }
            work();
            assert_eq!(
                N_HEARD.load(Ordering::Relaxed),
                0,
                "nobody sends it a signal"
            );
        }
        "sigpipe not ignored" => {
            handle(Signal::SIGPIPE, SigHandler::SigDfl);
            let pool = Pool::new(2).expect("a pool");
            processes::send(supervisor_pid(), Signal::SIGKILL);
            // It writes to a socket that nobody reads, and lives.
            let error = pool.map(job!(sleeps), [(); 10]).unwrap_err();
            let is_lost = matches!(error.job_error(), Some(JobError::Lost { .. }));
            assert!(is_lost || error.kind() == ErrorKind::PoolGone, "{error}");
            drop(pool);
            work();
        }
        "queued" => {
            let path = PathBuf::from(std::env::args().nth(2).expect("a file"));
            // Ignored in what a script has started in the background, and inherited from there.
            handle(Signal::SIGINT, SigHandler::SigDfl);
            println!("ready");
            let items = vec![path; 100_000];
            pool_map!(counted, items).expect("no end");
        }
        other => panic!("what is {other:?}?"),
    }
    println!("well");
}
