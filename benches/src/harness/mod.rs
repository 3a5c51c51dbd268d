//! What every work is measured with.
//!
//! Responsible for: taking turns between contestants, deciding whether the two cores are two at this moment, statistics, verdicts,
//! and how all of that is shown. It knows no work and no peer.

mod bound;
mod contest;
mod cores;
mod figure;
mod json;
mod row;
mod statistics;
mod svg;
mod table;
mod weather;

use std::time::{Duration, Instant};

pub(crate) use bound::Bound;
pub(crate) use contest::{Contest, Entry, Samples};
pub(crate) use cores::{Pinned, two_cores};
pub(crate) use figure::Unit;
pub(crate) use json::to_json;
pub(crate) use row::{Row, Verdict};
pub(crate) use statistics::{Summary, percentile};
pub(crate) use svg::to_svg;
pub(crate) use table::to_table;
pub(crate) use weather::{CALM, used_by_others};

/// How thoroughly a run measures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Rounds that count; one more comes first and does not.
    pub(crate) rounds: usize,
    /// Smaller works and fewer repetitions, to see that everything runs.
    pub(crate) quick: bool,
    /// Measures CPU works even where the two cores turn out to be one.
    pub(crate) any_cores: bool,
    /// Leaves the peers out, for a profile.
    pub(crate) only_ours: bool,
    /// Whether the procspawn peer is to be built and measured.
    pub(crate) procspawn: bool,
}

impl Settings {
    /// The number for a full run, or the smaller one for a quick one.
    pub(crate) fn pick(&self, full: usize, quick: usize) -> usize {
        if self.quick { quick } else { full }
    }
}

/// Why something could not be measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It is not there, or not now: no fault of anybody's.
    Absent(String),
    /// It is there and did not do what it should.
    Failed(String),
}

impl Problem {
    pub(crate) fn absent(why: impl ToString) -> Self {
        Self::Absent(why.to_string())
    }

    pub(crate) fn failed(why: impl ToString) -> Self {
        Self::Failed(why.to_string())
    }
}

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// A wrong answer is a failure, however quickly it came.
pub(crate) fn check(is_right: bool, what: &str) -> Result<()> {
    if is_right {
        Ok(())
    } else {
        Err(Problem::failed(format!("wrong result: {what}")))
    }
}

/// Nanoseconds that `work` took, and what it gave.
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = work();
    (nanos(start.elapsed()), result)
}

pub(crate) fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}
