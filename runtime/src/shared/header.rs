//! What belongs to every block beside its payload: whose it is, how long, and how it lives.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::life::Life;
use crate::fingerprint::fingerprint;
use crate::memory::Words;

/// What lies in a block; a name is only ever read as what it was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(super) u64);

impl Label {
    /// Of a handle type, and of the types that it holds.
    pub(crate) fn of<T: ?Sized>() -> Self {
        Self(fingerprint(&[std::any::type_name::<T>()]))
    }
}

/// Begins a large block; those of small ones lie apart, see [`Arena::header`](super::arena::Arena::header).
#[repr(C)]
#[derive(Debug)]
pub(super) struct Header {
    /// Of small blocks.
    pub(super) life: Life,
    pub(super) label: AtomicU64,
    /// Of the payload, in bytes.
    pub(super) len: AtomicU64,
    /// Large blocks: names given away and not yet read; [`GONE`] where nobody can have it any more.
    pub(super) n_given: AtomicU32,
    /// Large blocks: somebody has it without a place among the holders, nobody knows how long: a child that inherited it,
    /// or a process that found no place.
    pub(super) has_unseen_holders: AtomicU32,
    pub(super) id: AtomicU64,
    /// Large blocks: names lie in the payload, for which the registry keeps memory under this block's id.
    pub(super) has_names: AtomicU32,
}

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics only.
unsafe impl Words for Header {}

impl Header {
    /// A name is given away. False where too many are.
    pub(super) fn give(&self) -> bool {
        let given = self
            .n_given
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| match n {
                // Who found it gone looks again, and finds this holder.
                GONE => Some(1),
                _ => n.checked_add(1).filter(|&n| n != GONE),
            });
        given.is_ok()
    }

    /// A name that was given away is not on its way any more. False where none is: it was read before.
    pub(super) fn receive(&self) -> bool {
        let received = self
            .n_given
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| {
                n.checked_sub(1).filter(|_| n != GONE)
            });
        received.is_ok()
    }
}

/// See [`Header::n_given`].
pub(super) const GONE: u32 = u32::MAX;

/// Bytes of the header, up to where a payload can begin.
pub(super) const HEADER_LEN: usize = 64;

/// Where the payload of a large block begins; before it: the header and the table of holders.
pub(super) const LARGE_PAYLOAD: usize = 4096;
