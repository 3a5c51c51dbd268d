//! A program that is to be killed: `holder WHAT` makes pools and processes in some situation, and waits.
//!
//! Prints `ready` once all is as it is meant to be; each job prints `begun` before that.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{ForkResult, fork};
use procession::{Pool, StartMethod, job, pool_map, process_job, spawn};
use procession_tests::{Tally, wait_for};

#[process_job]
fn sleeps() {
    println!("begun");
    sleep_for_ever();
}

#[process_job]
fn counted_then_sleeps(path: PathBuf) {
    Tally::count(&path);
    sleep_for_ever();
}

#[process_job]
fn spins() {
    println!("begun");
    loop {
        std::hint::spin_loop();
    }
}

#[process_job]
fn ignores_everything() {
    for number in
        Signal::iterator().filter(|number| !matches!(number, Signal::SIGKILL | Signal::SIGSTOP))
    {
        ignore(number);
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).expect("a mask");
    println!("begun");
    sleep_for_ever();
}

/// A child, and a grandchild that its parent leaves behind in a session of its own.
#[process_job]
#[expect(
    clippy::zombie_processes,
    reason = "it is to be killed with its worker"
)]
fn has_children() {
    let _child = Command::new("sleep").arg("1000").spawn().expect("a child");
    Command::new("setsid")
        .args(["--fork", "sleep", "1000"])
        .status()
        .expect("a grandchild");
    println!("begun");
    sleep_for_ever();
}

#[process_job]
fn nests(depth: u32) {
    let pool = Pool::new(1).expect("a pool in a job");
    let handle = if depth > 1 {
        pool.submit(job!(nests), depth - 1)
    } else {
        pool.submit(job!(sleeps), ())
    };
    handle
        .and_then(|handle| Ok(handle.join()?))
        .expect("no end");
}

#[process_job]
fn gives_after(millis: u64) -> u64 {
    println!("begun");
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[process_job]
fn nothing() {}

static HEARD: AtomicBool = AtomicBool::new(false);

extern "C" fn hear(_: i32) {
    HEARD.store(true, Ordering::Relaxed);
}

/// Says what became of a job after the whole process group has got SIGINT.
fn hear_ctrl_c() {
    #[expect(unsafe_code, reason = "handling a signal")]
    // SAFETY: the handler does nothing but store a flag.
    unsafe { signal(Signal::SIGINT, SigHandler::Handler(hear)) }.expect("a handler");
    let pool = Pool::new(1).expect("a pool");
    let given = pool
        .submit(job!(gives_after), 300)
        .and_then(|handle| Ok(handle.join()?));
    wait_for("the signal", || HEARD.load(Ordering::Relaxed));
    println!("heard, and the job gave {}", given.expect("a number"));
}

#[expect(unsafe_code, reason = "ignoring a signal")]
fn ignore(number: Signal) {
    // SAFETY: no handler is installed.
    let _ = unsafe { signal(number, SigHandler::SigIgn) };
}

#[expect(unsafe_code, reason = "what a user may do")]
fn fork_a_child_that_lives_on() {
    // SAFETY: this program has one thread.
    if let ForkResult::Child = unsafe { fork() }.expect("a fork") {
        println!("forked {}", std::process::id());
        sleep_for_ever();
    }
}

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    if what == "ctrl c" {
        return hear_ctrl_c();
    }
    let pool = || Pool::new(2).expect("a pool");
    let (pool, handles) = match what.as_str() {
        "idle" => (Some(pool()), Vec::new()),
        "busy" => {
            let pool = pool();
            let handles = [(); 10].map(|()| pool.submit(job!(spins), ()));
            (Some(pool), handles.into())
        }
        "ignoring" => {
            let pool = pool();
            let handles = [(); 2].map(|()| pool.submit(job!(ignores_everything), ()));
            (Some(pool), handles.into())
        }
        "children" => {
            let pool = pool();
            let handles = [(); 2].map(|()| pool.submit(job!(has_children), ()));
            (Some(pool), handles.into())
        }
        "nested" => {
            let pool = pool();
            let handles = [2; 2].map(|depth| pool.submit(job!(nests), depth));
            (Some(pool), handles.into())
        }
        "fork method" => {
            let pool = Pool::builder()
                .workers(2)
                .start_method(StartMethod::Fork)
                .build()
                .expect("a pool");
            let handles = [(); 2].map(|()| pool.submit(job!(spins), ()));
            (Some(pool), handles.into())
        }
        "process" => {
            let processes = [(); 2].map(|()| spawn!(sleeps()).expect("a process"));
            std::mem::forget(processes);
            (None, Vec::new())
        }
        "detached" => {
            spawn!(sleeps()).expect("a process").detach();
            spawn!(sleeps()).expect("a process").detach();
            (None, Vec::new())
        }
        "thread" => {
            std::thread::spawn(move || pool_map!(sleeps, [(); 2]));
            (None, Vec::new())
        }
        "ended thread" => {
            let made = std::thread::spawn(move || {
                let pool = pool();
                let handles = [(); 2].map(|()| pool.submit(job!(sleeps), ()));
                (pool, handles)
            });
            let (pool, handles) = made.join().expect("no panic");
            (Some(pool), handles.into())
        }
        "forked" => {
            let pool = pool();
            let handles = [(); 2].map(|()| pool.submit(job!(sleeps), ()));
            fork_a_child_that_lives_on();
            (Some(pool), handles.into())
        }
        "default" | "returns" | "exits" | "panics" => {
            pool_map!(nothing, [(); 100]).expect("the default pool");
            (None, Vec::new())
        }
        "returns at once" => {
            std::thread::spawn(move || pool_map!(sleeps, [(); 2]));
            (None, Vec::new())
        }
        "returns busy" => {
            let tally = Tally::new();
            let path = tally.path();
            std::thread::spawn(move || pool_map!(counted_then_sleeps, [path]));
            wait_for("the job", || tally.runs() == 1);
            (None, Vec::new())
        }
        other => panic!("what is {other:?}?"),
    };
    println!("ready");
    match what.as_str() {
        "returns" | "returns at once" | "returns busy" => {}
        "exits" => std::process::exit(0),
        "panics" => panic!("on purpose"),
        _ => sleep_for_ever(),
    }
    drop((pool, handles));
}
