//! Values to bytes and back: the arguments and results that cross a process boundary.
//!
//! Responsible for the format and for reading it safely. Knows nothing of tasks, processes or shared memory: an
//! [`Encoder`] collects bytes, a [`Decoder`] reads a slice. Nothing outside this room knows what the bytes mean,
//! so the format can be exchanged without touching another room. It is no wire format: both ends are the same
//! binary on the same machine, and nothing is promised about the bytes from one build to the next.
//!
//! # Format
//!
//! A *stream* is a run of bytes that is to start at an address aligned to 64 bytes. All alignment is counted from
//! the stream's start, inside framed items too.
//!
//! | value | bytes |
//! |---|---|
//! | a number (`u8` to `u128`, `i8` to `i128`, `usize`, `isize`, `f32`, `f64`) | its own bytes, unaligned |
//! | `Vec<P>`, `Box<[P]>`, `&[P]` of such numbers | count as `u64`, zeros up to `P`'s alignment, the elements' bytes |
//! | `String`, `Box<str>`, `&str`, `&Path` | the same with `P` = `u8` |
//! | everything else | bincode 2 over serde, little-endian integers of fixed width |
//! | an item of a chunk whose size is fixed | the item |
//! | an item of a chunk otherwise | zeros up to a multiple of 8, the item's length in bytes as `u64`, the item |
//!
//! # Invariants
//!
//! * Reading trusts no byte. Offsets and lengths are checked, no memory is reserved for data that is not there,
//!   nesting and loops over elements without bytes are bounded ([`bounded`]); what does not fit is a [`CodecError`].
//! * Numbers in bulk are copied, never visited one by one; a large slice is not copied into the encoder at all,
//!   and a worker reads a `&[P]`, `&str` or `&Path` where it lies.
//! * The bytes under a [`Decoder`] do not change while it or anything borrowed from it lives. The caller of this room
//!   sees to that, as for any `&[u8]`.
//!
//! The unit tests of this room run under Miri too, with fewer cases; those that would take minutes or hours there say so
//! themselves (`cfg_attr(miri, ignore)`: the fuzzing, the million empty elements):
//! `MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_MAX_DEFAULT_SIZE_RANGE=6 cargo +nightly miri test codec`.

pub(crate) mod beside;
mod bounded;
mod decoder;
mod encoder;
mod error;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(procession_unsupported)))]
pub(crate) mod fuzzing;
#[expect(
    unsafe_code,
    reason = "a generic type that is in fact a given concrete type is treated as such"
)]
mod identity;
mod lend;
mod plain;
#[cfg(test)]
mod tests;

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use beside::{Passenger, Passengers};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::CodecError;
pub use lend::{HeldSlice, HeldValue, Lend, Lent};

/// A value that can travel between processes: whatever serde can both write and read back as an owned value.
///
/// Implemented for all such types, and by nothing else. serde formats without field names cannot carry values whose
/// shape is only known while reading (`#[serde(flatten)]`, untagged and internally tagged enums,
/// `serde_json::Value`), nor types that leave out fields (`skip_serializing_if`): those are refused with an error when
/// they are sent or received.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "needs serde's `Serialize` and `Deserialize`",
    note = "for a type of yours, derive both: `#[derive(serde::Serialize, serde::Deserialize)]`; a type with a borrowed part cannot be read back as an owned value",
    note = "what has no serde travels as something else: an error as a `String`, a `Mutex` as a `Value` or a `Lock`, a channel as a `Queue`",
    note = "nor can a reference, where a job takes its parameter by value: for `&items` give `items` or `items.iter().cloned()`"
)]
pub trait Portable: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Portable for T {}

/// Implemented by nothing.
trait Never {}

// With one impl of `Portable` the compiler would report what it demands, `Serialize` and `Deserialize`, as two
// mistakes; with two it reports `Portable` itself, once and in our words.
impl<T> Portable for T
where
    (T,): Never,
    T: Portable,
{
}

/// The number of bytes of every encoded `T`, where it is the same for all: numbers and `()`.
#[inline]
pub fn fixed_size<T: ?Sized>() -> Option<usize> {
    if plain::is_unit::<T>() {
        Some(0)
    } else {
        plain::number_size::<T>()
    }
}

/// The bytes that a value is encoded as, where there are as many of every `T`.
#[inline]
pub(crate) fn fixed_bytes<T>(value: &T) -> Option<&[u8]> {
    if plain::is_unit::<T>() {
        Some(&[])
    } else {
        plain::number_bytes(std::slice::from_ref(value))
    }
}

/// Whether `bytes` are just so many numbers, one behind the other, and `T` is a number.
#[inline]
pub(crate) fn are_numbers<T>(bytes: &[u8], n_numbers: usize) -> bool {
    let size = plain::number_size::<T>();
    size.and_then(|size| size.checked_mul(n_numbers)) == Some(bytes.len())
}

/// Appends the numbers that `bytes` are; false, and nothing is appended, if `T` is no number or there is not a whole number of
/// them.
#[inline]
pub(crate) fn append_numbers<T>(bytes: &[u8], to: &mut Vec<T>) -> bool {
    let is_whole = plain::number_size::<T>().is_some_and(|size| bytes.len().is_multiple_of(size));
    is_whole && plain::append_numbers(bytes, to)
}

/// The number of bytes of values one after another, where every one of them has a fixed size.
#[inline]
pub fn total_size<const N: usize>(sizes: [Option<usize>; N]) -> Option<usize> {
    sizes
        .into_iter()
        .try_fold(0, |total: usize, size| total.checked_add(size?))
}
