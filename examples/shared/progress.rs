//! A bar on stderr, drawn only where that is a terminal, and only with the feature `progress`.
//!
//! It moves as a pool takes items from its iterator. A pool keeps no more than a few tasks per worker in
//! hand, so the bar is never far ahead of the work.

/// How far a run is. Dropped, it leaves the terminal as it was.
#[derive(Debug)]
pub struct Progress {
    #[cfg(feature = "progress")]
    bar: indicatif::ProgressBar,
}

impl Progress {
    /// A bar from 0 to `end` steps.
    #[cfg_attr(
        not(feature = "progress"),
        expect(unused_variables, reason = "nothing is drawn")
    )]
    pub fn new(end: u64) -> Self {
        Self {
            #[cfg(feature = "progress")]
            bar: indicatif::ProgressBar::new(end),
        }
    }

    /// So many steps more.
    #[cfg_attr(
        not(feature = "progress"),
        expect(unused_variables, reason = "nothing is drawn")
    )]
    pub fn advance(&self, steps: u64) {
        #[cfg(feature = "progress")]
        self.bar.inc(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        #[cfg(feature = "progress")]
        self.bar.finish_and_clear();
    }
}
