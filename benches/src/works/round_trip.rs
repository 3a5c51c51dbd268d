//! One job at a time: 6 and 7.
//!
//! The caller and the worker are pinned to different cores on both sides: a worker woken on the caller's own core answers ten
//! times as soon, and where the scheduler puts it is a matter of luck.

use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use procession::{Pool, job};

use crate::floor::{Patience, PingPong};
use crate::harness::{
    Bound, Contest, Pinned, Result, Row, Settings, check, percentile, timed, two_cores,
};
use crate::jobs::{plain_square, square};
use crate::peers::PeerProgram;

/// The median of `n` round trips, with a pause before each. Every answer is checked.
fn round_trips(
    n: usize,
    pause: Option<Duration>,
    mut trip: impl FnMut(u64) -> Result<u64>,
) -> Result<f64> {
    let mut times = Vec::with_capacity(n);
    for x in 0..n as u64 {
        if let Some(pause) = pause {
            thread::sleep(pause);
        }
        let (took, square) = timed(|| trip(x));
        check(square? == plain_square(x), "square of a round trip")?;
        times.push(took);
    }
    Ok(percentile(&mut times, 0.5))
}

fn submit_and_join(pool: &Pool, x: u64) -> Result<u64> {
    Ok(pool.submit(job!(square), x)?.join()?)
}

/// A pool of one worker on this core.
fn pinned_pool(core: usize) -> Result<(Pool, Vec<Pinned>)> {
    let pool = Pool::new(1)?;
    let pids = pool.pids();
    let pinned = pids.iter().map(|&pid| Pinned::new(pid, core));
    let pinned = pinned.collect::<Result<_>>()?;
    Ok((pool, pinned))
}

pub(super) fn awake(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(10_000, 2_000);
    let n_python = settings.pick(1_000, 200);
    let [here, there] = two_cores()?;
    let (pool, _worker_pinned) = pinned_pool(there)?;
    let unpinned_pool = Pool::new(2)?;
    let python = PeerProgram::python();
    let _caller_pinned = Pinned::new(0, here)?;
    let mut contest = Contest::new();
    let ours = contest.ours(|| round_trips(n, None, |x| submit_and_join(&pool, x)));
    let floor = contest.peer(|| {
        // It never stops spinning, so it is there while it is measured and no longer.
        let mut floor = PingPong::new(Patience::Spin)?;
        let _pinned = Pinned::new(floor.pid(), there)?;
        round_trips(n, None, |x| Ok(floor.square(x)))
    });
    let threads = contest.peer(|| channel_round_trips(n, there));
    let unpinned = contest.ours(|| round_trips(n, None, |x| submit_and_join(&unpinned_pool, x)));
    let python = contest.program(&python, |peer| peer.measure("apply_one", n_python));
    let samples = contest.run(settings);
    let row = |work, peer, bound| Row::new(6, work, peer, bound);
    let awake = "one job, workers awake";
    let bound = Bound::at_most(15.0, 3.0);
    Ok(vec![
        samples.compare(row(awake, "spinning ping-pong", bound), ours, floor),
        samples.compare(
            row(awake, "thread, crossbeam-channel", Bound::None),
            ours,
            threads,
        ),
        samples.compare(
            row(
                "one job, pool of 2",
                "mp.Pool.apply",
                Bound::AtLeast {
                    must: None,
                    goal: 100.0,
                },
            ),
            unpinned,
            python,
        ),
    ])
}

/// A thread on this core, and two channels.
fn channel_round_trips(n: usize, core: usize) -> Result<f64> {
    let (to_thread, requests) = bounded::<u64>(1);
    let (answers, from_thread) = bounded(1);
    let server = thread::spawn(move || {
        let _pinned = Pinned::new(0, core);
        for x in requests {
            if answers.send(plain_square(x)).is_err() {
                break;
            }
        }
    });
    let took = round_trips(n, None, |x| {
        to_thread.send(x)?;
        Ok(from_thread.recv()?)
    });
    drop(to_thread);
    let ended = server.join();
    check(ended.is_ok(), "a thread that serves squares")?;
    took
}

pub(super) fn asleep(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(500, 100);
    // Longer than anybody spins, and than the kernel's idle governor polls.
    let pause = Some(Duration::from_millis(2));
    let [here, there] = two_cores()?;
    let (pool, _worker_pinned) = pinned_pool(there)?;
    let _caller_pinned = Pinned::new(0, here)?;
    let mut floor = PingPong::new(Patience::Sleep)?;
    let _floor_pinned = Pinned::new(floor.pid(), there)?;
    let mut contest = Contest::new();
    let ours = contest.ours(|| round_trips(n, pause, |x| submit_and_join(&pool, x)));
    let peer = contest.peer(|| round_trips(n, pause, |x| Ok(floor.square(x))));
    let samples = contest.run(settings);
    let bound = Bound::at_most(1.5, 1.1);
    let row = Row::new(7, "one job, all asleep", "futex ping-pong", bound);
    Ok(vec![samples.compare(row, ours, peer)])
}
