//! Items of very unequal length: 16.

use procession::{Pool, pool_map};

use crate::harness::{Bound, Contest, Result, Row, Settings, Unit, check, timed};
use crate::jobs::{busy, plain_arithmetic};

const N_ITEMS: usize = 1000;
/// How many times as long one item in a hundred takes.
const LONG: u64 = 100;

/// The total time against what the items themselves took, by the CPU's clock, shared among two workers.
pub(super) fn skew(settings: &Settings) -> Result<Vec<Row>> {
    let short = steps_of(settings.pick(50_000, 10_000) as f64);
    let scattered: Vec<u64> = (0..N_ITEMS)
        .map(|i| if i % 100 == 50 { LONG * short } else { short })
        .collect();
    let mut long_last = scattered.clone();
    long_last.sort_unstable();
    let pool = Pool::new(2)?;
    let mut rows = Vec::new();
    for (work, items) in [
        ("skewed: one in 100 is 100x", scattered),
        ("skewed: long ones last", long_last),
    ] {
        let mut contest = Contest::on_two_cores();
        let ours = contest.ours(|| {
            let (took, times) = timed(|| pool_map!(in &pool, busy, items.iter().copied()));
            let times = times?;
            check(times.len() == items.len(), "times of skewed items")?;
            let ideal = times.iter().sum::<u64>() as f64 / 2.0;
            Ok(took / ideal)
        });
        let samples = contest.run(settings);
        let row = Row::new(16, work, "ideal: sum / workers", Bound::at_most(1.15, 1.03));
        let row = match samples.of(ours) {
            Ok(ratios) => row.with_figure(ratios, Unit::Times),
            Err(problem) => row.without(problem),
        };
        rows.push(samples.note_cores(row));
    }
    Ok(rows)
}

/// So many steps of arithmetic take so many nanoseconds.
fn steps_of(nanos: f64) -> u64 {
    const STEPS: u64 = 1_000_000;
    let (took, sum) = timed(|| plain_arithmetic(STEPS));
    std::hint::black_box(sum);
    ((nanos / took * STEPS as f64) as u64).max(1)
}
