//! Which block something was made of, for who keeps that thing and not the block.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::block::{Block, Home};
use super::header::{GONE, Header};
use super::table::Mapped;

/// Counts for no handle: the block ends with its last one.
#[derive(Debug)]
pub(super) struct Mark {
    id: u64,
    generation: u32,
    /// Of a large block. A small one cannot be told to be gone, nor does it matter much.
    mapped: Option<Arc<Mapped>>,
}

/// No block has the numbers of an earlier one.
impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.generation) == (other.id, other.generation)
    }
}

impl Mark {
    /// Whether its last handle is known to be gone.
    pub(super) fn is_gone(&self) -> bool {
        self.mapped.as_ref().is_some_and(|mapped| {
            let header: &Header = mapped.memory.words(0);
            header.n_given.load(Ordering::Acquire) == GONE
        })
    }
}

impl Block {
    pub(super) fn mark(&self) -> Mark {
        let (generation, mapped) = match self.home() {
            Home::Arena { generation, .. } => (*generation, None),
            Home::Own { mapped, .. } => (0, Some(Arc::clone(mapped))),
        };
        Mark {
            id: self.id(),
            generation,
            mapped,
        }
    }
}
