//! Names of blocks on their way: what is written of a block, and how the block is found by it.
//!
//! A name comes in two manners. *Lent*: the sender keeps the block until the receiver has answered, as a
//! program does with the arguments of a job. *Given*: nobody keeps it, so the name itself counts as a holder until
//! it is read, as in a job's result or a message in a queue.
//!
//! Safe code can write a name that no handle has written, or read one twice. So no name is believed more than that there may
//! be a block: a reference of its own is taken first, and one that came with a name is dropped only if one is on its way.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arena::{self, Arena, Run};
use super::block::{Block, Home};
use super::header::{Header, LARGE_PAYLOAD, Label};
use super::table::{self, Mapped};
use crate::codec::Passenger;
use crate::error::Error;
use crate::supervisor::{Family, door};
use crate::sys;

/// A block's name on its way: three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// In the arena the first slot, else the id, whose highest bit is set.
    pub(super) place: u64,
    pub(super) generation: u32,
    /// 0: lent. Else given, under this tag.
    pub(super) tag: u64,
}

pub(super) const LARGE_BIT: u64 = 1 << 63;

impl Block {
    /// The name to send: lent with tag 0, else given.
    pub(super) fn name(&self, tag: u64) -> io::Result<Name> {
        let header = self.header();
        match self.home() {
            Home::Arena {
                run, generation, ..
            } => {
                if tag != 0 && !header.life.give(*generation) {
                    return Err(too_many());
                }
                let place = u64::from(run.first);
                let generation = *generation;
                Ok(Name {
                    place,
                    generation,
                    tag,
                })
            }
            Home::Own { mapped, .. } => {
                if tag != 0 {
                    if !header.give() {
                        return Err(too_many());
                    }
                    door::hold(mapped.id, tag, &mapped.file).inspect_err(|_| {
                        header.receive();
                    })?;
                } else {
                    mapped.make_known()?;
                }
                let (place, generation) = (mapped.id, 0);
                Ok(Name {
                    place,
                    generation,
                    tag,
                })
            }
        }
    }

    /// The block with this name; an error says why there is none.
    pub(super) fn find(name: Name, label: Label) -> Result<Arc<Self>, Error> {
        if name.place & LARGE_BIT == 0 {
            return Self::find_in_arena(name, label);
        }
        let (block, was_here) = table::get().find(name.place, || Self::fetch(name, label))?;
        if name.tag != 0 {
            if was_here {
                door::let_go(name.place, name.tag);
            }
            block.header().receive();
        }
        (block.label == label).then_some(block).ok_or_else(wrong)
    }

    /// Maps a large block that this process does not have.
    fn fetch(name: Name, label: Label) -> Result<Arc<Self>, Error> {
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(sys::ENOENT) => gone(),
            _ => Error::system("get the shared memory of a handle", error),
        };
        let mapped = match table::get().recent(name.place) {
            Some(mapped) => {
                if name.tag != 0 {
                    door::let_go(name.place, name.tag);
                }
                mapped
            }
            None => {
                let file = door::want(name.place, name.tag).map_err(failed)?;
                Arc::new(Mapped::fetched(name.place, file).map_err(failed)?)
            }
        };
        let header: &Header = mapped.memory.words(0);
        let len = usize::try_from(header.len.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let is_whole = header.id.load(Ordering::Relaxed) == mapped.id
            && len.checked_add(LARGE_PAYLOAD) == Some(mapped.memory.len())
            && header.label.load(Ordering::Relaxed) == label.0;
        if !is_whole {
            return Err(wrong());
        }
        Self::of_found(mapped, label, len)
    }

    fn find_in_arena(name: Name, label: Label) -> Result<Arc<Self>, Error> {
        let memory = Family::get()?.arena();
        let arena = Arena::new(memory);
        let first = u32::try_from(name.place).map_err(|_no_slot| wrong())?;
        let header = arena.header(first).ok_or_else(wrong)?;
        // Before anything else is believed of it: from here on it stays.
        if !header.life.find(name.generation, name.tag != 0) {
            return Err(gone());
        }
        let len = header.len.load(Ordering::Relaxed) as usize;
        let n_slots = arena::n_slots_for(len);
        let run = Run { first, n_slots };
        // Otherwise a process gone mad has written this header; its slots stay taken.
        let fits = len <= n_slots as usize * arena::SLOT;
        let offset = arena.offset_of(run).filter(|_| fits).ok_or_else(wrong)?;
        let home = Self::home_in(memory, header, offset, run, name.generation);
        let block = Self::at(home, label, len);
        let is_right = header.label.load(Ordering::Relaxed) == label.0;
        is_right.then_some(block).ok_or_else(wrong)
    }

    /// A name that was given will not be read.
    pub(super) fn recall_unread(name: Name) {
        if name.place & LARGE_BIT != 0 {
            // Where this process does not have it, the registry forgets it with the rest of that tag.
            if let Some(block) = table::get().living_with(name.place) {
                block.header().receive();
            }
            return;
        }
        let header = Family::get()
            .ok()
            .zip(u32::try_from(name.place).ok())
            .and_then(|(family, first)| Arena::new(family.arena()).header(first));
        // Found and dropped as what it is.
        if let Some(header) = header {
            drop(Self::find_in_arena(
                name,
                Label(header.label.load(Ordering::Relaxed)),
            ));
        }
    }
}

fn too_many() -> io::Error {
    io::Error::other("too many names of this shared memory are on their way")
}

pub(super) fn gone() -> Error {
    Error::invalid_input(
        "the shared memory of this handle is gone: its last owner has dropped it, or has ended",
    )
}

pub(super) fn wrong() -> Error {
    Error::invalid_input("this is not the name of such a shared handle")
}

impl Passenger for Block {
    fn lend_again(&self) -> io::Result<()> {
        match self.home() {
            Home::Arena { .. } => Ok(()),
            Home::Own { mapped, .. } => mapped.make_known(),
        }
    }

    fn recall(&self, tag: u64) {
        match self.home() {
            Home::Arena { generation, .. } => self.header().life.recall(*generation),
            Home::Own { mapped, .. } => {
                self.header().receive();
                door::let_go(mapped.id, tag);
            }
        }
    }
}
