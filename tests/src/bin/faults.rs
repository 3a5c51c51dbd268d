//! The same faults in pools of `procession` and in Python's two, and what came of them: `faults` prints a table.
//!
//! Each cell is a program of its own that makes a pool of 4 workers and gives it 100 items, of which the 38th meets the
//! fault; then ten items more. It is this program with arguments, or `tests/chaos/python_faults.py`. An item that is not
//! answered within 10 seconds counts as unanswered: who waits for it without a limit hangs.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use procession::{JobError, Pool, PoolBuilder, job, process_job};
use procession_tests::{Scratch, processes};

const N_ITEMS: u64 = 100;
const FAULTY: u64 = 37;

/// By name, and in words.
const FAULTS: [(&str, &str); 11] = [
    ("raises", "an item panics, or raises"),
    ("exits", "an item calls `_exit(3)`"),
    ("aborts", "an item aborts"),
    ("segfaults", "an item reads at address 0"),
    ("is killed", "an item's worker gets `kill -9`"),
    ("is stopped", "an item's worker is stopped (SIGSTOP)"),
    ("never ends", "an item never ends"),
    ("idle", "`kill -9` for all workers while idle"),
    ("initializer", "the initializer fails in every worker"),
    ("killed", "`kill -9` for the busy program"),
    ("interrupted", "Ctrl-C while busy"),
];

const CONTENDERS: [&str; 3] = ["procession", "Pool", "ProcessPoolExecutor"];

#[process_job]
fn item(number: u64, fault: String) -> u64 {
    if number == FAULTY {
        misbehave(&fault);
    }
    let is_long = matches!(fault.as_str(), "killed" | "interrupted");
    std::thread::sleep(Duration::from_millis(if is_long { 1000 } else { 5 }));
    number * number
}

#[expect(unsafe_code, reason = "a job that misbehaves")]
fn misbehave(fault: &str) {
    let me = Pid::this();
    let signal = match fault {
        "raises" => std::panic::resume_unwind(Box::new("on purpose")),
        // SAFETY: the process ends; no memory is involved.
        "exits" => unsafe { libc::_exit(3) },
        "aborts" => std::process::abort(),
        "segfaults" => Signal::SIGSEGV,
        "is killed" => Signal::SIGKILL,
        "is stopped" => Signal::SIGSTOP,
        "never ends" => loop {
            std::thread::sleep(Duration::from_secs(1000));
        },
        _ => return,
    };
    kill(me, signal).expect("a signal to itself");
}

#[process_job]
fn fail() {
    std::panic::resume_unwind(Box::new("on purpose"));
}

/// One cell of ours.
fn meet(fault: &str) {
    let mut builder: PoolBuilder = Pool::builder().workers(4).timeout(Duration::from_secs(2));
    if fault == "initializer" {
        builder = builder.initializer(job!(fail), ());
    }
    let pool = builder.build().expect("a pool");
    let map = |n, fault: &str| -> Vec<Result<u64, JobError>> {
        let items = (0..n).map(|number| (number, fault.to_owned()));
        // A pool that cannot work says so once, in place of all verdicts.
        pool.map_each(job!(item), items).unwrap_or_default()
    };
    if fault == "idle" {
        map(N_ITEMS, "");
        for pid in pool.pids() {
            processes::send(pid, Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    if matches!(fault, "killed" | "interrupted") {
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(500));
            println!("ready");
        });
    }
    let verdicts = map(N_ITEMS, fault);
    let n_results = (0..).zip(&verdicts);
    let n_results = n_results.filter(|(number, verdict)| **verdict == Ok(number * number));
    let n_results = n_results.count();
    let more = map(10, "").iter().filter(|verdict| verdict.is_ok()).count();
    println!("{n_results} {} 0 {more}", N_ITEMS as usize - n_results);
}

/// Starts a cell, marked by `variable`.
fn start(contender: &str, fault: &str, variable: (&str, &str), errors: File) -> Child {
    let mut command = if contender == "procession" {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["meet", fault]);
        command
    } else {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/chaos/python_faults.py");
        let mut command = Command::new("python3");
        command.args([script, contender, fault]);
        command
    };
    command
        .env(variable.0, variable.1)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        // Of a process group of its own, which is sent Ctrl-C.
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// What came of a cell.
fn cell(contender: &str, fault: &str) -> String {
    let scratch = Scratch::new("faults");
    let errors = scratch.path().join("errors");
    let name = format!("{contender} {fault} {}", std::process::id());
    let file = File::create(&errors).expect("a file");
    let mut child = start(contender, fault, ("PROCESSION_FAULTS", &name), file);
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("text");
    let mine = || processes::started_with(&format!("PROCESSION_FAULTS={name}"));
    let said = match fault {
        "killed" => {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
            let n_left = settled(Duration::from_secs(3), &mine).len();
            format!("{n_left} processes left after 3 s")
        }
        "interrupted" => {
            let group = Pid::from_raw(child.id().cast_signed());
            killpg(group, Signal::SIGINT).expect("a group of ours");
            let started = Instant::now();
            while child.try_wait().expect("a child of ours").is_none()
                && started.elapsed() < Duration::from_secs(10)
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            let ended = if child.try_wait().expect("a child of ours").is_some() {
                "ends"
            } else {
                "hangs"
            };
            let n_left = settled(Duration::from_secs(3), &mine).len();
            let text = std::fs::read(&errors).expect("a file");
            let text = String::from_utf8_lossy(&text);
            let n_tracebacks = text.matches("Traceback").count();
            format!("{ended}, {n_tracebacks} tracebacks, {n_left} processes left")
        }
        _ => {
            let numbers: Vec<u64> = line
                .split_whitespace()
                .map(|number| number.parse().expect("a number"))
                .collect();
            describe(&numbers)
        }
    };
    for pid in mine() {
        processes::send(pid, Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
    said
}

fn settled(patience: Duration, mine: &impl Fn() -> Vec<u32>) -> Vec<u32> {
    let started = Instant::now();
    while !mine().is_empty() && started.elapsed() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    mine()
}

fn describe(numbers: &[u64]) -> String {
    let &[n_results, n_verdicts, n_unanswered, n_more] = numbers else {
        return "said nothing".to_owned();
    };
    let mut parts = vec![format!("{n_results} results")];
    if n_verdicts > 0 {
        parts.push(format!("{n_verdicts} told to have failed"));
    }
    if n_unanswered > 0 {
        parts.push(format!("**{n_unanswered} never answered**"));
    }
    parts.push(match n_more {
        10 => "goes on".to_owned(),
        _ => format!("afterwards {n_more} of 10"),
    });
    parts.join(", ")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [_, fault] = arguments.as_slice() {
        return meet(fault);
    }
    println!("| fault | {} |", CONTENDERS.join(" | "));
    println!("|---|---|---|---|");
    for (fault, words) in FAULTS {
        let cells = CONTENDERS.map(|contender| cell(contender, fault));
        println!("| {words} | {} |", cells.join(" | "));
    }
}
