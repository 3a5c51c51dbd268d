//! Workers that are forks of the program as it stands, and programs that fork by themselves.

#![cfg(target_os = "linux")]

use std::process::Command;

use procession::{ErrorKind, Pool, StartMethod};
use procession_tests::{Story, begin};

fn forks(what: &str) -> String {
    Story::of(
        Command::new(env!("CARGO_BIN_EXE_forks"))
            .arg(what)
            .env_remove("RUST_BACKTRACE"),
    )
    .success()
}

#[test]
fn workers_see_the_memory_of_the_moment_also_a_later_one_and_write_their_own() {
    let _test = begin();
    assert_eq!(
        forks("memory"),
        "then 5\nthere 5, then 7\nhere 6\nreplaced 5\n"
    );
}

#[test]
fn workers_that_come_later_see_the_memory_of_the_moment_when_the_pool_was_built() {
    let _test = begin();
    assert_eq!(
        forks("resize"),
        "[(Some(0), 5), (Some(1), 5), (Some(2), 5)]\n"
    );
    assert_eq!(forks("idle"), "[5]\n[5]\n", "also after they had retired");
}

#[test]
fn with_a_second_thread_it_is_refused_and_works_when_that_has_ended() {
    let _test = begin();
    assert_eq!(
        forks("threads"),
        "Start: failed to start the supervisor process: a fork (`StartMethod::Fork`, `fork_map`) needs a program with \
         one thread, and this one has 2 (each `#[test]` is one, and so is the one that wakes awaited handles and calls \
         `on_done`): fork before they are started, or run jobs on a pool of `StartMethod::ForkServer`\n\
         [0, 1, 4, 9]\n"
    );
}

#[test]
fn workers_have_a_state_a_place_and_a_name_of_their_own() {
    let _test = begin();
    let told = forks("state");
    let [lens, parent, indices, last] = told.lines().collect::<Vec<_>>()[..] else {
        panic!("{told}");
    };
    assert_eq!(lens, "[3, 4, 5]");
    let (parent, program) = parent.rsplit_once(' ').unwrap();
    assert_eq!(parent, format!("(\"main {program}\", Some(0))"));
    assert_eq!(indices, "Ok([(Some(0), None), (Some(1), None)])");
    assert_eq!(last, "Ok([Ok(5)])");
}

#[test]
fn in_a_test_it_is_refused() {
    let _test = begin();
    let error = Pool::builder()
        .workers(1)
        .start_method(StartMethod::Fork)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start);
    assert!(
        error
            .to_string()
            .contains("needs a program with one thread"),
        "{error}"
    );
}

#[test]
fn it_nests() {
    let _test = begin();
    assert_eq!(forks("nested"), "[6, 0]\n");
}

#[test]
fn what_is_buffered_is_printed_once() {
    let _test = begin();
    let output = forks("printing");
    assert_eq!(output.matches("[rust]").count(), 1, "{output}");
    assert_eq!(output.matches("[c]").count(), 1, "{output}");
}

#[test]
fn several_pools_each_see_their_own_moment() {
    let _test = begin();
    assert_eq!(forks("several"), "[0, 1, 2, 3, 4] [0]\n");
}

#[test]
fn each_pool_has_a_supervisor_of_its_own() {
    let _test = begin();
    assert_eq!(
        forks("supervisor"),
        "lost: the supervisor process was killed\n[0, 1, 4, 9]\n"
    );
}

#[test]
fn what_the_parent_made_is_refused_in_a_child_that_the_user_forked_and_stays_the_parents() {
    let _test = begin();
    let output = forks("parents");
    let words = "this pool belongs to the process that this one was forked from: make one here";
    let expected: String = ["map", "map_each", "submit", "try_submit"]
        .iter()
        .map(|what| format!("{what}: PoolGone: {words}\n"))
        .chain([
            "pids []\n".to_owned(),
            "cancel false\n".to_owned(),
            format!("join: lost after it had begun: {words}\n"),
            format!("join_timeout: lost after it had begun: {words}\n"),
            format!("kill: PoolGone: {words}\n"),
            format!("terminate: PoolGone: {words}\n"),
            format!("join: lost after it had begun: {words}\n"),
            "exit status None\n".to_owned(),
            format!("close: PoolGone: {words}\n"),
        ])
        .collect();
    assert_eq!(output, expected);
}

#[test]
fn a_child_that_the_user_forked_can_have_pools_of_its_own() {
    let _test = begin();
    assert_eq!(forks("own"), "[0, 1, 4, 9]\n[0, 1, 4]\n[0, 1]\nhere too\n");
}

#[test]
fn handles_are_inherited_passed_and_returned() {
    let _test = begin();
    assert_eq!(
        forks("handles"),
        "100 of 100 came back\ninherited: 300 [1000, 0, 0, 0] 100\npassed: 100 [2000, 0, 0, 0] 100\n[1, 2, 3]\n"
    );
}

#[test]
fn arrays_that_the_program_has_dropped_stay_as_they_were_for_its_forks() {
    let _test = begin();
    assert_eq!(forks("dropped"), "[[1, 2, 3], [4, 5]]\n");
}

#[test]
fn a_reference_into_an_array_that_safe_code_leaked_does_not_reach_a_fork() {
    let _test = begin();
    assert_eq!(forks("leaked"), "killed true, here Some(0)\n");
}
