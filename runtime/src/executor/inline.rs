//! Jobs in the caller, one after another.

use super::handle::Slot;
use super::local::Call;
use super::{Executor, ExecutorHandle, RunsLocally};
use crate::error::{Error, JobError};
use crate::job::Job;
use crate::pool::MapOptions;

/// Runs each job in the caller, at once: for tests, for debuggers, and where there are no worker processes.
///
/// See [`Executor`] for what is the same as in a process, and what is not.
///
/// ```
/// use procession::{Executor, InlineExecutor, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// assert_eq!(InlineExecutor::new().map(job!(square), 0..4)?, [0, 1, 4, 9]);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineExecutor(());

impl InlineExecutor {
    /// There is nothing to make.
    ///
    /// ```
    /// use procession::{Executor, InlineExecutor};
    ///
    /// assert_eq!(InlineExecutor::new().workers(), 1);
    /// ```
    pub fn new() -> Self {
        Self(())
    }
}

impl RunsLocally for InlineExecutor {
    fn start(&self, call: Call) -> Result<Slot, Error> {
        let slot = Slot::new(call);
        slot.run();
        Ok(slot)
    }

    fn window(&self) -> usize {
        1
    }
}

impl Executor for InlineExecutor {
    fn workers(&self) -> usize {
        1
    }

    fn submit<J, Item>(&self, _job: J, args: Item) -> Result<ExecutorHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        super::submit::<J, Item>(self, args)
    }

    fn map<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        super::map::<J, Item>(self, items, MapOptions::NONE)
    }

    fn map_each<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        super::map_each::<J, Item>(self, items)
    }
}
