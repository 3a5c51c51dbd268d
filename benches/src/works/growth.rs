//! How cost grows with work and with workers: 17.

use procession::{Pool, pool_map};
use rayon::prelude::*;

use super::map::two_threads;
use crate::harness::{
    Bound, Contest, Entry, Problem, Result, Row, Samples, Settings, Summary, Unit, check,
    percentile, timed,
};
use crate::jobs::{plain_square, square};
use crate::peers::{PeerProgram, answer_requests};

/// Nanoseconds for the squares of 0 to `n`, the median of so many times.
fn squares_of(n: u64, n_times: usize, squares: impl Fn(u64) -> Result<Vec<u64>>) -> Result<f64> {
    let mut times = Vec::with_capacity(n_times);
    for _ in 0..n_times {
        let (took, squares) = timed(|| squares(n));
        let squares = squares?;
        let last = squares.last().copied();
        let is_right = squares.len() as u64 == n && last == n.checked_sub(1).map(plain_square);
        check(is_right, "squares of a growing map")?;
        times.push(took);
    }
    Ok(percentile(&mut times, 0.5))
}

/// As often as takes some time, and never so seldom that one stall decides.
fn n_times(n: u64) -> usize {
    usize::try_from(10_000_000 / n).unwrap_or(1).clamp(5, 25)
}

fn map(pool: &Pool, n: u64, n_times: usize) -> Result<f64> {
    squares_of(n, n_times, |n| Ok(pool_map!(in pool, square, 0..n)?))
}

/// The works that a copy of this program does on request, see [`PeerProgram::keeping_memory`].
pub(crate) fn answer() -> Result<()> {
    let pool = Pool::new(2)?;
    answer_requests(|work, size| match work {
        "squares" => map(&pool, size, n_times(size)),
        _ => Err(Problem::absent("there is no such work")),
    })
}

pub(super) fn growth(settings: &Settings) -> Result<Vec<Row>> {
    let mut rows = with_work(settings)?;
    rows.push(with_workers(settings)?);
    Ok(rows)
}

/// The slope between neighbours of 10 k, 100 k, 1 M, 10 M items: steepest over flattest, round by round.
///
/// Ten million results are more than an allocator keeps, so the last size alone pays for pages that the kernel must fill with zeros first:
/// that is the memory's growth and not the map's, and threads pay it, too. So what is judged is measured in a copy of this program whose
/// allocator keeps what is given back, and beside it stands what it is for a program that sets nothing, and for its threads.
fn with_work(settings: &Settings) -> Result<Vec<Row>> {
    let sizes = &[10_000_u64, 100_000, 1_000_000, 10_000_000][..settings.pick(4, 3)];
    let keeping = PeerProgram::keeping_memory()?;
    let (pool, threads) = (Pool::new(2)?, two_threads()?);
    let (keeping, pool, threads) = (&keeping, &pool, &threads);
    let by_threads = |n: u64| {
        let squares = || (0..n).into_par_iter().map(plain_square).collect();
        Ok(threads.install(squares))
    };
    let squares_kept = |n: u64| keeping.measure("squares", n as usize);
    let squares_here = |n: u64| map(pool, n, n_times(n));
    let squares_by_threads = |n: u64| squares_of(n, n_times(n), by_threads);
    let mut contest = Contest::on_two_cores();
    let kept: Vec<Entry> = sizes
        .iter()
        .map(|&n| contest.ours(move || squares_kept(n)))
        .collect();
    let ours: Vec<Entry> = sizes
        .iter()
        .map(|&n| contest.ours(move || squares_here(n)))
        .collect();
    let rayon: Vec<Entry> = sizes
        .iter()
        .map(|&n| contest.peer(move || squares_by_threads(n)))
        .collect();
    let samples = contest.run(settings);
    let row = |whose: &str, bound, entries: &[Entry]| {
        let work = format!("growth with items{whose}: steepest / flattest");
        growth_row(&samples, Row::new(17, &work, "-", bound), sizes, entries)
    };
    Ok(vec![
        row(", memory kept", Bound::at_most(1.3, 1.1), &kept),
        row("", Bound::None, &ours),
        row(", rayon", Bound::None, &rayon),
    ])
}

fn growth_row(samples: &Samples, row: Row, sizes: &[u64], entries: &[Entry]) -> Row {
    let times: Result<Vec<&[f64]>> = entries.iter().map(|&entry| samples.of(entry)).collect();
    let times = match times {
        Ok(times) => times,
        Err(problem) => return samples.note_cores(row.without(problem)),
    };
    let steps = sizes.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
    let slopes: Vec<Vec<f64>> = times
        .windows(2)
        .zip(steps)
        .map(|(pair, step)| {
            let pairs = pair[0].iter().zip(pair[1]);
            pairs.map(|(less, more)| (more - less) / step).collect()
        })
        .collect();
    let flatness: Vec<f64> = (0..slopes[0].len())
        .map(|round| {
            let of_round = || slopes.iter().map(|slope| slope[round]);
            of_round().fold(f64::MIN, f64::max) / of_round().fold(f64::MAX, f64::min)
        })
        .collect();
    let mut row = row.with_figure(&flatness, Unit::Times);
    for ((n, time), slope) in sizes.iter().zip(&times).skip(1).zip(&slopes) {
        if let (Some(time), Some(slope)) = (Summary::of(time), Summary::of(slope)) {
            row = row.note(format!(
                "{n} items: {:.3} ms, {:.2} ns for each more",
                time.median / 1e6,
                slope.median
            ));
        }
    }
    let fixed: Vec<f64> = times[0]
        .iter()
        .zip(&slopes[0])
        .map(|(time, slope)| time - slope * sizes[0] as f64)
        .collect();
    if let Some(fixed) = Summary::of(&fixed) {
        row = row.note(format!("a map of nothing: {:.0} us", fixed.median / 1e3));
    }
    samples.note_cores(row)
}

/// The same map by more workers than there are cores.
fn with_workers(settings: &Settings) -> Result<Row> {
    let n = settings.pick(1_000_000, 200_000) as u64;
    let counts = [1, 2, 4, 16, 64];
    let pools: Vec<Pool> = counts
        .map(Pool::new)
        .into_iter()
        .collect::<Result<_, _>>()?;
    let mut contest = Contest::on_two_cores();
    let entries: Vec<Entry> = pools
        .iter()
        .map(|pool| contest.ours(move || map(pool, n, 1)))
        .collect();
    let samples = contest.run(settings);
    let bound = Bound::at_most(2.0, 1.2);
    let row = Row::new(17, "growth with workers: 64 on 2 cores", "2 workers", bound);
    let mut row = samples.compare(row, entries[4], entries[1]);
    for (count, &entry) in counts.iter().zip(&entries) {
        if let Some(time) = samples.of(entry).ok().and_then(Summary::of) {
            row = row.note(format!("{count} workers: {:.2} ms", time.median / 1e6));
        }
    }
    Ok(row)
}
