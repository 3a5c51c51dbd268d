//! What a worker leaves behind when a job takes it down.
//!
//! Responsible for last words ([`WordsBuffer`]) of a panic, a stack overflow and a memory fault, for the panic that
//! a job's `catch_unwind` is to report ([`take_panic`]), and for a job that calls `exit`. Decides nothing: the true
//! signal or code still ends the process, and the supervisor learns it from the kernel.
//!
//! Invariants: a handler of signals here makes async-signal-safe calls only; what it writes to shared memory is
//! bounded and atomic. Everything is for the worker's main thread, which runs the jobs; a thread that a
//! job starts has no alternate stack, so its overflow is a plain SIGSEGV.
//!
//! The stack's limit is read by [`note_this_stack`], once in the supervisor: a worker that changes it notes it again,
//! before [`install`].

mod exit;
mod fault;
mod panic;
mod words;

pub(crate) use self::exit::install_exit_hook;
pub(crate) use self::fault::{install, note_this_stack};
pub(crate) use self::panic::{PanicReport, install_panic_hook, take_panic};
pub(crate) use self::words::WordsBuffer;
