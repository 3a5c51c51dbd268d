//! What else the machine is doing.

use std::fs;
use std::thread;
use std::time::Duration;

/// More than this, and numbers are not to be quoted.
pub(crate) const CALM: f64 = 0.05;

/// How much of the machine others use while this program sleeps for a moment, from 0 to 1; what the host takes away counts
/// as theirs. `None` where the kernel does not say.
pub(crate) fn used_by_others() -> Option<f64> {
    let before = read()?;
    thread::sleep(Duration::from_millis(300));
    let after = read()?;
    let (all, idle) = (after.0 - before.0, after.1 - before.1);
    (all > 0).then(|| 1.0 - idle as f64 / all as f64)
}

/// Ticks of all processors since the machine started: all, and idle ones.
fn read() -> Option<(u64, u64)> {
    parse(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of `/proc/stat`, see `proc_stat(5)`.
fn parse(stat: &str) -> Option<(u64, u64)> {
    let numbers = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace();
    // user nice system idle iowait irq softirq steal; guests' time is in the first two already.
    let ticks: Vec<u64> = numbers
        .map_while(|number| number.parse().ok())
        .take(8)
        .collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((ticks.iter().sum(), idle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_is_idle_and_waiting_and_guests_count_once() {
        let stat = "cpu  10 20 30 400 50 6 7 8 900 900\ncpu0 1 2 3 4\n";
        assert_eq!(parse(stat), Some((531, 450)));
        assert_eq!(parse("intr 5"), None);
        assert_eq!(parse(""), None);
    }
}
