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
        process::spawn::<J, Item>(&item)
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
        let pool = Pool::default_pool()?;
        self.map_on(&pool, items, options)
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
