//! `fork_map` counts in copies of its memory, and reads a table in many processes that has a copy in none.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn workers_write_into_copies_and_read_one_table() {
    let ended = run(Command::new(env!("CARGO_BIN_EXE_fork_map")).arg("64"));
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<_> = ended.stdout().lines().collect();
    let [told @ .., of_their_own] = &lines[..] else {
        panic!("it said nothing");
    };
    assert_eq!(
        told,
        [
            "the worker counts [1, 3, 6]",
            "here the counter is 0",
            "here the shared one is 6",
            "64 MiB were read 8 times",
        ]
    );
    let mebibytes = of_their_own
        .strip_prefix("a worker's own memory: ")
        .and_then(|rest| rest.strip_suffix(" MiB at the most"));
    let mebibytes: u64 = mebibytes
        .and_then(|number| number.parse().ok())
        .expect("a number");
    assert!(mebibytes < 16, "{mebibytes} MiB of a table of 64");
    assert_eq!(ended.stderr(), "");
}

#[test]
fn a_size_that_is_no_number_is_refused() {
    let ended = run(Command::new(env!("CARGO_BIN_EXE_fork_map")).arg("much"));
    assert!(!ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout(), "");
    assert!(
        ended.stderr().contains("much is no number of MiB"),
        "{ended:?}"
    );
}
