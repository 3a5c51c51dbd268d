//! A flag that processes wait for.
//!
//! Responsible for the flag and its waiters. Sleeping and waking are the [`Notice`]'s affair, which also sees to it that a
//! setter that is killed before it could wake anybody leaves nobody asleep.
//!
//! | bits of `state` | meaning | changed by |
//! |---|---|---|
//! | 0 | the flag | `set` and `clear` |
//! | 1 to 63 | how often it was set | `set` |
//!
//! Who finds the flag clear waits for the count to move, so that a `set` with a `clear` right after it lets through everybody
//! who was waiting, as `notify_all` does in Python's `threading.Event`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Notice;
use crate::error::Error;
use crate::memory::Words;
use crate::shared::{Block, fixed, travel};

const FLAG: u64 = 1;
const ONE_SET: u64 = 2;

/// What lies in shared memory.
#[repr(C)]
struct Shared {
    state: AtomicU64,
    notice: Notice,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: a word and a notice, which are atomics only.
unsafe impl Words for Shared {}

/// A flag that processes set, clear and wait for; clear at first.
///
/// A handle: cheap to clone, to be passed to jobs by value or by reference. What a process has written to shared memory
/// before `set` is seen by those whom it lets through.
///
/// ```
/// use procession::{Event, process_job, spawn};
///
/// #[process_job]
/// fn work_after(start: Event) -> u32 {
///     start.wait();
///     7
/// }
///
/// let start = Event::new()?;
/// let child = spawn!(work_after(start.clone()))?;
/// start.set();
/// assert_eq!(child.join()?, 7);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    block: Arc<Block>,
}

impl Event {
    /// An event that is clear.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::System`](crate::ErrorKind::System), where shared memory cannot be had.
    ///
    /// ```
    /// let event = procession::Event::new()?;
    /// assert!(!event.is_set());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new() -> Result<Self, Error> {
        let block = fixed::new::<Self>(size_of::<Shared>())?;
        Ok(Self { block })
    }

    fn shared(&self) -> &Shared {
        self.block.words(0)
    }

    /// What tells that it was set.
    pub(crate) fn notice(&self) -> &Notice {
        &self.shared().notice
    }

    /// Sets the flag, and lets through all who wait, also if it is cleared at once afterwards.
    ///
    /// ```
    /// let event = procession::Event::new()?;
    /// event.set();
    /// assert!(event.is_set());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn set(&self) {
        let Shared { state, notice } = self.shared();
        let set = |state: u64| Some(state.wrapping_add(ONE_SET) | FLAG);
        let _ = state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, set);
        notice.announce_all();
    }

    /// Clears the flag: who waits from now on waits for the next `set`.
    ///
    /// ```
    /// let event = procession::Event::new()?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn clear(&self) {
        self.shared().state.fetch_and(!FLAG, Ordering::AcqRel);
    }

    /// Whether the flag is set.
    ///
    /// ```
    /// let event = procession::Event::new()?;
    /// assert!(!event.is_set());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_set(&self) -> bool {
        self.shared().state.load(Ordering::Acquire) & FLAG != 0
    }

    /// Waits until the flag is set, however long.
    ///
    /// Nobody tells whether there is still a process that would set it; where that is in doubt, take
    /// [`wait_timeout`](Self::wait_timeout).
    ///
    /// ```
    /// let event = procession::Event::new()?;
    /// event.set();
    /// event.wait();
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the flag is set, for so long at the most; whether it was.
    ///
    /// Never returns `false` before the time is over.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let event = procession::Event::new()?;
    /// assert!(!event.wait_timeout(Duration::from_millis(5)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::MAX));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        // A moment past the end of the clock never comes.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let Shared { state, notice } = self.shared();
        let at_first = state.load(Ordering::Acquire);
        if at_first & FLAG != 0 {
            return true;
        }
        loop {
            let seen = notice.seen();
            if state.load(Ordering::Acquire) / ONE_SET != at_first / ONE_SET {
                return true;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            notice.wait(seen, left);
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(&self.block, to)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block = fixed::deserialize::<Self, D>(size_of::<Shared>(), from)?;
        Ok(Self { block })
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
