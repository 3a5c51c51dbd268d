//! What the program knows of its board: which rows and bytes are in use, by which task, and for whom.
//!
//! All of it is private memory under one lock. It decides nothing about when; that is [`super::Dispatch`]'s. What becomes of a task
//! that is over is in [`delivery`].

mod delivery;

use std::sync::Arc;

use super::Refused;
use super::arena::Arena;
use super::audit::Wrong;
use super::listener::Listener;
use super::mailbox::{Mailbox, MailboxPlace, Mailboxes};
use super::outcome::{Remembered, Rest};
use crate::board::{Board, Layout, Order, Ordering, Pocket, Priority, Span, TaskId, TaskIndex};
use crate::codec::Passengers;
use crate::sys;

pub(super) struct Desk {
    arena: Arena,
    rows: Vec<Row>,
    free_rows: Vec<TaskIndex>,
    /// Rows whose task was withdrawn while its name stood in a queue.
    withdrawn: Vec<TaskIndex>,
    mailboxes: Mailboxes,
    n_rows: u32,
    /// Names put into the queue of each priority.
    n_appended: [u64; Priority::N],
    n_in_flight: usize,
    /// Of those, the tasks that are for all workers, not only for a few.
    n_for_all: usize,
    /// What the board was told last, see [`Board::set_most_awake`].
    most_awake: Option<u32>,
    /// Whether there has been an outcome.
    has_answered: bool,
    /// Allocation for the tasks that are taken at a time.
    finished: Vec<TaskIndex>,
    rescan_seen: u32,
    /// On the monotonic clock.
    pub(super) last_audit: u64,
    /// Why no further task is taken.
    pub(super) gone: Option<Arc<str>>,
    /// Listeners to be called, of tasks on the board.
    pub(super) n_to_call: usize,
    /// And of tasks that are over.
    pub(super) due: Vec<Listener>,
}

#[derive(Default)]
struct Row {
    generation: u32,
    /// Of its latest task's name in the queue of this priority.
    position: u64,
    priority: Priority,
    tenant: Option<Tenant>,
}

/// A task that is on the board.
pub(super) struct Tenant {
    /// Input and room together.
    span: Span,
    remembered: Remembered,
    /// What its arguments name and must not go before they are read.
    passengers: Passengers,
    /// Nobody's, once the caller has turned away.
    mailbox: Option<MailboxPlace>,
    tag: u64,
    listeners: Vec<Listener>,
    priority: Priority,
    most_awake: Option<u32>,
    /// What the last audit found.
    wrong: Option<Wrong>,
}

impl Tenant {
    pub(super) fn new(
        span: Span,
        remembered: Remembered,
        passengers: Passengers,
        mailbox: MailboxPlace,
        tag: u64,
    ) -> Self {
        Self {
            span,
            remembered,
            passengers,
            mailbox: Some(mailbox),
            tag,
            listeners: Vec::new(),
            priority: Priority::Normal,
            most_awake: None,
            wrong: None,
        }
    }

    /// See [`NewTask::most_awake`](super::NewTask::most_awake).
    pub(super) fn with_most_awake(mut self, most_awake: Option<u32>) -> Self {
        self.most_awake = most_awake;
        self
    }

    pub(super) fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }
}

impl Desk {
    pub(super) fn new(layout: Layout) -> Self {
        Self {
            arena: Arena::new(layout.arena()),
            rows: Vec::new(),
            free_rows: Vec::new(),
            withdrawn: Vec::new(),
            mailboxes: Mailboxes::default(),
            n_rows: layout.n_tasks,
            n_appended: [0; Priority::N],
            n_in_flight: 0,
            n_for_all: 0,
            most_awake: None,
            has_answered: false,
            finished: Vec::new(),
            rescan_seen: 0,
            last_audit: sys::monotonic_nanos(),
            gone: None,
            n_to_call: 0,
            due: Vec::new(),
        }
    }

    pub(super) fn n_in_flight(&self) -> usize {
        self.n_in_flight
    }

    /// How many of so many workers may be at work for this program's tasks; none before the first outcome, since those that were
    /// forked a moment ago have to begin first.
    pub(super) fn n_working(&self, n_workers: usize) -> usize {
        if self.has_answered {
            self.n_in_flight.min(n_workers)
        } else {
            0
        }
    }

    /// The tasks on the board are for all workers, and stay so: while one of them keeps a worker, that worker is none of the
    /// few that further tasks are for.
    pub(super) fn call_all(&mut self, board: &Board) {
        for tenant in self.rows.iter_mut().filter_map(|row| row.tenant.as_mut()) {
            tenant.most_awake = None;
        }
        self.n_for_all = self.n_in_flight;
        self.most_awake = None;
        // Whatever a worker gone mad has written there.
        board.set_most_awake(None);
        board.wake_worker();
    }

    fn limit_awake(&mut self, board: &Board, most: Option<u32>) {
        if most != self.most_awake {
            self.most_awake = most;
            board.set_most_awake(most);
        }
    }

    /// A row and so many bytes for a new task.
    pub(super) fn set_aside(
        &mut self,
        board: &Board,
        needed: u64,
    ) -> Result<(TaskIndex, Span), Refused> {
        let capacity = self.arena.capacity().max(Pocket::LEN);
        if needed > capacity {
            return Err(Refused::TooLarge { needed, capacity });
        }
        if !self.has_row(board) {
            return Err(Refused::Full);
        }
        let in_arena = if needed > Pocket::LEN {
            Some(self.allocate(board, needed)?)
        } else {
            None
        };
        let index = self.free_rows.pop().unwrap_or_else(|| {
            self.rows.push(Row::default());
            TaskIndex(self.rows.len() as u32 - 1)
        });
        Ok((
            index,
            in_arena.unwrap_or_else(|| board.layout().pocket(index)),
        ))
    }

    fn allocate(&mut self, board: &Board, needed: u64) -> Result<Span, Refused> {
        let span = self.arena.allocate(needed).ok_or(Refused::Full)?;
        if let Some(fresh) = self.arena.unensured(span) {
            if let Err(error) = board.ensure(fresh) {
                self.arena.give_back(span);
                return Err(Refused::NoMemory(error));
            }
            self.arena.set_ensured(fresh);
        }
        Ok(span)
    }

    /// Whether a task of so many bytes could be taken now.
    pub(super) fn has_room(&mut self, board: &Board, needed: u64) -> bool {
        self.has_row(board) && (needed <= Pocket::LEN || self.arena.has(needed))
    }

    fn has_row(&mut self, board: &Board) -> bool {
        if self.free_rows.is_empty() && self.rows.len() >= self.n_rows as usize {
            let (rows, free_rows) = (&self.rows, &mut self.free_rows);
            self.withdrawn.retain(|&index| {
                let row = &rows[index.0 as usize];
                let queue = board.queue(row.priority);
                // An empty queue has been passed, even where a worker gone mad has written its ends.
                let has_passed = queue.has_passed(row.position) || queue.looks_empty();
                if has_passed {
                    free_rows.push(index);
                }
                !has_passed
            });
        }
        !self.free_rows.is_empty() || self.rows.len() < self.n_rows as usize
    }

    /// Where the outcome of one task more is to go.
    #[inline]
    pub(super) fn enter(&mut self, mailbox: &Arc<Mailbox>) -> MailboxPlace {
        self.mailboxes.enter(mailbox)
    }

    /// Fills the row for its new tenant and publishes it.
    pub(super) fn seat(&mut self, board: &Board, index: TaskIndex, tenant: Tenant) -> TaskId {
        let order = tenant.remembered.order;
        self.n_in_flight += 1;
        self.n_for_all += usize::from(tenant.most_awake.is_none());
        let most_awake = tenant.most_awake.filter(|_| self.n_for_all == 0);
        self.limit_awake(board, most_awake);
        let row = &mut self.rows[index.0 as usize];
        row.priority = tenant.priority;
        row.tenant = Some(tenant);
        let id = TaskId {
            index,
            generation: row.generation,
        };
        let shared = &board.tasks()[index.0 as usize];
        order.write(shared);
        shared.progress.reset();
        shared.state.publish(id.generation);
        self.append_name(board, id);
        id
    }

    /// Puts the name of a task into the queue of its priority.
    fn append_name(&mut self, board: &Board, task: TaskId) {
        let row = &mut self.rows[task.index.0 as usize];
        let n_appended = &mut self.n_appended[row.priority.place()];
        row.position = *n_appended;
        *n_appended += 1;
        board.queue(row.priority).append_at(row.position, task);
    }

    /// Takes every finished outcome.
    pub(super) fn drain(&mut self, board: &Board) {
        let header = board.header();
        let mut finished = std::mem::take(&mut self.finished);
        let whole = header.finished.0.take_all(
            self.n_rows,
            |index| board.link(index),
            |index| {
                // All of them are on their way before the first one is read.
                board.tasks()[index.0 as usize].prefetch();
                finished.push(index);
            },
        );
        let rescan = header.rescan.load(Ordering::Acquire);
        if !whole || rescan != self.rescan_seen {
            self.rescan_seen = rescan;
            finished.extend((0..self.rows.len() as u32).map(TaskIndex));
        }
        self.take_done(board, finished.drain(..));
        self.finished = finished;
    }

    /// Takes a task back if no worker has claimed it; it is answered with `rest`.
    pub(super) fn withdraw(&mut self, board: &Board, task: TaskId, rest: &Rest) -> bool {
        let Some(row) = self.rows.get(task.index.0 as usize) else {
            return false;
        };
        let is_here = row.generation == task.generation && row.tenant.is_some();
        if !is_here
            || !board.tasks()[task.index.0 as usize]
                .state
                .withdraw(task.generation)
        {
            return false;
        }
        // Not free yet: a new tenant would have a second name in the queue; see `board::queue`.
        self.withdrawn.push(task.index);
        self.deliver_alone(board, task.index, rest.clone());
        true
    }

    /// Sees to it that no further item of a task begins; false where the task is over.
    pub(super) fn stop(&self, board: &Board, task: TaskId) -> bool {
        let is_here = self.task_at(task.index) == Some(task);
        if is_here {
            // SeqCst: pairs with the worker's fence between its guard and its look at `stop`: either it begins no
            // item any more, or a supervisor that is asked afterwards finds the guard.
            board.tasks()[task.index.0 as usize]
                .progress
                .stop
                .store(1, Ordering::SeqCst);
        }
        is_here
    }

    /// Nobody waits for the outcome any more.
    pub(super) fn silence(&mut self, board: &Board, task: TaskId) {
        if self.stop(board, task)
            && let Some(tenant) = &mut self.rows[task.index.0 as usize].tenant
        {
            let mailbox = tenant.mailbox.take();
            mailbox
                .into_iter()
                .for_each(|place| self.mailboxes.leave(place, 1));
        }
    }

    /// Takes no task from now on, and answers each one on the board with `rest`.
    pub(super) fn give_up(&mut self, board: &Board, rest: &Rest, reason: &str) {
        self.gone.get_or_insert_with(|| reason.into());
        for index in 0..self.rows.len() {
            let (index, generation) = (TaskIndex(index as u32), self.rows[index].generation);
            // Withdrawn first, so that a worker still alive cannot claim what is said never to have run.
            if !self.withdraw(board, TaskId { index, generation }, rest) {
                self.deliver_alone(board, index, rest.clone());
            }
        }
    }

    pub(super) fn keep_passengers(&mut self) {
        for tenant in self.rows.iter_mut().filter_map(|row| row.tenant.as_mut()) {
            std::mem::forget(std::mem::take(&mut tenant.passengers));
        }
    }

    pub(super) fn n_rows_used(&self) -> u32 {
        self.rows.len() as u32
    }

    /// The task that sits at this row now.
    pub(super) fn task_at(&self, index: TaskIndex) -> Option<TaskId> {
        let row = self
            .rows
            .get(index.0 as usize)
            .filter(|row| row.tenant.is_some())?;
        Some(TaskId {
            index,
            generation: row.generation,
        })
    }

    /// `None` where the task is over.
    pub(super) fn listeners_of(&mut self, task: TaskId) -> Option<&mut Vec<Listener>> {
        let row = self.rows.get_mut(task.index.0 as usize)?;
        let tenant = row.tenant.as_mut();
        tenant
            .filter(|_| row.generation == task.generation)
            .map(|tenant| &mut tenant.listeners)
    }

    /// What the row of the task that sits there is to say.
    pub(super) fn order_at(&self, index: TaskIndex) -> Option<Order> {
        let row = self.rows.get(index.0 as usize)?;
        row.tenant.as_ref().map(|tenant| tenant.remembered.order)
    }

    /// Notes what looks wrong with the task at this row; gives what did before.
    pub(super) fn suspect(&mut self, index: TaskIndex, wrong: Option<Wrong>) -> Option<Wrong> {
        let tenant = self
            .rows
            .get_mut(index.0 as usize)
            .and_then(|row| row.tenant.as_mut());
        tenant.and_then(|tenant| std::mem::replace(&mut tenant.wrong, wrong))
    }

    /// Whether no worker will look at a name of this task again: it is behind the head of its queue, and is no retry.
    pub(super) fn is_passed(&self, board: &Board, task: TaskId) -> bool {
        let row = self.rows.get(task.index.0 as usize);
        row.is_some_and(|row| board.queue(row.priority).has_passed(row.position))
            && !board.retries().holds(task)
    }

    /// Puts the name of a task that waits into the queue once more.
    pub(super) fn name_again(&mut self, board: &Board, task: TaskId) {
        if let Some(row) = self.rows.get(task.index.0 as usize) {
            let n_appended = self.n_appended[row.priority.place()];
            board.queue(row.priority).mend(n_appended);
            self.append_name(board, task);
        }
        board.wake_sleeper();
    }
}
