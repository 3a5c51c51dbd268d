//! A fuzzer's bytes as a list of steps.

use crate::board::{Board, Ordering};

/// Gives out bytes from the front; at the end there is nothing more to do.
#[derive(Debug)]
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of so many.
    pub(crate) fn below(&mut self, n: u64) -> Option<u64> {
        self.byte().map(|byte| u64::from(byte) % n)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (first, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        first
    }

    /// A number in few bytes where it is one that is likely to mean something: small, near to a limit, or `near` to a
    /// number that there is.
    pub(crate) fn word(&mut self, near: &[u64]) -> Option<u64> {
        let kind = self.byte()?;
        Some(match kind % 5 {
            0 => u64::from(self.byte()?),
            1 => u64::MAX - u64::from(self.byte()?),
            2 => near[usize::from(kind) / 5 % near.len()].wrapping_add(u64::from(self.byte()?) * 8),
            // A name: generation and index.
            3 => u64::from(self.byte()?) << 32 | u64::from(self.byte()?),
            _ => u64::from_le_bytes(self.array()?),
        })
    }

    /// Writes over words of the board, as long as the next byte is odd.
    pub(crate) fn damage(&mut self, board: &Board) -> Option<()> {
        let layout = board.layout();
        let near = [
            layout.arena().offset,
            layout.regions().offset,
            8192,
            layout.len(),
        ];
        while self.byte()? % 2 == 1 {
            let place = u64::from(u16::from_le_bytes(self.array()?)) * 8;
            let value = self.word(&near)?;
            if let Some([word]) = board.words::<1>(place % layout.len()) {
                word.store(value, Ordering::Relaxed);
            }
        }
        Some(())
    }
}
