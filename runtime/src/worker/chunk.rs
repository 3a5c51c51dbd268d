//! The worker's view of one task: the items it still has to do, and where their verdicts go.
//!
//! The shim of a job loops over a chunk; see [`crate::job`]. Each item is counted as begun before its
//! arguments are read and as done when its verdict lies in the task's room, so that a death at any
//! instruction leaves the supervisor an exact account.

use std::fmt;
use std::time::Duration;

use super::job_index;
use crate::argument::ByValue;
use crate::board::{
    AtomicU64, Board, Fault, FaultKind, Log, Ordering, Room, Span, TaskId, TaskRow, Try,
    WorkerRecord, fence,
};
use crate::codec::{CodecError, Decoder, Encoder, Passengers, number_bytes};
use crate::sys::{self, PanicReport};

/// The items of a task from the first one without a verdict.
pub struct Chunk<'board> {
    board: &'board Board,
    row: &'board TaskRow,
    record: &'board WorkerRecord,
    log: Log<'board>,
    task: TaskId,
    room: Span,
    n_items: u32,
    /// Of the whole map, of the task's first item.
    first_index: u64,
    next: u32,
    rest: Decoder<'board>,
    /// Where the present item begins, for a second try.
    item: Decoder<'board>,
    positioned: bool,
    guarded: bool,
    flush_each: bool,
    /// Items this worker may still begin.
    quota: u64,
    buffer: Vec<u8>,
    n_panics: u32,
    /// Under which shared memory that results name is kept.
    tag: u64,
    /// What travels beside the last result.
    passengers: Passengers,
}

impl<'board> Chunk<'board> {
    /// `None` where the row points to no input: no process of ours wrote it.
    pub(super) fn new(
        board: &'board Board,
        record: &'board WorkerRecord,
        log: Log<'board>,
        task: TaskId,
        tag: u64,
        quota: u64,
    ) -> Option<Self> {
        let row = board.task(task.index)?;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let input =
            Decoder::new(board.input(Span::new(load(&row.input_offset), load(&row.input_len)))?);
        row.progress.worker_pid.store(sys::pid(), Ordering::Relaxed);
        Some(Self {
            board,
            row,
            record,
            log,
            task,
            room: Span::new(load(&row.room_offset), load(&row.room_len)),
            n_items: row.n_items.load(Ordering::Relaxed),
            first_index: load(&row.first_index),
            next: row.progress.done.load(Ordering::Relaxed),
            rest: input.clone(),
            item: input,
            positioned: false,
            guarded: row.guarded.load(Ordering::Relaxed) != 0,
            flush_each: row.flush_each.load(Ordering::Relaxed) != 0,
            quota,
            buffer: Vec::new(),
            n_panics: 0,
            tag,
            passengers: Vec::new(),
        })
    }

    /// Whether the task is for the job with this hash: an address is never an identity.
    pub(crate) fn is_for(&self, job: u64) -> bool {
        self.row.job.load(Ordering::Relaxed) == job
    }

    /// Begins the next item; `None` when the worker is to stop here.
    #[inline]
    pub(crate) fn next_item(&mut self, fixed_input: Option<usize>) -> Option<Decoder<'board>> {
        if !self.positioned {
            self.positioned = true;
            if self
                .rest
                .skip_items(fixed_input, self.next as usize)
                .is_err()
            {
                self.rest = Decoder::new(&[]);
            }
        }
        let progress = &self.row.progress;
        loop {
            if self.next >= self.n_items
                || self.quota == 0
                || progress.stop.load(Ordering::Relaxed) != 0
            {
                return None;
            }
            if self.guarded {
                progress.guard.raise(self.this_try());
                // SeqCst: pairs with the store of `stop` in `Desk::stop`.
                fence(Ordering::SeqCst);
                if progress.stop.load(Ordering::Relaxed) != 0 {
                    self.lower_guard();
                    return None;
                }
            }
            self.quota -= 1;
            job_index::set(self.first_index.saturating_add(u64::from(self.next)));
            // Release, like every store of the progress: the supervisor of a dead worker reads it.
            progress.started.store(self.next + 1, Ordering::Release);
            self.item = self.rest.clone();
            match self.rest.next_item(fixed_input) {
                Ok(item) => return Some(item),
                Err(error) => self.put_error(&error),
            }
        }
    }

    /// The present item has a result.
    #[inline]
    pub(crate) fn put<R: ByValue>(&mut self, result: &R, fixed_output: Option<usize>) {
        let room = Room::new(self.room, self.n_items, fixed_output);
        if let Some(number) = number_bytes(result)
            && self.board.write(room.cell(self.next).offset, number)
        {
            return self.count();
        }
        let mut encoder = Encoder::with_buffer(std::mem::take(&mut self.buffer)).giving(self.tag);
        let stored = match R::encode(result, &mut encoder) {
            Ok(()) if fixed_output.is_some() => self.fill(room.cell(self.next), &encoder),
            Ok(()) => self.store(&room, &encoder),
            Err(error) => Err(error.to_string()),
        };
        if stored.is_err() {
            encoder.recall_passengers();
        }
        self.passengers = encoder.take_passengers();
        if !self.passengers.is_empty() {
            self.row.progress.gives.store(1, Ordering::Relaxed);
        }
        self.buffer = encoder.into_buffer();
        match stored {
            Ok(()) => self.count(),
            Err(message) => self.fault(FaultKind::Codec, message.as_bytes()),
        }
    }

    /// The last result has been dropped: what travels beside it may go.
    #[inline]
    pub(crate) fn see_off(&mut self) {
        for passenger in self.passengers.drain(..) {
            passenger.depart();
        }
    }

    /// The present item's arguments or result did not pass the codec.
    pub(crate) fn put_error(&mut self, error: &CodecError) {
        self.fault(FaultKind::Codec, error.to_string().as_bytes());
    }

    /// The present item panicked: it is tried again if it may be, else the panic is its verdict.
    pub(super) fn put_panic(&mut self, report: &PanicReport) {
        self.n_panics += 1;
        self.record.words.clear();
        let progress = &self.row.progress;
        if progress.started.load(Ordering::Relaxed) <= self.next {
            // In the destructor of a result that had been stored already.
            self.see_off();
            return;
        }
        let attempt = progress.attempt.load(Ordering::Relaxed);
        if attempt < self.row.retries.load(Ordering::Relaxed) {
            self.lower_guard();
            progress.attempt.store(attempt + 1, Ordering::Relaxed);
            // Between two tries the item has not begun: the worker may be out of quota.
            progress.started.store(self.next, Ordering::Release);
            self.rest = self.item.clone();
            return;
        }
        let mut encoder = Encoder::with_buffer(Vec::new());
        let parts = [&report.message, &report.location, &report.backtrace];
        // Strings always encode.
        let _ = parts.into_iter().try_for_each(|part| encoder.value(part));
        let payload = self.allocate(None, &encoder).unwrap_or(Span::new(0, 0));
        self.add_fault(FaultKind::Panicked, payload);
    }

    /// Whether every item has its verdict, or the rest is not wanted.
    pub(super) fn is_over(&self) -> bool {
        self.next >= self.n_items || self.row.progress.stop.load(Ordering::Relaxed) != 0
    }

    pub(super) fn quota(&self) -> u64 {
        self.quota
    }

    pub(super) fn n_panics(&self) -> u32 {
        self.n_panics
    }

    /// What the items printed is on its way before anybody learns that they are done.
    pub(super) fn flush(&self) {
        if !self.flush_each {
            sys::flush_stdio();
        }
    }

    fn this_try(&self) -> Try {
        let attempt = self.row.progress.attempt.load(Ordering::Relaxed);
        Try {
            generation: self.task.generation,
            item: self.next,
            attempt,
        }
    }

    /// The present item ends here, unless the supervisor has ended it already.
    #[inline]
    fn lower_guard(&self) {
        if self.guarded && !self.row.progress.guard.lower(self.this_try()) {
            end_as_condemned();
        }
    }

    #[inline]
    fn count(&mut self) {
        if self.flush_each {
            sys::flush_stdio();
        }
        self.lower_guard();
        let progress = &self.row.progress;
        if !self.record.words.is_empty() {
            // Of a panic that the job dealt with by itself.
            self.record.words.clear();
        }
        if progress.attempt.load(Ordering::Relaxed) != 0 {
            progress.attempt.store(0, Ordering::Relaxed);
        }
        self.next += 1;
        progress.done.store(self.next, Ordering::Release);
    }

    fn fault(&mut self, kind: FaultKind, text: &[u8]) {
        let payload = self
            .log
            .allocate(self.task, text.len() as u64)
            .filter(|span| self.board.write(span.offset, text));
        self.add_fault(kind, payload.unwrap_or(Span::new(0, 0)));
    }

    fn add_fault(&mut self, kind: FaultKind, payload: Span) {
        let fault = Fault {
            item: self.next,
            kind,
            pid: sys::pid(),
            detail: 0,
            payload,
        };
        write_fault(self.board, self.row, fault);
        self.count();
    }

    fn fill(&self, span: Span, encoder: &Encoder<'_>) -> Result<(), String> {
        let fits =
            encoder.len() as u64 == span.len && self.board.write_all(span.offset, encoder.chunks());
        fits.then_some(())
            .ok_or_else(|| "the task's room is not on the board".into())
    }

    fn store(&self, room: &Room, encoder: &Encoder<'_>) -> Result<(), String> {
        let place = self.allocate(Some(room), encoder).ok_or_else(|| {
            format!("the result of {} bytes found no shared memory: return less, or join results sooner", encoder.len())
        })?;
        let cell = self
            .board
            .words::<2>(room.cell(self.next).offset)
            .ok_or("the task's room is not on the board")?;
        cell[0].store(place.offset, Ordering::Relaxed);
        cell[1].store(place.len, Ordering::Relaxed);
        Ok(())
    }

    /// Puts bytes into the room's heap while that lasts, then into this worker's region.
    fn allocate(&self, room: Option<&Room>, encoder: &Encoder<'_>) -> Option<Span> {
        let len = encoder.len() as u64;
        let span = match room.and_then(|room| self.allocate_in_heap(room.heap(), len)) {
            Some(span) => span,
            None => self.log.allocate(self.task, len)?,
        };
        self.board
            .write_all(span.offset, encoder.chunks())
            .then_some(span)
    }

    fn allocate_in_heap(&self, heap: Span, len: u64) -> Option<Span> {
        let used = &self.row.progress.heap_used;
        // 16: the codec aligns plain data relative to the start of a result.
        let at = used.load(Ordering::Relaxed).next_multiple_of(16);
        let end = at.checked_add(len).filter(|&end| end <= heap.len)?;
        used.store(end, Ordering::Relaxed);
        Some(Span::new(heap.offset + at, len))
    }
}

impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("task", &self.task)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The supervisor has settled this item's verdict: this process is to be killed, at once or after a grace in which it
/// has nothing left to do.
fn end_as_condemned() -> ! {
    sys::process::kill_self();
    // Where that is refused, by a filter of system calls, the supervisor's signal comes.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Adds a fault to a task's list: the worker for its own items, the supervisor for a dead worker's.
///
/// An item has one fault. Where a worker died after it wrote one and before it counted the item, the
/// supervisor's verdict takes its place.
pub(crate) fn write_fault(board: &Board, row: &TaskRow, fault: Fault) {
    let n_items = row.n_items.load(Ordering::Relaxed);
    let room = Span::new(
        row.room_offset.load(Ordering::Relaxed),
        row.room_len.load(Ordering::Relaxed),
    );
    if !board.layout().arena().contains(room) {
        return;
    }
    let faults = Room::new(room, n_items, None);
    let n_faults = row.progress.n_faults.load(Ordering::Relaxed).min(n_items);
    let words_at = |place: u32| {
        let span = faults.fault(place);
        let words = board.words::<4>(span.offset)?;
        room.contains(span).then_some(words)
    };
    let last = n_faults.checked_sub(1).filter(|&last| {
        let words =
            words_at(last).map(|words| words.each_ref().map(|word| word.load(Ordering::Relaxed)));
        words
            .and_then(Fault::from_words)
            .is_some_and(|old| old.item == fault.item)
    });
    if row.ends_at_fault.load(Ordering::Relaxed) != 0 {
        row.progress.stop.store(1, Ordering::Relaxed);
    }
    let place = last.unwrap_or(n_faults);
    if let Some(words) = words_at(place) {
        for (word, value) in words.iter().zip(fault.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        // Release: pairs with the acquire of `done` or of the state, which is written after it.
        row.progress.n_faults.store(place + 1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Array;
    use crate::board::{Layout, TaskIndex, WorkerIndex};

    type Results = (Vec<Array<u8>>, Vec<u8>);

    #[test]
    fn a_result_that_finds_no_room_gives_nothing_away() {
        let layout = Layout {
            n_workers: 1,
            n_tasks: 1,
            setup_len: 0,
            arena_len: 4096,
            region_len: 4096,
        };
        let (board, _file) = Board::create(layout).unwrap();
        let (task, worker) = (TaskIndex(0), WorkerIndex(0));
        let row = board.task(task).unwrap();
        let room = layout.arena();
        row.room_offset.store(room.offset, Ordering::Relaxed);
        row.room_len.store(room.len, Ordering::Relaxed);
        row.input_offset.store(room.offset, Ordering::Relaxed);
        row.n_items.store(2, Ordering::Relaxed);
        let (record, log) = (board.worker(worker).unwrap(), board.worker_log(worker));
        let generation = 0;
        let id = TaskId {
            index: task,
            generation,
        };
        let mut chunk = Chunk::new(&board, record, log.unwrap(), id, 77, 2).unwrap();
        for (len, is_given) in [(100_000, false), (100, true)] {
            assert!(chunk.next_item(Some(0)).is_some());
            let array = Array::zeroed(1).unwrap();
            let result: Results = (vec![array.clone()], vec![0; len]);
            chunk.put(&result, None);
            drop(result);
            chunk.see_off();
            // Refused while a name is on its way.
            assert_eq!(array.freeze().is_err(), is_given, "{len}");
        }
        assert_eq!(row.progress.n_faults.load(Ordering::Relaxed), 1);
    }
}
