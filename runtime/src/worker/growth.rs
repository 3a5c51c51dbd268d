//! How much a worker's memory has grown since its first task: for jobs that leak.
//!
//! Responsible for one question between two tasks. Not responsible for the worker's end, which is a leave like that after
//! its number of jobs, and costs no item; nor for what a single job takes, which the supervisor watches.
//!
//! What the first task leaves is where growth begins: libraries loaded, caches filled, the allocator's arenas.

use crate::sys;

#[derive(Debug)]
pub(super) struct Growth {
    /// 0: no limit.
    limit: u64,
    first: Option<u64>,
    latest: u64,
}

impl Growth {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            first: None,
            latest: 0,
        }
    }

    /// Looks at what a task has left.
    pub(super) fn look(&mut self) {
        if self.limit > 0
            && let Ok(bytes) = sys::resident_anonymous(sys::pid())
        {
            self.first.get_or_insert(bytes);
            self.latest = bytes;
        }
    }

    pub(super) fn is_beyond_limit(&self) -> bool {
        let first = self.first.unwrap_or(self.latest);
        self.limit > 0 && self.latest.saturating_sub(first) > self.limit
    }
}
