//! `queue` prints what the tutorial's program prints, though it joins before it gets.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn two_processes_put_and_end_and_their_sums_are_got_afterwards() {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_queue")));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout(), "499667166000\n");
    assert_eq!(ended.stderr(), "");
}
