//! Injects faults: signals to whatever the supervisor has for children, and to the supervisor.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use procession_tests::processes::{self, Signal};

use crate::random::Random;

/// What was injected. Counted before it is sent, so that nothing can come of a fault that is not counted.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    by_kind: Mutex<BTreeMap<String, u64>>,
    /// A bit per signal sent to a worker.
    signals: AtomicU64,
    /// Signals that end a worker.
    n_fatal: AtomicU64,
    n_stops: AtomicU64,
    is_supervisor_killed: AtomicBool,
}

/// Of an item, where there is one: enough that an item which nobody stops never comes near it.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

/// End a process that has its default dispositions.
const FATAL: [Signal; 10] = [
    Signal::SIGKILL,
    Signal::SIGKILL,
    Signal::SIGKILL,
    Signal::SIGSEGV,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGTERM,
    Signal::SIGUSR1,
];

/// Do nothing to a worker.
const HARMLESS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGPIPE,
    Signal::SIGCHLD,
    Signal::SIGWINCH,
];

impl Faults {
    pub(crate) fn count(&self, kind: &str) {
        let mut by_kind = self.by_kind.lock().expect("nobody panics with it");
        *by_kind.entry(kind.to_owned()).or_default() += 1;
    }

    /// To a worker or a process, from whomever.
    pub(crate) fn count_fatal(&self, signal: Signal) {
        self.signals.fetch_or(1 << signal as u64, SeqCst);
        self.n_fatal.fetch_add(1, SeqCst);
        self.count(signal.as_str());
    }

    pub(crate) fn has_sent(&self, signal: i32) -> bool {
        self.signals.load(SeqCst) & 1 << signal != 0
    }

    pub(crate) fn n_fatal(&self) -> u64 {
        self.n_fatal.load(SeqCst)
    }

    pub(crate) fn n_stops(&self) -> u64 {
        self.n_stops.load(SeqCst)
    }

    pub(crate) fn is_supervisor_killed(&self) -> bool {
        self.is_supervisor_killed.load(SeqCst)
    }

    pub(crate) fn into_counts(self) -> BTreeMap<String, u64> {
        self.by_kind.into_inner().expect("nobody panics with it")
    }
}

/// What a round's weather is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) mean_pause: Duration,
    /// Then it is calm, so that work which needs longer than a pause comes to its end.
    pub(crate) n_strikes: u64,
    pub(crate) kills_supervisor: bool,
    pub(crate) stops_supervisor: bool,
    /// Some of the stopped are left to their time limit.
    pub(crate) has_time_limit: bool,
}

/// Strikes, at most until `is_over`; whoever is stopped then goes on.
pub(crate) fn strike(
    supervisor: u32,
    weather: Weather,
    random: &mut Random,
    faults: &Faults,
    is_over: &AtomicBool,
) {
    let mut stopped = Stopped(Vec::new());
    let kill_supervisor_at = weather
        .kills_supervisor
        .then(|| random.below(weather.n_strikes));
    for strike in 0..weather.n_strikes {
        if is_over.load(SeqCst) {
            return;
        }
        std::thread::sleep(random.up_to_micros(2 * weather.mean_pause.as_micros() as u64));
        stopped.wake_due(Instant::now());
        if kill_supervisor_at == Some(strike) {
            faults.is_supervisor_killed.store(true, SeqCst);
            faults.count("SIGKILL to the supervisor");
            processes::send(supervisor, Signal::SIGKILL);
            return;
        }
        if weather.stops_supervisor && random.percent(3) {
            faults.count("SIGSTOP to the supervisor");
            processes::send(supervisor, Signal::SIGSTOP);
            std::thread::sleep(random.up_to_micros(30_000));
            processes::send(supervisor, Signal::SIGCONT);
            continue;
        }
        let children = children_of(supervisor);
        if children.is_empty() {
            continue;
        }
        let victim = random.pick(&children);
        match random.below(100) {
            0..60 => hit(victim, random.pick(&FATAL), faults),
            // All at once.
            60..64 => {
                let signal = random.pick(&FATAL);
                children
                    .into_iter()
                    .for_each(|child| hit(child, signal, faults));
            }
            64..80 => {
                faults.n_stops.fetch_add(1, SeqCst);
                faults.count("SIGSTOP");
                processes::send(victim, Signal::SIGSTOP);
                let is_left = weather.has_time_limit && random.percent(30);
                let patience = if is_left {
                    // Longer than the limit; but one that has no item has none.
                    2 * TIME_LIMIT
                } else {
                    random.up_to_micros(40_000)
                };
                stopped.0.push((Instant::now() + patience, victim));
            }
            _ => {
                let signal = random.pick(&HARMLESS);
                faults.count("harmless");
                processes::send(victim, signal);
            }
        }
    }
    while !stopped.0.is_empty() && !is_over.load(SeqCst) {
        std::thread::sleep(Duration::from_millis(1));
        stopped.wake_due(Instant::now());
    }
}

fn hit(victim: u32, signal: Signal, faults: &Faults) {
    // One that has ended cannot be hit.
    if processes::is_alive(victim) {
        faults.count_fatal(signal);
        processes::send(victim, signal);
    }
}

/// Workers and processes, ready or not.
fn children_of(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    let pids = list.split_whitespace();
    pids.map(|pid| pid.parse().expect("a number")).collect()
}

/// Who was stopped, and until when.
struct Stopped(Vec<(Instant, u32)>);

impl Stopped {
    fn wake_due(&mut self, now: Instant) {
        self.0.retain(|&(until, pid)| {
            if until <= now {
                processes::send(pid, Signal::SIGCONT);
            }
            until > now
        });
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for &(_, pid) in &self.0 {
            processes::send(pid, Signal::SIGCONT);
        }
    }
}
