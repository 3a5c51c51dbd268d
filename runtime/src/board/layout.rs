//! Where everything lies on a board, computed from a few sizes that every process keeps privately.
//!
//! ```text
//! header | worker records | queue of retries | queue of each priority | links | task table | setup | arena | region 0 … region n
//! ```

use super::{Header, Pocket, Priority, TaskIndex, TaskRow, WorkerRecord};
use crate::sys::page_size;

/// More workers than this in one pool are refused.
pub(crate) const MAX_WORKERS: u32 = 1024;

/// Every input, room and block starts at a multiple of this.
pub(crate) const ALIGN: u64 = 64;

/// A piece of the board, in bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Span {
    #[inline]
    pub(crate) fn new(offset: u64, len: u64) -> Self {
        Self { offset, len }
    }

    /// Whether all of `inner` lies within; false too for numbers that overflow.
    #[inline]
    pub(crate) fn contains(self, inner: Span) -> bool {
        let Some(end) = inner.offset.checked_add(inner.len) else {
            return false;
        };
        inner.offset >= self.offset && end <= self.offset + self.len
    }
}

#[inline]
pub(crate) fn round_up(n: u64, to: u64) -> u64 {
    n.div_ceil(to) * to
}

/// The sizes a board is made with; every process keeps its own copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Places for workers, be there one or not.
    pub(crate) n_workers: u32,
    pub(crate) n_tasks: u32,
    pub(crate) setup_len: u64,
    pub(crate) arena_len: u64,
    pub(crate) region_len: u64,
}

const HEADER_LEN: u64 = 16 * 1024;
const RECORD_LEN: u64 = size_of::<WorkerRecord>() as u64;
const ROW_LEN: u64 = size_of::<TaskRow>() as u64;
const _: () = assert!(size_of::<Header>() as u64 <= HEADER_LEN);

impl Layout {
    /// Places in the ring of retries: a name for every worker that died with a task, and those in mid-claim.
    pub(super) fn n_retry_names(self) -> u64 {
        (u64::from(self.n_workers) * 2 + 2).next_power_of_two()
    }

    /// Places in a queue: see [`queue`].
    pub(super) fn n_names(self) -> u64 {
        (u64::from(self.n_tasks) + u64::from(self.n_workers) + 1).next_power_of_two()
    }

    pub(super) fn records(self) -> u64 {
        HEADER_LEN
    }

    pub(super) fn retry_names(self) -> u64 {
        self.records() + u64::from(self.n_workers) * RECORD_LEN
    }

    /// Of the queue at this place.
    pub(super) fn names(self, place: u64) -> u64 {
        self.retry_names() + self.n_retry_names() * 8 + place * self.n_names() * 8
    }

    pub(super) fn tasks(self) -> u64 {
        round_up(self.links() + u64::from(self.n_tasks) * 4, 4096)
    }

    /// Links of the chain of finished tasks: of each row.
    pub(super) fn links(self) -> u64 {
        round_up(self.names(Priority::N as u64), 64)
    }

    /// What workers read before their first task.
    pub(crate) fn setup(self) -> Span {
        Span::new(
            round_up(self.tasks() + u64::from(self.n_tasks) * ROW_LEN, 4096),
            self.setup_len,
        )
    }

    /// Inputs and rooms.
    pub(crate) fn arena(self) -> Span {
        Span::new(
            round_up(self.setup().offset + self.setup_len, 4096),
            self.arena_len,
        )
    }

    /// Of the row with this index.
    pub(crate) fn pocket(self, row: TaskIndex) -> Span {
        Span::new(self.tasks() + u64::from(row.0) * ROW_LEN, Pocket::LEN)
    }

    /// Whether this is where input and room of a task may lie: in the arena or in a pocket.
    pub(crate) fn is_for_tasks(self, span: Span) -> bool {
        let is_in_pocket = || {
            let row = span.offset.checked_sub(self.tasks())? / ROW_LEN;
            let row = u32::try_from(row).ok().filter(|&row| row < self.n_tasks)?;
            Some(self.pocket(TaskIndex(row)).contains(span))
        };
        self.arena().contains(span) || is_in_pocket() == Some(true)
    }

    /// The regions of all workers, and the supervisor's.
    pub(crate) fn regions(self) -> Span {
        let start = round_up(self.arena().offset + self.arena_len, 4096);
        Span::new(start, self.region_len * (u64::from(self.n_workers) + 1))
    }

    pub(super) fn region(self, place: u32) -> Span {
        Span::new(
            self.regions().offset + u64::from(place) * self.region_len,
            self.region_len,
        )
    }

    /// The region that all of `span` lies in.
    pub(super) fn region_around(self, span: Span) -> Option<Span> {
        let place = span.offset.checked_sub(self.regions().offset)? / self.region_len.max(1);
        let place = u32::try_from(place)
            .ok()
            .filter(|&place| place <= self.n_workers)?;
        Some(self.region(place)).filter(|region| region.contains(span))
    }

    /// All of it.
    pub(crate) fn len(self) -> u64 {
        let regions = self.regions();
        round_up(regions.offset + regions.len, page_size() as u64)
    }

    /// For the message that asks for a pool.
    pub(crate) fn to_words(self) -> [u64; 4] {
        let counts = u64::from(self.n_workers) << 32 | u64::from(self.n_tasks);
        [counts, self.setup_len, self.arena_len, self.region_len]
    }

    pub(crate) fn from_words(words: [u64; 4]) -> Self {
        let [counts, setup_len, arena_len, region_len] = words;
        Self {
            n_workers: (counts >> 32) as u32,
            n_tasks: counts as u32,
            setup_len,
            arena_len,
            region_len,
        }
    }
}
