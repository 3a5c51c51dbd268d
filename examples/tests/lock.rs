//! `lock` loses no addition without a lock, and keeps the order with one.

use std::process::Command;

use crate::watchdog::{Said, run};

/// The sums that the two processes have printed without a lock, lowest first, and what they were with it.
fn sums() -> (Vec<i32>, Vec<i32>) {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_lock")));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stderr(), "");
    let parts = ended
        .stdout()
        .strip_prefix("without a lock:\n")
        .and_then(|rest| rest.split_once("with a lock:\n"));
    let (without, with) = parts.unwrap_or_else(|| panic!("two parts: {ended:?}"));
    let numbers = |lines: &str| -> Vec<i32> {
        let numbers = lines.lines().map(str::parse).collect::<Result<_, _>>();
        numbers.unwrap_or_else(|_| panic!("a number on each line: {lines:?}"))
    };
    let mut without = numbers(without);
    // One process may add, the other add and print, and only then the first one print.
    without.sort_unstable();
    (without, numbers(with))
}

#[test]
fn without_a_lock_they_take_turns_and_with_it_the_first_goes_to_its_end() {
    // How turns mix is chance, and on a busy machine one process may be done before the other begins: then once more.
    for _ in 0..10 {
        let (without, with) = sums();
        assert_eq!(with, [1, 2, 3, 4, 5, 8, 11, 14, 17, 20]);

        let before = [0].iter().chain(&without);
        let added: Vec<i32> = without
            .iter()
            .zip(before)
            .map(|(sum, before)| sum - before)
            .collect();
        let mut by_process = added.clone();
        by_process.sort_unstable();
        assert_eq!(
            by_process,
            [[1; 10], [3; 10]].concat(),
            "each addition happened once, on top of those before: {without:?}"
        );
        if added != by_process {
            return;
        }
    }
    panic!("ten times the second process has not begun before the first one was done");
}
