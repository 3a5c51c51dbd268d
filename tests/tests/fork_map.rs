//! Closures over the program's memory, in forks of it. They need a program of one thread, so each test runs one.

#![cfg(target_os = "linux")]

use std::process::Command;

use procession::{ErrorKind, fork_map, fork_map_each};
use procession_tests::processes;
use procession_tests::{Story, Victim, begin, wait_for};

fn program(what: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fork_maps"));
    program.arg(what).env_remove("RUST_BACKTRACE");
    program
}

fn fork_maps(what: &str) -> String {
    Story::of(&mut program(what)).success()
}

#[test]
fn what_is_borrowed_is_there_and_what_is_written_stays_with_the_worker() {
    let _test = begin();
    assert_eq!(
        fork_maps("memory"),
        "[\"memory 1 6\", \"memory 3 9\", \"memory 5 14\", \"memory 7 21\", \"memory 9 30\"]\n\
         here [5]\n\
         there [2, 4, 6], here [1, 2, 3]\n"
    );
}

#[test]
fn a_table_is_read_by_all_workers_and_copied_by_none() {
    let _test = begin();
    assert_eq!(fork_maps("table"), "shared; a copy is seen: [true]\n");
}

#[test]
fn elements_that_were_borrowed_before_are_there_where_they_are_frozen() {
    let _test = begin();
    assert_eq!(fork_maps("lent"), "[Err(11), Err(11)]\n0\nOk([0, 0])\n");
}

#[test]
fn a_worker_that_dies_costs_its_item_only() {
    let _test = begin();
    assert_eq!(fork_maps("deaths"), "Job Some(3)\n");
}

#[test]
fn after_a_panic_the_next_item_finds_the_memory_as_the_program_left_it() {
    let _test = begin();
    assert_eq!(
        fork_maps("panics"),
        "1\n2\npanicked: number 2\n1\n2\npanicked: number 5\n1\n\
         job `fork_map` failed at item  in worker : panicked at tests/src/bin/fork_maps.rs::: assertion `left == right` failed\n"
    );
}

#[test]
fn an_item_that_is_tried_again_is_whole_again() {
    let _test = begin();
    assert_eq!(
        fork_maps("retries"),
        "[\"returns 0\", \"panics 2\", \"dies 2\"]\n"
    );
}

#[test]
fn a_time_limit_ends_an_item_alone() {
    let _test = begin();
    assert_eq!(fork_maps("time"), "5 others\n");
}

#[test]
fn results_may_be_larger_than_the_queue() {
    let _test = begin();
    assert_eq!(fork_maps("large"), "large results came\n");
}

#[test]
fn workers_drop_nothing_of_the_programs_but_their_copies_of_owned_items() {
    let _test = begin();
    assert_eq!(
        fork_maps("drops"),
        "kept 0, captured 1, lent 0\n\
         lent, then dropped here 2\n\
         owned [0, 1, 2], after all 6\n\
         unborn 5\n"
    );
}

#[test]
fn with_a_second_thread_it_is_refused_and_works_when_that_has_ended() {
    let _test = begin();
    assert_eq!(
        fork_maps("threads"),
        "Start: failed to start the supervisor process: a fork (`StartMethod::Fork`, `fork_map`) needs a program with \
         one thread, and this one has 2 (each `#[test]` is one, and so is the one that wakes awaited handles and calls \
         `on_done`): fork before they are started, or run jobs on a pool of `StartMethod::ForkServer`\n\
         [1, 2, 3]\n"
    );
}

#[test]
fn in_a_test_it_is_refused() {
    let _test = begin();
    let error = fork_map(0..3, |number| number).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start);
    let error = fork_map_each(0..3, |number| number).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start);
}

#[test]
fn it_nests_in_jobs_and_in_itself_but_not_for_ever() {
    let _test = begin();
    assert_eq!(
        fork_maps("nested"),
        "[[3, 6], [9]]\n[[10, 11, 12], [20, 21, 22]]\n4: Start\n"
    );
}

#[test]
fn copies_of_the_programs_guards_unlock_nothing_and_reach_no_array() {
    let _test = begin();
    assert_eq!(
        fork_maps("guards"),
        "free [[false, false, false], [false, false, false]]\n\
         free [[false, false, false]]\n\
         then [[true, true, true]], value 2\n"
    );
}

#[test]
fn handles_are_shared_and_the_caller_is_alone_with_them_afterwards() {
    let _test = begin();
    assert_eq!(
        fork_maps("handles"),
        "28 8 28 [0, 1, 2, 3, 4, 5, 6, 7]\n[1, 1, 4, 9, 16, 25, 36, 49]\n"
    );
}

#[test]
fn no_items_few_items_many_items_and_what_cannot_be_meant() {
    let _test = begin();
    assert_eq!(
        fork_maps("bounds"),
        "[]\n\
         [2, 2]\n\
         InvalidInput: a pool needs 1 to 1024 workers, not 0\n\
         InvalidInput: a pool needs 1 to 1024 workers, not 1025\n\
         InvalidInput: `timeout` of 0 would kill every job; leave it out for no limit\n"
    );
}

#[test]
fn the_builders_options_hold() {
    let _test = begin();
    assert_eq!(fork_maps("options"), "[\"forked-0 11\", \"forked-0 11\"]\n");
}

#[test]
fn a_result_that_cannot_travel_is_its_items_verdict() {
    let _test = begin();
    assert_eq!(
        fork_maps("results"),
        "[\"travels\", \"cannot send a value of type `core::option::Option<fork_maps::Stuck>`: it is stuck\", \"travels\"]\n\
         [Ok(1), Err(\"no two\"), Ok(3)]\n"
    );
}

#[test]
fn what_is_printed_is_printed_once() {
    let _test = begin();
    let output = fork_maps("printing");
    let items = (0..5).map(|number| format!("[item {number}]"));
    for printed in items.chain(["[before]".into(), "[after]".into()]) {
        assert_eq!(output.matches(&printed).count(), 1, "{output}");
    }
}

#[test]
fn nothing_is_left_of_a_map() {
    let _test = begin();
    assert_eq!(fork_maps("again"), "1190\n");
}

#[test]
fn the_death_of_its_supervisor_is_a_verdict() {
    let _test = begin();
    assert_eq!(
        fork_maps("supervisor"),
        "lost: the supervisor process was killed\n"
    );
}

#[test]
fn a_program_that_is_killed_within_leaves_nobody() {
    let _test = begin();
    let name = format!("PROCESSION_TEST_FORK_MAP_{}", std::process::id());
    let mut program = program("sleeps");
    let mut victim = Victim::start(program.env(&name, "1"));
    assert_eq!(
        (victim.line(), victim.line()),
        ("begun".into(), "begun".into())
    );
    let all = || processes::started_with(&format!("{name}=1"));
    assert!(all().len() >= 4, "a program, its supervisor, two workers");
    victim.kill();
    wait_for("the end of all", || all().is_empty());
}
