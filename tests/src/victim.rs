//! Programs that a test starts, watches and kills.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::processes::{self, Signal};
use crate::{MOMENTS, PATIENCE, wait_for};

/// A program that runs, with its standard output and error in our hands. Dropped, it is killed.
#[derive(Debug)]
pub struct Victim {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Story {
    /// Its end.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub errors: String,
}

impl Story {
    /// Runs a program to its end.
    ///
    /// # Panics
    ///
    /// When it hangs.
    pub fn of(command: &mut Command) -> Self {
        Victim::start(command).finish()
    }

    /// The output of a program that ended well.
    ///
    /// # Panics
    ///
    /// When it did not.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(
            self.status.success(),
            "{}\n{}\n{}",
            self.status,
            self.output,
            self.errors
        );
        self.output
    }
}

impl Victim {
    /// Starts it.
    pub fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, output }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        processes::send(self.pid(), Signal::SIGKILL);
        self.child.wait().expect("a child of ours");
    }

    /// Waits for its end alone, whoever else holds its standard output and error.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child of ours")
    }

    /// Waits for its end and for the end of all that holds its standard output and error.
    ///
    /// # Panics
    ///
    /// When it hangs.
    pub fn finish(mut self) -> Story {
        let mut error_pipe = self.child.stderr.take().expect("a pipe");
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            error_pipe
                .read_to_end(&mut text)
                .map(|_| String::from_utf8_lossy(&text).into_owned())
        });
        let pid = self.pid();
        let hang = crate::Watchdog::start("a program", PATIENCE - MOMENTS);
        let mut output = Vec::new();
        self.output.read_to_end(&mut output).expect("a pipe");
        let started = Instant::now();
        let mut status = None;
        wait_for(&format!("the end of {pid}, {started:?}"), || {
            status = self.child.try_wait().expect("a child of ours");
            status.is_some()
        });
        drop(hang);
        let status = status.expect("an end");
        let errors = errors.join().expect("no panic").expect("a pipe");
        Story {
            status,
            output: String::from_utf8_lossy(&output).into_owned(),
            errors,
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
