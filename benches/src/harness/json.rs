//! The result for machines.

use serde::Serialize;

use super::{Result, Row, Settings};

#[derive(Serialize)]
struct Run<'a> {
    rounds: usize,
    quick: bool,
    rows: &'a [Row],
}

/// Times in nanoseconds, memory in bytes, one object per row.
pub(crate) fn to_json(rows: &[Row], settings: &Settings) -> Result<String> {
    let run = Run {
        rounds: settings.rounds,
        quick: settings.quick,
        rows,
    };
    Ok(serde_json::to_string_pretty(&run)?)
}
