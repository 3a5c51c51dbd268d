//! The worker's view of one task: the items it still has to do, and where their verdicts go.
//!
//! The shim of a job is the loop here, [`Chunk::run`], made for that job; see [`crate::job`]. Each item is counted as begun before its
//! arguments are read and as done when its verdict lies in the task's room, so that a death at any
//! instruction leaves the supervisor an exact account.

use std::fmt;
use std::time::Duration;

use super::fault::write_fault;
use super::job_index;
use crate::argument::ByValue;
use crate::board::{
    AtomicU64, Board, Fault, FaultKind, Log, Ordering, Room, Span, TaskId, TaskRow, Try,
    WorkerRecord, fence, set,
};
use crate::codec::{CodecError, Decoder, Encoder, Passengers, fixed_size, number_bytes};
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
    /// Where in the input the present item begins, for a second try.
    item: usize,
    positioned: bool,
    guarded: bool,
    flush_each: bool,
    /// Items this worker may still begin.
    quota: u64,
    /// Items it might have begun, had it not been told to begin no more.
    forgone: u64,
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
        set(&row.progress.worker_pid, sys::pid());
        Some(Self {
            board,
            row,
            record,
            log,
            task,
            room: row.room(),
            n_items: row.n_items.load(Ordering::Relaxed),
            first_index: load(&row.first_index),
            next: row.progress.done.load(Ordering::Relaxed),
            rest: input,
            item: 0,
            positioned: false,
            guarded: row.guarded.load(Ordering::Relaxed) != 0,
            flush_each: row.flush_each.load(Ordering::Relaxed) != 0,
            quota,
            forgone: 0,
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

    /// Runs the items by `call`, from the first one without a verdict to the end, or until the worker is to stop.
    ///
    /// Inlined with all that it calls for each item, so that what is the same for all items of a job is decided once,
    /// by the compiler.
    #[inline]
    pub(crate) fn run<R: ByValue>(
        &mut self,
        fixed_input: Option<usize>,
        mut call: impl FnMut(&mut Decoder<'board>) -> Result<R, CodecError>,
    ) {
        let room = Room::new(self.room, self.n_items, fixed_size::<R>());
        self.position(fixed_input);
        while self.begin() {
            let item = self.rest.next_item(fixed_input);
            match item.and_then(|mut item| call(&mut item)) {
                Ok(result) => {
                    self.put(&result, &room);
                    drop(result);
                    self.see_off();
                }
                Err(error) => self.put_error(&error),
            }
        }
    }

    /// Refuses every item: what should run them is not there.
    pub(crate) fn refuse(&mut self, error: &CodecError) {
        while self.begin() {
            self.put_error(error);
        }
    }

    /// Moves past the items that had their verdict when this worker took the task.
    fn position(&mut self, fixed_input: Option<usize>) {
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
    }

    /// Begins the next item; false when the worker is to stop here.
    #[inline]
    fn begin(&mut self) -> bool {
        let is_over = self.next >= self.n_items || self.quota == 0;
        if is_over || self.row.is_stopped() {
            return false;
        }
        if self.guarded && !self.raise_guard() {
            return false;
        }
        self.quota -= 1;
        job_index::set(self.first_index.saturating_add(u64::from(self.next)));
        // Release, like every store of the progress: the supervisor of a dead worker reads it.
        let started = &self.row.progress.started;
        started.store(self.next + 1, Ordering::Release);
        self.item = self.rest.position();
        true
    }

    /// The present item has a result.
    #[inline]
    fn put<R: ByValue>(&mut self, result: &R, room: &Room) {
        match number_bytes(result) {
            Some(number) if self.board.write(room.cell(self.next).offset, number) => self.count(),
            _ => self.encode_and_put(result, room),
        }
    }

    #[inline(never)]
    fn encode_and_put<R: ByValue>(&mut self, result: &R, room: &Room) {
        let mut encoder = Encoder::with_buffer(std::mem::take(&mut self.buffer)).giving(self.tag);
        let stored = match R::encode(result, &mut encoder) {
            Ok(()) if fixed_size::<R>().is_some() => self.fill(room.cell(self.next), &encoder),
            Ok(()) => self.store(room, &encoder),
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
    fn see_off(&mut self) {
        while let Some(passenger) = self.passengers.pop() {
            passenger.depart();
        }
    }

    /// The present item's arguments or result did not pass the codec.
    #[cold]
    fn put_error(&mut self, error: &CodecError) {
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
        let attempt = progress.attempts.of(self.next);
        if attempt < self.row.retries.load(Ordering::Relaxed) {
            self.lower_guard();
            progress.attempts.note(self.next, attempt.saturating_add(1));
            // Between two tries the item has not begun: the worker may be out of quota.
            progress.started.store(self.next, Ordering::Release);
            self.rest.rewind(self.item);
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
        self.next >= self.n_items || self.row.is_stopped()
    }

    pub(super) fn quota(&self) -> u64 {
        self.quota + self.forgone
    }

    /// No further item, nor another try: what is left goes to another worker.
    pub(super) fn begin_no_more(&mut self) {
        self.forgone += std::mem::take(&mut self.quota);
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

    /// From here on the supervisor may end the item; false where no further item is to begin.
    fn raise_guard(&self) -> bool {
        let progress = &self.row.progress;
        progress.guard.raise(self.this_try());
        // SeqCst: pairs with the store of `stop` in `Desk::stop`.
        fence(Ordering::SeqCst);
        let goes_on = progress.stop.load(Ordering::Relaxed) == 0;
        if !goes_on {
            self.lower_guard();
        }
        goes_on
    }

    fn this_try(&self) -> Try {
        let attempt = self.row.progress.attempts.of(self.next);
        Try {
            generation: self.task.generation,
            item: self.next,
            attempt,
        }
    }

    /// The present item ends here, unless the supervisor has ended it already.
    fn lower_guard(&self) {
        if self.guarded && !self.row.progress.guard.lower(self.this_try()) {
            end_as_condemned();
        }
    }

    /// The present item is over, and its verdict lies in its place.
    #[inline]
    fn count(&mut self) {
        self.conclude();
        self.advance();
    }

    /// The present item is over: what it printed is on its way, and the supervisor ends it no more.
    #[inline]
    fn conclude(&self) {
        if self.flush_each {
            sys::flush_stdio();
        }
        if self.guarded {
            self.lower_guard();
        }
    }

    #[inline]
    fn advance(&mut self) {
        let progress = &self.row.progress;
        if !self.record.words.is_empty() {
            // Of a panic that the job dealt with by itself.
            self.record.words.clear();
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
        // First: an item that the supervisor has ended has the supervisor's verdict, or another try.
        self.conclude();
        write_fault(self.board, self.row, fault);
        self.advance();
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

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
