//! The job that a worker runs last, and how the program hears of it.
//!
//! A worker that ends has no task any more, and so no room on the board. What its finalizer returned, or how it failed, goes
//! into a queue in shared memory, which outlives the worker. How a worker ended whose finalizer killed it is its
//! supervisor's to note ([`crate::supervisor`]).
//!
//! Invariant: nothing here waits; what finds no room in the queue is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Job;
use super::shim::{hash, wrong_job};
use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder};
use crate::error::JobError;
use crate::queue::Queue;
use crate::sys;
use crate::worker::{WorkerState, panic_report};

/// So many results that nobody has asked for are kept.
pub(crate) const MAX_KEPT: usize = 1 << 16;

/// Runs one job for its result, which it sends by itself; the number is the hash of the job it should be.
pub(crate) type FinalizerShim = fn(Decoder<'_>, u64, &mut WorkerState) -> Result<(), CodecError>;

/// What a worker says of its finalizer.
pub(crate) struct FinalWord<R> {
    pub(crate) pid: u32,
    pub(crate) verdict: Result<R, JobError>,
}

pub(super) fn run_finalizer<J: Job<Item>, Item>(
    mut from: Decoder<'_>,
    job: u64,
    state: &mut WorkerState,
) -> Result<(), CodecError> {
    if job != hash::<J, Item>() {
        return Err(wrong_job::<J>());
    }
    let words: Queue<FinalWord<J::Output>> = from.value()?;
    let state = state.lend::<J::State>()?;
    let called = catch_unwind(AssertUnwindSafe(|| J::call(state, &mut from)));
    let verdict = match called {
        Ok(result) => result.map_err(JobError::from),
        Err(payload) => Err(JobError::panicked(panic_report(payload))),
    };
    // What it printed is on its way before anybody learns that it is over.
    sys::flush_stdio();
    let pid = sys::pid();
    if let Err(error) = words.try_put(FinalWord { pid, verdict })
        && !matches!(error, crate::queue::QueueError::Full)
    {
        let message = error.to_string();
        let verdict = Err(JobError::Codec { message });
        // The result cannot travel, or the queue is closed, and nobody listens.
        let _ = words.try_put(FinalWord { pid, verdict });
    }
    Ok(())
}

// Of errors those that a worker can tell of itself.
impl<R: ByValue> ByValue for FinalWord<R> {
    fn encode<'i>(word: &'i Self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.value(&word.pid)?;
        match &word.verdict {
            Ok(result) => {
                to.value(&0_u8)?;
                R::encode(result, to)
            }
            Err(JobError::Panicked {
                message,
                location,
                backtrace,
            }) => {
                to.value(&1_u8)?;
                to.value(message)?;
                to.value(location)?;
                to.value(backtrace)
            }
            Err(error) => {
                to.value(&2_u8)?;
                to.value(error_text(error))
            }
        }
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        let pid = from.value()?;
        let verdict = match from.value::<u8>()? {
            0 => Ok(R::decode(from)?),
            1 => Err(JobError::Panicked {
                message: from.value()?,
                location: from.value()?,
                backtrace: from.value()?,
            }),
            2 => Err(JobError::Codec {
                message: from.value()?,
            }),
            _ => return Err(CodecError::new("this is no word of a finalizer")),
        };
        Ok(Self { pid, verdict })
    }
}

static NO_TEXT: String = String::new();

fn error_text(error: &JobError) -> &String {
    match error {
        JobError::Codec { message } => message,
        _ => &NO_TEXT,
    }
}
