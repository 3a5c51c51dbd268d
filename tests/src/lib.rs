//! What the behaviour tests share: a watchdog, a look at what a test leaves behind, and eyes on processes.
//!
//! A test begins with [`begin`]. From then on it has the test binary for itself (the tests of one binary run one
//! after another, since all of them count processes and descriptors), a hang ends the binary after [`PATIENCE`],
//! and when it ends no worker, descriptor or shared mapping may be left that was not there before.
//!
//! Linux only, like the processes it looks at: everything is read from `/proc`, see `proc(5)`.

#![cfg(target_os = "linux")]

pub mod kit;
pub mod processes;
mod scratch;
mod victim;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use procession::{process_job, spawn};

pub use scratch::{Scratch, Tally};
pub use victim::{Story, Victim};

/// The examples of the repository's README, which are compiled and run as this crate's documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// A test that takes longer hangs: about ten times what the slowest one needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What happens without anybody waiting for it (a death seen, a descriptor closed) happens within this time.
pub const MOMENTS: Duration = Duration::from_secs(10);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A test under way; dropped, it looks at what is left.
#[must_use = "the test is over when this is dropped"]
#[derive(Debug)]
pub struct Test {
    before: Belongings,
    watchdog: Option<Watchdog>,
    _turn: MutexGuard<'static, ()>,
}

/// Begins a test: waits for its turn, starts the watchdog and notes what is there.
pub fn begin() -> Test {
    begin_as(std::thread::current().name().unwrap_or("a test"))
}

/// As [`begin`], under a name of its own, for one of many in a test.
pub fn begin_as(name: &str) -> Test {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let watchdog = Watchdog::start(name, PATIENCE);
    Test {
        before: Belongings::settled(),
        watchdog: Some(watchdog),
        _turn: turn,
    }
}

/// As [`begin`], in a program of one thread that is to have no other yet, and that somebody else watches.
pub fn begin_unwatched() -> Test {
    Test {
        _turn: ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner),
        watchdog: None,
        before: Belongings::settled(),
    }
}

/// As [`begin`], for a test of the default pool, which stays until the program ends.
pub fn begin_with_default_pool() -> Test {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let watchdog = Watchdog::start("a test of the default pool", PATIENCE);
    procession::pool_map!(nothing, [()]).expect("a default pool");
    Test {
        before: Belongings::settled(),
        watchdog: Some(watchdog),
        _turn: turn,
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut after = Belongings::now();
        let deadline = Instant::now() + MOMENTS;
        while !after.is_within(&self.before) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            after = Belongings::now();
        }
        self.watchdog.iter_mut().for_each(Watchdog::stop);
        assert!(
            after.is_within(&self.before),
            "the test left something.\nbefore: {:#?}\nafter: {after:#?}",
            self.before
        );
    }
}

/// Ends the process, and with it all workers, when a test takes too long.
#[derive(Debug)]
struct Watchdog {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    fn start(name: &str, patience: Duration) -> Self {
        let name = name.to_owned();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            if stopped.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                // Past the harness, which would keep it and be aborted with it.
                let _ = writeln!(std::io::stderr(), "{name} hangs: {patience:?} have passed");
                std::process::abort();
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn stop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the watchdog does not panic");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What this program has of processes, descriptors and shared memory.
#[derive(Debug)]
struct Belongings {
    /// Below this program and below its supervisor, by name.
    processes: BTreeMap<String, usize>,
    /// Children of these two that have ended and were not reaped.
    zombies: usize,
    /// What they point to, without the numbers in it.
    descriptors: BTreeMap<String, usize>,
    /// Shared mappings without a name in the file system.
    mappings: usize,
}

impl Belongings {
    /// Once what the test before has left to the supervisor is over.
    fn settled() -> Self {
        let mut before = Self::now();
        loop {
            std::thread::sleep(Duration::from_millis(2));
            let now = Self::now();
            if before.is_within(&now) {
                return now;
            }
            before = now;
        }
    }

    fn now() -> Self {
        let supervisor = supervisor_pid();
        let mut processes = BTreeMap::new();
        for pid in processes::below(supervisor)
            .into_iter()
            .chain(processes::below(std::process::id()))
        {
            *processes.entry(processes::name_of(pid)).or_default() += 1;
        }
        let mut descriptors = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").expect("/proc").flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let kind = target
                .to_string_lossy()
                .replace(|c: char| c.is_ascii_digit(), "");
            *descriptors.entry(kind).or_default() += 1;
        }
        let maps = fs::read_to_string("/proc/self/maps").expect("/proc");
        Self {
            processes,
            zombies: processes::zombies_of(supervisor) + processes::zombies_of(std::process::id()),
            descriptors,
            mappings: maps.matches("memfd:").count(),
        }
    }

    fn is_within(&self, other: &Self) -> bool {
        let fits = |ours: &BTreeMap<String, usize>, theirs: &BTreeMap<String, usize>| {
            ours.iter()
                .all(|(kind, n)| theirs.get(kind).is_some_and(|m| n <= m))
        };
        fits(&self.processes, &other.processes)
            && fits(&self.descriptors, &other.descriptors)
            && self.mappings <= other.mappings
            && self.zombies <= other.zombies
    }
}

/// A job that does nothing.
#[process_job]
pub fn nothing() {}

/// A job: the process that its worker was forked from.
#[process_job]
pub fn parent_pid() -> u32 {
    std::os::unix::process::parent_id()
}

/// A job: what `sh` prints, and its exit code.
#[process_job]
pub fn shell(script: &str) -> (String, Option<i32>) {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

/// A job: the square, after so long at work.
#[process_job]
pub fn spinning_square(x: u64, micros: u64) -> u64 {
    let until = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < until {}
    x * x
}

/// The supervisor of this program; starts it where there is none.
pub fn supervisor_pid() -> u32 {
    spawn!(parent_pid())
        .and_then(|process| Ok(process.join()?))
        .expect("a process of its own")
}

/// Waits for something that happens by itself.
///
/// # Panics
///
/// When it has not happened after [`MOMENTS`].
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + MOMENTS;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {MOMENTS:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
