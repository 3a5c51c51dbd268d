//! Server objects: an object that lives in one process and is used from many.
//!
//! Responsible for: the face. `#[process_object]` writes a proxy type around [`Proxy`] and an [`Object`] impl, [`server`] answers
//! calls, [`proxy`] makes them. What travels between them are the messages of a [`connection`](crate::connection) and
//! nothing else, whether the server is a process of the program's own or another program.

mod dict;
mod list;
mod namespace;
mod proxy;
mod sequence;
mod server;
mod table;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use dict::Dict;
pub use list::List;
pub use namespace::Namespace;
pub use proxy::Proxy;

use crate::argument::ByValue;
use crate::codec::{CodecError, Decoder, Encoder, beside};
use crate::error::Error;

/// What `#[process_object]` implements for the type of the object. Not for use by hand.
#[doc(hidden)]
pub trait Object: Sized + Send + 'static {
    /// In the server: makes the object by the constructor of this number.
    fn make(constructor: u32, args: &[u8]) -> Result<Self, CodecError>;

    /// In the server: calls the method of this number and gives the bytes of its result.
    fn call(&mut self, method: u32, args: &[u8]) -> Result<Vec<u8>, CodecError>;
}

/// One call on its way to an `O`. The type's name is part of the handshake, so that a proxy finds no other's object.
pub(super) struct Request<O> {
    pub(super) method: u32,
    pub(super) args: Vec<u8>,
    pub(super) object: PhantomData<fn(O)>,
}

/// The bytes of the result, or why there is none.
pub(super) type Reply = Result<Vec<u8>, Result<Panic, CodecMessage>>;

/// What a method said when it panicked.
pub(super) type Panic = String;

/// Why arguments could not be read, or a result not be written.
pub(super) type CodecMessage = String;

impl<O> Serialize for Request<O> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.method, &self.args).serialize(to)
    }
}

impl<'de, O> Deserialize<'de> for Request<O> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (method, args) = Deserialize::deserialize(from)?;
        let object = PhantomData;
        Ok(Self {
            method,
            args,
            object,
        })
    }
}

impl<O> fmt::Debug for Request<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// The bytes of arguments, or of a result.
pub fn encode<T: ByValue>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut encoder = Encoder::new();
    beside::abroad(|| T::encode(value, &mut encoder))?;
    Ok(encoder.chunks().collect::<Vec<_>>().concat())
}

/// The arguments that these bytes are, or the result.
pub fn decode<T: ByValue>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes);
    let value = beside::abroad(|| T::decode(&mut decoder))?;
    decoder.finish()?;
    Ok(value)
}

/// What a ready-made object stores of a value.
fn bytes<T: ByValue>(value: &T) -> Result<Vec<u8>, Error> {
    encode(value).map_err(invalid)
}

fn value<T: ByValue>(bytes: &[u8]) -> Result<T, Error> {
    decode(bytes).map_err(invalid)
}

fn invalid(error: CodecError) -> Error {
    Error::invalid_input(error.to_string())
}

/// A typed handle around a proxy is cloned, shown and sent as that.
macro_rules! handle {
    ($name:ident<$($parameter:ident),*>, $field:ident: $proxy:ty) => {
        impl<$($parameter),*> Clone for $name<$($parameter),*> {
            fn clone(&self) -> Self {
                Self::of(self.$field.clone())
            }
        }

        impl<$($parameter),*> std::fmt::Debug for $name<$($parameter),*> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field(stringify!($field), &self.$field).finish()
            }
        }

        impl<$($parameter),*> serde::Serialize for $name<$($parameter),*> {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.$field.serialize(to)
            }
        }

        impl<'de, $($parameter),*> serde::Deserialize<'de> for $name<$($parameter),*> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                <$proxy>::deserialize(from).map(Self::of)
            }
        }
    };
}

use handle;

/// What an expansion says of a number that is none of its own.
pub fn no_such_method() -> CodecError {
    CodecError::new("the object has no such method: the two programs have different versions of it")
}
