//! Large arguments: 8, 9 and 10.

use std::time::Duration;

use procession::{Array, Pool, job, pool_map};
use rayon::prelude::*;

use super::map::two_threads;
use crate::floor::{Echo, Patience, Sums};
use crate::harness::{Bound, Contest, Result, Row, Settings, check, timed};
use crate::jobs::{echo as echo_job, plain_sum, sum, sum_shared};
use crate::peers::PeerProgram;

const SPINS: Patience = Patience::SpinThenSleep(Duration::from_micros(50));
const N_NUMBERS: usize = 1_000_000;
const N_BYTES: usize = 1_000_000;

fn numbers() -> Vec<f64> {
    (0..N_NUMBERS).map(|i| i as f64).collect()
}

pub(super) fn by_value(settings: &Settings) -> Result<Vec<Row>> {
    let n_jobs = settings.pick(64, 16);
    let numbers = numbers();
    let expected = plain_sum(&numbers);
    let pool = Pool::new(2)?;
    let mut floor = Sums::new(N_NUMBERS, SPINS)?;
    let mut contest = Contest::on_two_cores();
    let ours = contest.ours(|| {
        let items = (0..n_jobs).map(|_| &numbers[..]);
        let (took, sums) = timed(|| pool_map!(in &pool, sum, items));
        check(sums? == vec![expected; n_jobs], "sums of arrays by value")?;
        Ok(took)
    });
    let floor = contest.peer(|| {
        let (took, total) = timed(|| floor.sum(&numbers, n_jobs));
        check(total == expected * n_jobs as f64, "sums by the floor")?;
        Ok(took)
    });
    let samples = contest.run(settings);
    let row = Row::new(
        8,
        "&[f64] of 1 M by value",
        "floor: copy in, read in place",
        Bound::at_most(1.5, 1.1),
    );
    Ok(vec![samples.compare(row, ours, floor)])
}

pub(super) fn shared_slice(settings: &Settings) -> Result<Vec<Row>> {
    let n_jobs = settings.pick(64, 16);
    let numbers = numbers();
    let expected = plain_sum(&numbers);
    let shared = Array::new(numbers.iter().copied())?.freeze()?;
    let (pool, threads) = (Pool::new(2)?, two_threads()?);
    let mut contest = Contest::on_two_cores();
    let ours = contest.ours(|| {
        let items = (0..n_jobs).map(|_| shared.clone());
        let (took, sums) = timed(|| pool_map!(in &pool, sum_shared, items));
        check(sums? == vec![expected; n_jobs], "sums of a shared slice")?;
        Ok(took)
    });
    let peer = contest.peer(|| {
        let sum_all = || {
            (0..n_jobs)
                .into_par_iter()
                .map(|_| plain_sum(&numbers))
                .collect()
        };
        let (took, sums): (f64, Vec<f64>) = timed(|| threads.install(sum_all));
        check(sums == vec![expected; n_jobs], "sums by rayon")?;
        Ok(took)
    });
    let samples = contest.run(settings);
    let row = Row::new(
        9,
        "one SharedSlice of 1 M f64",
        "rayon, by reference",
        Bound::at_most(1.2, 1.03),
    );
    Ok(vec![samples.compare(row, ours, peer)])
}

pub(super) fn echo(settings: &Settings) -> Result<Vec<Row>> {
    let n_echoes = settings.pick(200, 40);
    let bytes = vec![7_u8; N_BYTES];
    let pool = Pool::new(2)?;
    let python = PeerProgram::python();
    let mut floor = Echo::new(N_BYTES, SPINS)?;
    let mut contest = Contest::new();
    let all = contest.ours(|| {
        let items = vec![bytes.clone(); n_echoes];
        let (took, echoes) = timed(|| pool_map!(in &pool, echo_job, items));
        let echoes = echoes?;
        let are_right = echoes.len() == n_echoes && echoes.iter().all(|echo| *echo == bytes);
        check(are_right, "echoes of a map")?;
        Ok(took)
    });
    let python = contest.program(&python, |peer| peer.measure("executor_echo", n_echoes));
    let one_by_one = contest.ours(|| {
        let echo = |bytes| Ok(pool.submit(job!(echo_job), bytes)?.join()?);
        echoes(n_echoes, &bytes, echo)
    });
    let floor = contest.peer(|| echoes(n_echoes, &bytes, |bytes| Ok(floor.echo(&bytes))));
    let samples = contest.run(settings);
    Ok(vec![
        samples.compare(
            Row::new(
                10,
                "echo of 1 MB Vec<u8>, a map",
                "ProcessPoolExecutor.map",
                Bound::at_least(4.0, 10.0),
            ),
            all,
            python,
        ),
        samples.compare(
            Row::new(
                10,
                "echo of 1 MB Vec<u8>, one by one",
                "floor: three copies",
                Bound::at_most(2.5, 1.2),
            ),
            one_by_one,
            floor,
        ),
    ])
}

/// One by one; making the argument and checking the echo are not counted.
fn echoes(n: usize, bytes: &[u8], mut echo: impl FnMut(Vec<u8>) -> Result<Vec<u8>>) -> Result<f64> {
    let mut total = 0.0;
    for _ in 0..n {
        let argument = bytes.to_vec();
        let (took, copy) = timed(|| echo(argument));
        check(copy? == bytes, "an echo")?;
        total += took;
    }
    Ok(total)
}
