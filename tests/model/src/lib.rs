//! The state words of the board and of shared memory, model-checked: every interleaving of a few processes, every value
//! that C11 lets a weakly ordered machine read, and a death at every step.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p procession-model --release
//! ```
//!
//! Without the cfg this package is empty.
//!
//! Threads stand for processes. A process that is killed is a thread that goes no further after so many steps on
//! shared memory, see [`atomic`]; its supervisor learns of it by joining the thread.
//!
//! What is the crate's own code, compiled from `runtime/src`: the state words, the guard, the number of dormant posts, the queue of tasks, the chain of
//! finished tasks and the supervisor's verdict; the lock, the notice and the places, and what is built of these in `sync`:
//! semaphore, condition, barrier, readers and writers, once; the life of a small block, the claim to a chunk and the division
//! of an array; the ring of a queue, its positions, its memory and its takers.
//!
//! What is written again here, because the original cannot live outside a mapping: the board that holds them ([`board`]),
//! the worker's way through a task ([`worker`]), the program's books ([`program`]), and the spinning, sleeping and
//! waking of `board/bells.rs` ([`bells`]); the block and the head of an array, and an `ArrayChunk`'s reading, sending and joining
//! ([`shared`]); the bytes of a ring, and its two sides with a simple lock ([`queue`]). Whoever changes the order of steps
//! there changes it here.
//!
//! Not modelled: large blocks, their names and holders; [`Error`](error)s but for their kind.
#![cfg(all(loom, test))]

mod atomic;
mod board;
mod codec;
mod error;
mod kernel;
mod program;
mod worker;

#[path = "../../../runtime/src/prefetch.rs"]
mod prefetch;

/// What the crate's own code asks of the kernel's face.
mod sys {
    pub(crate) use crate::kernel::identity::{identity, is_alive, pid};
    pub(crate) use crate::kernel::{futex, identity, monotonic_nanos};

    pub(crate) fn total_memory() -> u64 {
        0
    }

    pub(crate) fn available_memory() -> u64 {
        u64::MAX
    }

    pub(crate) fn signal_name(_signal: i32) -> Option<&'static str> {
        None
    }
}

/// What shared types are made of, each of which has models of its own.
mod sync {
    pub(crate) use crate::lock::raw_lock::{Acquired, NotAcquired, RawLock};
    pub(crate) use crate::notice::notice::Notice;
    pub(crate) use crate::places::{N_PLACES, Places};
    pub(crate) use crate::vigil::{self, Vigil};
}

#[path = "../../../runtime/src/sync/places.rs"]
mod places;
#[path = "../../../runtime/src/sync/vigil.rs"]
mod vigil;

mod supervisor;

mod barrier;
mod bells;
mod chain;
mod claims;
mod condition;
mod dormant;
mod guard;
mod lock;
mod notice;
mod once;
mod order;
mod progress;
mod queue;
mod rwlock;
mod semaphore;
mod shared;
