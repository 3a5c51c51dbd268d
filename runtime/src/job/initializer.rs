//! What can make the state of a worker: any job, and a function under `#[process_job(initializer)]`.

use std::fmt::Display;

use super::Job;
use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder};

/// What an initializer has made, or why it could not.
#[doc(hidden)]
pub type Made<S> = Result<S, String>;

/// A function that each worker of a pool runs before any job; what it returns is the worker's state.
///
/// Implemented for every [`Job`] that borrows no state itself, and by `#[process_job(initializer)]` for functions whose
/// result stays in the worker and so need not be one that can travel: an open file, a connection, a loaded model.
/// `Kind` says which of the two; the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an initializer for arguments of type `{Item}`",
    note = "an initializer is a function annotated with `#[process_job]` or, where its result cannot travel, with `#[process_job(initializer)]`"
)]
pub trait Initializer<Item, Kind>: Sized {
    /// What jobs borrow.
    type State: 'static;

    /// The name that errors show.
    #[doc(hidden)]
    const NAME: &'static str;

    /// In the program: writes the arguments.
    #[doc(hidden)]
    fn encode<'i>(item: &'i Item, to: &mut Encoder<'i>) -> Result<(), CodecError>;

    /// In the worker: reads the arguments and calls the function.
    #[doc(hidden)]
    fn call(from: &mut Decoder<'_>) -> Result<Made<Self::State>, CodecError>;
}

/// The kind of initializers that are jobs, too.
#[doc(hidden)]
#[derive(Debug)]
pub enum OfJob {}

/// The kind of those that are nothing else.
#[doc(hidden)]
#[derive(Debug)]
pub enum Marked {}

impl<J, Item> Initializer<Item, OfJob> for J
where
    J: Job<Item, State = (), Output: ByValue + 'static>,
{
    type State = J::Output;

    const NAME: &'static str = <J as Job<Item>>::NAME;

    fn encode<'i>(item: &'i Item, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        <J as Job<Item>>::encode(item, to)
    }

    fn call(from: &mut Decoder<'_>) -> Result<Made<J::Output>, CodecError> {
        <J as Job<Item>>::call(&mut (), from).map(Ok)
    }
}

/// A `Result` that an initializer returns: the state, or the reason why there is none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result` with an error that can be shown",
    note = "the error of an initializer becomes text, so it needs `Display`"
)]
#[doc(hidden)]
pub trait Fallible {
    /// The state.
    type Made;

    /// It, or the error's text.
    fn made(self) -> Made<Self::Made>;
}

impl<T, E: Display> Fallible for Result<T, E> {
    type Made = T;

    fn made(self) -> Made<T> {
        self.map_err(|error| error.to_string())
    }
}
