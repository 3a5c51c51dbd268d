//! Kills workers while they work: SIGKILL from a thread of the program, as the system's OOM killer would.
//!
//! The places of the run at which it strikes are drawn at random beforehand, in bytes handed out, so that they lie
//! all over the run however fast the machine is. The pool does not wait for the thread: workers have work when they
//! are struck. Strikes that come too late for a short run are for the next one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{Scope, ScopedJoinHandle, sleep};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procession::Pool;

/// Strikes as the pool comes to the places drawn, until [`end`](Self::end).
pub(crate) struct Chaos<'scope> {
    /// Where to strike, the last one first.
    places: Vec<u64>,
    handed_out: u64,
    orders: Sender<()>,
    n_kills: u32,
    n_killed: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    striker: ScopedJoinHandle<'scope, ()>,
}

impl<'scope> Chaos<'scope> {
    /// `n_kills` strikes while so many bytes are worked on.
    pub(crate) fn new<'env>(
        scope: &'scope Scope<'scope, 'env>,
        pool: &'env Pool,
        n_kills: u32,
        total_len: u64,
    ) -> Self {
        let mut places: Vec<_> = (0..n_kills).map(|_| fastrand::u64(0..=total_len)).collect();
        places.sort_unstable_by(|a, b| b.cmp(a));
        let (orders, received) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let n_killed = Arc::new(AtomicU32::new(0));
        let (ends, count) = (Arc::clone(&is_over), Arc::clone(&n_killed));
        let striker = scope.spawn(move || {
            let mut killed = BTreeSet::new();
            for () in received {
                kill_one(pool, &mut killed, &ends);
                count.store(killed.len() as u32, Ordering::Relaxed);
            }
        });
        Self {
            places,
            handed_out: 0,
            orders,
            n_kills,
            n_killed,
            is_over,
            striker,
        }
    }

    /// So many bytes more have been handed out.
    pub(crate) fn advance(&mut self, len: u64) {
        self.handed_out += len;
        while self
            .places
            .pop_if(|place| *place <= self.handed_out)
            .is_some()
        {
            // Nobody receives only after the end.
            let _ = self.orders.send(());
        }
    }

    /// How many workers were killed so far.
    pub(crate) fn n_killed(&self) -> u32 {
        self.n_killed.load(Ordering::Relaxed)
    }

    /// Whether a strike is still to come.
    pub(crate) fn wants_more(&self) -> bool {
        self.n_killed() < self.n_kills
    }

    /// Strikes no more.
    pub(crate) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        drop(self.orders);
        // It has not panicked: it only sends signals and sleeps.
        let _ = self.striker.join();
    }
}

/// Kills a worker that has been there for a millisecond at least: long enough to be in the middle of its work,
/// and not one that is dead already and not yet replaced, which would not count.
fn kill_one(pool: &Pool, killed: &mut BTreeSet<u32>, is_over: &AtomicBool) {
    loop {
        let mut pids = pool.pids();
        pids.retain(|pid| !killed.contains(pid));
        sleep(Duration::from_micros(fastrand::u64(1000..3000)));
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        if let Some(pid) = fastrand::choice(pids)
            && kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).is_ok()
        {
            killed.insert(pid);
            return;
        }
    }
}
