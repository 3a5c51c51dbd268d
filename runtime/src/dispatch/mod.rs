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
mod audit;
mod desk;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(procession_unsupported)))]
pub(crate) mod fuzzing;
mod listener;
mod mailbox;
mod notifier;
mod outcome;
mod several;
mod single;
mod task;
mod waiting;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering as StdOrdering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use desk::{Desk, Tenant};
pub(crate) use listener::{Listener, Notes};
pub(crate) use mailbox::Mailbox;
pub(crate) use notifier::notify;
pub(crate) use outcome::{Failure, Outcome, Verdicts};
use outcome::{Limits, Remembered, Rest};
pub(crate) use several::wait_for_any;
pub(crate) use task::{NewTask, Refused};
use waiting::LIVENESS;

use crate::board::{Board, Layout, Order, Ordering, Span, TaskId, room_offset, round_up};
use crate::codec::Passengers;
use crate::error::{Error, ErrorKind};
use crate::relatives::{ProcessInfo, current_process, long_name};
use crate::supervisor::{Ending, Link, Request, Terms, WorkerLimits, lock};
use crate::sys::{self, Confinement, Context};

/// One crew of workers and the board they share with this program.
pub(crate) struct Dispatch {
    board: Board,
    link: Arc<Link>,
    crew: u64,
    limits: WorkerLimits,
    tags: u64,
    /// What the arguments of initializer and finalizer name: the next worker reads them again.
    _keeps: Passengers,
    name: String,
    is_one_shot: bool,
    /// Whether workers retire.
    has_dormant: bool,
    desk: Mutex<Desk>,
    stopped: AtomicBool,
    /// How many there are to be.
    n_workers: AtomicU32,
    /// Held while that changes, so that the supervisor is told the numbers in the order in which they come to stand here.
    resizing: Mutex<()>,
}

/// How many places for workers a board is to have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Places {
    Exactly(u32),
    /// So many, or as many as there are workers at first where the address space is too small for more.
    UpTo(u32),
}

impl Places {
    pub(crate) fn most(self) -> u32 {
        let (Self::Exactly(most) | Self::UpTo(most)) = self;
        most
    }
}

/// What a crew is to be.
pub(crate) struct Plan<'a> {
    pub(crate) n_workers: u32,
    /// How many there may ever be.
    pub(crate) n_places: Places,
    pub(crate) n_tasks: u32,
    pub(crate) arena_len: u64,
    pub(crate) terms: Terms,
    pub(crate) name: &'a str,
    pub(crate) confinement: &'a Confinement,
    pub(crate) initializer_args: &'a [u8],
    pub(crate) finalizer_args: &'a [u8],
    /// What these name.
    pub(crate) keeps: Passengers,
}

impl Dispatch {
    /// Makes the board, with a task on it where there is one already, and has a crew of workers made by the supervisor at
    /// the other end of `link`.
    ///
    /// # Errors
    ///
    /// Where this is [`ErrorKind::PoolGone`], the task has not begun and never will. A supervisor that dies after that is
    /// no error here: the task's outcome tells.
    pub(crate) fn make(
        link: Arc<Link>,
        plan: &Plan<'_>,
        first: Option<&NewTask<'_>>,
    ) -> Result<Self, Error> {
        let context = Context::capture()
            .map_err(|e| Error::system("read the program's working directory", e))?;
        // In the order of `SetupPart`.
        let parts = [
            &context.to_bytes()[..],
            plan.name.as_bytes(),
            &plan.confinement.to_bytes(),
            plan.initializer_args,
            plan.finalizer_args,
            &current_process().to_bytes(),
        ];
        let setup = parts.concat();
        let terms = Terms {
            setup: parts.map(|part| part.len() as u64),
            tags: crate::supervisor::random(),
            ..plan.terms
        };
        let n_fewest = match plan.n_places {
            Places::Exactly(n_places) => n_places,
            Places::UpTo(_) => plan.n_workers,
        };
        let layout = Layout {
            n_workers: plan.n_places.most(),
            n_tasks: plan.n_tasks,
            setup_len: setup.len() as u64,
            arena_len: round_up(plan.arena_len, 4096),
            region_len: 0,
        };
        let (board, fd) = create_board(layout, n_fewest)
            .map_err(|e| Error::system("make the pool's shared memory", e))?;
        let board = board.with_places_taken(plan.n_workers);
        let layout = board.layout();
        board
            .ensure(layout.setup())
            .map_err(|e| Error::system("reserve shared memory for the pool", e))?;
        board.write(layout.setup().offset, &setup);
        let desk = Desk::new(layout);
        let crew = link.new_crew();
        let (desk, stopped) = (Mutex::new(desk), AtomicBool::new(false));
        let this = Self {
            board,
            link,
            crew,
            limits: terms.limits,
            tags: terms.tags,
            _keeps: plan.keeps.clone(),
            name: plan.name.to_owned(),
            is_one_shot: terms.one_shot,
            has_dormant: terms.idle_nanos > 0,
            desk,
            stopped,
            n_workers: AtomicU32::new(plan.n_workers),
            resizing: Mutex::new(()),
        };
        let first = first.map(|task| this.try_publish(task)).transpose()?;
        let request = Request::Make {
            crew,
            layout,
            n_workers: plan.n_workers,
            terms,
        };
        let made = this
            .link
            .request(request, &[&fd, context.working_directory()]);
        match made {
            Err(error) if error.kind() == ErrorKind::PoolGone && this.has_been_claimed(first) => {}
            made => made?,
        }
        Ok(this)
    }

    /// Whether a worker has taken the task, which none takes from now on. For a board of which nothing else is wanted.
    fn has_been_claimed(&self, task: Option<TaskId>) -> bool {
        task.is_some_and(|task| {
            let row = self.board.task(task.index);
            row.is_some_and(|row| !row.state.withdraw(task.generation))
        })
    }

    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// The processes of the crew that live.
    pub(crate) fn living(&self) -> Vec<ProcessInfo> {
        if self.check_ours().is_err() || self.is_gone() {
            return Vec::new();
        }
        let workers = self.board.workers().iter().enumerate();
        workers
            .filter(|(_, record)| {
                // The number of a process stays where it was, for whoever asks for it afterwards.
                !(self.is_one_shot && record.ended.load(Ordering::Acquire) != 0)
            })
            .map(|(place, record)| (place, record.pid.load(Ordering::Relaxed)))
            .filter(|&(_, pid)| pid != 0)
            .map(|(place, pid)| ProcessInfo::new(long_name(&self.name, place), pid))
            .collect()
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
        match self.publish_at_once(task) {
            // What has finished since may have left room.
            Err(Refused::Full) => {
                self.drain();
                self.publish_at_once(task)
            }
            other => other,
        }
    }

    fn publish_at_once(&self, task: &NewTask<'_>) -> Result<TaskId, Refused> {
        let mut desk = lock(&self.desk);
        if let Some(reason) = &desk.gone {
            return Err(Refused::Gone(Arc::clone(reason)));
        }
        let (index, span) = desk.set_aside(&self.board, task.needed())?;
        let input = Span::new(span.offset, task.input.len() as u64);
        let room_offset = room_offset(input);
        let room = Span::new(room_offset, span.offset + span.len - room_offset);
        self.board.write_all(input.offset, task.input.chunks());
        let order = task.order(input, room);
        let order = Order {
            guarded: order.guarded || self.limits.are_watched(),
            ..order
        };
        let remembered = Remembered {
            order,
            fixed_output: task.fixed_output,
            limits: Limits::new(task.timeout, task.deadline, self.limits.memory),
            tags: self.tags,
        };
        // Who is dormant does not sleep, and is not awake either.
        let most_awake = task.most_awake.filter(|_| !self.has_dormant);
        let passengers = task.input.passengers().clone();
        let mailbox = desk.enter(task.mailbox);
        let tenant = Tenant::new(span, remembered, passengers, mailbox, task.tag)
            .with_priority(task.priority)
            .with_most_awake(most_awake);
        let id = desk.seat(&self.board, index, tenant);
        drop(desk);
        self.board.wake_worker();
        if self.has_dormant && self.board.wants_dormant() {
            self.link.tell(Request::Rouse { crew: self.crew });
        }
        if (task.timeout.is_some() || self.limits.are_watched())
            && self.board.header().watched.load(Ordering::SeqCst) == 0
        {
            self.link.tell(Request::Watch { crew: self.crew });
        }
        Ok(id)
    }

    /// Puts a task on the board, waiting for room where that can help; [`Refused::Full`] once it has waited until
    /// `ends_at`.
    pub(crate) fn publish(
        &self,
        task: &NewTask<'_>,
        ends_at: Option<Instant>,
    ) -> Result<TaskId, Refused> {
        loop {
            let time_left = ends_at.map(|at| at.saturating_duration_since(Instant::now()));
            match self.try_publish(task) {
                Err(Refused::Full) if time_left != Some(Duration::ZERO) => {
                    let has_room = || lock(&self.desk).has_room(&self.board, task.needed());
                    self.wait_until_or(has_room, time_left);
                }
                other => return other,
            }
        }
    }

    /// What is on the board is for all workers, whatever was thought of it.
    pub(crate) fn call_all(&self) {
        lock(&self.desk).call_all(&self.board);
    }

    /// Whether tasks are on the board.
    pub(crate) fn is_busy(&self) -> bool {
        lock(&self.desk).n_in_flight() > 0
    }

    /// Whether there is an outcome to take, as far as can be seen without the desk's lock.
    fn has_finished(&self) -> bool {
        !self.board.header().finished.0.is_empty()
    }

    /// Rule 2: takes every finished outcome into private memory.
    pub(crate) fn drain(&self) {
        lock(&self.desk).drain(&self.board);
    }

    /// Takes a task back if no worker has claimed it; its outcome is "cancelled".
    pub(crate) fn withdraw(&self, task: TaskId) -> bool {
        let is_withdrawn = lock(&self.desk).withdraw(&self.board, task, &Rest::Cancelled);
        if is_withdrawn {
            // Another thread may wait for this outcome, or for the room.
            self.board.wake_callers();
        }
        is_withdrawn
    }

    /// The caller turns away: what has not begun never will, and nobody hears of what has.
    pub(crate) fn abandon(&self, task: TaskId) {
        if !self.link.is_ours() {
            return;
        }
        lock(&self.desk).silence(&self.board, task);
        self.withdraw(task);
    }

    /// Takes a task back, or has it end with the item that runs; its outcome tells how far it came.
    pub(crate) fn end_early(&self, task: TaskId) {
        if !self.withdraw(task) {
            lock(&self.desk).stop(&self.board, task);
        }
    }

    /// Sees to it that a claimed task comes to an end now; its outcome tells how.
    pub(crate) fn end_running(&self, task: TaskId, ending: Ending) {
        if !lock(&self.desk).stop(&self.board, task) {
            return;
        }
        // Failure means that the supervisor is gone, which whoever waits will learn.
        let _ = self.link.request(
            Request::End {
                crew: self.crew,
                task,
                ending,
            },
            &[],
        );
    }

    /// How many workers the crew is to have.
    pub(crate) fn n_workers(&self) -> usize {
        self.n_workers.load(StdOrdering::Relaxed) as usize
    }

    /// Has as many workers in the crew from now on as were asked for; those that are too many leave when their task is done.
    pub(crate) fn resize(&self, n_workers: u32) -> Result<(), Error> {
        self.check_ours()?;
        let n_places = self.board.layout().n_workers;
        if n_workers > n_places {
            return Err(Error::invalid_input(format!(
                "the pool was built for {n_places} workers at the most, not {n_workers}: \
                 build it with `max_workers({n_workers})`"
            )));
        }
        let _turn = lock(&self.resizing);
        let is_gone = || match self.is_gone().then(|| self.gone()).flatten() {
            Some(reason) => Err(Error::new(ErrorKind::PoolGone, &*reason)),
            None => Ok(()),
        };
        is_gone()?;
        // First, so that whoever comes there is seen.
        self.board.take_places(n_workers);
        let resized = self.request(|crew| Request::Resize { crew, n_workers });
        if resized.is_err() {
            // The pool's end says more than what its supervisor could not do any more.
            is_gone()?;
        }
        resized?;
        self.n_workers.store(n_workers, StdOrdering::Relaxed);
        // Maps with as much on the board as was of use so far.
        self.board.wake_callers();
        Ok(())
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
        let answer = match self.end_crew(kill) {
            // A supervisor that is gone has taken its workers with it.
            Err(error) if error.kind() == ErrorKind::PoolGone => Ok(()),
            other => other,
        };
        self.give_up(&Rest::Cancelled, "the pool was closed");
        answer
    }

    /// Returns when no process of the crew is left. Meanwhile the supervisor is there for others, who may have much to ask in a
    /// long grace. What rings on the board is only a reason to ask again.
    fn end_crew(&self, kill: bool) -> Result<(), Error> {
        let mut has_ended = Ok(false);
        while matches!(has_ended, Ok(false)) {
            self.board.sleep_caller(LIVENESS, || {
                has_ended = self.link.stop(self.crew, kill);
                !matches!(has_ended, Ok(false))
            });
        }
        has_ended.map(drop)
    }

    /// What the arguments of tasks on the board name lasts as long as the program: nobody will see when they are read.
    pub(crate) fn keep_passengers(&self) {
        lock(&self.desk).keep_passengers();
    }

    /// The crew has ended by itself; there is nothing to stop.
    pub(crate) fn forget(&self) {
        self.stopped.store(true, StdOrdering::Release);
    }
}

/// Makes the board with as many places as the address space allows, `n_fewest` at least, and regions as large as it allows
/// then; they are sparse.
fn create_board(mut layout: Layout, n_fewest: u32) -> io::Result<(Board, sys::Fd)> {
    const LARGEST: u64 = 16 << 30;
    const SMALLEST: u64 = 1 << 20;
    layout.region_len = sys::total_memory()
        .clamp(SMALLEST, LARGEST)
        .next_power_of_two();
    loop {
        match Board::create(layout) {
            Err(_) if layout.n_workers > n_fewest => layout.n_workers = n_fewest,
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

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests;
