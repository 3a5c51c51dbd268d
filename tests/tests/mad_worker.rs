//! A worker gone mad overwrites every shared mapping that it can reach, before, during and after its jobs: the program
//! and its supervisor neither crash nor hang nor allocate without bound, and the next pool is clean.

#![cfg(target_os = "linux")]

use std::process::Command;

use procession_tests::{Story, begin};

#[test]
fn the_program_survives_and_the_next_pool_is_clean() {
    for seed in 0..10 {
        goes_well(&seed.to_string());
    }
}

#[test]
fn a_pool_whose_tasks_are_written_over_is_given_up_and_says_so() {
    goes_well("row");
}

fn goes_well(argument: &str) {
    let _test = begin();
    let story = Story::of(Command::new(env!("CARGO_BIN_EXE_mad")).arg(argument));
    assert!(
        story.status.success() && story.output == "well\n",
        "mad {argument}: {}\n{}{}",
        story.status,
        story.output,
        story.errors
    );
}
