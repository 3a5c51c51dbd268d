//! Making processes: 11 and 12.

use procession::{Pool, job, spawn};

use crate::floor::{fork_and_wait, square_in_a_fork};
use crate::harness::{Bound, Contest, Problem, Result, Row, Settings, check, percentile, timed};
use crate::jobs::square;
use crate::peers::PeerProgram;

/// The median of `n` times.
fn repeated(n: usize, mut once: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(n);
    for _ in 0..n {
        let (took, done) = timed(&mut once);
        done?;
        times.push(took);
    }
    Ok(percentile(&mut times, 0.5))
}

pub(super) fn pool(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(15, 5);
    let python = PeerProgram::python();
    let mut contest = Contest::new();
    let ours = contest.ours(|| {
        repeated(n, || {
            let pool = Pool::new(2)?;
            check(pool.submit(job!(square), 3)?.join()? == 9, "a first result")?;
            Ok(pool.close()?)
        })
    });
    let threads = contest.peer(|| {
        repeated(n, || {
            let pool = super::map::two_threads()?;
            check(pool.install(|| 3 * 3) == 9, "a first result of rayon")
        })
    });
    let python = contest.program(&python, |peer| peer.measure("executor_start", n));
    let samples = contest.run(settings);
    let row = |peer, bound| Row::new(11, "pool of 2: start, result, stop", peer, bound);
    let bound = Bound::at_least(3.0, 7.0);
    Ok(vec![
        samples.compare(row("ProcessPoolExecutor, fork", bound), ours, python),
        samples.compare(row("rayon", Bound::None), ours, threads),
    ])
}

fn spawn_and_join() -> Result<()> {
    check(spawn!(square(3))?.join()? == 9, "a spawned square")
}

pub(super) fn spawn(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(50, 15);
    let mut contest = Contest::new();
    let ours = contest.ours(|| repeated(n, spawn_and_join));
    let bare = contest.peer(|| repeated(n, || square_in_a_fork(3).map(drop)));
    let samples = contest.run(settings);
    let bound = Bound::at_most(1.5, 1.1);
    let row = Row::new(12, "spawn! to join", "bare fork + waitpid", bound);
    Ok(vec![
        samples.compare(row, ours, bare),
        from_a_large_program(settings),
    ])
}

fn from_a_large_program(settings: &Settings) -> Row {
    const LARGE: usize = 1 << 30;
    const SPARE: u64 = 2 << 30;
    let n = settings.pick(5, 2);
    let bound = Bound::at_least(20.0, 100.0);
    let row = Row::new(12, "spawn! from a program of 1 GiB", "forking it", bound);
    let available = match super::memory::available() {
        Ok(available) => available,
        Err(problem) => return row.without(problem),
    };
    if available < LARGE as u64 + SPARE {
        let why = "less than 3 GiB of memory are available";
        return row.without(Problem::absent(why));
    }
    let held = vec![1_u8; LARGE];
    let mut contest = Contest::new();
    let ours = contest.ours(|| repeated(n, spawn_and_join));
    let bare = contest.peer(|| repeated(n, fork_and_wait));
    let row = contest.run(settings).compare(row, ours, bare);
    // Until here, in spite of an optimiser that sees nobody read it.
    drop(std::hint::black_box(held));
    row
}
