//! `connection` talks with a second program, which gets in with the key and not without it.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn two_programs_talk_and_a_wrong_key_is_refused() {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_connection")));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr(), "");
    let lines: Vec<&str> = ended.stdout().lines().collect();
    let mut begins = [
        "client: with another key: the two ends of the connection have different keys",
        "client: 10000 numbers were doubled, ",
        "listener: the other program has closed the connection",
    ];
    assert_eq!(lines.len(), begins.len(), "{lines:?}");
    // The last two are written by two programs, in whatever order.
    begins.sort_unstable();
    let mut sorted = lines.clone();
    sorted.sort_unstable();
    for (line, begin) in sorted.iter().zip(begins) {
        assert!(line.starts_with(begin), "{lines:?}");
    }
}
