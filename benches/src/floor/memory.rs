//! Memory that this process shares with the children it forks.
//!
//! # Safety
//!
//! See the head of [`super`]. A mapping is anonymous, as long as its owner lives, and 0 at first. Pages are made present
//! when it is, so that no measurement pays for them.
#![expect(unsafe_code, reason = "maps memory; see `# Safety` above")]

use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use nix::libc::c_void;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::harness::{Problem, Result};

/// Types that several processes may use at once.
///
/// # Safety
///
/// The type consists of atomics alone, and all bits zero is a value of it.
pub(super) unsafe trait Words {}

struct Mapping {
    base: NonNull<c_void>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> Result<Self> {
        let size = NonZeroUsize::new(len).ok_or_else(|| Problem::failed("an empty mapping"))?;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice changes no memory that is in use.
        let base = unsafe {
            mmap_anonymous(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
            )
        }?;
        Ok(Self { base, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and its borrowers are gone. Children have mappings of their own.
        let unmapped = unsafe { munmap(self.base, self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Atomics in shared memory, all 0 at first.
pub(super) struct Shared<T: Words> {
    mapping: Mapping,
    words: PhantomData<T>,
}

impl<T: Words> Shared<T> {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            mapping: Mapping::new(size_of::<T>())?,
            words: PhantomData,
        })
    }
}

impl<T: Words> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: page-aligned, long enough, 0 at first, alive as long as `self`; by `Words` any process may
        // change it at any moment.
        unsafe { self.mapping.base.cast::<T>().as_ref() }
    }
}

/// Plain bytes in shared memory that processes hand to each other.
pub(super) struct SharedBytes {
    mapping: Mapping,
}

impl SharedBytes {
    pub(super) fn new(len: usize) -> Result<Self> {
        let mapping = Mapping::new(len)?;
        Ok(Self { mapping })
    }

    /// Copies to the beginning.
    ///
    /// # Safety
    ///
    /// No other process touches the bytes meanwhile.
    pub(super) unsafe fn fill(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.mapping.len, "more bytes than fit");
        let to = self.mapping.base.as_ptr().cast();
        // SAFETY: in bounds, as checked; private memory does not overlap the mapping; nobody else is there, by the
        // contract above.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// The first `len` bytes.
    ///
    /// # Safety
    ///
    /// No process writes the bytes while the slice is in use.
    pub(super) unsafe fn bytes(&self, len: usize) -> &[u8] {
        assert!(len <= self.mapping.len, "more bytes than there are");
        let from = self.mapping.base.as_ptr().cast();
        // SAFETY: in bounds, as checked; mapped, 0 at first, alive as long as `self`; not written, by the contract
        // above.
        unsafe { std::slice::from_raw_parts(from, len) }
    }

    /// The first `len` numbers.
    ///
    /// # Safety
    ///
    /// As of [`bytes`](Self::bytes).
    pub(super) unsafe fn numbers(&self, len: usize) -> &[f64] {
        assert!(
            len.checked_mul(8)
                .is_some_and(|bytes| bytes <= self.mapping.len),
            "more numbers than there are"
        );
        let from = self.mapping.base.as_ptr().cast();
        // SAFETY: as in `bytes`; a mapping is aligned to a page, and any bits are an `f64`.
        unsafe { std::slice::from_raw_parts(from, len) }
    }
}

/// Numbers as the bytes they are.
pub(super) fn bytes_of(numbers: &[f64]) -> &[u8] {
    // SAFETY: an `f64` has no padding, and bytes have no invalid value and need no alignment.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}
