//! The works, each with its number, its bounds and its peers.
//!
//! A work gives one row for each comparison. It checks its results while it measures; what is checked in bulk is checked
//! after the clock was read.

mod arrays;
mod connection;
mod growth;
mod map;
mod memory;
mod round_trip;
mod shared;
mod skew;
mod start;

use crate::harness::{Result, Row, Settings};

pub(crate) use growth::answer;
pub(crate) use memory::stream;

/// Something to measure.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Settings) -> Result<Vec<Row>>,
}

const fn work(number: u8, name: &'static str, run: fn(&Settings) -> Result<Vec<Row>>) -> Work {
    Work { number, name, run }
}

/// All of them, in the order of their numbers.
pub(crate) static ALL: &[Work] = &[
    work(1, "map", map::against_rayon),
    work(2, "map-python", map::against_python),
    work(3, "map-procspawn", map::against_procspawn),
    work(4, "single-items", map::single_items),
    work(5, "arithmetic", map::two_jobs),
    work(6, "round-trip-awake", round_trip::awake),
    work(7, "round-trip-asleep", round_trip::asleep),
    work(8, "by-value", arrays::by_value),
    work(9, "shared-slice", arrays::shared_slice),
    work(10, "echo", arrays::echo),
    work(11, "pool-start", start::pool),
    work(12, "spawn", start::spawn),
    work(13, "value", shared::counters),
    work(14, "lock", shared::lock),
    work(15, "queue", shared::queue),
    work(16, "skew", skew::skew),
    work(17, "growth", growth::growth),
    work(18, "memory", memory::memory),
    work(19, "connection", connection::connection),
];

/// By name or by number.
pub(crate) fn find(name: &str) -> Option<&'static Work> {
    ALL.iter()
        .find(|work| work.name == name || work.number.to_string() == name)
}

/// For people who want to know the names.
pub(crate) fn list() -> String {
    ALL.iter()
        .map(|work| format!("{:2}  {}\n", work.number, work.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_are_found_by_name_and_by_number() {
        for (place, work) in ALL.iter().enumerate() {
            assert_eq!(usize::from(work.number), place + 1);
            assert_eq!(find(work.name).unwrap().number, work.number);
            assert_eq!(find(&work.number.to_string()).unwrap().name, work.name);
        }
        assert!(find("no such work").is_none());
    }
}
