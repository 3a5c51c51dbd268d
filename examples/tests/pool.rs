//! `pool` prints what the tutorial's program prints, and what each worker did.

use std::process::Command;

use crate::watchdog::{Said, run};

#[test]
fn prints_the_tutorials_lines_and_a_row_for_each_worker() {
    let ended = run(&mut Command::new(env!("CARGO_BIN_EXE_pool")));
    assert!(ended.status.success(), "{ended:?}");
    let lines: Vec<_> = ended.stdout().lines().collect();
    let [squares, one, ten, chain, head, rows @ .., sum] = &lines[..] else {
        panic!("more lines: {ended:?}")
    };
    assert_eq!(*squares, "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]");
    assert_eq!(*one, "4");
    assert_eq!(ten, squares);
    assert_eq!(*chain, "longest Collatz chain below 10,000,000: 685 steps");
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["worker", "jobs", "busy", "CPU"]
    );

    let rows: Vec<Vec<_>> = rows
        .iter()
        .map(|row| row.split_whitespace().collect())
        .collect();
    let [[first, ..], [second, ..]] = [&rows[0][..], &rows[1][..]] else {
        panic!("two rows: {rows:?}")
    };
    assert_ne!(first, second, "two processes");
    let jobs = rows
        .iter()
        .map(|row| row[1].parse::<u64>().expect("a number of jobs"));
    assert_eq!(jobs.sum::<u64>(), 10 + 1 + 10 + 500);
    for row in &rows {
        assert!(
            row[1] != "0" && row[4].parse::<f64>().is_ok_and(|cpu| cpu > 0.0),
            "both have worked: {row:?}"
        );
    }
    assert!(sum.ends_with("cores at work"), "{sum}");
}
