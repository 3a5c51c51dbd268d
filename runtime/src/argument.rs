//! How one parameter of a job crosses: by value or by shared reference.
//!
//! Responsible for: one demand per parameter, which `#[process_job]` makes of the parameter's type.
//! Not responsible for: the bytes, which are the codec's.
//!
//! Why not the codec's own traits: a demand for `Portable` is also one for each of its supertraits, and the compiler
//! reports those that a `Vec<Opaque>` misses one by one. These have none, so one type is one mistake.

use std::ops::Deref;

use crate::codec::{CodecError, Decoder, Encoder, Lend, Lent, Portable};

/// The type of a parameter that is passed by value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "needs serde's `Serialize` and `Deserialize`",
    note = "for a type of yours, derive both: `#[derive(serde::Serialize, serde::Deserialize)]`; a type with a borrowed part cannot be read back as an owned value",
    note = "what has no serde travels as something else: an error as a `String`, a `Mutex` as a `Value` or a `Lock`, a channel as a `Queue`",
    note = "nor can a reference, where a job takes its parameter by value: for `&items` give `items` or `items.iter().cloned()`"
)]
pub trait ByValue: Sized {
    /// In the program.
    fn encode<'i>(value: &'i Self, to: &mut Encoder<'i>) -> Result<(), CodecError>;

    /// In the worker.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError>;
}

impl<T: Portable> ByValue for T {
    fn encode<'i>(value: &'i Self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.value(value)
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, CodecError> {
        from.value()
    }
}

/// What a parameter refers to: the `T` of `&T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "needs serde's `Serialize` and `Deserialize`",
    note = "for a type of yours, derive both: `#[derive(serde::Serialize, serde::Deserialize)]`; a type with a borrowed part cannot be read back as an owned value",
    note = "what has no serde travels as something else: an error as a `String`, a `Mutex` as a `Value` or a `Lock`, a channel as a `Queue`"
)]
pub trait ByReference {
    /// In the program: `lender` is what the caller passed.
    fn encode<'i, L: Lend<Self>>(lender: &'i L, to: &mut Encoder<'i>) -> Result<(), CodecError>;

    /// In the worker: what the reference borrows from while the job runs.
    fn decode<'b>(
        from: &mut Decoder<'b>,
    ) -> Result<impl Deref<Target = Self> + use<'b, Self>, CodecError>;
}

impl<T: Lent + ?Sized> ByReference for T {
    fn encode<'i, L: Lend<Self>>(lender: &'i L, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.lend::<Self, L>(lender)
    }

    fn decode<'b>(
        from: &mut Decoder<'b>,
    ) -> Result<impl Deref<Target = Self> + use<'b, T>, CodecError> {
        from.lent::<Self>()
    }
}
