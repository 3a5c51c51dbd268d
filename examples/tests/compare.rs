//! `compare` finds one exact sum in three ways, and draws how long each took.

use std::process::{Command, Output};

use crate::watchdog::{Said, run};

const WAYS: [&str; 3] = ["normal", "multithread", "multicore"];

fn compare(arguments: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_compare")).args(arguments))
}

fn assert_all_print(ended: &Output, sum: &str) {
    assert!(ended.status.success(), "{ended:?}");
    for (line, way) in ended.stdout().lines().zip(WAYS) {
        assert_eq!(line, format!("{way}: {sum}"));
    }
    assert_eq!(ended.stderr(), "");
}

#[test]
fn all_ways_print_the_tutorials_sum_to_the_last_digit() {
    assert_all_print(&compare(&[]), "4999999666666716666660000000");
}

#[test]
fn each_way_has_a_bar_as_long_as_its_share_of_the_longest_and_the_cpu_time_of_two_workers() {
    let ended = compare(&["--steps", "300000"]);
    assert_all_print(&ended, "4049991000044999800000");
    let rows: Vec<_> = ended.stdout().lines().skip(5).take(3).collect();
    let figures: Vec<_> = rows.iter().map(|row| Row::of(row)).collect();
    assert_eq!(figures.iter().map(|row| row.way).collect::<Vec<_>>(), WAYS);
    let longest = figures.iter().map(|row| row.elapsed).fold(0.0, f64::max);
    for row in &figures {
        let n_columns = 24.0 * row.elapsed / longest;
        // The figures have three digits behind the point.
        let tolerance = 1.0 + 24.0 * 0.001 / longest;
        assert!((row.bar - n_columns).abs() <= tolerance, "{rows:#?}");
        assert!(row.cpu_times.iter().all(|&time| time > 0.0), "{rows:#?}");
    }
    // What is done in turn has one core at the most.
    assert!(figures[0].n_cores <= 1.0, "{rows:#?}");
}

struct Row<'l> {
    way: &'l str,
    /// In columns of a terminal.
    bar: f64,
    elapsed: f64,
    cpu_times: [f64; 2],
    n_cores: f64,
}

impl<'l> Row<'l> {
    fn of(line: &'l str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let [
            way,
            bar,
            elapsed,
            "s",
            first,
            "s",
            "+",
            second,
            "s",
            n_cores,
        ] = words[..]
        else {
            panic!("a way, its bar, three times and a number: {line}")
        };
        let column = |block: char| match block {
            '█' => 1.0,
            _ => ("▏▎▍▌▋▊▉".chars().position(|part| part == block))
                .map(|n_eighths| (n_eighths + 1) as f64 / 8.0)
                .unwrap_or_else(|| panic!("blocks: {line}")),
        };
        let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("numbers: {line}"));
        Self {
            way,
            bar: bar.chars().map(column).sum(),
            elapsed: number(elapsed),
            cpu_times: [first, second].map(number),
            n_cores: number(n_cores),
        }
    }
}

#[test]
fn ten_times_the_steps_take_more_cpu_time() {
    // A formula in place of the loop would take none, however many steps.
    let cpu_time = |steps: &str| {
        let ended = compare(&["--steps", steps]);
        let row = ended.stdout().lines().nth(5).map(Row::of);
        row.map_or(0.0, |row| row.cpu_times[0])
    };
    assert!(cpu_time("4000000") > cpu_time("400000"));
}

#[test]
fn bad_arguments_are_refused_with_what_to_do() {
    for (arguments, told) in [
        (&["--steps", "many"][..], "cannot parse argument \"many\""),
        (&["--fast"], "usage: compare"),
    ] {
        let ended = compare(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr().contains(told), "{}", ended.stderr());
    }
}
