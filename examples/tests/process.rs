//! `process` prints what the tutorial's program prints, and the value that Python would drop.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn the_job_prints_before_its_value_comes_back() {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_process")));
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<_> = ended.stdout().lines().collect();
    let [printed, returned] = lines[..] else {
        panic!("two lines: {ended:?}")
    };
    assert_eq!(printed, "abc");
    let pid = returned
        .strip_prefix("process ")
        .and_then(|rest| rest.strip_suffix(" returned 3"));
    assert!(
        pid.is_some_and(|pid| pid.parse::<u32>().is_ok_and(|pid| pid > 0)),
        "{returned}"
    );
    assert_eq!(ended.stderr(), "");
}
