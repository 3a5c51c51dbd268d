//! The worker's view of one task: the items it still has to do, and where their verdicts go.
//!
//! The shim of a job is the loop here, [`Chunk::run`], made for that job; see [`crate::job`]. What is said of each item on the
//! board, and when, is [`account`]'s.

mod account;

use std::fmt;
use std::ops::Range;

use account::Account;

use crate::argument::ByValue;
use crate::board::{AtomicU64, Board, FaultKind, Log, Ordering, Room, Span, TaskId, WorkerRecord};
use crate::codec::{CodecError, Decoder, Encoder, Passengers, fixed_bytes, fixed_size};
use crate::sys::{self, PanicReport};

const NO_ROOM: &str = "the task's room is not on the board";

/// The items of a task from the first one without a verdict.
pub struct Chunk<'board> {
    account: Account<'board>,
    room: Span,
    /// The input without that of the first items, which have their verdict; and how many these are.
    input: Decoder<'board>,
    n_skipped: usize,
    /// The item that this worker began with.
    first: usize,
    /// Items that are over by this worker's own count, kept where a loop or an item ends otherwise than by a verdict:
    /// whatever is written over the account, the task comes to its end.
    n_over: usize,
    /// The present item has its verdict: a panic is that of its result's destructor.
    drops_result: bool,
    /// Tries at items that have been tried before, by this worker.
    n_repeated: u64,
    /// Items and tries that this worker may begin.
    quota: u64,
    begins_no_more: bool,
    n_panics: u32,
    buffer: Vec<u8>,
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
        let account = Account::new(board, record, log, task)?;
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let row = account.row;
        let input =
            Decoder::new(board.input(Span::new(load(&row.input_offset), load(&row.input_len)))?);
        Some(Self {
            account,
            room: row.room(),
            input,
            n_skipped: 0,
            first: account.done(),
            n_over: account.done(),
            drops_result: false,
            n_repeated: 0,
            quota,
            begins_no_more: false,
            n_panics: 0,
            buffer: Vec::new(),
            tag,
            passengers: Vec::new(),
        })
    }

    /// Whether the task is for the job with this hash: an address is never an identity.
    pub(crate) fn is_for(&self, job: u64) -> bool {
        self.account.row.job.load(Ordering::Relaxed) == job
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
        let account = self.account;
        let room = Room::new(self.room, account.n_items, fixed_size::<R>());
        let cells = account.board.cells(&room);
        let mut input = self.input_left(fixed_input).clone();
        let Range {
            start: mut item,
            end,
        } = self.items_left();
        while item < end && account.begin(item) {
            let arguments = input.next_item(fixed_input);
            match arguments.and_then(|mut arguments| call(&mut arguments)) {
                Ok(result) => match fixed_bytes(&result) {
                    Some(bytes) if cells.write(item, bytes) => account.count(item),
                    Some(_) => account.fault(item, FaultKind::Codec, NO_ROOM.as_bytes()),
                    None => self.put(item, result, &room),
                },
                Err(error) => self.put_error(item, &error),
            }
            item += 1;
        }
        self.n_over = item;
    }

    /// Refuses every item: what should run them is not there.
    pub(crate) fn refuse(&mut self, error: &CodecError) {
        for item in self.items_left() {
            if !self.account.begin(item) {
                break;
            }
            self.put_error(item, error);
            self.n_over = item + 1;
        }
    }

    /// The present item, or the next: the first one without a verdict.
    fn next(&self) -> usize {
        self.n_over.max(self.account.done())
    }

    /// The items that this worker may still begin.
    fn items_left(&self) -> Range<usize> {
        let next = self.next();
        let n_left = usize::try_from(self.quota_left()).unwrap_or(usize::MAX);
        next..next
            .saturating_add(n_left)
            .min(self.account.n_items as usize)
    }

    /// Their input.
    fn input_left(&mut self, fixed_input: Option<usize>) -> &Decoder<'board> {
        let next = self.next();
        // It goes only forward, whatever is written over the account meanwhile.
        self.n_over = next;
        let n_more = next - self.n_skipped;
        if self.input.skip_items(fixed_input, n_more).is_err() {
            self.input = Decoder::new(&[]);
        }
        self.n_skipped = next;
        &self.input
    }

    #[inline(never)]
    fn put<R: ByValue>(&mut self, item: usize, result: R, room: &Room) {
        let mut encoder = Encoder::with_buffer(std::mem::take(&mut self.buffer)).giving(self.tag);
        let stored = match R::encode(&result, &mut encoder) {
            Ok(()) => self.store(room.cell(item as u32), room, &encoder),
            Err(error) => Err(error.to_string()),
        };
        if stored.is_err() {
            encoder.recall_passengers();
        }
        self.passengers = encoder.take_passengers();
        if !self.passengers.is_empty() {
            self.account.row.progress.gives.store(1, Ordering::Relaxed);
        }
        self.buffer = encoder.into_buffer();
        match stored {
            Ok(()) => self.account.count(item),
            Err(message) => self
                .account
                .fault(item, FaultKind::Codec, message.as_bytes()),
        }
        self.n_over = item + 1;
        self.drops_result = true;
        drop(result);
        self.see_off();
        self.drops_result = false;
    }

    /// The last result has been dropped: what travels beside it may go.
    fn see_off(&mut self) {
        while let Some(passenger) = self.passengers.pop() {
            passenger.depart();
        }
    }

    /// The item's arguments or result did not pass the codec.
    #[cold]
    fn put_error(&self, item: usize, error: &CodecError) {
        self.account
            .fault(item, FaultKind::Codec, error.to_string().as_bytes());
    }

    /// The present item panicked: it is tried again if it may be, else the panic is its verdict.
    pub(super) fn put_panic(&mut self, report: &PanicReport) {
        self.n_panics += 1;
        let account = self.account;
        account.record.words.clear();
        if std::mem::take(&mut self.drops_result) {
            self.see_off();
            return;
        }
        let item = self.next();
        self.n_over = item;
        let attempt = account.row.progress.attempts.of(item as u32);
        if attempt < account.row.retries.load(Ordering::Relaxed) {
            self.n_repeated += 1;
            account.take_back(item, attempt);
            return;
        }
        let mut encoder = Encoder::with_buffer(Vec::new());
        let parts = [&report.message, &report.location, &report.backtrace];
        // Strings always encode.
        let _ = parts.into_iter().try_for_each(|part| encoder.value(part));
        let payload = self.allocate(None, &encoder).unwrap_or(Span::new(0, 0));
        account.add_fault(item, FaultKind::Panicked, payload);
        self.n_over = item + 1;
    }

    /// Whether every item has its verdict, or the rest is not wanted.
    pub(super) fn is_over(&self) -> bool {
        self.next() >= self.account.n_items as usize || self.account.row.is_stopped()
    }

    /// Items and tries that this worker may still begin, or might, had it not been told to begin no more.
    pub(super) fn quota(&self) -> u64 {
        let n_begun = self.account.started().max(self.n_over) - self.first;
        self.quota.saturating_sub(n_begun as u64 + self.n_repeated)
    }

    fn quota_left(&self) -> u64 {
        if self.begins_no_more { 0 } else { self.quota() }
    }

    /// No further item, nor another try: what is left goes to another worker.
    pub(super) fn begin_no_more(&mut self) {
        self.begins_no_more = true;
    }

    pub(super) fn n_panics(&self) -> u32 {
        self.n_panics
    }

    /// What the items printed is on its way before anybody learns that they are done.
    pub(super) fn flush(&self) {
        if !self.account.flush_each {
            sys::flush_stdio();
        }
    }

    fn store(&self, cell: Span, room: &Room, encoder: &Encoder<'_>) -> Result<(), String> {
        let place = self.allocate(Some(room), encoder).ok_or_else(|| {
            format!("the result of {} bytes found no shared memory: return less, or join results sooner", encoder.len())
        })?;
        let cell = self.account.board.words::<2>(cell.offset).ok_or(NO_ROOM)?;
        cell[0].store(place.offset, Ordering::Relaxed);
        cell[1].store(place.len, Ordering::Relaxed);
        Ok(())
    }

    /// Puts bytes into the room's heap while that lasts, then into this worker's region.
    fn allocate(&self, room: Option<&Room>, encoder: &Encoder<'_>) -> Option<Span> {
        let Account {
            board, log, task, ..
        } = self.account;
        let len = encoder.len() as u64;
        let span = match room.and_then(|room| self.allocate_in_heap(room.heap(), len)) {
            Some(span) => span,
            None => log.allocate(task, len)?,
        };
        board
            .write_all(span.offset, encoder.chunks())
            .then_some(span)
    }

    fn allocate_in_heap(&self, heap: Span, len: u64) -> Option<Span> {
        let used = &self.account.row.progress.heap_used;
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
            .field("task", &self.account.task)
            .field("next", &self.next())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
