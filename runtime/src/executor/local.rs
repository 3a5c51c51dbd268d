//! One call of a job in this process, as if it were in another: arguments and result are bytes in between.
//!
//! What the bytes name (shared memory) is kept until they have been read.

use std::sync::Once;
use std::thread;

use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder, Passengers};
use crate::error::{Error, JobError};
use crate::job::{Job, StateType, encode_item, see_off};
use crate::sys;
use crate::worker::{WorkerState, catch_panic, panic_report, with_job_index};

/// Bytes, and what they name.
pub(super) struct Parcel {
    bytes: Vec<u8>,
    keeps: Passengers,
}

impl Parcel {
    /// Of what `encode` writes of `value`, which then goes.
    fn new<T>(
        value: T,
        encode: impl for<'i> FnOnce(&'i T, &mut Encoder<'i>) -> Result<(), CodecError>,
    ) -> Result<Self, CodecError> {
        let mut encoder = Encoder::new();
        encode(&value, &mut encoder)?;
        let bytes = encoder.chunks().collect::<Vec<_>>().concat();
        let keeps = encoder.take_passengers();
        see_off(keeps.clone(), value);
        Ok(Self { bytes, keeps })
    }

    /// The value, where it is a whole one.
    pub(super) fn open<R: ByValue>(self) -> Result<R, JobError> {
        let mut decoder = Decoder::new(&self.bytes);
        let value = R::decode(&mut decoder).and_then(|value| decoder.finish().map(|()| value));
        drop(self.keeps);
        value.map_err(JobError::from)
    }
}

/// A call that is ready to run, on whatever thread.
pub(super) struct Call {
    arguments: Parcel,
    run: fn(&[u8]) -> Result<Parcel, CodecError>,
    index: Option<u64>,
    retries: u32,
}

impl Call {
    /// `index`: the item's place in the input of its map; `retries`: where the call says something.
    pub(super) fn new<J: Job<Item>, Item>(
        args: Item,
        index: Option<u64>,
        retries: Option<u32>,
    ) -> Result<Self, Error> {
        check::<J, Item>()?;
        let arguments = Parcel::new(args, encode_item::<J, Item>)
            .map_err(|error| Error::failed_job(JobError::from(error), J::NAME, None, None))?;
        Ok(Self {
            arguments,
            run: run::<J, Item>,
            index,
            retries: retries.or(J::DEFAULTS.retries).unwrap_or(0),
        })
    }

    /// Runs it to its verdict.
    pub(super) fn run(self) -> Result<Parcel, JobError> {
        static HOOK: Once = Once::new();
        // For the place of a panic, and its backtrace. A thread that panics may not set a hook; without it the message is there still.
        if !thread::panicking() {
            HOOK.call_once(sys::crash::install_panic_hook);
        }
        let mut tries_left = self.retries;
        loop {
            let call = || with_job_index(self.index, || (self.run)(&self.arguments.bytes));
            // Of a panic that is not this job's.
            let _ = sys::take_panic();
            match catch_panic(call) {
                Ok(result) => return result.map_err(JobError::from),
                Err(payload) => {
                    let error = JobError::panicked(panic_report(payload));
                    let Some(left) = tries_left.checked_sub(1) else {
                        return Err(error);
                    };
                    tries_left = left;
                }
            }
        }
    }
}

/// An error for a job that borrows a state: there is none outside a pool.
pub(super) fn check<J: Job<Item>, Item>() -> Result<(), Error> {
    StateType::NOTHING().check::<J, Item>()
}

fn run<J: Job<Item>, Item>(arguments: &[u8]) -> Result<Parcel, CodecError> {
    let mut state = WorkerState::nothing();
    let mut item = Decoder::new(arguments);
    let mut decoder = item.next_item(J::fixed_input())?;
    let result = J::call(state.lend()?, &mut decoder)?;
    Parcel::new(result, J::Output::encode)
}
