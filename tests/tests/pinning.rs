//! Workers that keep to one CPU each.

#![cfg(target_os = "linux")]

use procession::Pool;
use procession_tests::{begin, wait_for};

/// The CPUs that a process may use, as `/proc` tells.
fn allowed_cpus(pid: u32) -> Vec<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = line.expect("a list").trim().split(',');
    let bounds = ranges.map(|range| range.split_once('-').unwrap_or((range, range)));
    bounds
        .flat_map(|(first, last)| first.parse().unwrap()..=last.parse().unwrap())
        .collect()
}

#[test]
fn pinned_workers_have_a_cpu_each_and_others_have_them_all() {
    let _test = begin();
    let all = allowed_cpus(std::process::id());
    let seen = |pin: bool| -> Vec<_> {
        let pool = Pool::builder()
            .workers(all.len() + 1)
            .pin_workers(pin)
            .build()
            .unwrap();
        let pids = pool.pids();
        pids.into_iter()
            .map(|pid| {
                // It may not have come so far yet.
                if pin {
                    wait_for("its CPU", || allowed_cpus(pid).len() == 1);
                }
                allowed_cpus(pid)
            })
            .collect()
    };
    let round = all.iter().chain(&all).take(all.len() + 1);
    assert_eq!(seen(true), round.map(|&cpu| vec![cpu]).collect::<Vec<_>>());
    assert_eq!(seen(false), vec![all.clone(); all.len() + 1]);
}

#[test]
fn of_the_cpus_that_a_pool_may_use_each_worker_has_one() {
    let _test = begin();
    let all = allowed_cpus(std::process::id());
    let builder = Pool::builder().workers(2).cpu_affinity(all.iter().copied());
    let pool = builder.pin_workers(true).build().unwrap();
    for (pid, &cpu) in pool.pids().into_iter().zip(all.iter().cycle()) {
        wait_for("its CPU", || allowed_cpus(pid) == [cpu]);
    }
}
