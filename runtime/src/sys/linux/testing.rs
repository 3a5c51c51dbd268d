//! For tests that fork, kill and die: processes of their own, surely gone afterwards, and an end to every hang.
//!
//! Responsible for: a forked process that runs a closure of the test ([`in_child`]); a process in which no other test
//! runs ([`alone`]), for what must not inherit the harness's threads and locks; a time limit for tests ([`watched`]).
//! Not for use outside of tests.
//!
//! # Safety
//!
//! The test harness has many threads, so its children are forked against the contract of fork. The C library keeps its
//! allocator usable in them, and the record of our own descriptors has no lock; what remains are locks of the harness
//! itself (its captured output), which a child takes only when it fails.

#![expect(
    unsafe_code,
    reason = "forks a process of several threads, sets an alarm"
)]

use std::any::Any;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use super::memory::Mapping;
use super::pidfd::{Pidfd, exit_status};
use super::process::{Forked, die_with_parent, exit_now, fork_unchecked, pid};

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Set in the process that runs one test alone.
const ALONE: &str = "PROCESSION_TEST_RUNS_ALONE";

/// A set of signals as the calling thread's status in `/proc` shows it, by the name of its line: bit n - 1 for signal n.
pub(crate) fn signal_set(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let set = status.lines().find_map(|line| line.strip_prefix(name));
    u64::from_str_radix(set.unwrap().trim(), 16).unwrap()
}

/// Runs a test; if it has not ended in time it has failed.
pub(crate) fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let runner = thread::Builder::new().spawn(move || {
        test();
        let _nobody_waits_any_more = done.send(());
    });
    let runner = runner.unwrap();
    match ended.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("the test hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            runner.join().unwrap_or_else(|panic| resume_unwind(panic))
        }
    }
}

/// Runs `test`, the whole of the `#[test]` that calls this, on the only thread of a process beside which no other test
/// runs: the test binary is started once more for this test only, and forks there.
#[track_caller]
pub(crate) fn alone(test: impl FnOnce()) {
    let this_thread = thread::current();
    let name = match this_thread.name() {
        Some(name) if name != "main" && env::var_os(ALONE).is_none() => name,
        // Nothing runs beside this test: the harness's own thread waits for it, or is this one.
        _ => return in_child(test).succeeds(),
    };
    let output = Command::new(env::current_exe().expect("the test binary"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .expect("the test binary runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    assert!(
        out.contains("1 passed"),
        "{name} was not found:\n{out}{err}"
    );
}

/// A child that is killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    pid: u32,
    pidfd: Pidfd,
}

/// Forks a process that runs `body` and ends: with code 0, or 101 if `body` panics.
pub(crate) fn in_child(body: impl FnOnce()) -> Child {
    let parent = pid();
    // SAFETY: the contract of fork is broken knowingly and as described in the head of this module.
    match unsafe { fork_unchecked() }.unwrap() {
        Forked::Parent(pid) => Child {
            pid,
            pidfd: Pidfd::open(pid).unwrap(),
        },
        Forked::Child => {
            die_with_parent(parent).unwrap();
            // SAFETY: no memory is involved.
            unsafe { libc::alarm(LIMIT.as_secs() as u32) };
            let code = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(()) => 0,
                Err(panic) => {
                    report(panic.as_ref());
                    101
                }
            };
            exit_now(code)
        }
    }
}

/// The harness captures what a panic prints, in memory that ends with the child: its message is written directly.
fn report(panic: &(dyn Any + Send)) {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied());
    let text = format!("in a forked child: {}\n", message.unwrap_or("panic"));
    // SAFETY: the address and length of a living string; the kernel only reads it.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

impl Child {
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn pidfd(&self) -> &Pidfd {
        &self.pidfd
    }

    /// Kills it without a chance to say anything, and reaps it.
    pub(crate) fn kill(self) {
        drop(self);
    }

    /// Waits for its end.
    pub(crate) fn status(self) -> ExitStatus {
        exit_status(self.pidfd.reap_blocking().unwrap().status)
    }

    pub(crate) fn code(self) -> Option<i32> {
        self.status().code()
    }

    pub(crate) fn signal(self) -> Option<i32> {
        self.status().signal()
    }

    #[track_caller]
    pub(crate) fn succeeds(self) {
        let status = self.status();
        assert!(status.success(), "the child ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Errors mean that it is gone already, which is all that is wanted.
        let _killed = self.pidfd.kill(libc::SIGKILL);
        let _reaped = self.pidfd.reap_blocking();
    }
}

/// Writes `byte` to all of a mapping.
pub(crate) fn fill(mapping: &Mapping, byte: u8) {
    // SAFETY: the range is mapped and writable as long as the mapping lives; in these tests no process holds a
    // reference into it.
    unsafe { mapping.base().as_ptr().write_bytes(byte, mapping.len()) };
}
