//! What a pool's workers have done and cost.

use std::time::Duration;

use crate::board::{AtomicU64, Ordering};
use crate::dispatch::Dispatch;
use crate::supervisor::Request;

/// What each worker of a pool has done and cost, from [`Pool::stats`](crate::Pool::stats).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// One for each place, in the order of [`worker_index`](crate::worker_index()). Places that
    /// [`resize`](crate::Pool::resize) took away stay, so that nothing that was done is missing from a sum.
    pub workers: Vec<WorkerStats>,
}

/// What one worker has done and cost, together with those that it replaced.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStats {
    /// The process that works there now; 0 while a dead one is being replaced, and where none is to be there at present.
    pub pid: u32,
    /// Jobs finished, whether with a result or a panic.
    pub jobs_done: u64,
    /// Time spent with jobs.
    pub busy_time: Duration,
    /// CPU time spent, in user code and in the kernel.
    pub cpu_time: Duration,
    /// Bytes of memory that this process shares with nobody.
    pub private_memory: u64,
    /// How often a worker was replaced here: after a death, or after its number of jobs or growth of memory. One that retired or
    /// left for [`resize`](crate::Pool::resize) is not counted.
    pub restarts: u32,
}

pub(super) fn read(dispatch: &Dispatch) -> PoolStats {
    if dispatch.check_ours().is_err() {
        return PoolStats {
            workers: Vec::new(),
        };
    }
    // Where the supervisor is gone, the figures of last time are the last there are.
    let _ = dispatch.request(|crew| Request::Measure { crew });
    let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
    let workers = dispatch.board().workers().iter().map(|record| WorkerStats {
        pid: record.pid.load(Ordering::Relaxed),
        jobs_done: load(&record.jobs_done),
        busy_time: Duration::from_nanos(load(&record.busy_nanos)),
        cpu_time: Duration::from_nanos(load(&record.cpu_nanos)),
        private_memory: load(&record.private_memory),
        restarts: record.restarts.load(Ordering::Relaxed),
    });
    PoolStats {
        workers: workers.collect(),
    }
}
