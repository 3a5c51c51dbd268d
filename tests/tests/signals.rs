//! Whatever the program does with its signals and its children: pools, processes and queues work as ever. Ctrl-C ends
//! the program and what belongs to it, and nothing else happens.

#![cfg(target_os = "linux")]

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::killpg;
use nix::unistd::Pid;
use procession_tests::processes::{self, Signal};
use procession_tests::{Story, Tally, Victim, begin, wait_for};

#[track_caller]
fn all_is_well(what: &str) {
    let _test = begin();
    let story = Story::of(Command::new(env!("CARGO_BIN_EXE_signals")).arg(what));
    assert_eq!(story.success(), "well\n");
}

#[test]
fn an_ignored_sigchld_changes_nothing() {
    all_is_well("sigchld ignored");
}

#[test]
fn who_reaps_every_child_of_the_program_gets_none_of_ours() {
    all_is_well("children reaped by another");
}

#[test]
fn system_calls_that_are_interrupted_all_the_time_change_nothing() {
    all_is_well("interrupted all the time");
}

#[test]
fn a_program_that_blocks_all_signals_has_pools_as_ever() {
    all_is_well("all blocked");
}

#[test]
fn handlers_of_the_program_neither_reach_a_job_nor_hear_of_one() {
    all_is_well("all handled");
}

#[test]
fn a_dead_supervisor_is_no_sigpipe() {
    all_is_well("sigpipe not ignored");
}

#[test]
fn after_ctrl_c_no_queued_job_begins_and_nobody_says_anything() {
    let _test = begin();
    for round in 0..5 {
        let tally = Tally::new();
        let (name, value) = (
            "PROCESSION_TEST_CTRL_C",
            format!("{}.{round}", std::process::id()),
        );
        let mut victim = Victim::start(
            Command::new(env!("CARGO_BIN_EXE_signals"))
                .arg("queued")
                .arg(tally.path())
                .env(name, &value)
                // A process group of its own, as a shell gives it.
                .process_group(0),
        );
        let (group, variable) = (victim.pid().cast_signed(), format!("{name}={value}"));
        assert_eq!(victim.line(), "ready");
        wait_for("some jobs", || tally.runs() > 10);
        killpg(Pid::from_raw(group), Signal::SIGINT).expect("a group of ours");
        let story = victim.finish();
        assert_eq!(story.status.signal(), Some(Signal::SIGINT as i32));
        assert_eq!((story.output.as_str(), story.errors.as_str()), ("", ""));
        wait_for("everybody's end", || {
            processes::started_with(&variable).is_empty()
        });
        let n_runs = tally.runs();
        assert!(n_runs < 100_000);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(tally.runs(), n_runs);
    }
}
