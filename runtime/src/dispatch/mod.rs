//! The program's side of a board: puts tasks on it, takes outcomes off it, waits.
//!
//! Responsible for the order of things when many threads use one pool, for the memory on the board, and for
//! the promise that every task put on it is answered: by its outcome, or because the pool was stopped, or
//! because the pool or its supervisor is gone. It knows nothing of types: values are bytes here.
//!
//! Rules that keep it free of deadlock (model-checked before they were built; simpler ones did deadlock):
//!
//! 1. A task is published only together with room for its verdict; a larger result goes to the worker's own
//!    region, where want of room is a verdict and never a wait.
//! 2. Whoever waits here, for a result or for room, first takes every finished outcome of the whole pool
//!    into private memory.
//! 3. A task that could never fit is an error, not a wait.
//!
//! The lock around the desk is the program's own; no worker can hold it, and no user code runs under it.

mod arena;
mod outcome;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering as StdOrdering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arena::Arena;
pub(crate) use outcome::{Failure, Outcome, Verdicts};
use outcome::{Limits, Remembered, Rest};

use crate::board::{
    Board, Layout, Ordering, Room, Span, State, TaskId, TaskIndex, TaskRow, round_up,
};
use crate::codec::Encoder;
use crate::error::{Error, ErrorKind};
use crate::supervisor::{Link, Request, SUPERVISOR_GONE, Terms, lock};
use crate::sys::{self, Context};

/// How long a caller sleeps before it looks whether the supervisor is still there.
const LIVENESS: Duration = Duration::from_millis(100);

/// One crew of workers and the board they share with this program.
pub(crate) struct Dispatch {
    board: Board,
    link: Arc<Link>,
    crew: u64,
    memory_limit: u64,
    desk: Mutex<Desk>,
    stopped: AtomicBool,
}

/// What the program knows of its board; all of it private memory.
struct Desk {
    arena: Arena,
    rows: Vec<Row>,
    free_rows: Vec<TaskIndex>,
    n_in_flight: usize,
    rescan_seen: u32,
    /// Why no further task is taken.
    gone: Option<Arc<str>>,
}

#[derive(Default)]
struct Row {
    generation: u32,
    tenant: Option<Tenant>,
}

struct Tenant {
    /// Input and room together.
    span: Span,
    remembered: Remembered,
    /// Nobody, once the caller has turned away.
    mailbox: Option<(Arc<Mailbox>, u64)>,
}

/// Where the outcomes of one caller arrive, each with the tag it was sent under.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    arrived: Mutex<Vec<(u64, Outcome)>>,
    emptied: AtomicBool,
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.arrived).is_empty()
    }

    pub(crate) fn take(&self) -> Vec<(u64, Outcome)> {
        let arrived = std::mem::take(&mut *lock(&self.arrived));
        if !arrived.is_empty() {
            self.emptied.store(true, StdOrdering::Release);
        }
        arrived
    }

    /// Whether something had arrived and was taken.
    pub(crate) fn is_emptied(&self) -> bool {
        self.emptied.load(StdOrdering::Acquire) && self.is_empty()
    }

    /// Whether the one job whose outcome arrives here was cancelled.
    pub(crate) fn was_cancelled(&self) -> bool {
        lock(&self.arrived)
            .first()
            .is_some_and(|(_, outcome)| outcome.is_cancelled())
    }
}

/// A chunk of items, ready to be put on the board.
pub(crate) struct NewTask<'a> {
    pub(crate) shim: i64,
    pub(crate) job: u64,
    pub(crate) input: &'a Encoder<'a>,
    pub(crate) n_items: u32,
    pub(crate) fixed_output: Option<usize>,
    /// Expected bytes of all results, where they have no fixed size.
    pub(crate) heap_len: u64,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    /// Whether the supervisor may single out the item that runs, to end it.
    pub(crate) guarded: bool,
    /// Whether no item is to begin after one that failed.
    pub(crate) ends_at_fault: bool,
    pub(crate) flush_each: bool,
    pub(crate) mailbox: &'a Arc<Mailbox>,
    pub(crate) tag: u64,
}

/// Why a task was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room now.
    Full,
    /// No room ever.
    TooLarge {
        needed: u64,
        capacity: u64,
    },
    /// Neither the board nor the system has the memory.
    NoMemory(io::Error),
    Gone(Arc<str>),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Error::new(
                ErrorKind::QueueFull,
                "the pool's queue is full: wait for results, or allow more with `max_queued_bytes`",
            ),
            Refused::TooLarge { needed, capacity } => Error::new(
                ErrorKind::QueueFull,
                format!(
                    "an item and the room for its result need {needed} bytes, the pool's queue holds {capacity}: \
                     allow more with `max_queued_bytes`"
                ),
            ),
            Refused::NoMemory(error) => {
                Error::system("reserve shared memory for the pool's queue", error)
            }
            Refused::Gone(reason) => Error::new(ErrorKind::PoolGone, &*reason),
        }
    }
}

/// What a crew is to be.
pub(crate) struct Plan<'a> {
    pub(crate) n_workers: u32,
    pub(crate) n_tasks: u32,
    pub(crate) arena_len: u64,
    pub(crate) terms: Terms,
    pub(crate) name: &'a str,
    pub(crate) initializer_args: &'a [u8],
}

impl Dispatch {
    /// Makes the board, on which tasks can then be put, and has a crew of workers made by the supervisor at the
    /// other end of `link`.
    pub(crate) fn make(
        link: Arc<Link>,
        plan: &Plan<'_>,
        before_start: impl FnOnce(&Self) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let context = Context::capture()
            .map_err(|e| Error::system("read the program's working directory", e))?;
        let parts = [
            &context.to_bytes()[..],
            plan.name.as_bytes(),
            plan.initializer_args,
        ];
        let setup = parts.concat();
        let terms = Terms {
            setup: parts.map(|part| part.len() as u64),
            ..plan.terms
        };
        let layout = Layout {
            n_workers: plan.n_workers,
            n_tasks: plan.n_tasks,
            setup_len: setup.len() as u64,
            arena_len: round_up(plan.arena_len, 4096),
            region_len: 0,
        };
        let (board, fd) =
            create_board(layout).map_err(|e| Error::system("make the pool's shared memory", e))?;
        let layout = board.layout();
        board
            .ensure(layout.setup())
            .map_err(|e| Error::system("reserve shared memory for the pool", e))?;
        board.write(layout.setup().offset, &setup);
        let desk = Desk {
            arena: Arena::new(layout.arena()),
            rows: Vec::new(),
            free_rows: Vec::new(),
            n_in_flight: 0,
            rescan_seen: 0,
            gone: None,
        };
        let crew = link.new_crew();
        let (desk, stopped) = (Mutex::new(desk), AtomicBool::new(false));
        let this = Self {
            board,
            link,
            crew,
            memory_limit: terms.memory_limit,
            desk,
            stopped,
        };
        before_start(&this)?;
        this.link.request(
            Request::Make {
                crew,
                layout,
                terms,
            },
            &[&fd, context.working_directory()],
        )?;
        Ok(this)
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// An error in a process that was forked from the pool's program.
    pub(crate) fn check_ours(&self) -> Result<(), Error> {
        if self.link.is_ours() {
            return Ok(());
        }
        let message =
            "this pool belongs to the process that this one was forked from: make one here";
        Err(Error::new(ErrorKind::PoolGone, message))
    }

    /// Puts a task on the board, or says why not.
    pub(crate) fn try_publish(&self, task: &NewTask<'_>) -> Result<TaskId, Refused> {
        let mut desk = lock(&self.desk);
        if let Some(reason) = &desk.gone {
            return Err(Refused::Gone(Arc::clone(reason)));
        }
        let input_len = task.input.len() as u64;
        let room_offset = round_up(input_len, crate::board::ALIGN);
        let needed = room_offset + Room::len(task.n_items, task.fixed_output, task.heap_len);
        let capacity = desk.arena.capacity();
        if needed > capacity {
            return Err(Refused::TooLarge { needed, capacity });
        }
        let index = desk
            .free_row(self.board.layout().n_tasks)
            .ok_or(Refused::Full)?;
        let Some(span) = desk.arena.allocate(needed) else {
            desk.free_rows.push(index);
            return Err(Refused::Full);
        };
        if let Some(fresh) = desk.arena.unensured(span) {
            if let Err(error) = self.board.ensure(fresh) {
                desk.arena.give_back(span);
                desk.free_rows.push(index);
                return Err(if desk.n_in_flight > 0 {
                    Refused::Full
                } else {
                    Refused::NoMemory(error)
                });
            }
            desk.arena.set_ensured(fresh);
        }
        let input = Span::new(span.offset, input_len);
        let room = Span::new(span.offset + room_offset, span.len - room_offset);
        self.board.write_all(input.offset, task.input.chunks());
        let limits = Limits {
            timeout: task.timeout,
            memory: self.memory_limit,
        };
        let remembered = Remembered {
            n_items: task.n_items,
            room,
            fixed_output: task.fixed_output,
            limits,
        };
        let mailbox = Some((Arc::clone(task.mailbox), task.tag));
        let row = &mut desk.rows[index.0 as usize];
        row.tenant = Some(Tenant {
            span,
            remembered,
            mailbox,
        });
        let id = TaskId {
            index,
            generation: row.generation,
        };
        let row = &self.board.tasks()[index.0 as usize];
        fill(row, task, input, room);
        if self.memory_limit > 0 {
            row.guarded.store(1, Ordering::Relaxed);
        }
        desk.n_in_flight += 1;
        row.state.publish(id.generation);
        self.board.queue().append(id);
        drop(desk);
        self.board.wake_worker();
        if (task.timeout.is_some() || self.memory_limit > 0)
            && self.board.header().watched.load(Ordering::SeqCst) == 0
        {
            self.link.tell(Request::Watch { crew: self.crew });
        }
        Ok(id)
    }

    /// Puts a task on the board, waiting for room where that can help.
    pub(crate) fn publish(&self, task: &NewTask<'_>) -> Result<TaskId, Refused> {
        loop {
            match self.try_publish(task) {
                Err(Refused::Full) => {
                    let n_in_flight = || lock(&self.desk).n_in_flight;
                    let before = n_in_flight();
                    self.wait_until(|| n_in_flight() < before || before == 0);
                }
                other => return other,
            }
        }
    }

    /// Sleeps until `ready`, taking in all that arrives. Ends too when nothing more can arrive.
    pub(crate) fn wait_until(&self, ready: impl Fn() -> bool) {
        self.wait_until_or(ready, None);
    }

    /// As [`wait_until`](Self::wait_until), but gives up after `timeout`; returns whether it was ready.
    pub(crate) fn wait_until_or(
        &self,
        ready: impl Fn() -> bool,
        timeout: Option<Duration>,
    ) -> bool {
        let deadline = timeout.map(|timeout| std::time::Instant::now().checked_add(timeout));
        loop {
            self.drain();
            if ready() {
                return true;
            }
            self.look_after_supervisor();
            if ready() || lock(&self.desk).gone.is_some() {
                return ready();
            }
            let left = match deadline.flatten() {
                Some(deadline) => deadline.saturating_duration_since(std::time::Instant::now()),
                None => LIVENESS,
            };
            if left.is_zero() {
                return false;
            }
            let drained_ready = || {
                self.drain();
                ready()
            };
            self.board.sleep_caller(left.min(LIVENESS), drained_ready);
        }
    }

    /// Whether tasks are on the board.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.desk).n_in_flight > 0
    }

    /// Rule 2: takes every finished outcome into private memory.
    pub(crate) fn drain(&self) {
        let header = self.board.header();
        let mut desk = lock(&self.desk);
        let link = |index| self.board.task(index).map(|row| &row.next_finished);
        let n_tasks = self.board.layout().n_tasks;
        let whole = header
            .finished
            .0
            .take_all(n_tasks, link, |index| desk.take_if_done(&self.board, index));
        let rescan = header.rescan.load(Ordering::Acquire);
        if !whole || rescan != desk.rescan_seen {
            desk.rescan_seen = rescan;
            for index in 0..desk.rows.len() {
                desk.take_if_done(&self.board, TaskIndex(index as u32));
            }
        }
    }

    /// Takes a task back if no worker has claimed it; its outcome is "cancelled".
    pub(crate) fn withdraw(&self, task: TaskId) -> bool {
        let mut desk = lock(&self.desk);
        let Some(row) = self.board.task(task.index) else {
            return false;
        };
        if !desk.holds(task) || !row.state.withdraw(task.generation) {
            return false;
        }
        desk.deliver(&self.board, task.index, Rest::Cancelled);
        drop(desk);
        // Another thread may wait for this outcome, or for the room.
        self.board.wake_callers();
        true
    }

    /// The caller turns away: what has not begun never will, and nobody hears of what has.
    pub(crate) fn abandon(&self, task: TaskId) {
        if let Some(row) = lock(&self.desk).rows.get_mut(task.index.0 as usize)
            && row.generation == task.generation
            && let Some(tenant) = &mut row.tenant
        {
            tenant.mailbox = None;
            self.board.tasks()[task.index.0 as usize]
                .progress
                .stop
                .store(1, Ordering::Relaxed);
        }
        self.withdraw(task);
    }

    /// Sees to it that a claimed task comes to an end at once; its outcome tells how.
    pub(crate) fn cancel_running(&self, task: TaskId) {
        if let Some(row) = self.board.task(task.index) {
            // SeqCst: pairs with the worker's fence between its guard and its look at `stop`: either it begins
            // no item any more, or the supervisor finds the guard.
            row.progress.stop.store(1, Ordering::SeqCst);
        }
        // Failure means that the supervisor is gone, which whoever waits will learn.
        let _ = self.link.request(
            Request::Cancel {
                crew: self.crew,
                task,
            },
            &[],
        );
    }

    /// Why no further task is taken, if so.
    pub(crate) fn gone(&self) -> Option<Arc<str>> {
        lock(&self.desk).gone.clone()
    }

    /// Whether the crew is of no use any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.look_after_supervisor();
        lock(&self.desk).gone.is_some()
    }

    /// Has the supervisor do something with the crew.
    pub(crate) fn request(&self, request: impl FnOnce(u64) -> Request) -> Result<(), Error> {
        self.link.request(request(self.crew), &[])
    }

    /// Ends the crew; every task still on the board is answered with "cancelled". No process is left.
    pub(crate) fn stop(&self, kill: bool) -> Result<(), Error> {
        if !self.link.is_ours() || self.stopped.swap(true, StdOrdering::AcqRel) {
            return Ok(());
        }
        let answer = match self.link.request(
            Request::Stop {
                crew: self.crew,
                kill,
            },
            &[],
        ) {
            // A supervisor that is gone has taken its workers with it.
            Err(error) if error.kind() == ErrorKind::PoolGone => Ok(()),
            other => other,
        };
        self.give_up(&Rest::Cancelled, "the pool was closed");
        answer
    }

    /// The crew has ended by itself; there is nothing to stop.
    pub(crate) fn forget(&self) {
        self.stopped.store(true, StdOrdering::Release);
    }

    /// The supervisor's death, or a crew that cannot start, is the end of every task.
    fn look_after_supervisor(&self) {
        if self.link.is_dead() {
            self.give_up(&Rest::Lost(SUPERVISOR_GONE.into()), SUPERVISOR_GONE);
        } else if self.board.header().broken.load(Ordering::Acquire) != 0 {
            let cause = self.board.header().cause.read();
            self.give_up(&Rest::Lost(cause.as_str().into()), &cause);
        }
    }

    /// No task is taken from now on, and each one on the board is answered with `rest`.
    fn give_up(&self, rest: &Rest, reason: &str) {
        self.drain();
        let mut desk = lock(&self.desk);
        desk.gone.get_or_insert_with(|| reason.into());
        for index in 0..desk.rows.len() {
            let index = TaskIndex(index as u32);
            // Withdrawn first, so that a worker still alive cannot claim what is said never to have run.
            let generation = desk.rows[index.0 as usize].generation;
            self.board.tasks()[index.0 as usize]
                .state
                .withdraw(generation);
            desk.deliver(&self.board, index, rest.clone());
        }
        drop(desk);
        self.board.wake_callers();
    }
}

impl Desk {
    fn free_row(&mut self, n_rows: u32) -> Option<TaskIndex> {
        self.free_rows.pop().or_else(|| {
            let index = u32::try_from(self.rows.len())
                .ok()
                .filter(|&index| index < n_rows)?;
            self.rows.push(Row::default());
            Some(TaskIndex(index))
        })
    }

    fn holds(&self, task: TaskId) -> bool {
        let row = self.rows.get(task.index.0 as usize);
        row.is_some_and(|row| row.generation == task.generation && row.tenant.is_some())
    }

    fn take_if_done(&mut self, board: &Board, index: TaskIndex) {
        let Some(row) = self.rows.get(index.0 as usize) else {
            return;
        };
        if row.tenant.is_some()
            && board.tasks()[index.0 as usize].state.read(row.generation) == Some(State::Done)
        {
            self.deliver(board, index, Rest::Cancelled);
        }
    }

    /// Reads the outcome, frees row and memory, and puts it where its caller looks.
    fn deliver(&mut self, board: &Board, index: TaskIndex, rest: Rest) {
        let row = &mut self.rows[index.0 as usize];
        let Some(tenant) = row.tenant.take() else {
            return;
        };
        let shared = &board.tasks()[index.0 as usize];
        if let Some((mailbox, tag)) = tenant.mailbox {
            let outcome = Outcome::read(board, &shared.progress, &tenant.remembered, rest);
            lock(&mailbox.arrived).push((tag, outcome));
        }
        shared.state.free(row.generation);
        row.generation = row.generation.wrapping_add(1);
        self.arena.give_back(tenant.span);
        self.free_rows.push(index);
        self.n_in_flight -= 1;
    }
}

/// Writes what workers need to know of a task, before it is published.
fn fill(row: &TaskRow, task: &NewTask<'_>, input: Span, room: Span) {
    let relaxed = Ordering::Relaxed;
    row.n_items.store(task.n_items, relaxed);
    row.shim.store(task.shim as u64, relaxed);
    row.job.store(task.job, relaxed);
    row.input_offset.store(input.offset, relaxed);
    row.input_len.store(input.len, relaxed);
    row.room_offset.store(room.offset, relaxed);
    row.room_len.store(room.len, relaxed);
    let nanos = task.timeout.map_or(0, |limit| {
        u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
    });
    row.timeout_nanos.store(nanos, relaxed);
    row.retries.store(task.retries, relaxed);
    row.guarded.store(u32::from(task.guarded), relaxed);
    row.ends_at_fault
        .store(u32::from(task.ends_at_fault), relaxed);
    row.flush_each.store(u32::from(task.flush_each), relaxed);
    row.progress.reset();
}

/// Makes the board with regions as large as the address space allows; they are sparse.
fn create_board(mut layout: Layout) -> io::Result<(Board, sys::Fd)> {
    const LARGEST: u64 = 16 << 30;
    const SMALLEST: u64 = 1 << 20;
    layout.region_len = sys::total_memory()
        .next_power_of_two()
        .clamp(SMALLEST, LARGEST);
    loop {
        match Board::create(layout) {
            Err(_) if layout.region_len > SMALLEST => layout.region_len /= 2,
            other => return other,
        }
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch")
            .field("crew", &self.crew)
            .finish_non_exhaustive()
    }
}
