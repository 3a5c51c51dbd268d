//! For tests of handles: sending a value step by step, and signals between processes.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::codec::{CodecError, Decoder, Encoder, Passengers, Portable};
use crate::memory::Memory;

/// The name of a value on its way.
#[derive(Debug)]
pub(super) struct Sent {
    bytes: Vec<u8>,
    passengers: Passengers,
}

impl Sent {
    /// Writes a value, which the caller has still.
    pub(super) fn of<T: Portable>(value: &T) -> Self {
        Self::written(0, value)
    }

    /// The same for what nobody keeps on the way.
    pub(super) fn given<T: Portable>(value: &T) -> Self {
        Self::written(77, value)
    }

    fn written<T: Portable>(tag: u64, value: &T) -> Self {
        let mut encoder = Encoder::new().giving(tag);
        encoder.value(value).unwrap();
        let passengers = encoder.take_passengers();
        let bytes = encoder.chunks().flatten().copied().collect();
        Self { bytes, passengers }
    }

    /// What another process has written.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        let passengers = Passengers::new();
        Self { bytes, passengers }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Says that the value that was written has been dropped. The blocks are kept, as by a program until the answer.
    pub(super) fn depart(&self) {
        self.passengers.iter().cloned().for_each(|p| p.depart());
    }

    /// Keeps nothing alive any more.
    pub(super) fn forget(&mut self) {
        self.passengers.clear();
    }

    pub(super) fn read<T: Portable>(&self) -> Result<T, CodecError> {
        Decoder::new(&self.bytes).value()
    }

    /// What reading it fails with.
    pub(super) fn refusal<T: Portable>(&self) -> String {
        match self.read::<T>() {
            Ok(_) => panic!("it was read"),
            Err(error) => error.to_string(),
        }
    }
}

/// Sends a value the whole way.
pub(super) fn send<T: Portable>(value: T) -> Sent {
    let sent = Sent::of(&value);
    drop(value);
    sent.depart();
    sent
}

/// Steps of a test that its processes wait for.
#[derive(Debug)]
pub(super) struct Steps(Memory);

impl Steps {
    pub(super) fn new() -> Self {
        Self(Memory::create("steps", 4096).unwrap())
    }

    pub(super) fn reach(&self, step: u32) {
        self.0
            .words::<AtomicU32>(0)
            .fetch_max(step, Ordering::AcqRel);
    }

    pub(super) fn wait_for(&self, step: u32) {
        while self.0.words::<AtomicU32>(0).load(Ordering::Acquire) < step {
            std::thread::yield_now();
        }
    }
}
