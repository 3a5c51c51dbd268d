//! The result for machines.

use serde::Serialize;

use super::{Result, Row, Settings};

#[derive(Serialize)]
struct Run<'a> {
    rounds: usize,
    quick: bool,
    /// Share of the machine that other programs had before the start.
    used_by_others: Option<f64>,
    rows: &'a [Row],
}

/// Times in nanoseconds, memory in bytes, one object per row.
pub(crate) fn to_json(
    rows: &[Row],
    settings: &Settings,
    used_by_others: Option<f64>,
) -> Result<String> {
    let run = Run {
        rounds: settings.rounds,
        quick: settings.quick,
        used_by_others,
        rows,
    };
    Ok(serde_json::to_string_pretty(&run)?)
}
