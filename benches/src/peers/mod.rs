//! Peers that are programs of their own.
//!
//! Responsible for starting one, asking it to measure a piece of work, and ending it. They speak line by line: a request is the
//! name of a work and a number, an answer is nanoseconds, or `error` and why. A peer sleeps between requests, so that rounds can
//! alternate; it checks its own results. One of them is this program once more.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::harness::{Problem, Result, Settings};

const PYTHON: &str = include_str!("peers.py");

/// A program that measures on request.
pub(crate) struct PeerProgram {
    child: Child,
    /// `None` once it is told to end.
    pipes: RefCell<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl PeerProgram {
    /// Python's `multiprocessing` and `concurrent.futures`.
    pub(crate) fn python() -> Result<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", PYTHON]);
        Self::start(command, "python3 is not here")
    }

    /// The procspawn crate, built where the settings ask for it.
    pub(crate) fn procspawn(settings: &Settings) -> Result<Self> {
        if !settings.procspawn {
            return Err(Problem::absent("not asked for (--procspawn)"));
        }
        let program = build_procspawn()?;
        Self::start(Command::new(program), "procspawn does not start")
    }

    /// This program itself, with an allocator that keeps all memory that is given back to it. Other allocators than glibc's
    /// do as they like.
    pub(crate) fn keeping_memory() -> Result<Self> {
        const KEEP: &str =
            "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=4294967296";
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--answer").env("GLIBC_TUNABLES", KEEP);
        Self::start(command, "this program does not start")
    }

    fn start(mut command: Command, otherwise: &str) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| Problem::absent(format!("{otherwise}: {error}")))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let pipes = pipes.map(|(to, from)| (to, BufReader::new(from)));
        let peer = Self {
            child,
            pipes: RefCell::new(pipes),
        };
        peer.measure("hello", 0)
            .map_err(|_| Problem::absent(otherwise))?;
        Ok(peer)
    }

    /// Nanoseconds that the peer took for this work of this size.
    pub(crate) fn measure(&self, work: &str, size: usize) -> Result<f64> {
        let mut pipes = self.pipes.borrow_mut();
        let Some((to, from)) = pipes.as_mut() else {
            return Err(Problem::failed("the peer has ended"));
        };
        writeln!(to, "{work} {size}")?;
        to.flush()?;
        let mut answer = String::new();
        from.read_line(&mut answer)?;
        let answer = answer.trim();
        answer
            .parse()
            .map_err(|_| Problem::failed(format!("the peer's {work}: {answer:?}")))
    }
}

/// The other end, where that is this program: measures what is asked for on stdin, until that ends.
pub(crate) fn answer_requests(mut measure: impl FnMut(&str, u64) -> Result<f64>) -> Result<()> {
    for line in std::io::stdin().lines() {
        let line = line?;
        let request = line.split_once(' ');
        let request = request.and_then(|(work, size)| Some((work, size.parse().ok()?)));
        match request {
            Some(("hello", _)) => println!("0"),
            Some((work, size)) => println!("{}", measure(work, size)?),
            None => return Err(Problem::failed(format!("no request: {line:?}"))),
        }
    }
    Ok(())
}

impl Drop for PeerProgram {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        drop(self.pipes.borrow_mut().take());
        // An error means that it has ended already.
        let _ = self.child.wait();
    }
}

fn build_procspawn() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("procspawn");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), PathBuf::from);
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status();
    match built {
        Ok(status) if status.success() => Ok(target.join("release/procspawn-peer")),
        Ok(status) => Err(Problem::absent(format!(
            "procspawn was not built: {status}"
        ))),
        Err(error) => Err(Problem::absent(format!("procspawn was not built: {error}"))),
    }
}
