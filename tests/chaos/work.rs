//! The jobs of the storm, and what each of them gives in a single process: the truth.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use procession::process_job;
use serde::{Deserialize, Serialize};

/// One call of a job, with a number that no other call has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Errand {
    pub(crate) number: u32,
    /// Where its runs are counted.
    pub(crate) ledger: PathBuf,
    pub(crate) micros: u64,
    pub(crate) end: End,
    pub(crate) output_len: usize,
    /// Travels beside the rest, as plain bytes.
    #[serde(skip)]
    pub(crate) input: Vec<u8>,
}

/// How the job ends if nobody ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Result,
    Panic,
    Exit(i32),
    Abort,
    Segfault,
    /// It stops itself, whoever continues it: for a pool with a time limit.
    Stop,
    /// It ignores what can be ignored and sleeps: for a pool with a time limit.
    Hang,
}

impl End {
    /// All that need no time limit.
    pub(crate) const BAD: [Self; 5] = [
        Self::Panic,
        Self::Exit(0),
        Self::Exit(17),
        Self::Abort,
        Self::Segfault,
    ];

    fn meet(self) {
        match self {
            Self::Result => {}
            // Without the hook's message on standard error.
            Self::Panic => std::panic::resume_unwind(Box::new("on purpose")),
            Self::Exit(code) => std::process::exit(code),
            Self::Abort => std::process::abort(),
            Self::Segfault => send_to_itself(libc::SIGSEGV),
            // Again and again: the storm continues whom it stopped, and cannot know who stopped itself meanwhile.
            Self::Stop => loop {
                send_to_itself(libc::SIGSTOP);
            },
            Self::Hang => loop {
                std::thread::sleep(Duration::from_secs(1000));
            },
        }
    }
}

#[expect(unsafe_code, reason = "a job that misbehaves")]
fn send_to_itself(signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::raise(signal) };
}

/// Counts runs across processes that are killed: each run appends its number to a file, in one system call.
pub(crate) struct Ledger;

impl Ledger {
    fn note(path: &Path, number: u32) {
        OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(&number.to_le_bytes()))
            .expect("the ledger");
    }

    pub(crate) fn begin(path: &Path) {
        fs::write(path, []).expect("the ledger");
    }

    /// How often each number has run.
    pub(crate) fn read(path: &Path) -> HashMap<u32, u32> {
        let bytes = fs::read(path).expect("the ledger");
        let (numbers, torn) = bytes.as_chunks();
        assert!(torn.is_empty(), "a torn entry in the ledger");
        let mut runs = HashMap::new();
        for number in numbers {
            *runs.entry(u32::from_le_bytes(*number)).or_default() += 1;
        }
        runs
    }
}

impl Errand {
    fn run(&self) {
        Ledger::note(&self.ledger, self.number);
        let until = Instant::now() + Duration::from_micros(self.micros);
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        self.end.meet();
    }

    /// Arguments for a job.
    pub(crate) fn with_input(&self) -> (Self, Vec<u8>) {
        (self.clone(), self.input.clone())
    }

    /// What [`digest`] gives.
    pub(crate) fn digest(&self) -> u64 {
        digest_of(self.number, &self.input)
    }

    /// What [`stretch`] gives.
    pub(crate) fn stretched(&self) -> Vec<u8> {
        stretched_to(self.output_len, self.digest())
    }
}

fn digest_of(number: u32, input: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u32(number);
    hasher.write(input);
    hasher.finish()
}

fn stretched_to(len: usize, digest: u64) -> Vec<u8> {
    let mut bytes = digest.to_le_bytes().repeat(len.div_ceil(8));
    bytes.truncate(len);
    bytes
}

/// A result of fixed size.
#[process_job]
pub(crate) fn digest(errand: Errand, input: Vec<u8>) -> u64 {
    errand.run();
    digest_of(errand.number, &input)
}

/// A result of any size.
#[process_job]
pub(crate) fn stretch(errand: &Errand, input: &[u8]) -> Vec<u8> {
    errand.run();
    stretched_to(errand.output_len, digest_of(errand.number, input))
}

/// Thousands of these are one task: kills come between items, while claiming and while nothing is to be done.
#[process_job]
pub(crate) fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}
