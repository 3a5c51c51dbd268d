//! Parallelism in worker processes: annotate a function, map it over processes, lose one item per crash.
//!
//! ```
//! use procession::{pool_map, process_job, spawn};
//!
//! #[process_job]
//! fn square(x: u64) -> u64 {
//!     x * x
//! }
//!
//! fn main() -> Result<(), procession::Error> {
//!     let squares = pool_map!(square, 0..10)?; // default pool, results in input order
//!     assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
//!     let child = spawn!(square(12))?; // a process of its own
//!     assert_eq!(child.join()?, 144);
//!     Ok(())
//! }
//! ```
//!
//! # Processes and threads
//!
//! The *threads* of a program share one memory, which makes sharing free, and they share one fate: one stack overflow, one
//! abort in a C library, one deadly signal, and the program is gone with all its threads. A thread cannot be stopped from
//! outside, nor be given a limit of its own.
//!
//! A *process* has its own memory and its own end. It shares what it was given and nothing else. The system can kill it, limit
//! it and tell how it ended, and no other process is harmed.
//!
//! Python has one lock around its interpreter, so its threads take turns, and work is spread over processes to use more
//! than one core. Rust's threads are as parallel as processes, and cheaper. So here the choice is about faults, not about cores:
//!
//! - **Threads** (`std::thread`, rayon) for code that you trust.
//! - **Processes** for code that may crash, leak or hang; for C and Fortran libraries that are not thread-safe; for
//!   interpreters with a global lock; for jobs that must be stopped, limited or isolated.
//!
//! # What processes share
//!
//! Arguments and results are copied. What several processes are to see is made for that: a [`Value`], an [`Array`], an [`Atomic`],
//! a [`Queue`] between them, a [`Lock`], a [`Semaphore`] or another part of [`sync`] to coordinate them. Each is a handle that is
//! passed to jobs like any argument, returned from them, or put into structs and queues. Their memory has no name, so nothing is
//! left behind, and what a killed process held is not lost to the others: see [`shared`] and [`sync`].
//!
//! Programs that are not related exchange messages over a [`connection`].
//!
//! # What is promised
//!
//! - A job that panics, crashes, calls `exit`, runs too long or takes too much memory is a [`JobError`] at its own
//!   item. Every other item keeps its result, the worker is replaced, the pool goes on.
//! - Every wait for a job, a process, a pool or a lock ends when a worker, the supervisor or the program that it depends on
//!   dies. A wait for a message, an event, a notification or a barrier depends on somebody who will act: give it a time limit.
//! - When the program ends, in whatever way, its workers end, and so does what their jobs had started. Nothing has a name in the file system (but for a
//!   [listener's](connection::Listener) socket where you give it a path), so nothing is left behind.
//! - A job runs at most once, unless retries are asked for.
//! - In a job everything is as if `main` had just begun: arguments, environment, working directory, signals. Environment, working
//!   directory, umask, user and groups are those that the program has when it builds the pool or spawns the process, for workers
//!   that come later, too. Resource limits, niceness and CPU affinity are those that it had at its first pool or process, or at
//!   [`start`].
//! - Ctrl-C does nothing to workers: if the program ends by it, they end with it; if the program handles SIGINT, it keeps them.
//!   Programs that jobs have started get the signal as usual.
//!
//! # What is not
//!
//! - Isolation against malice: a worker has the program's rights. Against a worker that writes over its shared memory at random the
//!   promise is that the program and the supervisor survive, nothing hangs, and the next pool is clean.
//! - A stable format: what travels is between two copies of one binary, and may change with any version.
//! - Statics that `main` filled are not there in a worker of the default [`StartMethod`]: use an
//!   [initializer](PoolBuilder::initializer), whose result jobs can borrow, an argument, or [`fork_map`].
//! - Where the program is PID 1 or a subreaper, its supervisor comes back to it as a child.
//! - While the supervisor is stopped (SIGSTOP), time-outs are not enforced and the program's death is not noticed.
//! - A job that changes its user or capabilities loses its tie to the supervisor's death, see `PR_SET_PDEATHSIG` in
//!   `prctl(2)`.
//! - A stack overflow in a thread that a job started is a death like any other, but stderr and
//!   [`JobError::Killed`] may not name it as a stack overflow.
//! - A worker adopts the processes that its jobs leave behind, so that they can be ended with it. One that ends earlier stays
//!   a zombie until the worker is replaced, and a job that waits for any child (`waitpid(-1)`) may
//!   wait for one of these, or for the supervisor of a pool of its own. If the *supervisor* is killed, the
//!   workers die with it, but what their jobs had started does not.
//! - Pools and handles are of no use in a process that the program forks by itself: there they give errors that say so.
//! - What a job changes in its process (signal handlers, limits, statics) stays changed for the next job on that worker.
//! - Limits of memory and processor time are enforced by looking from time to time, not by the kernel: a job can be some way beyond
//!   them before it is ended.
//! - A pool keeps the memory that it has once used for arguments and results until it is dropped.
//! - In chunks of items that take less than a microsecond each, what the standard streams' buffers hold back (text without a
//!   newline, or all that C code prints to a file or pipe) is written out when the chunk ends; a `kill -9` in between can lose it.
//!
//! # How it starts
//!
//! At first use the program executes its own file once more. A hook before `main` turns that copy into the
//! *supervisor*: clean, single-threaded, the parent of all workers. Nothing has to be called for it. Programs
//! that enter a sandbox, drop rights or `chroot` call [`start`] before; those that want no code before `main` switch
//! off the default cargo feature `hook` and call [`init`] first in `main`.
//!
//! It takes Linux 5.10 or newer with `/proc`, and a program that is an ordinary executable: in a shared library that another program loads
//! (a Python extension), or in a program with rights by its file (set-user-ID, file capabilities), asking for workers is an
//! [`Error`] of kind [`Start`](ErrorKind::Start) that says what to do. So it is where a constructor starts threads before `main`.
//!
//! Pools may be used inside jobs, four deep in all; beyond that asking for one is an error instead of a fork bomb.
//!
//! On systems other than Linux the crate compiles, and asking for workers is an [`Error`]. [`pool_map!`] without a pool runs its jobs in
//! the caller there; an [`Executor`] runs them in the caller or in threads, and [`AnyExecutor::new`] takes what the system has.
#[cfg(test)]
extern crate self as procession;

mod argument;
mod board;
mod call;
mod codec;
#[cfg(unix)]
pub mod connection;
mod dispatch;
mod error;
mod executor;
mod fingerprint;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(procession_unsupported)))]
#[doc(hidden)]
pub mod fuzzing;
mod job;
mod macros;
mod memory;
#[cfg(unix)]
mod object;
mod pipe;
mod pool;
mod prefetch;
mod process;
mod queue;
mod relatives;
mod select;
pub mod shared;
mod supervisor;
pub mod sync;
mod sys;
mod worker;

pub use board::Priority;
pub use error::{Error, ErrorKind, JobError};
pub use executor::{
    AnyExecutor, Executor, ExecutorBuilder, ExecutorHandle, ExecutorKind, InlineExecutor,
    ThreadExecutor,
};
pub use job::{Initializer, Job};
#[cfg(unix)]
pub use object::{Dict, List, Namespace};
pub use pipe::{Connection, PipeError, pipe};
pub use pool::{
    AsCompleted, Imap, ImapUnordered, JobHandle, MapError, MapOptions, Pool, PoolBuilder,
    PoolStats, StartMethod, SubmitOptions, WaitFor, Waited, WorkerStats, as_completed, fork_map,
    fork_map_each, wait,
};
pub use process::Process;
#[doc = include_str!("process_job.md")]
pub use procession_macros::process_job;
#[cfg(unix)]
#[doc = include_str!("process_object.md")]
pub use procession_macros::process_object;
pub use queue::{PriorityQueue, Queue, QueueError, QueueIter, Rank};
pub use relatives::{ProcessInfo, active_children, current_process, parent_process};
pub use select::{Selectable, select, select_timeout};
pub use shared::{
    Array, ArrayChunk, ArrayGuard, Atomic, Broadcast, LockError, Shareable, SharedSlice, Value,
    ValueGuard,
};
pub use sync::{
    Barrier, BarrierError, BarrierWaitResult, BoundedSemaphore, Condition, Event, Lock, LockGuard,
    Once, OnceState, RLock, RLockGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
    SemaphoreGuard,
};
pub use sys::start::init;
pub use worker::{job_index, worker_index};

/// Starts the supervisor now instead of at first use.
///
/// For programs that later enter a sandbox, drop rights or `chroot`: starting executes the program's file, and
/// afterwards that may be forbidden. Does nothing where it is running already.
///
/// # Errors
///
/// Of kind [`ErrorKind::Start`] or [`ErrorKind::System`], where processes cannot be had.
///
/// ```
/// procession::start()?;
/// // … enter the sandbox …
/// # Ok::<(), procession::Error>(())
/// ```
pub fn start() -> Result<(), Error> {
    supervisor::Link::of_program().map(drop)
}

/// The only door for what the macros expand to. Not for use by hand: it changes with any version.
#[doc(hidden)]
pub mod __private {
    pub use std::marker::PhantomData;

    pub use bytemuck::{Pod, Zeroable};
    pub use procession_macros::{job, pool_map, spawn};
    pub use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub use crate::argument::{ByReference, ByValue};
    pub use crate::call::JobCall;
    pub use crate::codec::{
        CodecError, Decoder, Encoder, HeldSlice, HeldValue, Lend, Lent, Portable, fixed_size,
        total_size,
    };
    #[cfg(unix)]
    pub use crate::connection::{Listener, ToAddress};
    pub use crate::error::Error;
    pub use crate::job::{Defaults, Fallible, Initializer, Job, Made, Marked, OfJob};
    pub type Bytes = Vec<u8>;
    #[cfg(unix)]
    pub use crate::object::{Object, Proxy, decode, encode, no_such_method};
    pub use crate::pool::MapOptions;
    pub use crate::shared::Shareable;
    pub use crate::worker::Chunk;
}
