//! The board's state words, model-checked: every interleaving of a few processes, every value that C11 lets a
//! weakly ordered machine read, and a death at every step.
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
//! What is the crate's own code: the state words, the guard, the queue, the chain of finished tasks and the
//! supervisor's verdict, the lock and the notice; they are compiled from `runtime/src`. What is written again here, because the original
//! cannot live outside a mapping: the board that holds them ([`board`]), the worker's way through a task
//! ([`worker`]), the program's books ([`program`]), and the sleeping and waking of `board/mod.rs` ([`bells`]).
//! Whoever changes the order of steps there changes it here.
#![cfg(all(loom, test))]

mod atomic;
mod board;
mod kernel;
mod program;
mod worker;

/// What the crate's own code asks of the kernel's face.
mod sys {
    pub(crate) use crate::kernel::{futex, identity, monotonic_nanos};

    pub(crate) fn signal_name(_signal: i32) -> Option<&'static str> {
        None
    }
}

mod supervisor;

mod bells;
mod chain;
mod claims;
mod guard;
mod lock;
mod notice;
mod order;
mod progress;
