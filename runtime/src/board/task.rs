//! One row of the task table: a chunk of items of one job, and who holds it.
//!
//! The state word says who owns the row. Everything a process must agree on with another is decided by one
//! compare-exchange on that word; the other fields belong to whoever owns the row at that moment.
//!
//! | state | owner | may become | if the owner is dead |
//! |---|---|---|---|
//! | `FREE` | program | `READY` by the program's store | the supervisor sees the program die and ends everything |
//! | `READY` | nobody | `CLAIMED` by a worker, `FREE` by the program (withdrawn) | - |
//! | `CLAIMED` by `w` | worker `w` | `DONE` by `w` | the supervisor adds the verdict, then `READY` (the rest) or `DONE` |
//! | `DONE` | program | `FREE` with the next generation, by the program's store | as `FREE` |
//!
//! The generation counts how often the row was freed. A queue entry, a completion or a supervisor's finding
//! names row *and* generation, so that a late reader can never act on the row's next tenant.
//!
//! The program trusts nothing here but the state's generation: where a task's bytes lie and how many items
//! it has, the program remembers privately ([`crate::dispatch`]).

use super::Span;
use super::atomic::{AtomicU32, AtomicU64, Ordering};
use super::room::room_offset;
use crate::prefetch::prefetch_to_write;

/// The place of a row in the task table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TaskIndex(pub(crate) u32);

/// A row and its generation: one task, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    pub(crate) index: TaskIndex,
    pub(crate) generation: u32,
}

impl TaskId {
    pub(crate) fn to_word(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index.0)
    }

    pub(crate) fn from_word(word: u64) -> Self {
        Self {
            index: TaskIndex(word as u32),
            generation: (word >> 32) as u32,
        }
    }
}

/// The place of a worker's record on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkerIndex(pub(crate) u16);

/// What the state word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Ready,
    Claimed(WorkerIndex),
    Done,
}

/// The state word: generation in the upper half, worker and state in the lower.
#[derive(Debug, Default)]
pub(crate) struct StateWord(AtomicU64);

fn pack(generation: u32, state: State) -> u64 {
    let low = match state {
        State::Free => 0,
        State::Ready => 1,
        State::Claimed(worker) => 2 | u32::from(worker.0) << 16,
        State::Done => 3,
    };
    u64::from(generation) << 32 | u64::from(low)
}

impl StateWord {
    /// The state of the row in `generation`; `None` once the row has moved on, or for a word that no
    /// process of ours wrote.
    pub(crate) fn read(&self, generation: u32) -> Option<State> {
        // Acquire: pairs with the release in `publish`, `finish` and `requeue`.
        let word = self.0.load(Ordering::Acquire);
        if (word >> 32) as u32 != generation {
            return None;
        }
        match word & 0xffff {
            0 => Some(State::Free),
            1 => Some(State::Ready),
            2 => Some(State::Claimed(WorkerIndex((word >> 16) as u16))),
            3 => Some(State::Done),
            _ => None,
        }
    }

    /// The row's generation now.
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: a worker asks only whether a task of the past is over.
        (self.0.load(Ordering::Relaxed) >> 32) as u32
    }

    /// Program: hands the filled row to the workers.
    pub(crate) fn publish(&self, generation: u32) {
        // Release: pairs with the acquire of the claim.
        self.0
            .store(pack(generation, State::Ready), Ordering::Release);
    }

    /// Worker: takes the row, if it is still to be had.
    pub(crate) fn try_claim(&self, generation: u32, worker: WorkerIndex) -> bool {
        self.change(generation, State::Ready, State::Claimed(worker))
    }

    /// Worker, or the supervisor in a dead worker's name: all items have their verdict.
    pub(crate) fn finish(&self, generation: u32, worker: WorkerIndex) -> bool {
        self.change(generation, State::Claimed(worker), State::Done)
    }

    /// Supervisor, in a dead worker's name: the rest is to be had again.
    pub(crate) fn requeue(&self, generation: u32, worker: WorkerIndex) -> bool {
        self.change(generation, State::Claimed(worker), State::Ready)
    }

    /// Program: takes back a task that no worker has claimed.
    pub(crate) fn withdraw(&self, generation: u32) -> bool {
        let (from, to) = (
            pack(generation, State::Ready),
            pack(generation.wrapping_add(1), State::Free),
        );
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Program: the row has been read and may serve again.
    pub(crate) fn free(&self, generation: u32) {
        self.0.store(
            pack(generation.wrapping_add(1), State::Free),
            Ordering::Release,
        );
    }

    fn change(&self, generation: u32, from: State, to: State) -> bool {
        // Acquire: what the last owner wrote; release: what this one did.
        let (from, to) = (pack(generation, from), pack(generation, to));
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// A row of the task table, in memory that every process of the pool can write.
///
/// What passes between two processes passes by the cache line, and a line takes as long as all the rest of a short task. So
/// what such a task changes lies in two lines, the bytes in the first one, and who holds it, what it is and how far it has come
/// in the second. The others say what is mostly the same from task to task, and then stay in every cache.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct TaskRow {
    pub(crate) pocket: Pocket,

    pub(crate) state: StateWord,
    pub(crate) input_offset: AtomicU64,
    pub(crate) input_len: AtomicU64,
    /// Of the room for results and faults, see [`TaskRow::room`].
    pub(crate) room_len: AtomicU64,
    /// Where the first item stands in the input of its map, see [`crate::job_index`].
    pub(crate) first_index: AtomicU64,
    pub(crate) n_items: AtomicU32,
    /// Whether the callers are told as soon as it is done; else when its worker has no other task that can wait so.
    pub(crate) rings: AtomicU32,
    pub(crate) progress: Progress,

    /// 0: no limit.
    pub(crate) timeout_nanos: AtomicU64,
    pub(crate) retries: AtomicU32,
    /// Whether the worker raises a guard for each item, see [`Guard`].
    pub(crate) guarded: AtomicU32,
    /// Whether no item is to begin after one that failed.
    pub(crate) ends_at_fault: AtomicU32,
    /// Whether the workers flush what an item printed before they count it as done.
    pub(crate) flush_each: AtomicU32,

    /// The job's function as an offset in the program's image, see [`crate::sys::image`].
    pub(crate) shim: AtomicU64,
    /// A hash of the job's name, checked by the shim itself: an address is never an identity.
    pub(crate) job: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    const LINE: usize = 64;
    assert!(std::mem::offset_of!(TaskRow, pocket) == 0);
    assert!(std::mem::offset_of!(TaskRow, state) == LINE);
    let progress = std::mem::offset_of!(TaskRow, progress);
    assert!(progress + std::mem::offset_of!(Progress, n_faults) == 2 * LINE);
    assert!(std::mem::offset_of!(TaskRow, shim) == 3 * LINE);
    assert!(size_of::<TaskRow>() == 4 * LINE);
};

/// A place for the input and the room of a task, where both are small: then they come with its row.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Pocket([std::sync::atomic::AtomicU64; 8]);

impl Pocket {
    /// In bytes.
    pub(crate) const LEN: u64 = size_of::<Self>() as u64;
}

impl TaskRow {
    /// Where results and faults go, see [`super::room`]: behind the input.
    pub(crate) fn room(&self) -> Span {
        let input_offset = self.input_offset.load(Ordering::Relaxed);
        let input_len = self.input_len.load(Ordering::Relaxed);
        let len = self.room_len.load(Ordering::Relaxed);
        Span::new(room_offset(Span::new(input_offset, input_len)), len)
    }

    /// Whoever is about to need the lines that short tasks change: has them fetched.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_to_write(&self.pocket);
        prefetch_to_write(&self.state);
    }

    /// Whether no further item is to begin: the program says so, or one has failed and the task ends there.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        let has_failed = self.progress.n_faults.load(Ordering::Relaxed) != 0;
        self.progress.stop.load(Ordering::Relaxed) != 0 || has_failed && self.ends_at_fault()
    }

    #[cold]
    fn ends_at_fault(&self) -> bool {
        self.ends_at_fault.load(Ordering::Relaxed) != 0
    }
}

/// How far the items of a task have come.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Items whose job has begun; `started == done` between two items.
    pub(crate) started: AtomicU32,
    /// Items that have their verdict, in order.
    pub(crate) done: AtomicU32,
    /// Time spent in this task by its workers.
    pub(crate) busy_nanos: AtomicU64,
    pub(crate) n_faults: AtomicU32,
    /// The worker that took the task last, for reports: written before it begins an item, so as long as none has begun it is of
    /// the row's last tenant.
    pub(crate) worker_pid: AtomicU32,
    /// Whether the registry may keep shared memory that results of this task name.
    pub(crate) gives: AtomicU32,
    /// Set by the program, and by nobody else: begin no further item. See [`TaskRow::is_stopped`].
    pub(crate) stop: AtomicU32,
    pub(crate) attempts: Attempts,
    pub(crate) guard: Guard,
    pub(crate) heap_used: AtomicU64,
}

impl Progress {
    /// Program, before it publishes the row.
    pub(crate) fn reset(&self) {
        self.started.store(0, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.busy_nanos.store(0, Ordering::Relaxed);
        for word in [&self.n_faults, &self.gives, &self.stop] {
            set(word, 0);
        }
        for word in [&self.attempts.0, &self.guard.0, &self.heap_used] {
            set_u64(word, 0);
        }
    }
}

/// A word of a line that is to stay in every cache while it says the same.
pub(crate) fn set(word: &AtomicU32, value: u32) {
    if word.load(Ordering::Relaxed) != value {
        word.store(value, Ordering::Relaxed);
    }
}

/// As [`set`].
pub(super) fn set_u64(word: &AtomicU64, value: u64) {
    if word.load(Ordering::Relaxed) != value {
        word.store(value, Ordering::Relaxed);
    }
}

/// How often an item has failed already.
///
/// Item and number are one word: so the count ends with the item, whatever instruction its worker dies at, and no item
/// has more tries than it is allowed nor begins with another's.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Attempts(AtomicU64);

impl Attempts {
    pub(crate) fn of(&self, item: u32) -> u32 {
        let word = self.0.load(Ordering::Relaxed);
        if (word >> 32) as u32 == item {
            word as u32
        } else {
            0
        }
    }

    /// Whoever works on the task, or buries who did: `item` has failed so often by now.
    pub(crate) fn note(&self, item: u32, attempt: u32) {
        let word = u64::from(item) << 32 | u64::from(attempt);
        self.0.store(word, Ordering::Relaxed);
    }
}

/// One try at one item of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Try {
    pub(crate) generation: u32,
    /// Less than [`MAX_ITEMS`].
    pub(crate) item: u32,
    pub(crate) attempt: u32,
}

/// More items than this in one task are refused.
pub(crate) const MAX_ITEMS: usize = (1 << 24) - 2;

impl Try {
    fn to_word(self) -> u64 {
        let attempt = u64::from(self.attempt & 0xff) << 24;
        (u64::from(self.generation) << 32) | attempt | u64::from(self.item + 1)
    }

    fn from_word(word: u64) -> Option<Self> {
        Some(Self {
            generation: (word >> 32) as u32,
            item: (word as u32 & 0xff_ffff).checked_sub(1)?,
            attempt: (word as u32) >> 24,
        })
    }
}

/// Settles whether a try at an item was ended by the supervisor or ended by itself: nobody is killed for an item
/// that is over, and no item that was condemned has a result.
///
/// | word | meaning | may become |
/// |---|---|---|
/// | 0 | no item runs | a try, by the worker |
/// | a try | that item runs | 0 by the worker when it ends; condemned by the supervisor |
/// | condemned | the supervisor kills the worker | 0 by the supervisor, when it has buried it |
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Guard(AtomicU64);

const CONDEMNED: u64 = u64::MAX;

impl Guard {
    /// Worker: the try begins.
    pub(crate) fn raise(&self, this: Try) {
        // SeqCst: see `Desk::stop`.
        self.0.store(this.to_word(), Ordering::SeqCst);
    }

    /// Worker: the try ends. False: it was condemned, and the worker with it.
    pub(crate) fn lower(&self, this: Try) -> bool {
        self.0
            .compare_exchange(this.to_word(), 0, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Supervisor: the try that runs.
    pub(crate) fn running(&self) -> Option<Try> {
        // SeqCst: see `Desk::stop`.
        let word = self.0.load(Ordering::SeqCst);
        Try::from_word(word).filter(|_| word != CONDEMNED)
    }

    /// Whether this is a word that a worker or the supervisor writes in this task.
    pub(crate) fn may_be_of(&self, task: TaskId, n_items: u32) -> bool {
        let is_of = |this: Try| this.generation == task.generation && this.item < n_items;
        match self.0.load(Ordering::Relaxed) {
            0 | CONDEMNED => true,
            word => Try::from_word(word).is_some_and(is_of),
        }
    }

    /// Supervisor: ends the try, if it still runs.
    pub(crate) fn condemn(&self, this: Try) -> bool {
        self.0
            .compare_exchange(
                this.to_word(),
                CONDEMNED,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Whoever owns the row while no worker does.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_claimed_once_and_its_next_tenant_is_another() {
        let state = StateWord::default();
        let (one, two) = (WorkerIndex(1), WorkerIndex(2));
        state.publish(0);
        assert!(state.try_claim(0, one));
        assert!(!state.try_claim(0, two));
        assert_eq!(state.read(0), Some(State::Claimed(one)));
        assert!(!state.withdraw(0), "a claimed task cannot be withdrawn");
        assert!(!state.finish(0, two), "only the holder finishes");
        assert!(state.finish(0, one));
        state.free(0);
        assert_eq!(state.read(0), None);
        assert_eq!(state.read(1), Some(State::Free));
    }

    #[test]
    fn a_requeued_row_is_to_be_had_again() {
        let state = StateWord::default();
        state.publish(7);
        assert!(state.try_claim(7, WorkerIndex(3)));
        assert!(state.requeue(7, WorkerIndex(3)));
        assert!(state.try_claim(7, WorkerIndex(4)));
    }

    #[test]
    fn attempts_are_those_of_one_item() {
        let attempts = Attempts::default();
        assert_eq!(attempts.of(0), 0);
        attempts.note(0, 2);
        assert_eq!([attempts.of(0), attempts.of(1)], [2, 0]);
        attempts.note(1, 1);
        assert_eq!([attempts.of(0), attempts.of(1), attempts.of(2)], [0, 1, 0]);
    }

    #[test]
    fn an_item_is_condemned_or_ends_but_not_both() {
        let guard = Guard::default();
        let this = Try {
            generation: 7,
            item: 4,
            attempt: 0,
        };
        guard.raise(this);
        assert_eq!(guard.running(), Some(this));
        for over in [
            Try { item: 3, ..this },
            Try {
                generation: 6,
                ..this
            },
            Try { attempt: 1, ..this },
        ] {
            assert!(!guard.condemn(over), "a try that is over");
        }
        assert!(guard.condemn(this));
        assert!(!guard.lower(this));
        assert_eq!(guard.running(), None);
        guard.clear();
        let next = Try { item: 5, ..this };
        guard.raise(next);
        assert!(guard.lower(next));
        assert!(!guard.condemn(next));
    }

    #[test]
    fn an_unknown_word_is_no_state() {
        let state = StateWord(AtomicU64::new(0xbad));
        assert_eq!(state.read(0), None);
    }
}
