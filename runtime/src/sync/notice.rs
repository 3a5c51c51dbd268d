//! stub until the lock's clone lands
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Notice {
    announced: AtomicU32,
    sleepers: AtomicU32,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics only.
unsafe impl crate::memory::Words for Notice {}

impl Notice {
    /// What has been announced so far, to wait for more.
    pub(crate) fn seen(&self) -> u32 {
        self.announced.load(Ordering::Acquire)
    }

    /// Sleeps until something was announced after `seen`, or the timeout, or for no reason.
    pub(crate) fn wait(&self, seen: u32, timeout: Option<Duration>) {
        let most = Duration::from_millis(1);
        crate::sys::futex::wait(
            &self.announced,
            seen,
            Some(timeout.unwrap_or(most).min(most)),
        );
    }

    pub(crate) fn announce_one(&self) {
        self.announce_all();
    }

    pub(crate) fn announce_all(&self) {
        self.announced.fetch_add(1, Ordering::AcqRel);
        crate::sys::futex::wake(&self.announced, u32::MAX);
    }
}
