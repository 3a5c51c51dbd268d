//! A seeded storm: workers and supervisors are killed, stopped and continued at random moments, during maps of random
//! shape, and everything that comes back is compared with what a single process gives.
//!
//! What is asserted, round by round:
//!
//! - Every item has its right result, or a verdict that is explained by a fault that was injected or by itself.
//! - No more items are lost to signals than signals were sent, none are lost to stops without one.
//! - An item has run at most once, with retries at most once more for each; one whose verdict says that it never ran has not.
//! - When a round is over, no process, zombie, descriptor or mapping is left that was not there before.
//! - Nothing hangs.
//!
//! Pools of both start methods are drawn; some are resized meanwhile, and of some the idle workers retire. Forks of the program
//! need one of a single thread, which no test is, so a round of those is run by a program of its own, `fork_round`, which reports
//! what it injected and what was lost.
//!
//! Out of the environment: `PROCESSION_CHAOS_SEED`; how long it goes on, `PROCESSION_CHAOS_FAULTS` or
//! `PROCESSION_CHAOS_SECONDS`. The seed draws the shape of every round and the strikes; the moments at which these hit
//! are the machine's affair, so a seed that failed may need a few rounds of its own to fail again.

#![cfg(target_os = "linux")]

mod audit;
mod faults;
mod random;
mod report;
mod round;
mod shape;
mod work;

use std::collections::BTreeMap;
use std::env;
use std::io::Write;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use procession::StartMethod;
use procession_tests::{Story, processes, wait_for};

use random::Random;
use report::Report;

/// What a run without wishes injects.
const N_FAULTS: u64 = 2000;

#[test]
fn a_seeded_storm_loses_nothing_that_no_fault_explains() {
    let by_clock = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64)
    };
    let seed = wished("PROCESSION_CHAOS_SEED").unwrap_or_else(by_clock);
    let n_wanted = wished("PROCESSION_CHAOS_FAULTS").unwrap_or(N_FAULTS);
    let time = wished("PROCESSION_CHAOS_SECONDS").map(Duration::from_secs);
    say(&format!("PROCESSION_CHAOS_SEED={seed}"));
    let (started, mut random) = (Instant::now(), Random::new(seed));
    let (mut n_rounds, mut n_of_forks) = (0, 0);
    let mut report = Report::default();
    while time.map_or(report.n_faults() < n_wanted, |time| {
        started.elapsed() < time
    }) {
        let name = format!("PROCESSION_CHAOS_SEED={seed}, round {n_rounds}");
        let named = Named(&name);
        let of_round = random.next();
        report.add(if random.percent(25) {
            n_of_forks += 1;
            run_with_forks(of_round, &name)
        } else {
            round::run(of_round, &name, StartMethod::ForkServer)
        });
        drop(named);
        n_rounds += 1;
    }
    let seconds = started.elapsed().as_secs();
    say(&format!(
        "{n_rounds} rounds in {seconds} s, {n_of_forks} of them with forks of the program, {} items\n\
         {} faults: {}\n{} items without their result: {}\nunexplained: 0",
        report.n_items,
        report.n_faults(),
        list(&report.faults),
        report.lost.values().sum::<u64>(),
        list(&report.lost)
    ));
}

/// A round in a program of its own, of which nobody may be left when it has ended.
///
/// # Panics
///
/// When a promise is broken.
fn run_with_forks(seed: u64, name: &str) -> Report {
    let variable = format!("PROCESSION_CHAOS_ROUND_OF_{}", std::process::id());
    let story = Story::of(
        Command::new(env!("CARGO_BIN_EXE_fork_round"))
            .args([&seed.to_string(), name])
            .env(&variable, "1"),
    );
    let report = story.success().parse().expect("a report");
    wait_for("the end of all that a round had", || {
        processes::started_with(&format!("{variable}=1")).is_empty()
    });
    report
}

/// The sums of many rounds.
impl Report {
    fn add(&mut self, other: Self) {
        self.n_items += other.n_items;
        for (kind, n) in other.faults {
            *self.faults.entry(kind).or_default() += n;
        }
        for (to, n) in other.lost {
            *self.lost.entry(to).or_default() += n;
        }
    }

    fn n_faults(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// A number out of the environment.
///
/// # Panics
///
/// When it is none.
fn wished<T: FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Past the harness, which keeps to itself what a test says that is aborted.
fn say(text: &str) {
    // Nobody listens: then nobody needs to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says which round it was, when that panics.
struct Named<'a>(&'a str);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(self.0);
        }
    }
}

fn list(counts: &BTreeMap<String, u64>) -> String {
    let parts = counts.iter().map(|(kind, n)| format!("{kind} {n}"));
    parts.collect::<Vec<_>>().join(", ")
}
