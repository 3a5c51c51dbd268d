//! Reading: takes values off a stream of bytes that may have been written by a process gone mad.
//!
//! Responsible for positions, frames and plain data; what goes through serde is read by [`bounded`]. Every length is
//! compared with the bytes that are there before anything else is done with it.

use super::{
    CodecError, HeldSlice, Lent, Portable, beside, bounded,
    encoder::FRAME_ALIGN,
    plain::{self, Numbers},
};

/// Reads values from a stream, or from one item of it. After an error its position is unspecified but valid.
#[derive(Clone, Debug)]
pub struct Decoder<'b> {
    /// What is left of it.
    rest: &'b [u8],
    /// Of `rest` in the whole stream: alignment is counted from the stream's very start.
    position: usize,
}

impl<'b> Decoder<'b> {
    /// A decoder at the start of the stream `bytes`.
    #[inline]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            position: 0,
        }
    }

    /// The number of bytes of the stream before the next value.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Whether no byte is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// To be called after the last value.
    ///
    /// # Errors
    ///
    /// Bytes are left over, so what was read may be wrong: the sender wrote more than the receiver knew of.
    #[inline]
    pub fn finish(&self) -> Result<(), CodecError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(CodecError::new(format!(
            "{} bytes are left over after the last value: the data is damaged, or a type is not written as it is \
             read (`skip_serializing`, `skip_deserializing`, or hand-written serde code)",
            self.rest.len()
        )))
    }

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// The bytes are not a `T`, or the format cannot carry one.
    #[inline]
    pub fn value<T: Portable>(&mut self) -> Result<T, CodecError> {
        if let Some(size) = plain::number_size::<T>()
            && let Some(number) = plain::number_from_bytes(self.take(size)?)
        {
            return Ok(number);
        }
        if let Some(element) = plain::list_element::<T>()
            && let Some(list) = plain::list_from_bytes(self.list(element)?)
        {
            return list.map_err(not_utf8);
        }
        let (value, rest) = beside::reading(|| bounded::read(self.rest))?;
        self.take(self.rest.len() - rest.len())?;
        Ok(value)
    }

    /// Reads what a parameter of type `&T` refers to, where possible without copying it.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value).
    #[inline]
    pub fn lent<T: ?Sized + Lent>(&mut self) -> Result<T::Held<'b>, CodecError> {
        T::read(self)
    }

    /// A decoder for the next item alone, written between `begin_item(fixed)` and `end_item`; this one moves past it.
    ///
    /// # Errors
    ///
    /// The item does not lie within the bytes.
    #[inline]
    pub fn next_item(&mut self, fixed: Option<usize>) -> Result<Decoder<'b>, CodecError> {
        let size = match fixed {
            Some(size) => size as u64,
            None => self.frame()?,
        };
        let position = self.position;
        let rest = self.take_long(size)?;
        Ok(Decoder { rest, position })
    }

    /// The length in front of an item.
    fn frame(&mut self) -> Result<u64, CodecError> {
        self.align(FRAME_ALIGN)?;
        self.length()
    }

    /// Moves past `n_items` items without reading them.
    ///
    /// # Errors
    ///
    /// The items do not lie within the bytes.
    pub fn skip_items(&mut self, fixed: Option<usize>, n_items: usize) -> Result<(), CodecError> {
        match fixed {
            Some(size) => self
                .take_long((size as u64).saturating_mul(n_items as u64))
                .map(drop),
            None => (0..n_items).try_for_each(|_| self.next_item(None).map(drop)),
        }
    }

    /// A slice of any kind of element.
    #[inline]
    pub(super) fn slice<T: Portable>(&mut self) -> Result<HeldSlice<'b, T>, CodecError> {
        if let Some(element) = plain::number_element::<T>()
            && let Some(numbers) = plain::numbers_from_bytes(self.list(element)?)
        {
            return Ok(HeldSlice(numbers));
        }
        self.value().map(|values| HeldSlice(Numbers::Owned(values)))
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'b [u8], CodecError> {
        self.list(plain::Element::BYTE)
    }

    #[inline]
    pub(super) fn str(&mut self) -> Result<&'b str, CodecError> {
        str::from_utf8(self.bytes()?).map_err(not_utf8)
    }

    /// The bytes of a list, a whole number of elements.
    #[inline]
    fn list(&mut self, element: plain::Element) -> Result<&'b [u8], CodecError> {
        let count = self.length()?;
        self.align(element.align)?;
        self.take_long(count.saturating_mul(element.size as u64))
    }

    #[inline]
    fn length(&mut self) -> Result<u64, CodecError> {
        let bytes = self.take(size_of::<u64>())?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |length, byte| length << 8 | u64::from(*byte)))
    }

    #[inline]
    fn align(&mut self, align: usize) -> Result<(), CodecError> {
        self.take(self.position.next_multiple_of(align) - self.position)
            .map(drop)
    }

    #[inline]
    fn take(&mut self, size: usize) -> Result<&'b [u8], CodecError> {
        let Some((taken, rest)) = self.rest.split_at_checked(size) else {
            return Err(CodecError::too_short(size as u64, self.rest.len()));
        };
        self.rest = rest;
        self.position += size;
        Ok(taken)
    }

    /// As [`take`](Self::take), for a size that came from outside.
    #[inline]
    fn take_long(&mut self, size: u64) -> Result<&'b [u8], CodecError> {
        match usize::try_from(size) {
            Ok(size) => self.take(size),
            Err(_) => Err(CodecError::too_short(size, self.rest.len())),
        }
    }
}

#[cold]
fn not_utf8(error: std::str::Utf8Error) -> CodecError {
    CodecError::new(format!("received text that is not UTF-8: {error}"))
}
