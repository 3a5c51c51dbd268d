//! What `pool_map!` and `spawn!` expand to: a job, its arguments, and the options of the call.
//!
//! Responsible for: letting the compiler infer the item type and put its errors on the arguments.
//! Not responsible for: running anything; each method here ends in one call into the pool or the process.
//!
//! Invariant: each job type has exactly one `Job` impl. [`JobCall::infer`] demands that impl with the item type
//! still open, so the compiler fills it in from there; the arguments that follow are then *expected* to have that
//! type, and `spawn!(add("1", 2))` is reported at `"1"`. The macros give both calls the place of the
//! arguments, which is where an unsatisfied bound is shown, and shown once.

use std::fmt;
use std::marker::PhantomData;

use crate::error::Error;
use crate::executor;
use crate::job::Job;
use crate::pool::{JobHandle, MapOptions, Pool};
use crate::process::{self, Process};

/// A job about to be called with arguments of type `Item`.
pub struct JobCall<J, Item> {
    job: J,
    item: PhantomData<fn(Item)>,
}

impl<J, Item> JobCall<J, Item> {
    /// The item type is still open.
    pub fn new(job: J) -> Self {
        Self {
            job,
            item: PhantomData,
        }
    }

    /// Fixes the item type: there is one impl it can come from.
    #[must_use]
    pub fn infer(self) -> Self
    where
        J: Job<Item>,
    {
        self
    }

    /// `spawn!(job(item))`
    pub fn spawn(self, item: Item) -> Result<Process<J::Output>, Error>
    where
        J: Job<Item>,
    {
        process::spawn::<J, Item>(item)
    }

    /// `spawn!(in pool, job(item))`
    pub fn submit(self, pool: &Pool, item: Item) -> Result<JobHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        pool.submit(self.job, item)
    }

    /// `pool_map!(job, items, options)`
    pub fn map<I>(self, items: I, options: MapOptions) -> Result<Vec<J::Output>, Error>
    where
        I: IntoIterator<Item = Item>,
        J: Job<Item>,
    {
        executor::map_by_default(self.job, items, options)
    }

    /// `pool_map!(in pool, job, items, options)`
    pub fn map_on<I>(
        self,
        pool: &Pool,
        items: I,
        options: MapOptions,
    ) -> Result<Vec<J::Output>, Error>
    where
        I: IntoIterator<Item = Item>,
        J: Job<Item>,
    {
        pool.map_with(self.job, items, options)
    }
}

impl<J, Item> fmt::Debug for JobCall<J, Item> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobCall").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::Defaults;
    use crate::process_job;

    #[process_job(timeout = "2s", retries = 3)]
    fn add(a: u64, b: &u64) -> u64 {
        a + b
    }

    fn item_of<J: Job<Item>, Item>(_: &JobCall<J, Item>) -> &'static str {
        std::any::type_name::<Item>()
    }

    #[test]
    fn the_item_type_comes_from_the_jobs_one_impl() {
        let call = JobCall::new(crate::job!(add)).infer();
        assert_eq!(item_of(&call), "(u64, alloc::boxed::Box<u64>)");
        let _: Result<Process<u64>, Error> = call.spawn((1, Box::new(2)));
    }

    #[test]
    fn the_attribute_reaches_the_runtime() {
        fn facts<J: Job<Item>, Item>(_: JobCall<J, Item>) -> (&'static str, Defaults) {
            (J::NAME, J::DEFAULTS)
        }
        let (name, defaults) = facts(JobCall::<_, (u64, u64)>::new(crate::job!(add)));
        let Defaults { timeout, retries } = defaults;
        assert_eq!(
            (name, timeout, retries),
            ("add", Some(Duration::from_secs(2)), Some(3))
        );
    }
}
