//! For unit tests that change or end their whole process.
//!
//! Responsible for giving a test a process of its own ([`alone`]), with one thread, in which it may fork
//! ([`status_of_child`]). A fork of the test binary itself would inherit the locks of tests that run beside, so the
//! binary is started once more for this test only, and forks there.
//!
//! # Safety
//!
//! The child is forked from a process in which no other test runs, and leaves by `_exit`; an alarm ends it, should
//! it hang.
#![expect(unsafe_code, reason = "fork, alarm and waitpid")]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitStatus};
use std::thread;

use crate::sys::process::{Forked, exit_now, fork};

/// Set in the process that runs one test alone.
const ALONE: &str = "PROCESSION_TEST_RUNS_ALONE";

/// Runs `test`, the whole of the `#[test]` that calls this, in a process of its own, on its only thread.
#[track_caller]
pub(crate) fn alone(test: impl FnOnce()) {
    let this_thread = thread::current();
    let name = match this_thread.name() {
        Some(name) if name != "main" && env::var_os(ALONE).is_none() => name,
        // Nothing runs beside this test: the harness's own thread waits for it, or is this one.
        _ => return in_child(test),
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

/// Runs `test` in a child process and returns how that ended: code 0 if it returned, 101 if it panicked.
pub(crate) fn status_of_child(test: impl FnOnce()) -> ExitStatus {
    match fork().expect("fork") {
        Forked::Child => {
            // SAFETY: no memory is involved.
            unsafe { libc::alarm(30) };
            let code = if catch_unwind(AssertUnwindSafe(test)).is_ok() {
                0
            } else {
                101
            };
            exit_now(code)
        }
        Forked::Parent(pid) => {
            let mut status = 0;
            // SAFETY: the status lives through the call.
            unsafe { libc::waitpid(pid as i32, &mut status, 0) };
            ExitStatus::from_raw(status)
        }
    }
}

/// Runs `test` in a child process and panics if it panicked there.
#[track_caller]
pub(crate) fn in_child(test: impl FnOnce()) {
    let status = status_of_child(test);
    assert!(status.success(), "the child ended with {status}");
}
