//! The meeting of processes as users know it: [`Barrier`] and its answers.
//!
//! Responsible for names and errors; the rounds are the [raw barrier](super::raw_barrier)'s affair.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw_barrier::{NotMet, RawBarrier};
use crate::error::{Error, ErrorKind};
use crate::shared::fixed::Fixed;

/// As many threads as Linux can have, in all processes together: `PID_MAX_LIMIT`.
const MOST_PARTIES: usize = 1 << 22;

/// A meeting point of so many threads, in any processes: each waits until all have come, then all go on.
///
/// It can be used again at once for the next round. It is *broken*, for those who wait and for all who come later, when one who waits is
/// killed or has waited long enough, or when somebody calls [`abort`](Self::abort); [`reset`](Self::reset) mends it. Who waits learns
/// of a death within a tenth of a second. The barrier does not notice one who is killed *before* coming to it:
/// where that may happen, take [`wait_timeout`](Self::wait_timeout). A handle: cheap to clone, to be passed to jobs by value or by
/// reference.
///
/// A barrier needs as many threads at one time as it has parties: on a pool, no more than it has workers.
///
/// ```
/// use procession::{Barrier, BarrierError, process_job, spawn};
///
/// #[process_job]
/// fn step(all_ready: &Barrier) -> Result<bool, procession::Error> {
///     Ok(all_ready.wait()?.is_leader())
/// }
///
/// let all_ready = Barrier::new(3)?;
/// let others = [spawn!(step(&all_ready))?, spawn!(step(&all_ready))?];
/// let mut n_leaders = usize::from(all_ready.wait()?.is_leader());
/// for other in others {
///     n_leaders += usize::from(other.join()??);
/// }
/// assert_eq!(n_leaders, 1);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone)]
pub struct Barrier {
    words: Fixed<RawBarrier>,
}

impl Barrier {
    /// A barrier for so many threads.
    ///
    /// # Errors
    ///
    /// Of kind [`ErrorKind::InvalidInput`] for none, and for more than the 4,194,304 that a Linux can have; of kind
    /// [`ErrorKind::System`], where shared memory cannot be had.
    ///
    /// ```
    /// use procession::{Barrier, ErrorKind};
    ///
    /// assert_eq!(Barrier::new(2)?.parties(), 2);
    /// assert_eq!(Barrier::new(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn new(parties: usize) -> Result<Self, Error> {
        if !(1..=MOST_PARTIES).contains(&parties) {
            return Err(Error::invalid_input(format!(
                "a barrier of {parties} parties: from 1 to {MOST_PARTIES} can meet"
            )));
        }
        let words = Fixed::<RawBarrier>::new()?;
        words.begin(parties as u32);
        Ok(Self { words })
    }

    /// Waits until all have come, however long.
    ///
    /// # Errors
    ///
    /// [`BarrierError::Broken`]; [`BarrierError::TooMany`], where 248 processes wait already.
    ///
    /// ```
    /// let barrier = procession::Barrier::new(2)?;
    /// std::thread::scope(|scope| {
    ///     let other = scope.spawn(|| barrier.wait());
    ///     let turns = [barrier.wait()?.index(), other.join().unwrap()?.index()];
    ///     assert_eq!(turns.iter().sum::<usize>(), 1);
    ///     Ok::<(), procession::BarrierError>(())
    /// })?;
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait(&self) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(None)
    }

    /// Waits until all have come, for so long at the most; then the barrier is broken.
    ///
    /// # Errors
    ///
    /// [`BarrierError::TimedOut`], never early; all others who wait are told [`BarrierError::Broken`]. As of
    /// [`wait`](Self::wait) besides.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2)?;
    /// let alone = barrier.wait_timeout(Duration::from_millis(5));
    /// assert_eq!(alone, Err(BarrierError::TimedOut));
    /// assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BarrierError> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, deadline: Option<Instant>) -> Result<BarrierWaitResult, BarrierError> {
        let index = self.words.wait(deadline)?;
        Ok(BarrierWaitResult {
            index: index as usize,
        })
    }

    /// Makes a broken barrier whole, and empty. Those who wait at this moment are told [`BarrierError::Broken`].
    ///
    /// ```
    /// let barrier = procession::Barrier::new(1)?;
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(barrier.wait()?.is_leader());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn reset(&self) {
        self.words.reset();
    }

    /// Breaks the barrier, for those who wait and those who come, until it is [reset](Self::reset).
    ///
    /// ```
    /// use procession::{Barrier, BarrierError};
    ///
    /// let barrier = Barrier::new(2)?;
    /// barrier.abort();
    /// assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn abort(&self) {
        self.words.abort();
    }

    /// Whether it is broken.
    ///
    /// ```
    /// let barrier = procession::Barrier::new(2)?;
    /// assert!(!barrier.is_broken());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_broken(&self) -> bool {
        self.words.is_broken()
    }

    /// How many meet.
    ///
    /// ```
    /// assert_eq!(procession::Barrier::new(5)?.parties(), 5);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn parties(&self) -> usize {
        self.words.parties() as usize
    }

    /// How many wait: news of a moment, for logs.
    ///
    /// ```
    /// assert_eq!(procession::Barrier::new(5)?.n_waiting(), 0);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn n_waiting(&self) -> usize {
        self.words.n_waiting() as usize
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("n_waiting", &self.n_waiting())
            .field("is_broken", &self.is_broken())
            .finish_non_exhaustive()
    }
}

impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Fixed::deserialize(from).map(|words| Self { words })
    }
}

/// What [`Barrier::wait`] answers when all have come.
///
/// ```
/// let turn = procession::Barrier::new(1)?.wait()?;
/// assert_eq!((turn.index(), turn.is_leader()), (0, true));
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
}

impl BarrierWaitResult {
    /// How many had come to this round before: each number from 0 on is given to one. What Python's `wait` returns.
    ///
    /// ```
    /// assert_eq!(procession::Barrier::new(1)?.wait()?.index(), 0);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether this is the one of the round who does what is to be done once: the first to come.
    ///
    /// ```
    /// assert!(procession::Barrier::new(1)?.wait()?.is_leader());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.index == 0
    }
}

/// Why those who waited at a [`Barrier`] do not go on together.
///
/// ```
/// use procession::{Barrier, BarrierError, ErrorKind};
///
/// let barrier = Barrier::new(2)?;
/// barrier.abort();
/// let error = barrier.wait().unwrap_err();
/// assert_eq!(error, BarrierError::Broken);
/// assert_eq!(procession::Error::from(error).kind(), ErrorKind::Lock);
/// # Ok::<(), procession::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// One who waited was killed or had waited long enough, or the barrier was aborted or reset.
    Broken,
    /// The time was over before all had come. The barrier is broken now.
    TimedOut,
    /// As many processes wait as can be kept count of: 248.
    TooMany,
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broken => {
                "the barrier is broken: one who waited was killed or waited too long, or it was aborted or reset"
            }
            Self::TimedOut => "not all came to the barrier in time: it is broken now",
            Self::TooMany => "too many processes wait at one barrier: 248 can be kept count of",
        })
    }
}

impl std::error::Error for BarrierError {}

impl From<NotMet> for BarrierError {
    fn from(why: NotMet) -> Self {
        match why {
            NotMet::Broken => Self::Broken,
            NotMet::TimedOut => Self::TimedOut,
            NotMet::NoPlace => Self::TooMany,
        }
    }
}

impl From<BarrierError> for Error {
    fn from(error: BarrierError) -> Self {
        Self::new(ErrorKind::Lock, error.to_string())
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
