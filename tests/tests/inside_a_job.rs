//! What a job finds around it: as if `main` had just begun.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{SigSet, SigmaskHow, killpg, sigprocmask};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use procession::{JobError, Pool, job, pool_map, process_job, spawn};
use procession_tests::processes::{self, Signal};
use procession_tests::{Scratch, Story, Victim, begin, shell, wait_for};

/// Of SIGPIPE.
const PIPE_BIT: u64 = 1 << 12;
/// The signals above are the C library's, or were ignored by whoever started the tests.
const ORDINARY: u64 = 0x7fff_ffff;

fn surroundings(what: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_surroundings"));
    command.arg(what).env_remove("RUST_BACKTRACE");
    command
}

#[process_job]
fn writes_to_a_closed_pipe() -> bool {
    let (reader, mut writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.write_all(b"x").unwrap_err().kind() == ErrorKind::BrokenPipe
}

#[process_job]
fn sums_in_threads(n_threads: u64) -> u64 {
    let threads: Vec<_> = (0..n_threads)
        .map(|x| std::thread::spawn(move || x))
        .collect();
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum()
}

#[process_job]
fn n_threads_and_cores() -> (usize, usize) {
    let n_threads = fs::read_dir("/proc/self/task").unwrap().count();
    (
        n_threads,
        std::thread::available_parallelism().unwrap().get(),
    )
}

#[process_job]
fn directory() -> PathBuf {
    std::env::current_dir().unwrap()
}

#[process_job]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[process_job]
fn mask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    u32::from_str_radix(mask.unwrap().trim(), 8).unwrap()
}

#[process_job]
fn name() -> String {
    processes::name_of(std::process::id())
}

#[process_job]
fn arguments() -> Vec<String> {
    std::env::args().collect()
}

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

#[process_job]
fn blocks_all_signals() {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).unwrap();
}

#[process_job]
fn panics() {
    panic!("oh no");
}

#[test]
fn arguments_are_the_programs() {
    let _test = begin();
    let ours: Vec<_> = std::env::args().collect();
    assert_eq!(spawn!(arguments()).unwrap().join(), Ok(ours));
    let output = Story::of(surroundings("args").args(["a b", "", "\u{fc}\n"])).success();
    assert!(
        output.trim_end().ends_with(r#""args", "a b", "", "ü\n"]"#),
        "{output}"
    );
}

#[test]
fn sigpipe_is_ignored() {
    let _test = begin();
    assert_eq!(spawn!(writes_to_a_closed_pipe()).unwrap().join(), Ok(true));
    assert_eq!(
        pool_map!(in Pool::new(1).unwrap(), writes_to_a_closed_pipe, [()]).unwrap(),
        [true]
    );
}

#[test]
fn a_stack_overflow_is_reported_on_standard_error_before_the_process_dies() {
    let _test = begin();
    let story = Story::of(&mut surroundings("overflow"));
    assert!(story.status.success(), "{story:?}");
    assert!(
        story.errors.contains("has overflowed its stack"),
        "{story:?}"
    );
}

#[test]
fn a_panic_is_printed_and_travels() {
    let _test = begin();
    let story = Story::of(&mut surroundings("panic"));
    assert!(story.status.success(), "{story:?}");
    assert!(story.errors.contains("panicked at"), "{story:?}");
    assert_eq!(story.errors.matches("oh no").count(), 1, "{story:?}");
    let Err(JobError::Panicked {
        message, location, ..
    }) = spawn!(panics()).unwrap().join()
    else {
        panic!("no panic");
    };
    assert_eq!(message, "oh no");
    assert!(location.contains("inside_a_job.rs:"), "{location}");
}

#[test]
fn threads_may_be_started_and_there_are_none_before() {
    let _test = begin();
    let pool = Pool::new(2).unwrap();
    let sums = pool.map(job!(sums_in_threads), [1, 10, 100]).unwrap();
    assert_eq!(sums, [0, 45, 4950]);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(
        spawn!(n_threads_and_cores()).unwrap().join(),
        Ok((1, cores))
    );
}

/// Puts the program's directory, mask and environment back.
struct AsItWas {
    directory: PathBuf,
    mask: Mode,
}

impl AsItWas {
    fn note() -> Self {
        let mask = umask(Mode::empty());
        umask(mask);
        Self {
            directory: std::env::current_dir().unwrap(),
            mask,
        }
    }
}

impl Drop for AsItWas {
    fn drop(&mut self) {
        std::env::set_current_dir(&self.directory).unwrap();
        umask(self.mask);
        set_variable(None);
    }
}

const VARIABLE: &str = "PROCESSION_TEST_VARIABLE";

#[expect(unsafe_code, reason = "the environment of a program with threads")]
fn set_variable(value: Option<&str>) {
    match value {
        // SAFETY: the tests of this binary run one after another, and none reads the environment behind Rust's back.
        Some(value) => unsafe { std::env::set_var(VARIABLE, value) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(VARIABLE) },
    }
}

#[test]
fn the_working_directory_is_that_of_the_moment() {
    let _test = begin();
    let _back = AsItWas::note();
    let [first, second] = ["first", "second"].map(Scratch::new);
    let path = |folder: &Scratch| fs::canonicalize(folder.path()).unwrap();
    std::env::set_current_dir(first.path()).unwrap();
    let pool = Pool::new(1).unwrap();
    std::env::set_current_dir(second.path()).unwrap();
    let other = Pool::new(1).unwrap();
    assert_eq!(spawn!(directory()).unwrap().join(), Ok(path(&second)));
    assert_eq!(
        pool_map!(in other, directory, [()]).unwrap(),
        [path(&second)]
    );
    assert_eq!(pool_map!(in pool, directory, [()]).unwrap(), [path(&first)]);
    // Nor does a worker that comes later see another.
    processes::send(pool.pids()[0], Signal::SIGKILL);
    wait_for("another worker", || {
        pool.submit(job!(directory), ()).unwrap().join() == Ok(path(&first))
    });
}

#[test]
fn the_environment_is_that_of_the_moment() {
    let _test = begin();
    let _back = AsItWas::note();
    set_variable(Some("one"));
    let pool = Pool::new(1).unwrap();
    set_variable(Some("two"));
    let other = Pool::new(1).unwrap();
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(spawn!(variable(VARIABLE)).unwrap().join(), Ok(some("two")));
    set_variable(None);
    assert_eq!(spawn!(variable(VARIABLE)).unwrap().join(), Ok(None));
    assert_eq!(
        pool.submit(job!(variable), VARIABLE).unwrap().join(),
        Ok(some("one"))
    );
    assert_eq!(
        other.submit(job!(variable), VARIABLE).unwrap().join(),
        Ok(some("two"))
    );
    let script = format!("echo ${VARIABLE}");
    assert_eq!(
        pool.map(job!(shell), [&script]).unwrap(),
        [("one\n".to_owned(), Some(0))]
    );
}

#[test]
fn the_mask_of_new_files_is_that_of_the_moment() {
    let _test = begin();
    let _back = AsItWas::note();
    umask(Mode::from_bits_truncate(0o027));
    let pool = Pool::new(1).unwrap();
    umask(Mode::from_bits_truncate(0o077));
    assert_eq!(spawn!(mask()).unwrap().join(), Ok(0o077));
    assert_eq!(pool.map(job!(mask), [()]).unwrap(), [0o027]);
}

#[test]
fn user_and_group_are_those_of_the_moment() {
    let _test = begin();
    if !nix::unistd::getuid().is_root() {
        return eprintln!("LEFT OUT: only root can become another user");
    }
    let output = Story::of(&mut surroundings("drop rights")).success();
    let ids = "[65534, 65534, 65534, 65534]";
    assert_eq!(output.trim_end(), format!("[({ids}, {ids})]"));
}

#[test]
fn what_is_printed_has_arrived_when_the_result_has() {
    let _test = begin();
    let story = Story::of(&mut surroundings("printing"));
    assert!(story.status.success(), "{story:?}");
    let whole = |what: &str, range: std::ops::Range<u32>| {
        let parts: String = range
            .flat_map(|x| [format!("[rust {x}]"), format!("[c {x}]")])
            .collect();
        format!("{what}: {parts}\n")
    };
    let (rest, crash) = story.errors.split_once("crash: ").expect("a crash");
    let expected: String = [
        whole("submit", 0..1),
        whole("submit", 1..2),
        whole("submit", 2..3),
        whole("spawn", 3..4),
        whole("exit", 4..5),
        whole("chunk", 0..4),
    ]
    .concat();
    assert_eq!(sorted(rest), sorted(&expected));
    let kept = whole("crash", 0..4);
    for part in kept
        .trim_end()
        .trim_start_matches("crash: ")
        .split_inclusive(']')
    {
        assert!(
            crash.contains(part),
            "{part} of an item that was done: {crash}"
        );
    }
}

/// Rust and C have buffers of their own, in whatever order they are written out.
fn sorted(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().map(|line| {
        let (what, said) = line.split_once(": ").unwrap_or((line, ""));
        let mut parts: Vec<_> = said.split_inclusive(']').collect();
        parts.sort_unstable();
        parts.insert(0, what);
        parts
    });
    lines.collect()
}

#[test]
fn ctrl_c_for_the_whole_group_does_nothing_to_workers() {
    let _test = begin();
    // A group of their own, so that it is not the tests' that hears it.
    let mut holder = Victim::start(
        Command::new(env!("CARGO_BIN_EXE_holder"))
            .arg("ctrl c")
            .process_group(0),
    );
    assert_eq!(holder.line(), "begun");
    killpg(Pid::from_raw(holder.pid() as i32), Signal::SIGINT).unwrap();
    assert_eq!(holder.line(), "heard, and the job gave 300");
}

#[test]
fn the_three_standard_descriptors_are_open_and_one_socket() {
    let _test = begin();
    let output = Story::of(&mut surroundings("descriptors")).success();
    let descriptors: Vec<_> = output
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    let numbers: Vec<_> = descriptors.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers[..3], ["0", "1", "2"], "{output}");
    // The way to shared memory.
    assert_eq!(descriptors.len(), 4, "{output}");
    assert!(descriptors[3].1.contains("socket:"), "{output}");
}

#[test]
fn no_signal_is_blocked_and_all_have_their_defaults() {
    let _test = begin();
    let output = Story::of(&mut surroundings("signals")).success();
    let read = |field: &str| {
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap() & ORDINARY
    };
    assert_eq!(read("SigBlk:"), 0, "{output}");
    let (ignored, caught) = (read("SigIgn:"), read("SigCgt:"));
    let bit = |signal: Signal| 1_u64 << (signal as u32 - 1);
    assert_eq!(ignored, PIPE_BIT, "{output}");
    // What the worker itself catches: crashes, to tell of them, and Ctrl-C, which its children are not to ignore.
    let crashes = [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGABRT,
        Signal::SIGILL,
        Signal::SIGFPE,
    ];
    let crashes = crashes.map(bit).iter().sum::<u64>();
    assert_eq!(caught & !crashes & !bit(Signal::SIGINT), 0, "{output}");
}

#[test]
fn statics_that_main_filled_are_as_they_were_before_main() {
    let _test = begin();
    assert_eq!(Story::of(&mut surroundings("static")).success(), "5 [0]\n");
}

#[test]
fn workers_have_their_pools_name_and_their_number() {
    let _test = begin();
    let pool = Pool::builder().workers(3).name("parse").build().unwrap();
    let mut names: Vec<_> = pool.pids().into_iter().map(processes::name_of).collect();
    wait_for("their names", || {
        names = pool.pids().into_iter().map(processes::name_of).collect();
        names == ["parse-0", "parse-1", "parse-2"]
    });
    let plain = Pool::new(1).unwrap();
    assert_eq!(plain.map(job!(name), [()]).unwrap(), ["worker-0"]);
    assert_eq!(spawn!(name()).unwrap().join(), Ok("name-0".to_owned()));
}

#[test]
fn a_job_that_blocks_all_signals_does_not_keep_its_worker() {
    let _test = begin();
    let pool = Pool::new(1).unwrap();
    let before = pool.submit(job!(pid), ()).unwrap().join().unwrap();
    pool.submit(job!(blocks_all_signals), ())
        .unwrap()
        .join()
        .unwrap();
    processes::send(before, Signal::SIGKILL);
    wait_for("another worker", || {
        pool.submit(job!(pid), ())
            .unwrap()
            .join()
            .is_ok_and(|pid| pid != before)
    });
}
