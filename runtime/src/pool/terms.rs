//! On what terms a call's items run: the call's word, else the job's, else the pool's.
//!
//! Responsible for what is refused before anything is sent: terms that nobody can mean, a job that wants another state than the
//! workers have, a pool of another process.

use std::sync::Arc;
use std::time::Duration;

use super::{MapOptions, Pool};
use crate::board::Priority;
use crate::codec::{Encoder, fixed_size};
use crate::dispatch::{Mailbox, NewTask};
use crate::error::Error;
use crate::job::{Job, StateType, hash, shim_offset};

/// What holds for every item of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTerms {
    shim: i64,
    job: u64,
    timeout: Option<Duration>,
    /// Of the whole map.
    pub(super) deadline: Option<Duration>,
    retries: u32,
    priority: Priority,
}

impl CallTerms {
    pub(super) fn new<J: Job<Item>, Item>(pool: &Pool, options: MapOptions) -> Result<Self, Error> {
        options.refuse_nothing()?;
        pool.dispatch.check_ours()?;
        pool.state.check::<J, Item>()?;
        // Work for a pool that is gone would be taken and lost.
        pool.dispatch.look_after_supervisor();
        let timeout = options
            .timeout
            .or(J::DEFAULTS.timeout)
            .or(pool.defaults.timeout);
        let retries = options
            .retries
            .or(J::DEFAULTS.retries)
            .unwrap_or(pool.defaults.retries);
        Ok(Self {
            shim: shim_offset::<J, Item>()?,
            job: hash::<J, Item>(),
            timeout,
            deadline: options.deadline,
            retries,
            priority: options.priority,
        })
    }

    /// For a job that runs without a pool.
    pub(crate) fn of_job<J: Job<Item>, Item>() -> Result<Self, Error> {
        StateType::NOTHING().check::<J, Item>()?;
        let (timeout, retries) = (J::DEFAULTS.timeout, J::DEFAULTS.retries.unwrap_or(0));
        Ok(Self {
            shim: shim_offset::<J, Item>()?,
            job: hash::<J, Item>(),
            timeout,
            deadline: None,
            retries,
            priority: Priority::Normal,
        })
    }

    /// A task of these items on these terms.
    pub(crate) fn task<'a, J: Job<Item>, Item>(
        &self,
        input: &'a Encoder<'a>,
        n_items: u32,
        mailbox: &'a Arc<Mailbox>,
    ) -> NewTask<'a> {
        NewTask {
            shim: self.shim,
            job: self.job,
            input,
            n_items,
            first_index: None,
            fixed_output: fixed_size::<J::Output>(),
            heap_len: 128,
            timeout: self.timeout,
            deadline: self.deadline,
            retries: self.retries,
            priority: self.priority,
            guarded: self.timeout.is_some() || self.deadline.is_some(),
            ends_at_fault: false,
            flush_each: true,
            most_awake: None,
            rings: true,
            mailbox,
            tag: 0,
        }
    }
}
