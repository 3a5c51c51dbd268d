//! How many cores there are for this program.

use std::sync::atomic::{AtomicU32, Ordering};

/// As many as it could run on at once when this was first asked in it or in a forerunner that forked it; at least 1.
pub(crate) fn n_cores() -> u32 {
    /// 0: not known yet. No `OnceLock`: a process may be forked while another thread asks.
    static N_CORES: AtomicU32 = AtomicU32::new(0);
    match N_CORES.load(Ordering::Relaxed) {
        0 => {
            // Respects affinity and cgroup quotas.
            let n_cores = std::thread::available_parallelism()
                .map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
            N_CORES.store(n_cores, Ordering::Relaxed);
            n_cores
        }
        n_cores => n_cores,
    }
}
