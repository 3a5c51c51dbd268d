//! Writing: collects a stream of values, to be copied to its destination once.
//!
//! Responsible for the layout of the stream (see the table in the room's head) and for the frames of items. Does not
//! know the destination, which is often memory that other processes see: [`Encoder::chunks`] gives the bytes, and whoever
//! owns the destination copies them there. Large slices of plain data stay where the caller has them until then.

use std::{mem, slice};

use bincode::{
    config::{Configuration, Fixint},
    enc::write::Writer,
    error::EncodeError,
};
use serde::Serialize;

use super::{
    CodecError, Lend, Lent, Portable,
    beside::{self, Passengers},
    plain::{self, Element, ListBytes},
};

/// bincode's settings: little-endian integers of fixed width, 2.5 times cheaper than variable ones.
pub(super) type Fixed = Configuration<bincode::config::LittleEndian, Fixint>;

/// See [`Fixed`].
pub(super) const FIXED: Fixed = bincode::config::standard().with_fixed_int_encoding();

/// The length in front of an item lies at a multiple of this, so that reading it is one aligned load.
pub(super) const FRAME_ALIGN: usize = size_of::<u64>();

/// From this size on a slice is remembered instead of copied. Below it, remembering costs more than copying.
const REMEMBERED_FROM: usize = 16 * 1024;

/// Collects values as a stream of bytes. `'i` is how long the values live: large ones are borrowed.
#[derive(Debug, Default)]
pub struct Encoder<'i> {
    /// Where in the stream this encoder's bytes begin: not 0 if it continues a stream.
    start: usize,
    buffer: Vec<u8>,
    /// Slices that belong between the bytes of `buffer`, in order.
    pieces: Vec<Piece<'i>>,
    /// The sum of the pieces' lengths.
    borrowed: usize,
    item: Option<OpenItem>,
    /// Under which the passengers go, see [`beside`].
    tag: u64,
    passengers: Passengers,
}

/// A slice of plain data that follows the first `after` bytes of the buffer.
#[derive(Debug)]
struct Piece<'i> {
    after: usize,
    bytes: &'i [u8],
}

/// An item that has been begun and not ended.
#[derive(Clone, Copy, Debug)]
struct OpenItem {
    /// The encoder's extent before the item, to return to if the item is abandoned.
    before: Extent,
    /// Where the item's own bytes begin in the stream.
    begin: usize,
    frame: Frame,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    buffer: usize,
    pieces: usize,
    borrowed: usize,
    passengers: usize,
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Every item has this size; nothing stands in front of it.
    Fixed(usize),
    /// The length goes to this offset in the buffer once it is known.
    Length { at: usize },
}

impl<'i> Encoder<'i> {
    /// An encoder at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder at the start of a stream that uses the allocation of `buffer`, whose content is dropped.
    #[inline]
    pub fn with_buffer(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        Self {
            buffer,
            ..Self::default()
        }
    }

    /// The same encoder, still empty, as the continuation of a stream of which `position` bytes exist already.
    #[must_use]
    pub fn continuing_at(mut self, position: usize) -> Self {
        debug_assert!(
            self.is_empty(),
            "only an empty encoder can be moved to another position"
        );
        self.start = position;
        self
    }

    /// The same encoder for what nobody keeps while it travels: names in it count as holders, under this tag.
    #[must_use]
    #[inline]
    pub(crate) fn giving(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// What has to last until the bytes are read.
    #[inline]
    pub(crate) fn passengers(&self) -> &Passengers {
        &self.passengers
    }

    /// The bytes are not sent after all.
    pub(crate) fn recall_passengers(&mut self) {
        self.recall_from(0);
    }

    fn recall_from(&mut self, first: usize) {
        for passenger in self.passengers.drain(first..) {
            if self.tag != 0 {
                passenger.recall(self.tag);
            }
        }
    }

    /// Leaves the passengers to the caller.
    #[inline]
    pub(crate) fn take_passengers(&mut self) -> Passengers {
        std::mem::take(&mut self.passengers)
    }

    /// Ends all borrows and gives the allocation back for the next encoder.
    // Always: a call would copy the whole encoder, which takes longer than all the rest of it for a number.
    #[inline(always)]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The number of bytes collected, borrowed ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len() + self.borrowed
    }

    /// Whether nothing has been collected.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in the stream the next byte will stand.
    #[inline]
    pub fn position(&self) -> usize {
        self.start + self.len()
    }

    /// Forgets all that was collected; the next byte is the first of a new stream.
    pub fn clear(&mut self) {
        self.start = 0;
        self.buffer.clear();
        self.pieces.clear();
        self.borrowed = 0;
        self.item = None;
        self.recall_passengers();
    }

    /// The bytes collected, in stream order and in as few slices as they lie in: [`len`](Self::len) bytes in all.
    #[inline]
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        Chunks {
            pieces: self.pieces.iter(),
            buffer: &self.buffer,
            begin: 0,
            next: &[],
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    ///
    /// serde cannot write the value, or the format cannot carry it. The encoder is then as it was before.
    #[inline]
    pub fn value<T: Portable>(&mut self, value: &'i T) -> Result<(), CodecError> {
        if let Some(bytes) = plain::number_bytes(slice::from_ref(value)) {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        if let Some(list) = plain::list_bytes(value) {
            self.list(list);
            return Ok(());
        }
        self.through_serde(value)
    }

    /// Appends what `source` lends, for a parameter of type `&T`.
    ///
    /// # Errors
    ///
    /// As for [`value`](Self::value).
    #[inline]
    pub fn lend<T: ?Sized + Lent, S: ?Sized + Lend<T>>(
        &mut self,
        source: &'i S,
    ) -> Result<(), CodecError> {
        source.write(self)
    }

    /// Begins an item: with `None`, its length will stand in front of it; with `Some(size)` it must have that size.
    /// An item still open is abandoned.
    #[inline]
    pub fn begin_item(&mut self, fixed: Option<usize>) {
        self.abandon_item();
        let before = Extent {
            buffer: self.buffer.len(),
            pieces: self.pieces.len(),
            borrowed: self.borrowed,
            passengers: self.passengers.len(),
        };
        let frame = match fixed {
            Some(size) => Frame::Fixed(size),
            None => {
                self.align(FRAME_ALIGN);
                let at = self.buffer.len();
                self.length(0);
                Frame::Length { at }
            }
        };
        self.item = Some(OpenItem {
            before,
            begin: self.position(),
            frame,
        });
    }

    /// Ends the open item.
    ///
    /// # Errors
    ///
    /// No item is open, or it does not have the size announced; it is then abandoned.
    #[inline]
    pub fn end_item(&mut self) -> Result<(), CodecError> {
        let Some(item) = self.item else {
            return Err(CodecError::new("no item has been begun"));
        };
        let written = self.position() - item.begin;
        match item.frame {
            Frame::Fixed(size) if size != written => {
                self.abandon_item();
                return Err(CodecError::new(format!(
                    "an item has {written} bytes where {size} were announced"
                )));
            }
            Frame::Fixed(_) => {}
            Frame::Length { at } => {
                self.buffer[at..at + size_of::<u64>()]
                    .copy_from_slice(&(written as u64).to_le_bytes());
            }
        }
        self.item = None;
        Ok(())
    }

    /// Takes the open item back, frame and all, so that the items before it can still be sent.
    #[inline]
    pub fn abandon_item(&mut self) {
        if let Some(OpenItem { before, .. }) = self.item.take() {
            self.buffer.truncate(before.buffer);
            self.pieces.truncate(before.pieces);
            self.borrowed = before.borrowed;
            self.recall_from(before.passengers);
        }
    }

    /// A slice of any kind of element.
    #[inline]
    pub(super) fn slice<T: Portable>(&mut self, values: &'i [T]) -> Result<(), CodecError> {
        match (plain::number_bytes(values), plain::number_element::<T>()) {
            (Some(bytes), Some(element)) => {
                self.list(ListBytes { bytes, element });
                Ok(())
            }
            _ => self.through_serde(values),
        }
    }

    /// Appends all values, one behind the other and unframed, if they are numbers; false, and nothing is appended,
    /// where they are not.
    #[inline]
    pub(crate) fn numbers<T>(&mut self, values: &'i [T]) -> bool {
        let bytes = plain::number_bytes(values);
        bytes.map(|bytes| self.copy_or_remember(bytes)).is_some()
    }

    /// Text, or bytes of any other meaning.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &'i [u8]) {
        self.list(ListBytes {
            bytes,
            element: Element::BYTE,
        });
    }

    fn list(&mut self, ListBytes { bytes, element }: ListBytes<'i>) {
        self.length((bytes.len() / element.size) as u64);
        self.align(element.align);
        self.copy_or_remember(bytes);
    }

    fn copy_or_remember(&mut self, bytes: &'i [u8]) {
        if bytes.len() < REMEMBERED_FROM {
            self.buffer.extend_from_slice(bytes);
        } else {
            self.pieces.push(Piece {
                after: self.buffer.len(),
                bytes,
            });
            self.borrowed += bytes.len();
        }
    }

    #[inline]
    fn length(&mut self, length: u64) {
        self.buffer.extend_from_slice(&length.to_le_bytes());
    }

    #[inline]
    fn align(&mut self, align: usize) {
        let padding = self.position().next_multiple_of(align) - self.position();
        self.buffer.resize(self.buffer.len() + padding, 0);
    }

    #[inline]
    fn through_serde<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let (before, n_passengers) = (self.buffer.len(), self.passengers.len());
        let buffer = &mut self.buffer;
        let written = beside::travelling(self.tag, &mut self.passengers, || {
            bincode::serde::encode_into_writer(value, Append(buffer), FIXED)
        });
        written.map(drop).map_err(|cause| {
            self.buffer.truncate(before);
            self.recall_from(n_passengers);
            CodecError::writing::<T>(&cause)
        })
    }
}

/// What an encoder has collected, in stream order.
struct Chunks<'e, 'i> {
    /// Those that are not begun yet.
    pieces: slice::Iter<'e, Piece<'i>>,
    buffer: &'e [u8],
    /// How much of the buffer was given.
    begin: usize,
    /// The piece that is begun, if what stands in the buffer before it was given.
    next: &'e [u8],
}

impl<'e> Iterator for Chunks<'e, '_> {
    type Item = &'e [u8];

    #[inline]
    fn next(&mut self) -> Option<&'e [u8]> {
        if !self.next.is_empty() {
            return Some(mem::take(&mut self.next));
        }
        let piece = self.pieces.next();
        let end = piece.map_or(self.buffer.len(), |piece| piece.after);
        let own = &self.buffer[self.begin..end];
        self.begin = end;
        let borrowed = piece.map_or(&[][..], |piece| piece.bytes);
        if own.is_empty() {
            return (!borrowed.is_empty()).then_some(borrowed);
        }
        self.next = borrowed;
        Some(own)
    }
}

/// bincode's way into the buffer.
struct Append<'e>(&'e mut Vec<u8>);

impl Writer for Append<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
