//! `shared` prints what another process has made of values and arrays.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn reads_back_what_another_process_has_written() {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_shared")));
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<_> = ended.stdout().lines().collect();
    assert_eq!(
        lines,
        [
            "10",
            "6.28",
            "[-1, -2, -3, -4]",
            "[1, 2, 3, 4, 5]",
            "[2, 4, 6, 8, 10]",
            "[3, 6, 9, 12, 15]"
        ]
    );
    assert_eq!(ended.stderr(), "");
}
