//! The large blocks of this process: each is mapped once, however many handles there are.
//!
//! A worker keeps the mappings of the last [`N_RECENT`] blocks of which it has dropped every handle, so that an array
//! passed to a million jobs is mapped once. The memory of a block that nobody has a handle of any more is given back all
//! the same, see [`Block`]'s drop.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, Weak};

use super::block::Block;
use super::header::LARGE_PAYLOAD;
use crate::error::Error;
use crate::memory::Memory;
use crate::supervisor::{self, Family, door, lock};
use crate::sys::{self, Fd, PerProcess};

/// So many mappings without a handle are kept in a worker.
const N_RECENT: usize = 16;

/// A large block's mapping and file.
#[derive(Debug)]
pub(super) struct Mapped {
    pub(super) id: u64,
    pub(super) memory: Memory,
    pub(super) file: Fd,
    /// The number of the door behind which the registry keeps it for this process; 0: none does.
    known_behind: Mutex<usize>,
    pid: u32,
}

impl Mapped {
    pub(super) fn new(id: u64, memory: Memory, file: Fd) -> Self {
        Self {
            id,
            memory,
            file,
            known_behind: Mutex::new(0),
            pid: sys::pid(),
        }
    }

    /// What another process has made.
    pub(super) fn fetched(id: u64, file: Fd) -> io::Result<Self> {
        let file = file.leave_to_children();
        let len = usize::try_from(file.file_len()?).unwrap_or(usize::MAX);
        if len < LARGE_PAYLOAD {
            return Err(io::Error::from_raw_os_error(sys::EINVAL));
        }
        Ok(Self::new(id, Memory::map(&file, len)?, file))
    }

    /// Has the registry keep it for as long as this process does.
    pub(super) fn make_known(&self) -> io::Result<()> {
        let mut known_behind = lock(&self.known_behind);
        let door = Family::get().map_err(io::Error::other)?.number_of_doors()?;
        if *known_behind != door {
            door::hold(self.id, get().tag, &self.file)?;
            *known_behind = door;
        }
        Ok(())
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.pid == sys::pid() && *lock(&self.known_behind) != 0 {
            door::let_go(self.id, get().tag);
        }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Table {
    blocks: Mutex<HashMap<u64, Weak<Block>>>,
    recent: Mutex<VecDeque<Arc<Mapped>>>,
    /// Under which the registry keeps what this process has.
    tag: u64,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            blocks: Mutex::default(),
            recent: Mutex::default(),
            tag: match Family::get() {
                // Known to nobody else: no worker gone mad can have the root's memory forgotten.
                Ok(family) if family.is_root() => supervisor::random(),
                // The registry sees when this process has ended.
                _ => sys::identity(),
            },
        }
    }
}

/// That of this process.
pub(super) fn get() -> &'static Table {
    static TABLE: PerProcess<Table> = PerProcess::new();
    TABLE.get()
}

impl Table {
    /// Enters a new block.
    pub(super) fn enter(&self, id: u64, block: Arc<Block>) -> Arc<Block> {
        enter(&mut lock(&self.blocks), id, &block);
        block
    }

    /// The block with this id, and whether it was here already; `fetch` gets it where it is not.
    pub(super) fn find(
        &self,
        id: u64,
        fetch: impl FnOnce() -> Result<Arc<Block>, Error>,
    ) -> Result<(Arc<Block>, bool), Error> {
        // Held meanwhile, so that two threads do not both map it.
        let mut blocks = lock(&self.blocks);
        if let Some(block) = blocks.get(&id).and_then(Weak::upgrade) {
            return Ok((block, true));
        }
        let block = fetch()?;
        enter(&mut blocks, id, &block);
        Ok((block, false))
    }

    pub(super) fn living_with(&self, id: u64) -> Option<Arc<Block>> {
        lock(&self.blocks).get(&id).and_then(Weak::upgrade)
    }

    pub(super) fn living(&self) -> Vec<Arc<Block>> {
        lock(&self.blocks)
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// A mapping that is kept without a handle.
    pub(super) fn recent(&self, id: u64) -> Option<Arc<Mapped>> {
        let mut recent = lock(&self.recent);
        let place = recent.iter().position(|mapped| mapped.id == id)?;
        recent.remove(place)
    }

    /// The last handle in this process is gone.
    pub(super) fn leave(&self, mapped: &Arc<Mapped>, is_last: bool) {
        if is_last || Family::get().is_ok_and(Family::is_root) {
            return;
        }
        let mut recent = lock(&self.recent);
        recent.push_back(Arc::clone(mapped));
        let oldest = (recent.len() > N_RECENT).then(|| recent.pop_front());
        drop(recent);
        drop(oldest);
    }
}

fn enter(blocks: &mut HashMap<u64, Weak<Block>>, id: u64, block: &Arc<Block>) {
    if blocks.len() == blocks.capacity() {
        blocks.retain(|_, block| block.strong_count() > 0);
    }
    blocks.insert(id, Arc::downgrade(block));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::Label;

    #[test]
    fn blocks_that_are_gone_are_forgotten() {
        let table = get();
        for _ in 0..10_000 {
            drop(Block::new(Label::of::<Table>(), 10_000).unwrap());
        }
        // Those of other tests that run beside this one are few.
        assert!(lock(&table.blocks).len() < 5000);
    }
}
