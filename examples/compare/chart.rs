//! Bars in a terminal: how long each way took, and how much CPU time its two workers had.
//!
//! The longest bar has [`WIDTH`] columns, the others their share of it to an eighth of a column.

use std::fmt::Write;
use std::time::Duration;

const WIDTH: u32 = 40;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// One way to do the work.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) elapsed: Duration,
    pub(crate) cpu_times: [Duration; 2],
}

/// The lines of the chart, each with its end.
pub(crate) fn draw(bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.elapsed).max().unwrap_or_default();
    let mut chart = format!("{:56}each worker's CPU time\n", "");
    for bar in bars {
        let [first, second] = bar.cpu_times.map(|time| time.as_secs_f64());
        let block = block(bar.elapsed, longest);
        let n_columns = WIDTH as usize;
        writeln!(
            chart,
            "{:>11} {block:n_columns$} {:.3} s {first:.3} s, {second:.3} s",
            bar.name,
            bar.elapsed.as_secs_f64()
        )
        .expect("a string takes any text");
    }
    chart
}

fn block(elapsed: Duration, longest: Duration) -> String {
    let share = elapsed.as_secs_f64() / longest.as_secs_f64().max(f64::MIN_POSITIVE);
    let n_eighths = (share * f64::from(WIDTH * 8)).round() as usize;
    "█".repeat(n_eighths / 8) + EIGHTHS[n_eighths % 8]
}
