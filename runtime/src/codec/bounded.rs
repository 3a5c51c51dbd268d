//! serde's reading side for bytes that may be hostile.
//!
//! Reads what `bincode::serde::encode_into_writer` writes: bincode reads the scalars, lengths and text, this file gives
//! them serde's shapes. bincode's own serde layer is not used for reading because its one bound, a limit on bytes read,
//! is a constant of the type and too weak here: it reserves memory for a text before it looks whether the text is
//! there, loops over any number of elements that have no bytes (`Vec<()>`), and follows any depth of nesting down
//! to the end of the stack.
//!
//! # Invariants
//!
//! * Memory is reserved only for bytes seen, or beforehand for one element for every [`BYTES_PER_RESERVED`] bytes (and
//!   serde reserves no more than 1 MiB beforehand).
//! * At most [`MAX_DEPTH`] values are open at a time, so a recursive type cannot exhaust the stack.
//! * Elements without bytes are counted: at most [`MAX_EMPTY_ELEMENTS`] in one value. So reading takes time and memory
//!   in proportion to the bytes plus a constant.

use bincode::{
    BorrowDecode, Decode,
    de::{
        BorrowDecoder as _, DecoderImpl,
        read::{BorrowReader, Reader},
    },
    error::DecodeError,
};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use super::{
    CodecError,
    encoder::{FIXED, Fixed},
};

/// How many values may be nested in one another, as in serde_json.
pub(super) const MAX_DEPTH: usize = 128;

/// How many bytes must be there for each element that memory is reserved for beforehand. Smaller elements than this
/// make their vector grow as usual; a length claimed for larger ones is seen to be false only on the way.
const BYTES_PER_RESERVED: usize = 8;

/// How many elements without any bytes the sequences of one value may have, together.
pub(super) const MAX_EMPTY_ELEMENTS: usize = 1 << 20;

/// Reads a value; also gives the bytes after it.
#[inline]
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), CodecError> {
    let mut source = Source {
        decoder: DecoderImpl::new(Rest(bytes), FIXED, ()),
        depth: 0,
        n_empty_elements: 0,
    };
    match T::deserialize(&mut source) {
        Ok(value) => Ok((value, source.rest())),
        Err(cause) => Err(CodecError::reading::<T>(&cause)),
    }
}

/// The bytes not yet read.
struct Rest<'b>(&'b [u8]);

impl Reader for Rest<'_> {
    #[inline(always)]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), DecodeError> {
        bytes.copy_from_slice(self.take_bytes(bytes.len())?);
        Ok(())
    }
}

impl<'b> BorrowReader<'b> for Rest<'b> {
    #[inline(always)]
    fn take_bytes(&mut self, length: usize) -> Result<&'b [u8], DecodeError> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(DecodeError::UnexpectedEnd {
                additional: length - self.0.len(),
            });
        };
        self.0 = rest;
        Ok(taken)
    }
}

struct Source<'b> {
    decoder: DecoderImpl<Rest<'b>, Fixed, ()>,
    depth: usize,
    n_empty_elements: usize,
}

impl<'b> Source<'b> {
    #[inline]
    fn rest(&mut self) -> &'b [u8] {
        self.decoder.borrow_reader().0
    }

    #[inline]
    fn scalar<T: Decode<()>>(&mut self) -> Result<T, DecodeError> {
        T::decode(&mut self.decoder)
    }

    #[inline]
    fn borrowed<T: BorrowDecode<'b, ()>>(&mut self) -> Result<T, DecodeError> {
        T::borrow_decode(&mut self.decoder)
    }

    /// Reads something that may contain further values.
    #[inline]
    fn nested<R>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<R, DecodeError>,
    ) -> Result<R, DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(DecodeError::OtherString(format!(
                "it is nested more than {MAX_DEPTH} levels deep; send deep structures flat, as a list with indices"
            )));
        }
        self.depth += 1;
        let result = read(self)?;
        self.depth -= 1;
        Ok(result)
    }

    /// Fields in a number that the type knows.
    #[inline]
    fn fields<V: Visitor<'b>>(
        &mut self,
        n_fields: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|source| {
            visitor.visit_seq(Fields {
                source,
                n_left: n_fields,
            })
        })
    }

    #[cold]
    fn shape_unknown<R>(&self) -> Result<R, DecodeError> {
        Err(DecodeError::Serde(
            bincode::serde::DecodeError::AnyNotSupported,
        ))
    }
}

macro_rules! scalars {
    ($($deserialize:ident => $visit:ident)*) => {$(
        #[inline]
        fn $deserialize<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            visitor.$visit(self.scalar()?)
        }
    )*};
}

impl<'b> Deserializer<'b> for &mut Source<'b> {
    type Error = DecodeError;

    scalars! {
        deserialize_bool => visit_bool
        deserialize_u8 => visit_u8
        deserialize_u16 => visit_u16
        deserialize_u32 => visit_u32
        deserialize_u64 => visit_u64
        deserialize_u128 => visit_u128
        deserialize_i8 => visit_i8
        deserialize_i16 => visit_i16
        deserialize_i32 => visit_i32
        deserialize_i64 => visit_i64
        deserialize_i128 => visit_i128
        deserialize_f32 => visit_f32
        deserialize_f64 => visit_f64
        deserialize_char => visit_char
    }

    #[inline]
    fn deserialize_str<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.borrowed()?)
    }

    // Text and bytes are handed over borrowed even when an owned value is due: the visitor then copies what is there,
    // while bincode would reserve what is claimed.
    #[inline]
    fn deserialize_string<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_bytes(self.borrowed()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar::<u8>()? {
            0 => visitor.visit_none(),
            1 => self.nested(|source| visitor.visit_some(source)),
            tag => Err(DecodeError::OtherString(format!(
                "an option is marked {tag} instead of 0 or 1"
            ))),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'b>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'b>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|source| visitor.visit_newtype_struct(source))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let n_left = self.scalar::<u64>()?;
        self.nested(|source| visitor.visit_seq(Elements::new(source, n_left)))
    }

    #[inline]
    fn deserialize_map<V: Visitor<'b>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let n_left = self.scalar::<u64>()?;
        self.nested(|source| visitor.visit_map(Elements::new(source, n_left)))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'b>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'b>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'b>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'b>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|source| visitor.visit_enum(source))
    }

    fn deserialize_any<V: Visitor<'b>>(self, _visitor: V) -> Result<V::Value, DecodeError> {
        self.shape_unknown()
    }

    fn deserialize_identifier<V: Visitor<'b>>(self, _visitor: V) -> Result<V::Value, DecodeError> {
        self.shape_unknown()
    }

    fn deserialize_ignored_any<V: Visitor<'b>>(self, _visitor: V) -> Result<V::Value, DecodeError> {
        self.shape_unknown()
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of a tuple or struct: as many as the type says.
struct Fields<'s, 'b> {
    source: &'s mut Source<'b>,
    n_left: usize,
}

impl<'b> SeqAccess<'b> for Fields<'_, 'b> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'b>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        if self.n_left == 0 {
            return Ok(None);
        }
        self.n_left -= 1;
        seed.deserialize(&mut *self.source).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.n_left)
    }
}

/// The elements of a sequence or map: as many as the sender claims.
struct Elements<'s, 'b> {
    source: &'s mut Source<'b>,
    n_left: u64,
    /// The elements that the bytes left at the first one make plausible.
    n_plausible: usize,
}

impl<'s, 'b> Elements<'s, 'b> {
    #[inline]
    fn new(source: &'s mut Source<'b>, n_left: u64) -> Self {
        let n_plausible = source.rest().len() / BYTES_PER_RESERVED;
        Self {
            source,
            n_left,
            n_plausible,
        }
    }

    /// Reads the first, or only, part of the next element; an element must have bytes, or is counted.
    #[inline]
    fn next<S: DeserializeSeed<'b>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        if self.n_left == 0 {
            return Ok(None);
        }
        self.n_left -= 1;
        let before = self.source.rest().len();
        let value = seed.deserialize(&mut *self.source)?;
        if self.source.rest().len() == before {
            self.source.n_empty_elements += 1;
            if self.source.n_empty_elements > MAX_EMPTY_ELEMENTS {
                return Err(DecodeError::OtherString(format!(
                    "it has more than {MAX_EMPTY_ELEMENTS} elements without content; send their number instead"
                )));
            }
        }
        Ok(Some(value))
    }

    /// What memory may be reserved for.
    #[inline]
    fn n_reserved(&self) -> usize {
        usize::try_from(self.n_left).map_or(self.n_plausible, |n_left| n_left.min(self.n_plausible))
    }
}

impl<'b> SeqAccess<'b> for Elements<'_, 'b> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'b>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.n_reserved())
    }
}

impl<'b> MapAccess<'b> for Elements<'_, 'b> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'b>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, DecodeError> {
        self.next(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'b>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(&mut *self.source)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.n_reserved())
    }
}

impl<'b> EnumAccess<'b> for &mut Source<'b> {
    type Error = DecodeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'b>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self), DecodeError> {
        let index = self.scalar::<u32>()?;
        let variant = seed.deserialize(index.into_deserializer())?;
        Ok((variant, self))
    }
}

impl<'b> VariantAccess<'b> for &mut Source<'b> {
    type Error = DecodeError;

    #[inline]
    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'b>>(
        self,
        seed: S,
    ) -> Result<S::Value, DecodeError> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'b>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'b>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.fields(fields.len(), visitor)
    }
}
