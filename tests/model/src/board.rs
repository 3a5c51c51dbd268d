//! A small board out of the crate's own state words, with the face that the supervisor's verdict uses.

use crate::atomic;
pub(crate) use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[path = "../../../runtime/src/board/finished.rs"]
mod finished;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../runtime/src/board/queue.rs"]
mod queue;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../runtime/src/board/room.rs"]
mod room;
#[expect(dead_code, reason = "the original; the models use a part of it")]
#[path = "../../../runtime/src/board/task.rs"]
mod task;

pub(crate) use finished::Finished;
pub(crate) use queue::{Line, Queue, QueueEnds, Taker};
pub(crate) use room::{Fault, FaultKind};
pub(crate) use task::{State, StateWord, TaskId, TaskIndex, TaskRow, Try, WorkerIndex};

pub(crate) const ALIGN: u64 = 64;

pub(crate) fn round_up(n: u64, to: u64) -> u64 {
    n.div_ceil(to) * to
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl Span {
    pub(crate) fn new(offset: u64, len: u64) -> Self {
        Self { offset, len }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Header {
    queue: QueueEnds,
    retries: QueueEnds,
    pub(crate) finished: Line<Finished>,
    pub(crate) rescan: AtomicU32,
}

const NO_TASK: u64 = u64::MAX;

/// Of a worker's record, what a verdict depends on.
#[derive(Debug)]
pub(crate) struct WorkerRecord {
    current: AtomicU64,
    pub(crate) words: Silence,
}

impl WorkerRecord {
    pub(crate) fn set_current(&self, task: Option<TaskId>) {
        self.current
            .store(task.map_or(NO_TASK, TaskId::to_word), Ordering::Release);
    }

    pub(crate) fn current(&self) -> Option<TaskId> {
        match self.current.load(Ordering::Acquire) {
            NO_TASK => None,
            word => Some(TaskId::from_word(word)),
        }
    }
}

/// No last words.
#[derive(Debug)]
pub(crate) struct Silence;

impl Silence {
    pub(crate) fn read(&self) -> String {
        String::new()
    }
}

/// The room of a task: what its items gave, and their faults as item and kind.
#[derive(Debug)]
pub(crate) struct ModelRoom {
    pub(crate) results: Vec<AtomicU32>,
    pub(crate) faults: Vec<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Board {
    header: Header,
    workers: Vec<WorkerRecord>,
    tasks: Vec<TaskRow>,
    links: Vec<AtomicU32>,
    rooms: Vec<ModelRoom>,
    names: Vec<AtomicU64>,
    retry_names: Vec<AtomicU64>,
}

fn words(n: usize) -> Vec<AtomicU64> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

impl Board {
    pub(crate) fn new(n_workers: usize, n_tasks: usize, n_items: usize) -> Self {
        let worker = |_| WorkerRecord {
            current: AtomicU64::new(NO_TASK),
            words: Silence,
        };
        let room = |_| ModelRoom {
            results: (0..n_items).map(|_| AtomicU32::new(0)).collect(),
            faults: words(n_items),
        };
        Self {
            header: Header::default(),
            workers: (0..n_workers).map(worker).collect(),
            tasks: (0..n_tasks).map(|_| TaskRow::default()).collect(),
            links: (0..n_tasks).map(|_| AtomicU32::new(0)).collect(),
            rooms: (0..n_tasks).map(room).collect(),
            names: words((n_tasks + n_workers + 1).next_power_of_two()),
            retry_names: words((n_workers * 2 + 2).next_power_of_two()),
        }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    pub(crate) fn worker(&self, worker: WorkerIndex) -> Option<&WorkerRecord> {
        self.workers.get(usize::from(worker.0))
    }

    pub(crate) fn task(&self, index: TaskIndex) -> Option<&TaskRow> {
        self.tasks.get(index.0 as usize)
    }

    pub(crate) fn tasks(&self) -> &[TaskRow] {
        &self.tasks
    }

    pub(crate) fn link(&self, index: TaskIndex) -> Option<&AtomicU32> {
        self.links.get(index.0 as usize)
    }

    pub(crate) fn push_finished(&self, index: TaskIndex) {
        if let Some(link) = self.link(index) {
            self.header.finished.0.push(index, link);
        }
    }

    pub(crate) fn room(&self, index: TaskIndex) -> &ModelRoom {
        &self.rooms[index.0 as usize]
    }

    /// The room of a row that stands on this board.
    pub(crate) fn room_of(&self, row: &TaskRow) -> &ModelRoom {
        let place = self.tasks.iter().position(|task| std::ptr::eq(task, row));
        &self.rooms[place.expect("the row stands on this board")]
    }

    pub(crate) fn queue(&self) -> Queue<'_> {
        Queue {
            ends: &self.header.queue,
            names: &self.names,
        }
    }

    pub(crate) fn retries(&self) -> Queue<'_> {
        Queue {
            ends: &self.header.retries,
            names: &self.retry_names,
        }
    }

    /// Last words are not modelled.
    pub(crate) fn supervisor_log(&self) -> NoLog {
        NoLog
    }

    pub(crate) fn write(&self, _offset: u64, _bytes: &[u8]) -> bool {
        false
    }
}

pub(crate) struct NoLog;

impl NoLog {
    pub(crate) fn allocate(&self, _task: TaskId, _len: u64) -> Option<Span> {
        None
    }
}
