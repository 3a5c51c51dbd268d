//! Many small items, and two large ones: 1 to 5.

use std::thread;

use procession::{Pool, pool_map};
use rayon::prelude::*;

use crate::harness::{Bound, Contest, Problem, Result, Row, Settings, check, timed};
use crate::jobs::{arithmetic, plain_arithmetic, plain_square, square};
use crate::peers::PeerProgram;

const N_ITEMS: usize = 1_000_000;

fn inputs(n: usize) -> Vec<u64> {
    (0..n as u64).collect()
}

fn check_squares(items: &[u64], squares: &[u64]) -> Result<()> {
    let are_right = squares.len() == items.len()
        && items
            .iter()
            .zip(squares)
            .all(|(&x, &y)| y == plain_square(x));
    check(are_right, "squares")
}

/// One map of all items, in nanoseconds.
fn map(pool: &Pool, items: &[u64]) -> Result<f64> {
    let (took, squares) = timed(|| pool_map!(in pool, square, items.iter().copied()));
    check_squares(items, &squares?)?;
    Ok(took)
}

pub(super) fn two_threads() -> Result<rayon::ThreadPool> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    threads.map_err(Problem::failed)
}

pub(super) fn against_rayon(settings: &Settings) -> Result<Vec<Row>> {
    let items = inputs(N_ITEMS);
    let (pool, threads) = (Pool::new(2)?, two_threads()?);
    let mut contest = Contest::on_two_cores();
    let ours = contest.ours(|| map(&pool, &items));
    let peer = contest.peer(|| {
        let square_all = || items.par_iter().map(|&x| plain_square(x)).collect();
        let (took, squares): (f64, Vec<u64>) = timed(|| threads.install(square_all));
        check_squares(&items, &squares)?;
        Ok(took)
    });
    let loops = contest.peer(|| {
        let (took, squares): (f64, Vec<u64>) =
            timed(|| items.iter().map(|&x| plain_square(x)).collect());
        check_squares(&items, &squares)?;
        Ok(took)
    });
    let samples = contest.run(settings);
    let row = |peer, bound| Row::new(1, "map of square(u64)", peer, bound);
    Ok(vec![
        samples.compare(row("rayon", Bound::at_most(8.0, 2.0)), ours, peer),
        samples.compare(row("plain loop", Bound::None), ours, loops),
    ])
}

pub(super) fn against_python(settings: &Settings) -> Result<Vec<Row>> {
    let items = inputs(N_ITEMS);
    let pool = Pool::new(2)?;
    let (mp, executor) = (PeerProgram::python(), PeerProgram::python());
    let mut contest = Contest::new();
    let ours = contest.ours(|| map(&pool, &items));
    let mp = contest.program(&mp, |peer| peer.measure("pool_map", items.len()));
    let executor = contest.program(&executor, |peer| peer.measure("executor_map", items.len()));
    let samples = contest.run(settings);
    let row = |peer, bound| Row::new(2, "map of square(u64)", peer, bound);
    Ok(vec![
        samples.compare(row("mp.Pool.map", Bound::at_least(20.0, 80.0)), ours, mp),
        samples.compare(
            row("ProcessPoolExecutor.map n/8", Bound::at_least(50.0, 200.0)),
            ours,
            executor,
        ),
    ])
}

pub(super) fn against_procspawn(settings: &Settings) -> Result<Vec<Row>> {
    let items = inputs(N_ITEMS);
    let pool = Pool::new(2)?;
    let procspawn = PeerProgram::procspawn(settings);
    let mut contest = Contest::new();
    let ours = contest.ours(|| map(&pool, &items));
    let peer = contest.program(&procspawn, |peer| peer.measure("map", items.len()));
    let samples = contest.run(settings);
    let bound = Bound::at_least(3.0, 10.0);
    let row = Row::new(3, "map of square(u64)", "procspawn, 8 chunks", bound);
    Ok(vec![samples.compare(row, ours, peer)])
}

/// By item, since Python needs seconds for what the others do in milliseconds.
pub(super) fn single_items(settings: &Settings) -> Result<Vec<Row>> {
    let items = inputs(settings.pick(100_000, 50_000));
    let n_python = settings.pick(100_000, 5_000);
    let pool = Pool::new(2)?;
    let python = PeerProgram::python();
    let mut contest = Contest::new();
    let ours = contest.ours(|| {
        let (took, squares) =
            timed(|| pool_map!(in &pool, square, items.iter().copied(), chunk_size = 1));
        check_squares(&items, &squares?)?;
        Ok(took / items.len() as f64)
    });
    let peer = contest.program(&python, |peer| {
        Ok(peer.measure("pool_map_single", n_python)? / n_python as f64)
    });
    let samples = contest.run(settings);
    let row = Row::new(
        4,
        "map of single items, each",
        "mp.Pool.map(chunksize=1)",
        Bound::at_least(50.0, 1000.0),
    );
    Ok(vec![samples.compare(row, ours, peer)])
}

pub(super) fn two_jobs(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(10_000_000, 3_000_000) as u64;
    let expected = plain_arithmetic(n);
    let pool = Pool::new(2)?;
    let mut contest = Contest::on_two_cores();
    let ours = contest.ours(|| {
        let (took, sums) = timed(|| pool_map!(in &pool, arithmetic, [n, n], chunk_size = 1));
        check(sums? == [expected; 2], "sums of powers")?;
        Ok(took)
    });
    let peer = contest.peer(|| {
        let (took, sums) = timed(|| {
            thread::scope(|scope| {
                let pair = [(); 2].map(|()| scope.spawn(|| plain_arithmetic(n)));
                pair.map(|thread| thread.join().unwrap_or(0))
            })
        });
        check(sums == [expected; 2], "sums of powers in threads")?;
        Ok(took)
    });
    let samples = contest.run(settings);
    let bound = Bound::at_most(1.1, 1.02);
    let row = Row::new(5, "two CPU jobs", "two std::threads", bound);
    Ok(vec![samples.compare(row, ours, peer)])
}
