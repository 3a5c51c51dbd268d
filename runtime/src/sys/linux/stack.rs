//! A stack of our own: for a child that shares this process's memory, and for the handler of a stack overflow.
//!
//! Responsible for the mapping and its guard page. Does not switch to it.
//!
//! See mmap(2), "MAP_STACK".
//!
//! # Safety
//!
//! The mapping is private to this process and owned by the value; nothing here reads or writes it.
#![expect(unsafe_code, reason = "mapping memory")]

use std::ffi::c_void;
use std::io;
use std::ptr::NonNull;

use super::memory::page_size;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

/// Memory for a stack, above a page that must not be touched: running over its end is a fault, not a
/// write into something else.
#[derive(Debug)]
pub(crate) struct GuardedStack {
    guard: NonNull<c_void>,
    guard_bytes: usize,
    stack_bytes: usize,
}

impl GuardedStack {
    /// A stack of `bytes`, rounded up to whole pages.
    pub(crate) fn new(bytes: usize) -> io::Result<GuardedStack> {
        let page = page_size();
        let stack_bytes = bytes.next_multiple_of(page);
        let length =
            std::num::NonZeroUsize::new(stack_bytes + page).ok_or(io::ErrorKind::InvalidInput)?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_STACK | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let guard = unsafe {
            mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                flags,
            )
        }?;
        let stack = GuardedStack {
            guard,
            guard_bytes: page,
            stack_bytes,
        };
        // SAFETY: the first page of the mapping that has just been made, and that nobody uses yet.
        unsafe { mprotect(guard, page, ProtFlags::PROT_NONE) }?;
        Ok(stack)
    }

    /// The lowest address that may be used.
    pub(crate) fn base(&self) -> *mut c_void {
        self.guard.as_ptr().wrapping_byte_add(self.guard_bytes)
    }

    /// One past the highest, aligned to a page: where a stack that grows downwards begins.
    pub(crate) fn top(&self) -> *mut c_void {
        self.base().wrapping_byte_add(self.stack_bytes)
    }

    /// The usable size.
    pub(crate) fn bytes(&self) -> usize {
        self.stack_bytes
    }
}

impl Drop for GuardedStack {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; whoever used it as a stack has ended or has left it.
        let _ = unsafe { munmap(self.guard, self.guard_bytes + self.stack_bytes) };
    }
}
