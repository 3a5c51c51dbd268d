//! Bytes there, a copy of them back: three copies, none more.
//!
//! # Safety
//!
//! See the head of [`super`]: the parent touches both buffers while the child waits for a request, the child while the
//! parent waits for the answer.
#![expect(unsafe_code, reason = "bytes change hands; see `# Safety` above")]

use super::bell::{Bell, Patience};
use super::memory::{Shared, SharedBytes, Words};
use super::process::Child;
use crate::harness::Result;

#[repr(C)]
struct Table {
    request: Bell,
    answer: Bell,
}

// SAFETY: bells, which are atomics.
unsafe impl Words for Table {}

/// A child that gives back what it was given, `len` bytes each time.
pub(crate) struct Echo {
    table: Shared<Table>,
    to_child: SharedBytes,
    from_child: SharedBytes,
    len: usize,
    patience: Patience,
    _child: Child,
}

impl Echo {
    pub(crate) fn new(len: usize, patience: Patience) -> Result<Self> {
        let table = Shared::<Table>::new()?;
        let (to_child, from_child) = (SharedBytes::new(len)?, SharedBytes::new(len)?);
        let serve = || {
            let mut seen = 0;
            loop {
                table.request.wait(seen, patience);
                seen = seen.wrapping_add(1);
                // SAFETY: after the request and before the answer the buffers are the child's.
                let bytes = unsafe { to_child.bytes(len) };
                // SAFETY: the same.
                unsafe { from_child.fill(bytes) };
                table.answer.ring();
            }
        };
        // SAFETY: the child waits, copies and rings until it is killed.
        let child = unsafe { Child::fork(serve) }?;
        Ok(Self {
            table,
            to_child,
            from_child,
            len,
            patience,
            _child: child,
        })
    }

    pub(crate) fn echo(&mut self, bytes: &[u8]) -> Vec<u8> {
        assert_eq!(bytes.len(), self.len, "an echo of another length");
        let seen = self.table.answer.count();
        // SAFETY: the child has answered the last request and waits for the next.
        unsafe { self.to_child.fill(bytes) };
        self.table.request.ring();
        self.table.answer.wait(seen, self.patience);
        // SAFETY: the child has answered; `&mut self` lets no other request begin while the slice is in use.
        unsafe { self.from_child.bytes(self.len) }.to_vec()
    }
}
