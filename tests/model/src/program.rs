//! The program's books, step for step as in `dispatch/desk.rs`: publishes, withdraws, drains.

use crate::board::{Board, Ordering, State, TaskId, TaskIndex};

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Result(u32),
    /// The kind of the fault.
    Fault(u32),
    /// Never begun.
    Unfinished,
}

/// What a task is to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NewTask {
    pub(crate) tag: u32,
    pub(crate) n_items: u32,
    pub(crate) retries: u32,
    pub(crate) guarded: bool,
    pub(crate) ends_at_fault: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    generation: u32,
    /// Of its task's name in the queue.
    position: u64,
    /// Its task was withdrawn while its name stood in the queue.
    is_withdrawn: bool,
    tenant: Option<NewTask>,
}

#[derive(Debug)]
pub(crate) struct Program {
    rows: Vec<Row>,
    rescan_seen: u32,
    /// Each task's tag and the verdicts of its items, in the order in which they were taken.
    pub(crate) delivered: Vec<(u32, Vec<Verdict>)>,
}

impl Program {
    pub(crate) fn new(n_tasks: usize) -> Self {
        Self {
            rows: vec![Row::default(); n_tasks],
            rescan_seen: 0,
            delivered: Vec::new(),
        }
    }

    /// `None`: no row is free.
    pub(crate) fn publish(&mut self, board: &Board, new: NewTask) -> Option<TaskId> {
        let is_free = |row: &Row| {
            row.tenant.is_none() && (!row.is_withdrawn || board.queue().has_passed(row.position))
        };
        let place = self.rows.iter().position(is_free)?;
        let row = &mut self.rows[place];
        row.is_withdrawn = false;
        row.tenant = Some(new);
        let id = TaskId {
            index: TaskIndex(place as u32),
            generation: row.generation,
        };
        let shared = &board.tasks()[place];
        shared.job.store(u64::from(new.tag), Ordering::Relaxed);
        shared.n_items.store(new.n_items, Ordering::Relaxed);
        shared.retries.store(new.retries, Ordering::Relaxed);
        shared
            .guarded
            .store(u32::from(new.guarded), Ordering::Relaxed);
        shared
            .ends_at_fault
            .store(u32::from(new.ends_at_fault), Ordering::Relaxed);
        shared.progress.reset();
        shared.state.publish(id.generation);
        row.position = board.queue().append(id);
        Some(id)
    }

    pub(crate) fn withdraw(&mut self, board: &Board, task: TaskId) -> bool {
        let row = &self.rows[task.index.0 as usize];
        let holds = row.generation == task.generation && row.tenant.is_some();
        if !holds
            || !board.tasks()[task.index.0 as usize]
                .state
                .withdraw(task.generation)
        {
            return false;
        }
        self.rows[task.index.0 as usize].is_withdrawn = true;
        self.deliver(board, task.index);
        true
    }

    /// `Desk::stop`: false where the task is over.
    pub(crate) fn stop(&self, board: &Board, task: TaskId) -> bool {
        let row = &self.rows[task.index.0 as usize];
        let is_here = row.generation == task.generation && row.tenant.is_some();
        if is_here {
            board.tasks()[task.index.0 as usize]
                .progress
                .stop
                .store(1, Ordering::SeqCst);
        }
        is_here
    }

    /// Of `Desk::audit`: takes what is done, whether or not it is on the chain.
    pub(crate) fn rescan(&mut self, board: &Board) {
        (0..self.rows.len() as u32).for_each(|index| self.take_if_done(board, TaskIndex(index)));
    }

    /// `Desk::drain`.
    pub(crate) fn drain(&mut self, board: &Board) {
        let header = board.header();
        let n_rows = self.rows.len() as u32;
        let link = |index| board.link(index);
        let mut finished = Vec::new();
        let whole = header
            .finished
            .0
            .take_all(n_rows, link, |index| finished.push(index));
        let rescan = header.rescan.load(Ordering::Acquire);
        if !whole || rescan != self.rescan_seen {
            self.rescan_seen = rescan;
            finished.extend((0..n_rows).map(TaskIndex));
        }
        for index in finished {
            self.take_if_done(board, index);
        }
    }

    fn take_if_done(&mut self, board: &Board, index: TaskIndex) {
        let Some(row) = self.rows.get(index.0 as usize) else {
            return;
        };
        if row.tenant.is_some()
            && board.tasks()[index.0 as usize].state.read(row.generation) == Some(State::Done)
        {
            self.deliver(board, index);
        }
    }

    fn deliver(&mut self, board: &Board, index: TaskIndex) {
        let row = &mut self.rows[index.0 as usize];
        let Some(tenant) = row.tenant.take() else {
            return;
        };
        let shared = &board.tasks()[index.0 as usize];
        let done = shared
            .progress
            .done
            .load(Ordering::Acquire)
            .min(tenant.n_items);
        let room = board.room(index);
        let n_faults = shared
            .progress
            .n_faults
            .load(Ordering::Relaxed)
            .min(tenant.n_items);
        let faults: Vec<_> = (0..n_faults)
            .map(|n| room.faults[n as usize].load(Ordering::Relaxed))
            .collect();
        let verdict = |item: u32| match faults.iter().find(|&&fault| fault as u32 == item) {
            Some(fault) => Verdict::Fault((fault >> 32) as u32),
            None if item < done => {
                Verdict::Result(room.results[item as usize].load(Ordering::Relaxed))
            }
            None => Verdict::Unfinished,
        };
        self.delivered
            .push((tenant.tag, (0..tenant.n_items).map(verdict).collect()));
        shared.state.free(row.generation);
        row.generation = row.generation.wrapping_add(1);
    }

    /// The tags of what was delivered, sorted.
    pub(crate) fn tags(&self) -> Vec<u32> {
        let mut tags: Vec<_> = self.delivered.iter().map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        tags
    }
}
