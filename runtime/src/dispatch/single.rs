//! The outcome of a single call, waited for and taken once: what a `JobHandle` and a `Process` have in common.

use std::time::Duration;

use super::{Dispatch, Mailbox};
use crate::argument::ByValue;
use crate::error::JobError;

impl Dispatch {
    /// Waits for the one outcome that arrives in `mailbox`, and until `is_over` too; `None`: not within `timeout`.
    ///
    /// # Errors
    ///
    /// How the job ended without a result; [`JobError::Lost`] where the outcome was taken before, or belongs to the
    /// process that this one was forked from. `whose` names the result in that error.
    pub(crate) fn take_single<R: ByValue>(
        &self,
        mailbox: &Mailbox,
        is_over: impl Fn() -> bool,
        timeout: Option<Duration>,
        whose: &str,
    ) -> Result<Option<R>, JobError> {
        self.check_ours()
            .map_err(|error| JobError::lost(error.to_string(), true))?;
        if mailbox.is_emptied() {
            return Err(taken(whose));
        }
        // A supervisor that is gone answers everything, and says no more about its processes.
        let is_ready = || !mailbox.is_empty() && (is_over() || self.gone().is_some());
        if !self.wait_until_or(is_ready, timeout) {
            return Ok(None);
        }
        let arrived = mailbox.take().pop();
        let verdict = arrived.and_then(|(_, outcome)| outcome.verdicts::<R>().each().next());
        let verdict = verdict.ok_or_else(|| taken(whose))?;
        verdict.map(Some).map_err(|failure| failure.error)
    }

    /// As [`take_single`](Self::take_single), for however long it takes.
    pub(crate) fn join_single<R: ByValue>(
        &self,
        mailbox: &Mailbox,
        is_over: impl Fn() -> bool,
        whose: &str,
    ) -> Result<R, JobError> {
        let result = self.take_single(mailbox, is_over, None, whose)?;
        result.ok_or_else(|| taken(whose))
    }
}

fn taken(whose: &str) -> JobError {
    JobError::lost(
        format!("the result of this {whose} was taken already"),
        true,
    )
}
