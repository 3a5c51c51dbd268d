//! The board: one shared mapping per pool on which tasks, their bytes, results and the workers' progress lie.
//!
//! Responsible for where things lie and for safe access to them from the program, the supervisor and the
//! workers. It does not decide anything: the program's side is [`crate::dispatch`], the worker's
//! [`crate::worker`], the supervisor's [`crate::supervisor`].
//!
//! ```text
//! header | worker records | queue of retries | queue | links | task table | setup | arena | region 0 … region n
//! ```
//!
//! - The *arena* holds inputs and rooms for results; only the program allocates in it, with books of its own. Small ones lie in
//!   the *pocket* of their row.
//! - A *region* belongs to one worker (the last one to the supervisor), for what does not fit a task's room.
//! - The *setup* is what workers need before their first task: context, name, the initializer's arguments.
//!
//! Invariants:
//! - The layout is fixed when the board is made, and every process has its own private copy of it; no
//!   offset is ever computed from a number on the board without a check against the layout.
//! - Nothing here blocks, and there is no lock: a process may be killed at any instruction.
//! - The mapping is sparse; its pages come into being when they are first written, see [`Board::ensure`].
//!
//! # Safety
//!
//! The mapping is alive as long as the `Board`, is never moved and never shrinks (it is sealed). Every typed
//! reference into it is to atomics only, for which any bit pattern is valid and concurrent writes by other
//! processes are no data race. Bytes are copied in and out by raw pointers, here and in [`cells`]; a byte slice over shared memory
//! is handed out in one place only, to a worker for its task's input.
#![expect(
    unsafe_code,
    reason = "typed access to a shared mapping; see `# Safety` above"
)]

mod atomic;
mod bells;
mod cells;
mod dormant;
mod finished;
mod layout;
mod order;
mod priority;
mod queue;
mod record;
mod region;
mod room;
mod spin;
mod task;

use std::io;
use std::mem::size_of;
use std::ptr::NonNull;

pub(crate) use atomic::{AtomicU32, AtomicU64, Ordering, fence};
use bells::Bells;
pub(crate) use bells::Turn;
use dormant::Dormant;
pub(crate) use finished::Finished;
pub(crate) use layout::{ALIGN, Layout, MAX_WORKERS, Span, round_up};
pub(crate) use order::Order;
pub use priority::Priority;
pub(crate) use queue::{Line, Queue, QueueEnds, Taker};
pub(crate) use record::{Phase, TIME_UP, Text, WorkerRecord};
pub(crate) use region::{Log, LogEnds, is_block_of};
pub(crate) use room::{Cell, Fault, FaultKind, Room, room_offset};
pub(crate) use spin::spin;
pub(crate) use task::{
    MAX_ITEMS, Pocket, Progress, State, TaskId, TaskIndex, TaskRow, Try, WorkerIndex, set,
};

use crate::prefetch::prefetch_to_write;
use crate::sys::{Fd, Mapping, WordsBuffer, memfd};

/// What all workers and callers share.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Header {
    /// By the place of their priority.
    pub(crate) queues: [QueueEnds; Priority::N],
    /// Tasks that the supervisor took from the dead; they come first.
    pub(crate) retries: QueueEnds,
    pub(crate) finished: Line<Finished>,
    /// Bumped when a task may be finished without being on the chain.
    pub(crate) rescan: AtomicU32,
    /// So many posts are open. At one with this index or a higher one no worker takes another task, and who has none
    /// leaves. 0: the pool closes.
    pub(crate) n_open: AtomicU32,
    pub(crate) dormant: Dormant,
    /// The pool cannot go on; `cause` says why.
    pub(crate) broken: AtomicU32,
    /// Whether the supervisor looks at the clock for this board at present.
    pub(crate) watched: AtomicU32,
    bells: Bells,
    /// The supervisor's region.
    pub(crate) supervisor_log: LogEnds,
    pub(crate) cause: Text<4096>,
}

/// The mapping, and what lies where in it.
#[derive(Debug)]
pub(crate) struct Board {
    mapping: Mapping,
    layout: Layout,
    tables: Tables,
    /// So many places for workers have been taken, now or before; the memory of the others is not touched.
    n_taken: AtomicU32,
}

/// Where tables lie that are looked into several times for each task: by the layout, computed once.
#[derive(Debug)]
struct Tables {
    /// Of the queue of each priority, by its place.
    names: [u64; Priority::N],
    n_names: u64,
    links: u64,
    tasks: u64,
}

impl Tables {
    fn of(layout: Layout) -> Self {
        Self {
            names: std::array::from_fn(|place| layout.names(place as u64)),
            n_names: layout.n_names(),
            links: layout.links(),
            tasks: layout.tasks(),
        }
    }
}

impl Board {
    /// Program: makes the shared memory. The descriptor is for the supervisor and may then be closed.
    pub(crate) fn create(layout: Layout) -> io::Result<(Self, Fd)> {
        let fd = memfd("procession-board", layout.len())?;
        let board = Self::attach(&fd, layout)?;
        Ok((board, fd))
    }

    /// Supervisor: maps the board that the program made with this layout.
    pub(crate) fn attach(fd: &Fd, layout: Layout) -> io::Result<Self> {
        let mapping = Mapping::shared(fd, layout.len() as usize)?;
        mapping.keep_from_children()?;
        Ok(Self {
            mapping,
            layout,
            tables: Tables::of(layout),
            n_taken: AtomicU32::new(layout.n_workers),
        })
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// Supervisor, around the fork of a worker of this board: whether the child has the mapping.
    pub(crate) fn show_to_children(&self, show: bool) -> io::Result<()> {
        if show {
            self.mapping.show_to_children()
        } else {
            self.mapping.keep_from_children()
        }
    }

    /// A pointer to `len` bytes at `offset`, where they lie on the board.
    #[inline]
    fn pointer(&self, span: Span) -> Option<*mut u8> {
        let whole = Span::new(0, self.mapping.len() as u64);
        if !whole.contains(span) {
            return None;
        }
        // SAFETY:
        // - The span lies within the mapping, which is one allocation, as checked above.
        // - Only an address is computed; no process's memory is touched.
        Some(unsafe { self.mapping.base().as_ptr().add(span.offset as usize) })
    }

    /// A reference to a `T` at `offset`; `T` must consist of atomics.
    fn atomics<T>(&self, offset: u64) -> &T {
        &self.table(offset, 1)[0]
    }

    /// As [`atomics`](Self::atomics), `len` of them side by side.
    #[inline]
    fn table<T>(&self, offset: u64, len: u64) -> &[T] {
        let span = Span::new(offset, len * size_of::<T>() as u64);
        let pointer = self
            .pointer(span)
            .expect("the layout places every table within the mapping");
        assert!(
            pointer.addr().is_multiple_of(align_of::<T>()),
            "the layout aligns every table"
        );
        // SAFETY:
        // - In bounds and aligned, as checked above; alive as long as `self`, to which the reference is tied.
        // - The private callers below use it only for types made of atomics: every bit pattern is valid, and
        //   writes by any process (program, supervisor, workers, even one gone mad) are atomic or harmless.
        unsafe { std::slice::from_raw_parts(pointer.cast::<T>(), len as usize) }
    }

    /// `N` words at `offset`, where they lie on the board and at a multiple of 8.
    pub(crate) fn words<const N: usize>(&self, offset: u64) -> Option<&[AtomicU64; N]> {
        let span = Span::new(offset, N as u64 * 8);
        (offset.is_multiple_of(8) && self.pointer(span).is_some()).then(|| self.atomics(offset))
    }

    pub(crate) fn header(&self) -> &Header {
        self.atomics(0)
    }

    /// `None` for a worker that the pool does not have.
    pub(crate) fn worker(&self, worker: WorkerIndex) -> Option<&WorkerRecord> {
        let records = self.table(self.layout.records(), u64::from(self.layout.n_workers));
        records.get(usize::from(worker.0))
    }

    /// At the places that have been taken.
    pub(crate) fn workers(&self) -> &[WorkerRecord] {
        let n_taken = self.n_taken.load(Ordering::Relaxed);
        self.table(self.layout.records(), u64::from(n_taken))
    }

    /// Before there are workers: how many places count as taken.
    pub(crate) fn with_places_taken(mut self, n: u32) -> Self {
        self.n_taken = AtomicU32::new(n.min(self.layout.n_workers));
        self
    }

    /// From now on the first `n` places count as taken; never fewer than did before.
    pub(crate) fn take_places(&self, n: u32) {
        let n = n.min(self.layout.n_workers);
        self.n_taken.fetch_max(n, Ordering::Relaxed);
    }

    /// `None` for a row that the table does not have.
    #[inline]
    pub(crate) fn task(&self, index: TaskIndex) -> Option<&TaskRow> {
        self.tasks().get(index.0 as usize)
    }

    #[inline]
    pub(crate) fn tasks(&self) -> &[TaskRow] {
        self.table(self.tables.tasks, u64::from(self.layout.n_tasks))
    }

    /// The row's link in the chain of finished tasks, far from the row itself: so whoever takes a long chain need not wait
    /// for one line after the other. `None` for a row that the table does not have.
    pub(crate) fn link(&self, index: TaskIndex) -> Option<&AtomicU32> {
        let links: &[AtomicU32] = self.table(self.tables.links, u64::from(self.layout.n_tasks));
        links.get(index.0 as usize)
    }

    /// Worker: it will write the link of this row soon.
    #[inline]
    pub(crate) fn prefetch_link(&self, index: TaskIndex) {
        if let Some(link) = self.link(index) {
            prefetch_to_write(link);
        }
    }

    /// Worker (or supervisor): puts a task that is `DONE` on the chain of finished ones.
    pub(crate) fn push_finished(&self, index: TaskIndex) {
        if let Some(link) = self.link(index) {
            self.header().finished.0.push(index, link);
        }
    }

    pub(crate) fn queue(&self, priority: Priority) -> Queue<'_> {
        let place = priority.place();
        Queue {
            ends: &self.header().queues[place],
            names: self.table(self.tables.names[place], self.tables.n_names),
        }
    }

    /// Of all that waits, first what comes first: what the supervisor took from the dead.
    pub(crate) fn queues(&self) -> impl Iterator<Item = Queue<'_>> {
        let by_priority = Priority::ALL.into_iter().map(|one| self.queue(one));
        std::iter::once(self.retries()).chain(by_priority)
    }

    pub(crate) fn retries(&self) -> Queue<'_> {
        let names = self.table(self.layout.retry_names(), self.layout.n_retry_names());
        Queue {
            ends: &self.header().retries,
            names,
        }
    }

    /// The region of one worker, as a log of blocks.
    pub(crate) fn worker_log(&self, worker: WorkerIndex) -> Option<Log<'_>> {
        let ends = &self.worker(worker)?.log;
        Some(Log {
            board: self,
            ends,
            area: self.layout.region(u32::from(worker.0)),
        })
    }

    /// The supervisor's region, for last words.
    pub(crate) fn supervisor_log(&self) -> Log<'_> {
        Log {
            board: self,
            ends: &self.header().supervisor_log,
            area: self.layout.region(self.layout.n_workers),
        }
    }

    /// Copies bytes onto the board; false where they do not fit it.
    #[inline]
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(to) = self.pointer(Span::new(offset, bytes.len() as u64)) else {
            return false;
        };
        // SAFETY:
        // - `to` is valid for as many bytes, as checked; `bytes` is private memory, so they do not overlap.
        // - The caller's process owns this part of the board at this moment (its task, its room, its region);
        //   no process holds a reference into it but, in a worker, to an input that nobody writes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        true
    }

    /// See [`prefetch_to_write`].
    pub(crate) fn prefetch(&self, offset: u64) {
        if let Some(line) = self.pointer(Span::new(offset, 1)) {
            prefetch_to_write(line);
        }
    }

    /// Copies pieces onto the board, one behind the other; false where they do not fit it.
    pub(crate) fn write_all<'p>(
        &self,
        mut offset: u64,
        pieces: impl Iterator<Item = &'p [u8]>,
    ) -> bool {
        for piece in pieces {
            if !self.write(offset, piece) {
                return false;
            }
            offset += piece.len() as u64;
        }
        true
    }

    /// Appends a private copy of bytes on the board to `to`; false where the span leaves the board or private memory
    /// cannot hold it.
    pub(crate) fn read_into(&self, span: Span, to: &mut Vec<u8>) -> bool {
        let Some(from) = self.pointer(span) else {
            return false;
        };
        let len = span.len as usize;
        if to.try_reserve(len).is_err() {
            return false;
        }
        let spare = to.spare_capacity_mut();
        // SAFETY:
        // - `from` is valid for `len` bytes, as checked, and the spare capacity holds as many; they are
        //   different allocations.
        // - A worker gone mad may be writing there: then the copy holds some bytes or others, and all
        //   readers of the copy check it.
        unsafe { std::ptr::copy_nonoverlapping(from, spare.as_mut_ptr().cast(), len) };
        let len = to.len() + len;
        // SAFETY: the bytes up to the new length were written just now.
        unsafe { to.set_len(len) };
        true
    }

    /// Worker: the input of its task, in place.
    pub(crate) fn input(&self, span: Span) -> Option<&[u8]> {
        if !self.layout.is_for_tasks(span) && !self.layout.setup().contains(span) {
            return None;
        }
        let pointer = self.pointer(span)?;
        // SAFETY:
        // - In bounds and alive as long as `self`; bytes have no invalid pattern and need no alignment.
        // - The program wrote the input before it published the task (release/acquire through the state word)
        //   and writes there again only when the task is over; the other workers keep to their own tasks. Only
        //   a worker gone mad could write here meanwhile: that is outside what a fellow worker is promised.
        Some(unsafe { std::slice::from_raw_parts(pointer, span.len as usize) })
    }

    /// Makes sure that pages are there for `span`, so that writing it cannot fail for lack of memory.
    pub(crate) fn ensure(&self, span: Span) -> io::Result<()> {
        self.mapping
            .populate(span.offset as usize, span.len as usize)
    }

    /// Worker: where its crash handlers write, until the process ends.
    pub(crate) fn last_words(&self, record: &WorkerRecord) -> WordsBuffer {
        let start = NonNull::from(&record.words).cast::<u8>();
        // SAFETY:
        // - A `Text` is a length word and bytes behind it, aligned to 4, all atomics.
        // - The worker's board is mapped until the process ends; it never returns from `worker::run`.
        unsafe { WordsBuffer::new(start, size_of_val(&record.words)) }
    }

    /// Whether no task waits and none is held.
    pub(crate) fn is_idle(&self) -> bool {
        !self.has_queued()
            && self
                .workers()
                .iter()
                .all(|record| record.current().is_none())
    }

    /// Whether there may be a task that no worker has claimed.
    pub(crate) fn has_queued(&self) -> bool {
        self.queues().any(|queue| !queue.looks_empty())
    }
}

#[cfg(test)]
mod tests;
