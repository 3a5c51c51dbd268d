//! Typed and bytewise access to a mapping that other processes write too.
//!
//! # Safety
//!
//! A [`Memory`] is alive as long as its value, never moves and never shrinks (its file is sealed); a part of it is, because
//! it owns what keeps the whole and lends that out by `&` only. References into it are
//! to types that consist of atomics only ([`Words`]), for which any bit pattern is valid and writes by other processes are
//! no data race. All else is copied in and out by raw pointers, at moments when a lock or the protocol of the caller
//! keeps other processes away; a process gone mad that writes nevertheless makes the copy hold some bytes or others, which
//! for the types that lie here are values too.
#![expect(
    unsafe_code,
    reason = "typed access to a shared mapping; see `# Safety` above"
)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicIsize, AtomicU32, AtomicU64, AtomicUsize};

use crate::prefetch::prefetch_to_write;
use crate::sys::{Fd, Mapping, memfd};

/// A type that may lie in shared memory as it is.
///
/// # Safety
///
/// It consists of atomics and nothing else, padding and zero-sized fields apart: every bit pattern is valid, zeros
/// are its first state, and it needs no more alignment than 64.
pub(crate) unsafe trait Words {}

// SAFETY: one atomic.
unsafe impl Words for AtomicU32 {}
// SAFETY: one atomic.
unsafe impl Words for AtomicU64 {}
// SAFETY: one atomic.
unsafe impl Words for AtomicI32 {}
// SAFETY: one atomic.
unsafe impl Words for AtomicI64 {}
// SAFETY: one atomic.
unsafe impl Words for AtomicIsize {}
// SAFETY: one atomic.
unsafe impl Words for AtomicUsize {}
// SAFETY: an array has the elements' bytes and no others.
unsafe impl<W: Words, const N: usize> Words for [W; N] {}

/// A mapping of an anonymous file, shared with other processes; or a [part](Self::part) of one, beside whoever keeps it.
#[derive(Debug)]
pub(crate) struct Memory<Keeper = Mapping> {
    keeper: Keeper,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: any thread may use an address while the keeper, which may go from thread to thread itself, has it mapped.
unsafe impl<Keeper: Send> Send for Memory<Keeper> {}
// SAFETY: `&Memory` gives out an address and a length, which do not change, and a `&Keeper`. See the head on what lies there.
unsafe impl<Keeper: Sync> Sync for Memory<Keeper> {}

impl Memory {
    /// Memory of which there is no other owner yet; it takes none of the system's until reserved.
    #[cfg(test)]
    pub(crate) fn create(name: &str, len: usize) -> io::Result<Self> {
        Self::map(&memfd(name, len as u64)?, len)
    }

    /// Makes an anonymous file, which children keep, and maps it.
    pub(crate) fn with_file(name: &str, len: usize) -> io::Result<(Self, Fd)> {
        let file = memfd(name, len as u64)?.leave_to_children();
        Ok((Self::map(&file, len)?, file))
    }

    /// Maps the first `len` bytes of a file that cannot shrink.
    pub(crate) fn map(file: &Fd, len: usize) -> io::Result<Self> {
        Ok(Self::from(Mapping::shared(file, len)?))
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.keeper
    }

    /// Gives memory to a part, so that touching it cannot fail later.
    pub(crate) fn reserve(&self, offset: usize, len: usize) -> io::Result<()> {
        self.keeper.populate(offset, len)
    }
}

impl<Keeper: AsRef<Memory>> Memory<Keeper> {
    /// `len` bytes at `offset` of the memory that `keeper` has mapped for as long as it lives. Found once, they are reached
    /// without asking it.
    ///
    /// # Panics
    ///
    /// Where they do not lie within.
    pub(crate) fn part(keeper: Keeper, offset: usize, len: usize) -> Self {
        Self {
            start: keeper.as_ref().pointer(offset, len),
            keeper,
            len,
        }
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }
}

impl<Keeper> Memory<Keeper> {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address of `len` bytes at `offset`.
    ///
    /// # Panics
    ///
    /// Where they do not lie within: callers have checked every number that came from outside.
    #[inline]
    pub(crate) fn pointer(&self, offset: usize, len: usize) -> NonNull<u8> {
        let end = offset.checked_add(len);
        if end.is_none_or(|end| end > self.len) {
            not_within(offset, len, self.len);
        }
        // SAFETY: the sum lies within the mapping, which is one allocation, as checked above.
        unsafe { self.start.add(offset) }
    }

    /// The atomics at `offset`, a multiple of their alignment.
    #[inline]
    pub(crate) fn words<W: Words>(&self, offset: usize) -> &W {
        let pointer = self.pointer(offset, size_of::<W>()).cast::<W>();
        assert!(
            pointer.is_aligned(),
            "words lie at multiples of their alignment"
        );
        // SAFETY:
        // - In bounds, aligned, and mapped as long as `self` is borrowed.
        // - `Words` are atomics: any process may write them at any moment.
        unsafe { pointer.as_ref() }
    }

    /// Copies bytes out.
    #[inline]
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        let from = self.pointer(offset, to.len());
        // SAFETY:
        // - Valid for as many bytes, as `pointer` has checked; `to` is private memory, so they do not overlap.
        // - The caller's lock or protocol keeps the writers of other processes away, see the head.
        unsafe {
            from.as_ptr()
                .copy_to_nonoverlapping(to.as_mut_ptr(), to.len())
        };
    }

    /// Copies bytes in.
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.pointer(offset, bytes.len());
        // SAFETY: as in `read`, with the readers of other processes kept away too.
        unsafe {
            to.as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
        };
    }

    /// See [`prefetch_to_write`].
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        prefetch_to_write(self.pointer(offset, 1).as_ptr());
    }

    /// Zeroes a part.
    pub(crate) fn clear(&self, offset: usize, len: usize) {
        let to = self.pointer(offset, len);
        // SAFETY: as in `write`.
        unsafe { to.as_ptr().write_bytes(0, len) };
    }
}

/// Apart, so that whoever asks for an address has nothing of the message's on its way.
#[cold]
#[inline(never)]
fn not_within(offset: usize, len: usize, whole: usize) -> ! {
    panic!("{len} bytes at {offset} are not within {whole}");
}

impl From<Mapping> for Memory {
    fn from(mapping: Mapping) -> Self {
        Self {
            start: mapping.base(),
            len: mapping.len(),
            keeper: mapping,
        }
    }
}
