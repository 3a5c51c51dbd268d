//! What has become of the finalizers of a pool's workers, as the program hears of it.
//!
//! What a finalizer returned lies in a queue ([`crate::job`]); that a worker died in it stands in the worker's record. A worker
//! without a finalizer may still die while it drops its state.

use std::any::{Any, type_name};
use std::sync::Mutex;
use std::time::Duration;

use super::hooks::SentJob;
use crate::argument::ByValue;
use crate::board::{Ordering, TIME_UP, WorkerRecord};
use crate::dispatch::Dispatch;
use crate::error::{Error, JobError};
use crate::job::{FinalWord, Job, MAX_KEPT, StateType, finalizer_offset, hash};
use crate::queue::Queue;
use crate::supervisor::lock;

/// A finalizer whose pool is not made yet.
pub(super) struct NewFinalizer {
    pub(super) sent: SentJob,
    pub(super) name: &'static str,
    /// Whether workers with this state have what it borrows.
    pub(super) check: fn(StateType) -> Result<(), Error>,
    words: Box<dyn Words>,
}

impl NewFinalizer {
    pub(super) fn new<J, Item>(args: Item) -> Result<Self, Error>
    where
        J: Job<Item, Output: 'static>,
    {
        let queue = Queue::<FinalWord<J::Output>>::bounded(MAX_KEPT)?;
        let words = Box::new(queue.clone());
        let job = (finalizer_offset::<J, Item>()?, hash::<J, Item>());
        let sent = SentJob::new(J::NAME, job, (queue, args), |(queue, args), to| {
            to.value(queue)?;
            J::encode(args, to)
        })?;
        Ok(Self {
            sent,
            name: J::NAME,
            check: StateType::check::<J, Item>,
            words,
        })
    }
}

/// The queue of a finalizer, whatever that returns.
trait Words: Any + Send + Sync {
    /// All there are by now, without what succeeded: by which process, and how it failed.
    fn take_failures(&self) -> Vec<(u32, JobError)>;

    fn result_type(&self) -> &'static str;
}

impl<R: ByValue + 'static> Words for Queue<FinalWord<R>> {
    fn take_failures(&self) -> Vec<(u32, JobError)> {
        let words = take_all(self).into_iter();
        words
            .filter_map(|word| Some((word.pid, word.verdict.err()?)))
            .collect()
    }

    fn result_type(&self) -> &'static str {
        type_name::<R>()
    }
}

fn take_all<R: ByValue>(queue: &Queue<FinalWord<R>>) -> Vec<FinalWord<R>> {
    let mut words = Vec::new();
    loop {
        match queue.try_get() {
            Ok(Some(word)) => words.push(word),
            Ok(None) => return words,
            Err(error) => {
                // Nobody knows what stands behind it.
                let message = error.to_string();
                words.push(FinalWord {
                    pid: 0,
                    verdict: Err(JobError::Codec { message }),
                });
                return words;
            }
        }
    }
}

/// The finalizer of a pool's workers.
pub(super) struct Finalizer {
    name: &'static str,
    words: Option<Box<dyn Words>>,
    limit: Duration,
    /// For each worker's place, how many deaths have been told of.
    n_told: Mutex<Vec<u32>>,
}

impl Finalizer {
    /// `limit`: what each worker has for it.
    pub(super) fn new(new: Option<NewFinalizer>, limit: Duration) -> Self {
        let n_told = Mutex::default();
        match new {
            Some(new) => Self {
                name: new.name,
                words: Some(new.words),
                limit,
                n_told,
            },
            None => Self {
                name: "drop of the worker's state",
                words: None,
                limit,
                n_told,
            },
        }
    }

    /// The first failure that nobody was told of yet.
    pub(super) fn first_failure(&self, dispatch: &Dispatch) -> Result<(), Error> {
        let said = self.words.iter().flat_map(|words| words.take_failures());
        let failure = said.map(|(pid, error)| (Some(pid), error)).next();
        let deaths = self.take_deaths(dispatch).into_iter();
        match failure.or_else(|| deaths.map(|error| (None, error)).next()) {
            Some((pid, error)) => Err(Error::failed_job(error, self.name, None, pid)),
            None => Ok(()),
        }
    }

    /// What the finalizers of workers that have ended returned, or how they failed, so far as nobody was told of it yet.
    pub(super) fn results<R>(&self, dispatch: &Dispatch) -> Result<Vec<Result<R, JobError>>, Error>
    where
        R: ByValue + 'static,
    {
        let asked_for = type_name::<R>();
        let Some(words) = &self.words else {
            return Err(Error::invalid_input(format!(
                "the pool has no finalizer, so there are no results of type `{asked_for}`"
            )));
        };
        let any: &dyn Any = &**words;
        let Some(queue) = any.downcast_ref::<Queue<FinalWord<R>>>() else {
            return Err(Error::invalid_input(format!(
                "the pool's finalizer `{}` returns `{}`, and asked for are results of type `{asked_for}`",
                self.name,
                words.result_type()
            )));
        };
        let said = take_all(queue).into_iter().map(|word| word.verdict);
        let died = self.take_deaths(dispatch).into_iter().map(Err);
        Ok(said.chain(died).collect())
    }

    fn take_deaths(&self, dispatch: &Dispatch) -> Vec<JobError> {
        let records = dispatch.board().workers();
        let mut n_told = lock(&self.n_told);
        n_told.resize(records.len(), 0);
        let mut deaths = Vec::new();
        for (record, n_told) in records.iter().zip(n_told.iter_mut()) {
            // Acquire: pairs with the supervisor's release, which follows the status.
            let n_deaths = record.finishing.deaths.load(Ordering::Acquire);
            // A worker gone mad may have written any number there.
            let n_new = n_deaths.wrapping_sub(*n_told).min(MAX_KEPT as u32);
            *n_told = n_deaths;
            let error = (n_new > 0).then(|| self.cause_of_death(record));
            deaths.extend(error.into_iter().cycle().take(n_new as usize));
        }
        deaths
    }

    fn cause_of_death(&self, record: &WorkerRecord) -> JobError {
        let status = record.finishing.last_status.load(Ordering::Relaxed);
        if status == TIME_UP {
            return JobError::TimedOut { limit: self.limit };
        }
        match status & 0x7f {
            0 => JobError::Exited {
                code: (status >> 8 & 0xff) as i32,
            },
            signal => JobError::Killed {
                signal: signal as i32,
                // Where its successor works, these are the successor's.
                last_words: match record.pid.load(Ordering::Relaxed) {
                    0 => record.words.read(),
                    _ => String::new(),
                },
            },
        }
    }
}
