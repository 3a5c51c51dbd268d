//! What memory it takes: 18.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use procession::{Pool, pool_map};

use crate::harness::{Bound, Problem, Result, Row, Settings, Unit, check, timed};
use crate::jobs::{count_zeroes, square};

const MIB: f64 = 1_048_576.0;

/// The number of kibibytes on the line of a file in `/proc` that begins so, in bytes.
fn read_memory(path: &str, names: &[&str]) -> Result<f64> {
    let text =
        fs::read_to_string(path).map_err(|error| Problem::absent(format!("{path}: {error}")))?;
    let mut total = 0;
    for name in names {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        let kibibytes: u64 = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Problem::absent(format!("{path} does not say {name}")))?;
        total += kibibytes * 1024;
    }
    Ok(total as f64)
}

/// Bytes that could be had without swapping.
pub(super) fn available() -> Result<u64> {
    Ok(read_memory("/proc/meminfo", &["MemAvailable"])? as u64)
}

fn private(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    read_memory(&path, &["Private_Clean", "Private_Dirty"])
}

fn parent_of(pid: u32) -> Result<u32> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("PPid:"));
    let parent = line.and_then(|line| line.trim().parse().ok());
    parent.ok_or_else(|| Problem::absent(format!("{path} names no parent")))
}

pub(super) fn memory(settings: &Settings) -> Result<Vec<Row>> {
    let mut rows = private_memory(settings)?;
    rows.extend(streaming(settings));
    Ok(rows)
}

fn private_memory(settings: &Settings) -> Result<Vec<Row>> {
    let (mut of_supervisor, mut of_worker) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let pool = Pool::new(2)?;
        // Every worker has worked, and then is idle.
        let n_items = 1000;
        check(
            pool_map!(in &pool, square, 0..n_items)?.len() == n_items as usize,
            "squares",
        )?;
        thread::sleep(Duration::from_millis(20));
        let pids = pool.pids();
        let first = pids.first().copied();
        let first = first.ok_or_else(|| Problem::failed("a pool without workers"))?;
        of_supervisor.push(private(parent_of(first)?)?);
        let workers: Vec<f64> = pids
            .iter()
            .map(|&pid| private(pid))
            .collect::<Result<_>>()?;
        of_worker.push(workers.into_iter().fold(0.0, f64::max));
        pool.close()?;
    }
    let bound = Bound::at_most(2.0 * MIB, 600.0 * 1024.0);
    let row = |work| Row::new(18, work, "-", bound);
    Ok(vec![
        row("private memory of the supervisor").with_figure(&of_supervisor, Unit::Bytes),
        row("private memory of an idle worker").with_figure(&of_worker, Unit::Bytes),
    ])
}

/// In a program of its own, whose peak is of nothing else.
fn streaming(settings: &Settings) -> [Row; 2] {
    let n_bytes: u64 = if settings.quick { 1 << 30 } else { 10 << 30 };
    let gib = n_bytes >> 30;
    let growth = Row::new(
        18,
        &format!("streaming {gib} GiB: peak's growth after a tenth"),
        "-",
        Bound::at_most(4.0 * MIB, MIB),
    );
    let peak = Row::new(
        18,
        &format!("streaming {gib} GiB: peak above the start"),
        "-",
        Bound::AtMost {
            must: None,
            goal: 16.0 * MIB,
        },
    );
    match stream_in_a_program(n_bytes) {
        Ok([start, tenth, end, nanos]) => [
            growth.with_figure(&[end - tenth], Unit::Bytes),
            peak.with_figure(&[end - start], Unit::Bytes).note(format!(
                "{:.1} GiB/s through the pool; items of 1 MiB made on the way",
                n_bytes as f64 / (1 << 30) as f64 / (nanos / 1e9)
            )),
        ],
        Err(problem) => [growth.without(problem.clone()), peak.without(problem)],
    }
}

fn stream_in_a_program(n_bytes: u64) -> Result<[f64; 4]> {
    let program = std::env::current_exe()?;
    let output = Command::new(program)
        .args(["--stream", &n_bytes.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .try_into()
        .map_err(|_| Problem::failed(format!("streaming: {output:?}")))
}

/// Sends so many bytes through a pool, and prints the peak of this process's memory at the start, after a tenth and at the end,
/// and the nanoseconds that it took.
pub(crate) fn stream(n_bytes: u64) -> Result<()> {
    const ITEM: usize = 1 << 20;
    let peak = || read_memory("/proc/self/status", &["VmHWM"]);
    let pool = Pool::new(2)?;
    let start = peak()?;
    let send = |n_items: u64| -> Result<()> {
        let items = (0..n_items).map(|i| vec![i as u8; ITEM]);
        let zeroes: u64 = pool_map!(in &pool, count_zeroes, items)?.into_iter().sum();
        check(
            zeroes == n_items.div_ceil(256) * ITEM as u64,
            "zeroes streamed",
        )
    };
    let n_items = n_bytes / ITEM as u64;
    let (took, done) = timed(|| {
        send(n_items / 10)?;
        let tenth = peak()?;
        send(n_items - n_items / 10)?;
        Ok::<_, Problem>(tenth)
    });
    println!("{start} {} {} {took}", done?, peak()?);
    Ok(())
}
