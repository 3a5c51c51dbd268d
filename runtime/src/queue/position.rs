//! How far one side of a queue has come: one word, so that one store commits a whole operation.
//!
//! ```text
//! bits 32..64  units of 8 bytes passed since the queue was made, modulo 2^32; the place in the ring is this modulo its length
//! bit  31      not used
//! bits  0..31  messages passed since the queue was made, modulo 2^31
//! ```
//!
//! A ring has at most 2^31 units and at most [`MOST_MESSAGES`] wait, so differences modulo 2^32 and 2^31 are exact.

/// Bytes of a unit.
pub(super) const UNIT: usize = 8;

/// The most units that a ring can have.
pub(super) const MOST_UNITS: u32 = 1 << 31;

const COUNT: u32 = (1 << 31) - 1;

/// The most messages that can wait: one more would look like none.
pub(super) const MOST_MESSAGES: u32 = COUNT;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(pub(super) u64);

/// What lies between the head and the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) units: u32,
    pub(super) messages: u32,
}

impl Position {
    #[inline]
    pub(super) fn units(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) fn count(self) -> u32 {
        self.0 as u32 & COUNT
    }

    /// After another `messages`, at `units`.
    #[inline]
    pub(super) fn after(self, messages: u32, units: u32) -> Self {
        let count = self.count().wrapping_add(messages) & COUNT;
        Self(u64::from(units) << 32 | u64::from(count))
    }

    /// From this head to the `tail`.
    #[inline]
    pub(super) fn to(self, tail: Self) -> Waiting {
        Waiting {
            units: tail.units().wrapping_sub(self.units()),
            messages: tail.count().wrapping_sub(self.count()) & COUNT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_exact_across_the_end_of_the_numbers() {
        let head = Position(0).after(COUNT, u32::MAX);
        let tail = head.after(3, u32::MAX.wrapping_add(5));
        let waiting = Waiting {
            units: 5,
            messages: 3,
        };
        assert_eq!(head.to(tail), waiting);
        assert_eq!((tail.units(), tail.count()), (4, 2));
    }
}
