//! The program dies, in whatever way: nobody of its processes is left behind.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use procession_tests::processes::{self, Signal};
use procession_tests::{MOMENTS, Story, Victim, begin, wait_for};

/// A holder in some situation, and everybody who descends from it.
struct Holder {
    victim: Victim,
    variable: String,
    /// Children of the user's own, which live on.
    forked: Vec<u32>,
}

impl Holder {
    /// Started, and so far that `n_jobs` have begun.
    fn start(what: &str, n_jobs: usize) -> Self {
        Self::start_through(&[], what, n_jobs)
    }

    fn start_through(wrapper: &[&str], what: &str, n_jobs: usize) -> Self {
        static N_STARTED: AtomicU32 = AtomicU32::new(0);
        let number = N_STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("PROCESSION_TEST_{}", std::process::id());
        let mut words = wrapper.to_vec();
        words.extend([env!("CARGO_BIN_EXE_holder"), what]);
        let victim = Victim::start(
            Command::new(words[0])
                .args(&words[1..])
                .env(&name, number.to_string()),
        );
        let mut holder = Self {
            victim,
            variable: format!("{name}={number}"),
            forked: Vec::new(),
        };
        let (mut n_begun, mut ready) = (0, false);
        while n_begun < n_jobs || !ready {
            let line = holder.victim.line();
            match line.as_str() {
                "begun" => n_begun += 1,
                "ready" => ready = true,
                other => {
                    let pid = other
                        .strip_prefix("forked ")
                        .and_then(|pid| pid.parse().ok());
                    holder
                        .forked
                        .push(pid.unwrap_or_else(|| panic!("{what} said {other:?}")));
                }
            }
        }
        holder
    }

    /// The holder, its supervisor, its workers, theirs.
    fn all(&self) -> Vec<u32> {
        processes::started_with(&self.variable)
            .into_iter()
            .filter(|pid| !self.forked.contains(pid))
            .collect()
    }

    #[track_caller]
    fn nobody_is_left(&self) {
        let names = || {
            self.all()
                .into_iter()
                .map(processes::name_of)
                .collect::<Vec<_>>()
        };
        let mut left = names();
        let deadline = std::time::Instant::now() + procession_tests::MOMENTS;
        while !left.is_empty() {
            assert!(std::time::Instant::now() < deadline, "{left:?} are left");
            std::thread::sleep(Duration::from_millis(1));
            left = names();
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        for pid in processes::started_with(&self.variable) {
            processes::send(pid, Signal::SIGKILL);
        }
    }
}

#[track_caller]
fn killed_it_leaves_nobody(what: &str, n_jobs: usize, n_processes: usize) {
    let _test = begin();
    for _ in 0..5 {
        let mut holder = Holder::start(what, n_jobs);
        // A process in the midst of an exec is seen a moment later.
        let deadline = Instant::now() + MOMENTS;
        let mut all = holder.all();
        while all.len() < n_processes && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
            all = holder.all();
        }
        assert_eq!(
            all.len(),
            n_processes,
            "{:?}",
            all.into_iter().map(processes::name_of).collect::<Vec<_>>()
        );
        holder.victim.kill();
        holder.nobody_is_left();
    }
}

#[test]
fn a_program_killed_while_its_pool_is_idle_leaves_nobody() {
    killed_it_leaves_nobody("idle", 0, 1 + 1 + 2);
}

#[test]
fn a_program_killed_while_its_pool_is_busy_leaves_nobody() {
    killed_it_leaves_nobody("busy", 2, 1 + 1 + 2);
}

#[test]
fn a_program_killed_while_a_job_ignores_all_signals_leaves_nobody() {
    killed_it_leaves_nobody("ignoring", 2, 1 + 1 + 2);
}

#[test]
fn a_program_killed_while_jobs_have_children_leaves_neither() {
    killed_it_leaves_nobody("children", 2, 1 + 1 + 2 + 4);
}

#[test]
fn a_program_killed_while_pools_are_nested_three_deep_leaves_nobody() {
    killed_it_leaves_nobody("nested", 2, 1 + 1 + 2 + 2 * (2 + 2));
}

#[test]
fn a_program_killed_while_it_has_processes_leaves_nobody() {
    killed_it_leaves_nobody("process", 2, 1 + 1 + 2);
    killed_it_leaves_nobody("detached", 2, 1 + 1 + 2);
}

#[test]
fn a_program_killed_while_its_workers_are_its_forks_leaves_nobody() {
    // With the supervisor that keeps the registry of shared memory.
    killed_it_leaves_nobody("fork method", 2, 1 + 2 + 2);
}

#[test]
fn a_program_killed_while_another_thread_maps_leaves_nobody() {
    let n_workers = std::thread::available_parallelism().unwrap().get();
    killed_it_leaves_nobody("thread", 2.min(n_workers), 1 + 1 + n_workers);
}

#[test]
fn a_program_killed_after_the_thread_that_made_the_pool_ended_leaves_nobody() {
    killed_it_leaves_nobody("ended thread", 2, 1 + 1 + 2);
}

#[test]
fn a_child_that_the_user_forked_lives_on_and_keeps_nobody() {
    let _test = begin();
    let mut holder = Holder::start("forked", 2);
    // It speaks when it comes to it.
    while holder.forked.is_empty() {
        let line = holder.victim.line();
        holder
            .forked
            .push(line.strip_prefix("forked ").unwrap().parse().unwrap());
    }
    let child = holder.forked[0];
    assert_eq!(holder.all().len(), 1 + 1 + 2);
    holder.victim.kill();
    holder.nobody_is_left();
    assert!(processes::is_alive(child));
}

#[test]
fn a_program_killed_together_with_its_supervisor_leaves_nobody() {
    let _test = begin();
    for what in ["busy", "nested"] {
        for supervisor_first in [false, true] {
            let mut holder = Holder::start(what, 2);
            let supervisor = holder
                .all()
                .into_iter()
                .filter(|&pid| processes::name_of(pid) == "procession")
                .min()
                .unwrap();
            if supervisor_first {
                processes::send(supervisor, Signal::SIGKILL);
            }
            processes::send(holder.victim.pid(), Signal::SIGKILL);
            processes::send(supervisor, Signal::SIGKILL);
            holder.victim.kill();
            holder.nobody_is_left();
        }
    }
}

#[test]
fn a_program_that_ends_with_a_default_pool_leaves_nobody() {
    let _test = begin();
    for (what, code) in [("returns", 0), ("exits", 0), ("panics", 101)] {
        for _ in 0..5 {
            let mut holder = Holder::start(what, 0);
            wait_for("its end", || !processes::is_alive(holder.victim.pid()));
            holder.nobody_is_left();
            assert_eq!(holder.victim.line(), "");
            let ended = holder.victim.wait();
            assert_eq!(ended.code(), Some(code), "{what}");
        }
    }
}

#[test]
fn a_program_whose_main_returns_while_a_thread_maps_leaves_nobody() {
    let _test = begin();
    for what in ["returns at once", "returns busy"] {
        for _ in 0..10 {
            let holder = Holder::start(what, 0);
            wait_for("its end", || !processes::is_alive(holder.victim.pid()));
            holder.nobody_is_left();
        }
    }
}

#[test]
fn in_a_pid_namespace_where_the_program_is_the_first_process_it_works() {
    let _test = begin();
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let permitted = Command::new(unshare[0])
        .args(&unshare[1..])
        .arg("true")
        .output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return eprintln!("LEFT OUT: `{}` is not permitted here", unshare.join(" "));
    }
    let story = Story::of(
        Command::new(unshare[0])
            .args(&unshare[1..])
            .args([env!("CARGO_BIN_EXE_holder"), "returns"]),
    );
    assert_eq!(story.success(), "ready\n");
    for (what, n_jobs) in [("idle", 0), ("busy", 2), ("nested", 2)] {
        let mut holder = Holder::start_through(&unshare, what, n_jobs);
        holder.victim.kill();
        holder.nobody_is_left();
    }
}
