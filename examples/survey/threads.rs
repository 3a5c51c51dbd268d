//! The same work on threads, for comparison: as good as processes until one file takes all others with it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// What the main thread of a process usually has, and so a worker process: the comparison is to be fair.
const STACK_SIZE: usize = 8 << 20;

/// `job` once for each item, on `n_threads` threads; results in input order.
pub(crate) fn map<T: Sync, R: Send>(
    n_threads: usize,
    items: &[T],
    job: impl Fn(&T) -> R + Sync,
) -> io::Result<Vec<R>> {
    let (sender, receiver) = channel();
    let next = AtomicUsize::new(0);
    let work = |sender: Sender<(usize, R)>| {
        loop {
            // Each index is taken once; the results are ordered by the channel.
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            if sender.send((index, job(item))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..n_threads {
            let sender = sender.clone();
            thread::Builder::new()
                .stack_size(STACK_SIZE)
                .spawn_scoped(scope, || work(sender))?;
        }
        drop(sender);
        let mut results: Vec<_> = receiver.into_iter().collect();
        results.sort_unstable_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    })
}
