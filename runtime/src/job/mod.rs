//! What `#[process_job]` implements: the two halves of a call that crosses a process boundary.

mod finalizer;
mod initializer;
mod shim;
mod state_type;

use std::time::Duration;

pub(crate) use finalizer::{FinalWord, FinalizerShim, MAX_KEPT};
pub use initializer::{Fallible, Initializer, Made, Marked, OfJob};
pub(crate) use shim::{
    InitializerShim, Shim, finalizer_offset, hash, initializer_hash, initializer_offset,
    shim_offset,
};
pub(crate) use state_type::StateType;

use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder, Passengers};
use crate::error::{Error, JobError};

/// A function that can be run in a worker process, for one item of type `Item`.
///
/// Implemented by `#[process_job]`, once for each annotated function, and by nothing else. `Item` is the
/// plain value for a function of one parameter, a tuple for several, `()` for none; where a parameter
/// is a shared reference, its place in `Item` is anything that can lend such a reference.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job for items of type `{Item}`",
    note = "a job is a function annotated with `#[process_job]`, and methods take it as `job!(function)`; it maps over plain values for one parameter, over tuples for several"
)]
pub trait Job<Item>: Sized {
    /// What the function returns.
    type Output: ByValue;

    /// What the function borrows of its worker; `()` for nothing.
    type State: 'static;

    /// The name that errors and statistics show.
    #[doc(hidden)]
    const NAME: &'static str;

    /// What the attribute's arguments said.
    #[doc(hidden)]
    const DEFAULTS: Defaults;

    /// The number of bytes of every encoded item, where it is the same for all.
    #[doc(hidden)]
    fn fixed_input() -> Option<usize>;

    /// In the program: writes the arguments.
    #[doc(hidden)]
    fn encode<'i>(item: &'i Item, to: &mut Encoder<'i>) -> Result<(), CodecError>;

    /// In the worker: reads the arguments and calls the function.
    #[doc(hidden)]
    fn call(state: &mut Self::State, from: &mut Decoder<'_>) -> Result<Self::Output, CodecError>;
}

/// What `#[process_job(timeout = …, retries = …)]` said.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Defaults {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: Option<u32>,
}

impl Defaults {
    /// Nothing said.
    pub const NONE: Self = Self {
        timeout: None,
        retries: None,
    };

    /// `timeout = "…"`, as the macro read it.
    pub const fn timeout_nanos(self, nanos: u64) -> Self {
        Self {
            timeout: Some(Duration::from_nanos(nanos)),
            retries: self.retries,
        }
    }

    /// `retries = n`.
    pub const fn retries(self, retries: u32) -> Self {
        Self {
            timeout: self.timeout,
            retries: Some(retries),
        }
    }
}

/// Lets go of arguments that have been sent, and then of what travels beside them.
pub(crate) fn see_off<T>(passengers: Passengers, sent: T) {
    // Also where a destructor of the caller's panics: a worker may wait for them.
    let _departing = Departing(passengers);
    drop(sent);
}

struct Departing(Passengers);

impl Drop for Departing {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|passenger| passenger.depart());
    }
}

/// Adds one item to a chunk; a refused one leaves no trace.
pub(crate) fn encode_item<'i, J: Job<Item>, Item>(
    item: &'i Item,
    to: &mut Encoder<'i>,
) -> Result<(), CodecError> {
    to.begin_item(J::fixed_input());
    let encoded = J::encode(item, to).and_then(|()| to.end_item());
    encoded.inspect_err(|_| to.abandon_item())
}

/// Adds all items at once where they are numbers, which is what a job of one such parameter takes.
pub(crate) fn encode_numbers<'i, J: Job<Item>, Item>(
    items: &'i [Item],
    to: &mut Encoder<'i>,
) -> bool {
    J::fixed_input() == Some(size_of::<Item>()) && to.numbers(items)
}

/// Encodes the arguments of a single call.
pub(crate) fn encode_call<'i, J: Job<Item>, Item>(
    args: &'i Item,
    to: &mut Encoder<'i>,
) -> Result<(), Error> {
    let encoded = encode_item::<J, Item>(args, to);
    encoded.map_err(|error| Error::failed_job(JobError::from(error), J::NAME, None, None))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::codec::Passenger;

    #[derive(Debug, Default)]
    struct Departed(AtomicBool);

    impl Passenger for Departed {
        fn depart(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("as it is meant to");
        }
    }

    #[test]
    fn passengers_depart_also_where_a_destructor_panics() {
        let departed = Arc::new(Departed::default());
        let passengers: Passengers = vec![Arc::clone(&departed) as _];
        let panicked = catch_unwind(AssertUnwindSafe(|| see_off(passengers, PanicsWhenDropped)));
        assert!(panicked.is_err() && departed.0.load(Ordering::Relaxed));
    }
}
