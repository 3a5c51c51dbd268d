//! What processes share: 13, 14 and 15.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::bounded;
use procession::{Atomic, Lock, Pool, Queue, Value, spawn};

use crate::clock::monotonic_nanos;
use crate::floor::counted_by_two;
use crate::harness::{Bound, Contest, Problem, Result, Row, Settings, check, timed};
use crate::jobs::{Span, add, from_first_to_last, queue_end, update};
use crate::peers::PeerProgram;

pub(super) fn counters(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(1_000_000, 100_000) as u64;
    let n_python = settings.pick(100_000, 10_000);
    let pool = Pool::new(2)?;
    let python = PeerProgram::python();
    let per_step = |nanos: f64, n: u64| nanos / (2 * n) as f64;
    let mut contest = Contest::new();
    let updates = contest.ours(|| {
        let (value, n_ready) = (Value::new(0_u64)?, Atomic::new(0_u64)?);
        let submit = |_| spawn!(in &pool, update(&value, n, &n_ready, 2_u64));
        let pair = [submit(0)?, submit(1)?];
        let [first, second] = pair.map(|handle| handle.join());
        check(value.get() == 2 * n, "updates of a value")?;
        Ok(per_step(from_first_to_last(&[first?, second?]), n))
    });
    let python = contest.program(&python, |peer| {
        let took = peer.measure("value_update", n_python)?;
        Ok(per_step(took, n_python as u64))
    });
    let additions = contest.ours(|| {
        let (counter, n_ready) = (Atomic::new(0_u64)?, Atomic::new(0_u64)?);
        let submit = |_| spawn!(in &pool, add(&counter, n, &n_ready, 2_u64));
        let pair = [submit(0)?, submit(1)?];
        let [first, second] = pair.map(|handle| handle.join());
        check(counter.load(Ordering::SeqCst) == 2 * n, "additions")?;
        Ok(per_step(from_first_to_last(&[first?, second?]), n))
    });
    let by_hand = contest.peer(|| Ok(per_step(counted_by_two(n)?, n)));
    let samples = contest.run(settings);
    let row = |work, peer, bound| Row::new(13, work, peer, bound);
    let two = "Value::update by 2 processes, each";
    Ok(vec![
        samples.compare(
            row(two, "mp.Value with get_lock()", Bound::at_least(20.0, 60.0)),
            updates,
            python,
        ),
        samples.compare(
            row(
                "Atomic::fetch_add by 2 processes, each",
                "fetch_add by hand",
                Bound::at_least(0.9, 0.98),
            ),
            additions,
            by_hand,
        ),
    ])
}

pub(super) fn lock(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(2_000_000, 200_000);
    let (lock, value, mutex) = (Lock::new()?, Value::new(0_u64)?, Mutex::new(0_u64));
    let mut contest = Contest::new();
    let ours = contest.ours(|| {
        let mut counter = 0_u64;
        let (took, done) = timed(|| {
            (0..n).try_for_each(|_| {
                let _guard = lock.acquire()?;
                counter = black_box(counter) + 1;
                Ok::<_, procession::Error>(())
            })
        });
        done?;
        check(counter == n as u64, "turns under a lock")?;
        Ok(took / n as f64)
    });
    let updates = contest.ours(|| {
        let before = value.get();
        let (took, ()) = timed(|| (0..n).for_each(|_| _ = value.update(|value| *value += 1)));
        check(value.get() == before + n as u64, "updates of a value")?;
        Ok(took / n as f64)
    });
    let peer = contest.peer(|| {
        let mut failures = 0;
        let (took, ()) = timed(|| {
            for _ in 0..n {
                match mutex.lock() {
                    Ok(mut counter) => *counter = black_box(*counter) + 1,
                    Err(_) => failures += 1,
                }
            }
        });
        check(failures == 0, "turns under a mutex")?;
        Ok(took / n as f64)
    });
    let samples = contest.run(settings);
    let bound = Bound::at_most(2.2, 1.3);
    let row = |work, bound| Row::new(14, work, "std::sync::Mutex", bound);
    Ok(vec![
        samples.compare(row("Lock, acquire + release, alone", bound), ours, peer),
        samples.compare(row("Value::update, alone", Bound::None), updates, peer),
    ])
}

pub(super) fn queue(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(400_000, 40_000) as u64;
    let n_python = settings.pick(100_000, 10_000);
    let python = PeerProgram::python();
    let pool = Pool::new(4)?;
    let mut rows = Vec::new();
    for n_pairs in [1, 2] {
        let mut contest = Contest::new();
        let ours = contest.ours(|| queue_ends(&pool, n, n_pairs));
        let peer = contest.program(&python, |peer| {
            let work = if n_pairs == 1 {
                "queue_1_1"
            } else {
                "queue_2_2"
            };
            Ok(peer.measure(work, n_python)? / n_python as f64)
        });
        let threads = contest.peer(|| channel_ends(n, n_pairs));
        let samples = contest.run(settings);
        let work = format!("Queue<u64> {n_pairs}:{n_pairs}, each");
        let bound = Bound::at_least(20.0, 150.0);
        let row = |peer, bound| Row::new(15, &work, peer, bound);
        rows.push(samples.compare(row("mp.SimpleQueue", bound), ours, peer));
        let threads_row = row("crossbeam-channel, threads", Bound::None);
        rows.push(samples.compare(threads_row, ours, threads));
    }
    Ok(rows)
}

/// The sum of the numbers that so many producers put.
fn sum_of_all(n_each: u64, n_pairs: u64) -> u64 {
    n_pairs * (n_each * (n_each - 1) / 2)
}

/// Nanoseconds for each message through a queue of ours.
fn queue_ends(pool: &Pool, n: u64, n_pairs: u64) -> Result<f64> {
    let (queue, n_ready) = (Queue::<u64>::new()?, Atomic::new(0_u64)?);
    let (n_each, crew) = (n / n_pairs, 2 * n_pairs);
    let submit = |end| {
        let puts = end % 2 == 0;
        spawn!(in pool, queue_end(&queue, puts, n_each, &n_ready, crew))
    };
    let handles: Vec<_> = (0..crew).map(submit).collect::<Result<_, _>>()?;
    let (mut spans, mut total) = (Vec::new(), 0);
    for handle in handles {
        let (span, sum) = handle.join()?.map_err(Problem::failed)?;
        spans.push(span);
        total += sum;
    }
    check(total == sum_of_all(n_each, n_pairs), "messages of a queue")?;
    Ok(from_first_to_last(&spans) / (n_each * n_pairs) as f64)
}

/// The same through a channel between threads.
fn channel_ends(n: u64, n_pairs: u64) -> Result<f64> {
    let n_each = n / n_pairs;
    let (sender, receiver) = bounded::<u64>(4096);
    let (mut spans, mut total): (Vec<Span>, u64) = (Vec::new(), 0);
    thread::scope(|scope| {
        let mut ends = Vec::new();
        for _ in 0..n_pairs {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            ends.push(scope.spawn(move || {
                let began = monotonic_nanos();
                let sent = (0..n_each).take_while(|&i| sender.send(i).is_ok()).count() as u64;
                ((began, monotonic_nanos()), 0, sent)
            }));
            ends.push(scope.spawn(move || {
                let began = monotonic_nanos();
                let got = receiver.iter().take(n_each as usize);
                let (sum, n) = got.fold((0, 0), |(sum, n), i| (sum + i, n + 1));
                ((began, monotonic_nanos()), sum, n)
            }));
        }
        for end in ends {
            let (span, sum, _) = end.join().map_err(|_| Problem::failed("a thread"))?;
            spans.push(span);
            total += sum;
        }
        Ok::<_, Problem>(())
    })?;
    check(
        total == sum_of_all(n_each, n_pairs),
        "messages of a channel",
    )?;
    Ok(from_first_to_last(&spans) / (n_each * n_pairs) as f64)
}
