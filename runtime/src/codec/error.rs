//! Why a value could not be written or read, in words for the user.

use std::{error, fmt};

use bincode::error::{DecodeError, EncodeError};

/// What to do about a value that a format without field names cannot carry.
const REMEDY: &str = "send it as a string (for example JSON text), or give it a concrete type";

/// A value could not be turned into bytes, or bytes not into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodecError {
    message: Box<str>,
}

impl CodecError {
    #[cold]
    pub(crate) fn new(message: impl Into<Box<str>>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// `needed` more bytes were due, `left` are there.
    #[cold]
    pub(super) fn too_short(needed: u64, left: usize) -> Self {
        Self::new(format!(
            "the data is cut short or damaged: {needed} more bytes were due, {left} are left"
        ))
    }

    #[cold]
    pub(super) fn writing<T: ?Sized>(cause: &EncodeError) -> Self {
        use bincode::serde::EncodeError::SequenceMustHaveLength;

        let cause = match cause {
            EncodeError::Serde(SequenceMustHaveLength) => format!(
                "a part of it does not know its length beforehand, as with `#[serde(flatten)]`; {REMEDY}"
            ),
            EncodeError::OtherString(text) => text.clone(),
            EncodeError::Other(text) => (*text).to_owned(),
            other => other.to_string(),
        };
        Self::new(format!(
            "cannot send a value of type `{}`: {cause}",
            std::any::type_name::<T>()
        ))
    }

    #[cold]
    pub(super) fn reading<T: ?Sized>(cause: &DecodeError) -> Self {
        let cause = match cause {
            DecodeError::Serde(_) => format!(
                "its shape is only known while reading it, as with untagged or internally tagged enums, \
                 `#[serde(flatten)]` and `serde_json::Value`; {REMEDY}"
            ),
            DecodeError::UnexpectedEnd { .. } => {
                "the data ends before the value does (damaged data, or a type that leaves out fields with \
                 `skip_serializing_if`)"
                    .to_owned()
            }
            DecodeError::Utf8 { inner } => format!("text that is not UTF-8: {inner}"),
            DecodeError::OtherString(text) => text.clone(),
            DecodeError::Other(text) => (*text).to_owned(),
            other => other.to_string(),
        };
        Self::new(format!(
            "cannot receive a value of type `{}`: {cause}",
            std::any::type_name::<T>()
        ))
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for CodecError {}
