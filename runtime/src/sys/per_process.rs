//! Statics that a forked child does not share with its parent.
//!
//! Responsible for: a value for each process, made when first asked for, and locking one. No system call but the one behind [`pid`].

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::pid;

/// What belongs to this process and not to one that it was forked from.
///
/// A lock that another thread held at the moment of a fork stays locked in the child for ever, so a forked
/// child never touches its parent's: it makes its own and links it behind.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    first: OnceLock<OfOne<T>>,
}

#[derive(Debug)]
struct OfOne<T> {
    pid: u32,
    value: T,
    forked: OnceLock<Box<OfOne<T>>>,
}

impl<T: Default> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self {
            first: OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> &T {
        let new = || OfOne {
            pid: pid(),
            value: T::default(),
            forked: OnceLock::new(),
        };
        let pid = pid();
        let mut this = self.first.get_or_init(new);
        while this.pid != pid {
            this = this.forked.get_or_init(|| Box::new(new()));
        }
        &this.value
    }

    /// Those of the processes that this one was forked from, if they had any, and its own if it has asked for it.
    #[cfg(all(target_os = "linux", not(procession_unsupported)))]
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        let first = self.first.get();
        std::iter::successors(first, |&this| this.forked.get().map(|next| &**next))
            .map(|this| &this.value)
    }
}

/// Locks, whether or not a thread panicked with the lock held: nothing of the crate's is left half-changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
