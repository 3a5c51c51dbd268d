//! Bars in a terminal: how long each way took, how much CPU time its two workers had, and how many cores that makes.
//!
//! The longest bar has [`WIDTH`] columns, the others their share of it to an eighth of a column.

use std::fmt::Write;
use std::time::Duration;

const WIDTH: usize = 24;

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
    let mut chart = format!(
        "{:12}{:WIDTH$} {:>10}   {:<19}   cores\n",
        "", "", "elapsed", "CPU time of workers"
    );
    for bar in bars {
        let elapsed = bar.elapsed.as_secs_f64();
        let [first, second] = bar.cpu_times.map(|time| time.as_secs_f64());
        let block = block(elapsed / longest.as_secs_f64());
        let cpu_times = format!("{first:.3} s + {second:.3} s");
        let n_cores = (first + second) / elapsed;
        writeln!(
            chart,
            "{:>11} {block:WIDTH$} {elapsed:8.3} s   {cpu_times:<19}   {n_cores:5.1}",
            bar.name
        )
        .expect("a string takes any text");
    }
    chart
}

fn block(share: f64) -> String {
    let n_eighths = (share * (WIDTH * 8) as f64).round() as usize;
    "█".repeat(n_eighths / 8) + EIGHTHS[n_eighths % 8]
}
