//! For tests of words that processes share: a page of them.
//!
//! # Safety
//!
//! The page holds atomics only, for which all zeros and any other bits are values; it is mapped until the test is over.

#![expect(unsafe_code, reason = "a typed reference into shared memory")]

use std::sync::atomic::AtomicU64;

use super::notice::Notice;
use super::raw_lock::RawLock;
use crate::sys::{Mapping, memfd};

#[repr(C)]
#[derive(Debug)]
pub(super) struct Page {
    pub(super) lock: RawLock,
    pub(super) notice: Notice,
    pub(super) words: [AtomicU64; 16],
}

/// Runs a test with a page, all zeros, that the processes it forks share.
pub(super) fn with_shared_page(test: impl FnOnce(&Page)) {
    let mapping = Mapping::shared(&memfd("sync", 4096).unwrap(), 4096).unwrap();
    assert!(size_of::<Page>() <= mapping.len());
    // SAFETY: the mapping is large enough, begins at a page and outlives the reference, which ends with `test`; it and
    // the processes forked from it touch the page as atomics only.
    test(unsafe { mapping.base().cast().as_ref() });
}
