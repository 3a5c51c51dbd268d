//! The numbers in front of a queue's ring: two sides, each with a lock.
//!
//! Responsible for where they lie, and for holding a lock. What they mean to each other is in [`ring`](super::ring).

use std::mem;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Instant;

use super::takers::Takers;
use crate::memory::Words;
use crate::sync::{Acquired, NotAcquired, Notice, RawLock};

/// What [`Held`] holds.
pub(super) type Lock = RawLock;

/// Alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Line<T>(T);

impl<T> Deref for Line<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// One side of the queue. To fetch a line that another core writes costs more than all else in a put, so the first line
/// is this side's own, but for a rare look at `memory`.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct Side {
    pub(super) lock: Lock,
    /// How far this side may come without a look at the other, see [`ring`](super::ring).
    pub(super) limit: AtomicU64,
    /// Units. On the putters' side up to where memory is reserved, on the getters' up to where it was given back.
    pub(super) memory: AtomicU32,
    /// Of the putters' side: units of the kept piece that have memory.
    pub(super) kept: AtomicU32,
    /// How seldom this side looks when it waits for the other, see [`patience`](super::patience).
    pub(super) rhythm: AtomicU32,
    /// The tail on the putters' side, the head on the getters'.
    pub(super) position: Line<AtomicU64>,
    /// What this side has done, which the other waits for.
    pub(super) done: Line<Notice>,
}

/// Begins the payload of the block.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) putters: Side,
    pub(super) getters: Side,
    pub(super) bound: AtomicU64,
    /// Not 0: no put begins any more. Every put looks here, every get writes in `takers`.
    pub(super) closed: Line<AtomicU32>,
    pub(super) takers: Takers,
}

const _: () = assert!(size_of::<Shared>() <= super::bytes::RING);

#[expect(unsafe_code, reason = "vouches for a type")]
// SAFETY: atomics, and structs of atomics that are `Words` themselves; aligned to 64.
unsafe impl Words for Shared {}

/// A lock, until dropped.
pub(super) struct Held<'a> {
    lock: &'a Lock,
    /// A holder has ended with it, and nobody has repaired since what it may have left.
    pub(super) was_left: bool,
}

impl<'a> Held<'a> {
    /// `None` when the deadline has passed. However the last holder has ended, messages and positions need no repair.
    #[inline]
    pub(super) fn acquire(lock: &'a Lock, deadline: Option<Instant>) -> Option<Self> {
        match lock.acquire(deadline) {
            Ok(how) => Some(Self {
                lock,
                was_left: how != Acquired::Clean,
            }),
            Err(NotAcquired::TimedOut | NotAcquired::AlreadyHeld) => None,
        }
    }

    /// Lets go for who repairs nothing: it is told once how the lock was left, so the next holder has to be told again.
    pub(super) fn release_as_it_was(self) {
        self.lock.release(self.was_left);
        mem::forget(self);
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release(false);
    }
}
