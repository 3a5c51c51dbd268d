//! Messages to another program: 19.

use procession::connection::{Connection, Listener};
use procession::{Pool, spawn};

use crate::harness::{Bound, Contest, Result, Row, Settings, check, timed};
use crate::jobs::{CONNECTION_KEY, send_bytes, send_numbers};
use crate::peers::PeerProgram;

const LARGE: usize = 1 << 20;

pub(super) fn connection(settings: &Settings) -> Result<Vec<Row>> {
    let n = settings.pick(400_000, 40_000) as u64;
    let n_python = settings.pick(100_000, 10_000);
    let n_large = settings.pick(500, 50);
    let pool = Pool::new(1)?;
    let address = format!("unix:@procession-bench-{}", std::process::id());
    let listener = Listener::bind(address.as_str(), CONNECTION_KEY)?;
    let at = address.as_str();
    let python = PeerProgram::python();
    let mut contest = Contest::new();
    let numbers = |gathered| {
        let sender = spawn!(in &pool, send_numbers(at, n, gathered))?;
        let receiver: Connection<(), u64> = listener.accept()?;
        let (took, sum) = timed(|| (0..n).try_fold(0, |sum, _| receiver.recv().map(|i| sum + i)));
        receiver.send(())?;
        sender.join()??;
        check(sum? == n * (n - 1) / 2, "messages of a connection")?;
        Ok(took / n as f64)
    };
    let gathered = contest.ours(|| numbers(true));
    let one_by_one = contest.ours(|| numbers(false));
    let python_numbers = contest.program(&python, |peer| {
        Ok(peer.measure("connection_numbers", n_python)? / n_python as f64)
    });
    let large = contest.ours(|| {
        let sender = spawn!(in &pool, send_bytes(at, n_large as u64, LARGE, false))?;
        let receiver: Connection<(), Vec<u8>> = listener.accept()?;
        let (took, len) =
            timed(|| (0..n_large).try_fold(0, |len, _| receiver.recv().map(|it| len + it.len())));
        receiver.send(())?;
        sender.join()??;
        check(len? == n_large * LARGE, "bytes of a connection")?;
        Ok(took / n_large as f64)
    });
    let python_large = contest.program(&python, |peer| {
        Ok(peer.measure("connection_bytes", n_large)? / n_large as f64)
    });
    let samples = contest.run(settings);
    let row = |work, bound| Row::new(19, work, "mp.connection", bound);
    let ten_times = Bound::at_least(4.0, 10.0);
    Ok(vec![
        samples.compare(
            row("Connection::feed of a u64, each", ten_times),
            gathered,
            python_numbers,
        ),
        samples.compare(
            row(
                "Connection::send of a u64, each",
                Bound::at_least(1.0, 10.0),
            ),
            one_by_one,
            python_numbers,
        ),
        samples.compare(
            row("Connection::send of 1 MiB, each", Bound::at_least(1.0, 2.0)),
            large,
            python_large,
        ),
    ])
}
