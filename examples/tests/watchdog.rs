//! Runs a program to its end; what hangs is killed and fails its test.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

const WATCHDOG: Duration = Duration::from_secs(60);

/// How a program ended and what it said.
pub(crate) trait Said {
    /// What it wrote to stdout, which is text.
    fn stdout(&self) -> &str;
    /// What it wrote to stderr, which is text.
    fn stderr(&self) -> &str;
}

impl Said for Output {
    fn stdout(&self) -> &str {
        str::from_utf8(&self.stdout).expect("stdout is text")
    }

    fn stderr(&self) -> &str {
        str::from_utf8(&self.stderr).expect("stderr is text")
    }
}

/// Runs the command to its end, and to the end of all that holds its stdout or stderr: a process that it leaves
/// behind is a hang too.
pub(crate) fn run(command: &mut Command) -> Output {
    command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, ended) = channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match ended.recv_timeout(WATCHDOG) {
        Ok(output) => output.expect("the program's output can be read"),
        Err(_) => {
            // It may have ended just now.
            let _ = killpg(group, Signal::SIGKILL);
            panic!("not at its end after {WATCHDOG:?}: {command:?}");
        }
    }
}
