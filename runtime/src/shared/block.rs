//! Blocks: pieces of shared memory that handles in any process of the family name.
//!
//! Responsible for where a block lies and for its life. What lies in it is the business of
//! the handle types, which are all one `Arc<Block>` and a few numbers.
//!
//! | | small (to about 8 KiB) | large |
//! |---|---|---|
//! | lies | in the [arena](super::arena) | in an anonymous file of its own |
//! | is named | by its first slot and generation | by a random id |
//! | is found | at once | in this process's [table](super::table), else with the [registry](crate::supervisor) |
//! | lives | as long as its count of references is not 0 | as long as a process has a handle, or the registry keeps it |
//! | after a kill | may stay taken until the program ends | the kernel frees it |
//!
//! How its name travels is told in [`name`](super::name).
//!
//! Invariants: the length of a block and what it is (its [`Label`]) are remembered privately by every process that has
//! it, and compared with the file's true length when it is found; nothing is computed from shared numbers afterwards.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::arena::{self, Arena, Run};
use super::header::{GONE, Header, LARGE_PAYLOAD, Label};
use super::holders::Holders;
use super::name::{LARGE_BIT, gone, wrong};
use super::table::{self, Mapped};
use crate::error::Error;
use crate::memory::{Memory, Words};
use crate::supervisor::{self, Family, door};
use crate::sync::{RawLock, outlived};
use crate::sys;

/// See the module's head.
pub(crate) struct Block {
    payload: Memory<Home>,
    pub(super) label: Label,
    /// The process that has this reference; a forked copy of it counts for nothing.
    pid: u32,
    /// A lock is at the beginning of this small block, and its guards do not own the block.
    may_be_outlived: AtomicBool,
}

#[derive(Clone)]
pub(super) enum Home {
    Arena {
        memory: &'static Memory,
        header: &'static Header,
        offset: usize,
        run: Run,
        generation: u32,
        /// So often had children inherited what this process has when it came by this one.
        n_inheritances: u32,
    },
    Own {
        mapped: Arc<Mapped>,
        /// This process's place among the holders.
        place: Option<usize>,
    },
}

/// So often have children inherited what this process has.
static N_INHERITANCES: AtomicU32 = AtomicU32::new(0);

impl AsRef<Memory> for Home {
    fn as_ref(&self) -> &Memory {
        match self {
            Self::Arena { memory, .. } => memory,
            Self::Own { mapped, .. } => &mapped.memory,
        }
    }
}

impl Block {
    /// Zeros for as long as somebody has a reference: small ones in the arena, others in a file of their own.
    pub(crate) fn new(label: Label, len: usize) -> Result<Arc<Self>, Error> {
        if len > arena::LARGEST {
            return Self::large(label, len, len);
        }
        let memory = Family::get()?.arena();
        let arena = Arena::new(memory);
        let run = arena.allocate(len)?;
        let (Some(offset), Some(header)) = (arena.offset_of(run), arena.header(run.first)) else {
            return Err(wrong());
        };
        memory.clear(offset, len);
        header.label.store(label.0, Ordering::Relaxed);
        header.len.store(len as u64, Ordering::Relaxed);
        let generation = header.life.begin();
        let home = Self::home_in(memory, header, offset, run, generation);
        Ok(Self::at(home, label, len))
    }

    pub(super) fn home_in(
        memory: &'static Memory,
        header: &'static Header,
        offset: usize,
        run: Run,
        generation: u32,
    ) -> Home {
        Home::Arena {
            memory,
            header,
            offset,
            run,
            generation,
            n_inheritances: N_INHERITANCES.load(Ordering::Relaxed),
        }
    }

    /// In a file of its own, page by page as it is needed; the first `reserved` bytes have their memory at once.
    pub(crate) fn large(label: Label, len: usize, reserved: usize) -> Result<Arc<Self>, Error> {
        let failed = |error| Error::system("make shared memory", error);
        let file_len = len.checked_add(LARGE_PAYLOAD).ok_or_else(|| {
            Error::invalid_input(format!(
                "{len} bytes of shared memory are more than a process can address"
            ))
        })?;
        let (memory, file) = Memory::with_file("procession-shared", file_len).map_err(failed)?;
        memory
            .reserve(0, LARGE_PAYLOAD + reserved.min(len))
            .map_err(failed)?;
        let id = supervisor::random() | LARGE_BIT;
        let header: &Header = memory.words(0);
        header.label.store(label.0, Ordering::Relaxed);
        header.len.store(len as u64, Ordering::Relaxed);
        header.id.store(id, Ordering::Relaxed);
        let mapped = Arc::new(Mapped::new(id, memory, file));
        Ok(table::get().enter(id, Self::of_mapped(mapped, label, len)))
    }

    pub(super) fn of_mapped(mapped: Arc<Mapped>, label: Label, len: usize) -> Arc<Self> {
        let place = Holders::of(&mapped.memory).enter(sys::identity());
        if place.is_none() {
            let header: &Header = mapped.memory.words(0);
            header.has_unseen_holders.store(1, Ordering::SeqCst);
        }
        Self::at(Home::Own { mapped, place }, label, len)
    }

    /// The same for memory that was found and not made, unless its last holder has given it back meanwhile.
    pub(super) fn of_found(
        mapped: Arc<Mapped>,
        label: Label,
        len: usize,
    ) -> Result<Arc<Self>, Error> {
        let block = Self::of_mapped(mapped, label, len);
        // SeqCst, here and in `is_ended`: the last holder has seen this process among the holders, or this one sees what that one did.
        match block.header().n_given.load(Ordering::SeqCst) {
            GONE => Err(gone()),
            _ => Ok(block),
        }
    }

    pub(super) fn at(home: Home, label: Label, len: usize) -> Arc<Self> {
        let start = match &home {
            Home::Arena { offset, .. } => *offset,
            Home::Own { .. } => LARGE_PAYLOAD,
        };
        Arc::new(Self {
            payload: Memory::part(home, start, len),
            label,
            pid: sys::pid(),
            may_be_outlived: AtomicBool::new(false),
        })
    }

    /// Of the payload, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.payload.len()
    }

    pub(super) fn home(&self) -> &Home {
        self.payload.keeper()
    }

    pub(super) fn header(&self) -> &Header {
        match self.home() {
            Home::Arena { header, .. } => header,
            Home::Own { mapped, .. } => mapped.memory.words(0),
        }
    }

    /// The address of a part of the payload, aligned to 64 at its start; see [`Memory::pointer`].
    #[inline]
    pub(crate) fn pointer(&self, offset: usize, len: usize) -> NonNull<u8> {
        self.payload.pointer(offset, len)
    }

    /// Atomics in the payload, see [`Memory::words`].
    #[inline]
    pub(crate) fn words<W: Words>(&self, offset: usize) -> &W {
        self.payload.words(offset)
    }

    /// The [`RawLock`] at the beginning of a small block, for guards that do not own it: where one of them outlives this
    /// process's last handle, the block is kept for it.
    pub(crate) fn lock_for_guards(&self) -> Option<&'static RawLock> {
        match self.home() {
            Home::Arena { memory, offset, .. } => {
                self.may_be_outlived.store(true, Ordering::Relaxed);
                Some(memory.words(*offset))
            }
            Home::Own { .. } => None,
        }
    }

    /// Copies bytes out of the payload, see [`Memory::read`].
    #[inline]
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        self.payload.read(offset, to);
    }

    /// Copies bytes into the payload, see [`Memory::write`].
    #[inline]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        self.payload.write(offset, bytes);
    }

    /// See [`Memory::prefetch`].
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        self.payload.prefetch(offset);
    }

    /// Gives memory to a part of the payload of a large block. A small one has its own.
    pub(crate) fn reserve(&self, offset: usize, len: usize) -> io::Result<()> {
        match self.home() {
            Home::Arena { .. } => Ok(()),
            Home::Own { mapped, .. } => mapped.memory.reserve(LARGE_PAYLOAD + offset, len),
        }
    }

    /// Gives the memory of a part of the payload of a large block back to the system, in whole pages.
    pub(crate) fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        match self.home() {
            Home::Arena { .. } => Ok(()),
            Home::Own { mapped, .. } => mapped
                .file
                .discard((LARGE_PAYLOAD + offset) as u64, len as u64),
        }
    }

    /// Whether every page of it has memory.
    pub(super) fn is_whole(&self) -> bool {
        match self.home() {
            Home::Arena { .. } => true,
            Home::Own { mapped, .. } => {
                let allocated = mapped.file.allocated_len().unwrap_or(0);
                allocated >= (LARGE_PAYLOAD + self.len()) as u64
            }
        }
    }

    /// Takes this process's leave to write the payload of a large block from `offset`, a multiple of the page size, on.
    pub(crate) fn protect_from_writes(&self, offset: usize) -> io::Result<()> {
        match self.home() {
            Home::Arena { .. } => Ok(()),
            Home::Own { mapped, .. } => {
                let start = LARGE_PAYLOAD + offset;
                let len = mapped.memory.len().saturating_sub(start);
                mapped.memory.mapping().protect_from_writes(start, len)
            }
        }
    }

    /// Whether children that are forked have this process's mapping of it. They do at first.
    pub(crate) fn show_to_children(&self, show: bool) -> io::Result<()> {
        match self.home() {
            Home::Arena { .. } => Ok(()),
            Home::Own { mapped, .. } if show => mapped.memory.mapping().show_to_children(),
            Home::Own { mapped, .. } => mapped.memory.mapping().keep_from_children(),
        }
    }

    /// Whether this process is the one that has this reference, and not a forked copy.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.pid == sys::pid()
    }

    /// The same block as this process has it: itself, or in a forked child, which may lack the mapping, a new one.
    pub(crate) fn of_this_process(self: &Arc<Self>) -> Result<Arc<Self>, Error> {
        let Home::Own { mapped, .. } = self.home() else {
            return Ok(Arc::clone(self));
        };
        if self.is_ours() {
            return Ok(Arc::clone(self));
        }
        let map_again = || {
            let again = mapped
                .file
                .duplicate()
                .and_then(|file| Mapped::fetched(mapped.id, file))
                .map_err(|e| Error::system("map shared memory in a forked process", e))?;
            Self::of_found(Arc::new(again), self.label, self.len())
        };
        let (block, _) = table::get().find(mapped.id, map_again)?;
        Ok(block)
    }

    /// A number that no other large block has.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        match self.home() {
            Home::Arena { run, .. } => u64::from(run.first),
            Home::Own { mapped, .. } => mapped.id,
        }
    }

    /// A process, other than this one, that has a large block.
    pub(crate) fn other_holder(&self) -> Option<u32> {
        match self.home() {
            Home::Arena { .. } => None,
            Home::Own { mapped, place } => Holders::of(&mapped.memory).other_than(*place),
        }
    }

    /// Whether the name of a block is on its way somewhere, with nobody else to keep it.
    pub(crate) fn is_in_transit(&self) -> bool {
        self.header().n_given.load(Ordering::Acquire) > 0
    }

    /// Notes that names given under this large block's id as their tag will lie in it. With its last handle they are let go.
    pub(crate) fn note_names(&self) {
        self.header().has_names.store(1, Ordering::Relaxed);
    }

    /// Whether names may lie in this large block that nobody else can read any more: this is the last handle of all.
    pub(crate) fn keeps_names_alone(self: &Arc<Self>) -> bool {
        self.is_ours()
            && Arc::strong_count(self) == 1
            && self.header().has_names.load(Ordering::Relaxed) != 0
            && self.header().has_unseen_holders.load(Ordering::Relaxed) == 0
            && !self.is_in_transit()
            && self.other_holder().is_none()
    }

    /// Notes that a child has inherited all blocks of this process: nobody knows how long it needs them. Small ones are
    /// taken for ever from then on.
    pub(crate) fn note_inheritance() {
        N_INHERITANCES.fetch_add(1, Ordering::Relaxed);
        for block in table::get().living() {
            block.header().has_unseen_holders.store(1, Ordering::SeqCst);
        }
    }

    /// Whether nobody has a large block any more, which this process has just left. If so, nobody will.
    fn is_ended(&self, holders: Holders<'_>) -> bool {
        let header = self.header();
        // What a worker had that was killed is worth a closer look, but not at each item of a job.
        let is_root = Family::get().is_ok_and(Family::is_root);
        let is_left = || match is_root {
            true => holders.other_than(None).is_none(),
            false => holders.is_empty(),
        };
        let end = || {
            header
                .n_given
                .compare_exchange(0, GONE, Ordering::SeqCst, Ordering::Relaxed)
        };
        if !is_left() || end().is_err() {
            return false;
        }
        let is_ended = is_left() && header.has_unseen_holders.load(Ordering::SeqCst) == 0;
        if !is_ended {
            let _ = header
                .n_given
                .compare_exchange(GONE, 0, Ordering::SeqCst, Ordering::Relaxed);
        }
        is_ended
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        match self.home() {
            Home::Arena {
                memory,
                header,
                run,
                generation,
                n_inheritances,
                ..
            } => {
                if *n_inheritances != N_INHERITANCES.load(Ordering::Relaxed) {
                    return;
                }
                let successor = || Self::at(self.home().clone(), self.label, self.len());
                if self.may_be_outlived.load(Ordering::Relaxed)
                    && outlived::keep_while_held(self.words(0), successor)
                {
                    return;
                }
                if header.life.leave(*generation) {
                    Arena::new(memory).free(*run);
                }
            }
            Home::Own { mapped, place } => {
                let holders = Holders::of(&mapped.memory);
                holders.leave(*place, sys::identity());
                let is_last = self.is_ended(holders);
                if is_last {
                    if self.header().has_names.load(Ordering::Relaxed) != 0 {
                        door::let_go(0, mapped.id);
                    }
                    // Other processes may have it mapped still, without a handle, against the next time.
                    let _ = self.discard(0, self.len());
                }
                table::get().leave(mapped, is_last);
            }
        }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("id", &format_args!("{:x}", self.id()))
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
