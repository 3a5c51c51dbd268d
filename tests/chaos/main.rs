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
//! Out of the environment: `PROCESSION_CHAOS_SEED`; how long it goes on, `PROCESSION_CHAOS_FAULTS` or
//! `PROCESSION_CHAOS_SECONDS`. The seed draws the shape of every round and the strikes; the moments at which these hit
//! are the machine's affair, so a seed that failed may need a few rounds of its own to fail again.

#![cfg(target_os = "linux")]

mod audit;
mod faults;
mod random;
mod round;
mod work;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Display;
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use random::Random;

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
    let (mut n_rounds, mut n_items) = (0, 0);
    let (mut faults, mut lost) = (BTreeMap::new(), BTreeMap::new());
    while time.map_or(sum(&faults) < n_wanted, |time| started.elapsed() < time) {
        let name = format!("PROCESSION_CHAOS_SEED={seed}, round {n_rounds}");
        let named = Named(&name);
        let (totals, injected) = round::run(random.next(), &name);
        drop(named);
        n_rounds += 1;
        n_items += totals.n_items;
        add(&mut faults, injected.into_counts());
        add(&mut lost, totals.lost);
    }
    let seconds = started.elapsed().as_secs();
    say(&format!(
        "{n_rounds} rounds in {seconds} s, {n_items} items\n\
         {} faults: {}\n{} items without their result: {}\nunexplained: 0",
        sum(&faults),
        list(&faults),
        sum(&lost),
        list(&lost)
    ));
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

fn add<K: Ord>(sums: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (kind, n) in more {
        *sums.entry(kind).or_default() += n;
    }
}

fn sum<K>(counts: &BTreeMap<K, u64>) -> u64 {
    counts.values().sum()
}

fn list<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let parts = counts.iter().map(|(kind, n)| format!("{kind} {n}"));
    parts.collect::<Vec<_>>().join(", ")
}
