//! Values to the bytes of a message, and back.
//!
//! Responsible for what travels beside them: handles whose names are in the bytes are kept by these while they wait.

use super::buffer;
use super::error::QueueError;
use crate::argument::ByValue;
use crate::codec::{Decoder, Encoder};
use crate::shared::Block;

/// Has a message put as bytes into a block, and those things sent along whose names it holds.
#[inline]
pub(super) fn send<T: ByValue>(
    message: T,
    block: &Block,
    put: impl FnOnce(&Encoder<'_>) -> Result<Option<()>, QueueError>,
) -> Result<(), QueueError> {
    let mut encoder = Encoder::with_buffer(buffer::lend()).giving(block.id());
    T::encode(&message, &mut encoder).inspect_err(|_| encoder.recall_passengers())?;
    if !encoder.passengers().is_empty() {
        block.note_names();
    }
    let put = put(&encoder);
    if !matches!(put, Ok(Some(()))) {
        encoder.recall_passengers();
        return put.and(Err(QueueError::Full));
    }
    let passengers = encoder.take_passengers();
    buffer::give_back(encoder.into_buffer());
    drop(message);
    passengers.into_iter().for_each(|it| it.depart());
    Ok(())
}

/// The other way.
#[inline]
pub(super) fn decode<T: ByValue>(bytes: &[u8]) -> Result<T, QueueError> {
    let mut decoder = Decoder::new(bytes);
    let message = T::decode(&mut decoder)?;
    decoder.finish()?;
    Ok(message)
}
