//! What came back of a task, in private memory: results as bytes, faults, and what became of the rest.
//!
//! Everything on the board may have been written by a worker gone mad. So counts, offsets and lengths are
//! checked here against what the program itself remembers of the task, bytes are copied out once, and only
//! the copy is decoded.

mod reader;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reader::Reader;

use crate::argument::ByValue;
use crate::board::{Board, Fault, FaultKind, Order, Ordering, Room, State, TaskId};
use crate::codec::{self, Decoder, Passengers};
use crate::error::JobError;
use crate::shared::travel;
use crate::supervisor::{door, tag_of};

/// What the program remembers of a task while it is on the board.
#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) order: Order,
    pub(super) fixed_output: Option<usize>,
    pub(super) limits: Option<Box<Limits>>,
    /// See [`Terms::tag_of`](crate::supervisor::Terms::tag_of).
    pub(super) tags: u64,
}

/// The limits that a verdict quotes.
#[derive(Debug, Default)]
pub(super) struct Limits {
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    memory: u64,
}

impl Limits {
    /// `None` where there is none, as for most tasks; `memory`: 0 for no limit.
    pub(super) fn new(
        timeout: Option<Duration>,
        deadline: Option<Duration>,
        memory: u64,
    ) -> Option<Box<Self>> {
        let is_any = timeout.is_some() || deadline.is_some() || memory > 0;
        is_any.then(|| {
            Box::new(Self {
                timeout,
                deadline,
                memory,
            })
        })
    }
}

/// Why items of a task have no verdict of their own.
#[derive(Clone, Debug)]
pub(super) enum Rest {
    Cancelled,
    Lost(Arc<str>),
}

/// A task that is over.
#[derive(Debug)]
pub(crate) struct Outcome {
    first_index: u64,
    n_items: u32,
    done: u32,
    started: u32,
    results: Results,
    faults: Vec<(Fault, Vec<u8>)>,
    rest: Rest,
    limits: Option<Box<Limits>>,
    /// `None` where nobody has begun an item, or not yet said so.
    worker_pid: Option<u32>,
    pub(crate) busy: Duration,
    /// Named by arguments; results may name them too.
    #[expect(dead_code, reason = "kept until the results have been read, no longer")]
    kept: Passengers,
    parcel: Option<Parcel>,
    is_read: std::cell::Cell<bool>,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if let Some(parcel) = &self.parcel
            && !self.is_read.get()
        {
            let (Results::Fixed { bytes, .. } | Results::Anywhere { bytes, .. }) = &self.results;
            travel::recall_unread(parcel.tag, bytes);
        }
    }
}

/// Shared memory that the registry keeps until the results that name it have been read.
#[derive(Debug)]
pub(super) struct Parcel {
    tag: u64,
}

impl Parcel {
    pub(super) fn of(id: TaskId, task: &Remembered) -> Self {
        Self {
            tag: tag_of(task.tags, id),
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        door::let_go(0, self.tag);
    }
}

#[derive(Debug)]
enum Results {
    Fixed {
        len: usize,
        bytes: Vec<u8>,
    },
    Anywhere {
        places: Vec<Option<Range<usize>>>,
        bytes: Vec<u8>,
    },
}

/// A job that did not give its result, and the process it ran in.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: JobError,
    pub(crate) worker_pid: Option<u32>,
}

/// What became of the items of a task: the results of those that have one, in order, and the others.
#[derive(Debug)]
pub(crate) struct Verdicts<R> {
    pub(crate) results: Vec<R>,
    /// By the item's place in the task, in order.
    pub(crate) failures: Vec<(usize, Failure)>,
}

impl<R> Verdicts<R> {
    /// Of items that all have a result.
    pub(crate) fn of_results(results: Vec<R>) -> Self {
        Self {
            results,
            failures: Vec::new(),
        }
    }

    /// Of a single item that could not even be sent.
    pub(crate) fn of_failure(failure: Failure) -> Self {
        Self {
            results: Vec::new(),
            failures: vec![(0, failure)],
        }
    }

    /// Of items that could not be sent in time.
    pub(crate) fn cancelled(n_items: usize) -> Self {
        let failure = Failure {
            error: JobError::Cancelled,
            worker_pid: None,
        };
        Self {
            results: Vec::new(),
            failures: (0..n_items).map(|place| (place, failure.clone())).collect(),
        }
    }

    /// How many items it is of.
    pub(crate) fn len(&self) -> usize {
        self.results.len() + self.failures.len()
    }

    /// One verdict per item, in order.
    pub(crate) fn each(self) -> impl Iterator<Item = Result<R, Failure>> {
        let n_items = self.len();
        let (mut results, mut failures) = (
            self.results.into_iter(),
            self.failures.into_iter().peekable(),
        );
        (0..n_items).filter_map(move |place| {
            match failures.next_if(|(failed, _)| *failed == place) {
                Some((_, failure)) => Some(Err(failure)),
                None => results.next().map(Ok),
            }
        })
    }
}

impl Outcome {
    /// Copies what the task's row and room say off the board; the results' bytes go to `buffer`, which is empty.
    pub(super) fn read(
        board: &Board,
        id: TaskId,
        task: &mut Remembered,
        rest: Rest,
        kept: Passengers,
        buffer: Vec<u8>,
    ) -> Self {
        let row = &board.tasks()[id.index.0 as usize];
        let progress = &row.progress;
        // A worker that holds the task and is only about to die may begin its next item still.
        let is_held = matches!(row.state.read(id.generation), Some(State::Claimed(_)));
        // Acquire: a task lost to a dead supervisor is read without its state saying that it is done.
        let done = progress
            .done
            .load(Ordering::Acquire)
            .min(task.order.n_items);
        // Acquire: whoever takes it back to try an item again has counted that try before.
        let started = progress.started.load(Ordering::Acquire);
        let is_tried_again = progress.attempts.of(done) > 0;
        let room = Room::new(task.order.room, task.order.n_items, task.fixed_output);
        let mut reader = Reader::new(board, id, task.order.room);
        let faults = reader.read_faults(&room, task.order.n_items, progress);
        // A worker that was ended may have had something kept and not lived to say so.
        let gives = progress.gives.load(Ordering::Relaxed) != 0 || has_death(&faults);
        let parcel = gives.then(|| Parcel::of(id, task));
        Self {
            first_index: task.order.first_index,
            n_items: task.order.n_items,
            done,
            started: if is_held || is_tried_again {
                started.max(done + 1)
            } else {
                started
            },
            results: reader.read(&room, task, done, &faults, buffer),
            faults,
            rest,
            limits: task.limits.take(),
            // As long as nobody has begun an item of this task, it is of the row's last tenant.
            worker_pid: (started > 0 || is_tried_again)
                .then(|| progress.worker_pid.load(Ordering::Relaxed))
                .filter(|&pid| pid != 0),
            busy: Duration::from_nanos(progress.busy_nanos.load(Ordering::Relaxed)),
            kept,
            parcel,
            is_read: std::cell::Cell::new(false),
        }
    }

    pub(crate) fn n_items(&self) -> usize {
        self.n_items as usize
    }

    /// The place of the first item in the input of its map.
    pub(crate) fn first_index(&self) -> usize {
        self.first_index as usize
    }

    /// Whether a task of one item was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        match self.faults.first() {
            Some((fault, _)) => fault.kind == FaultKind::Cancelled,
            None => self.done == 0 && matches!(self.rest, Rest::Cancelled),
        }
    }

    /// Whether an item has no result.
    pub(crate) fn has_failed(&self) -> bool {
        self.done < self.n_items || !self.faults.is_empty()
    }

    /// Whether a worker ended with one of the items.
    pub(crate) fn cost_a_worker(&self) -> bool {
        has_death(&self.faults)
    }

    /// Bytes that the results took.
    pub(crate) fn result_bytes(&self) -> usize {
        match &self.results {
            Results::Fixed { bytes, .. } | Results::Anywhere { bytes, .. } => bytes.len(),
        }
    }

    /// Decodes the results, and tells of every item that has none.
    pub(crate) fn verdicts<R: ByValue>(&self) -> Verdicts<R> {
        self.is_read.set(true);
        let mut verdicts = Verdicts {
            results: Vec::with_capacity(self.n_items()),
            failures: Vec::new(),
        };
        let mut faults = self.faults.iter().peekable();
        for item in 0..self.n_items {
            while faults.next_if(|(fault, _)| fault.item < item).is_some() {}
            let verdict = match faults.next_if(|(fault, _)| fault.item == item) {
                Some((fault, payload)) => Err(self.failure(fault, payload)),
                None if item < self.done => self.decode(item),
                None => Err(self.unfinished(item)),
            };
            match verdict {
                Ok(result) => verdicts.results.push(result),
                Err(failure) => verdicts.failures.push((item as usize, failure)),
            }
        }
        verdicts
    }

    /// The bytes of all results, where they are numbers and every item has one: to be read at once.
    pub(crate) fn take_numbers<R>(&mut self) -> Option<Vec<u8>> {
        let n_items = self.n_items();
        let is_whole = self.faults.is_empty() && self.done == self.n_items;
        match &mut self.results {
            Results::Fixed { bytes, .. } if is_whole && codec::are_numbers::<R>(bytes, n_items) => {
                Some(std::mem::take(bytes))
            }
            _ => None,
        }
    }

    #[inline]
    fn decode<R: ByValue>(&self, item: u32) -> Result<R, Failure> {
        let bytes = match &self.results {
            Results::Fixed { len, bytes } => {
                let start = item as usize * len;
                bytes.get(start..start + len)
            }
            Results::Anywhere { places, bytes } => places
                .get(item as usize)
                .cloned()
                .flatten()
                .and_then(|place| bytes.get(place)),
        };
        let decoded = match bytes {
            Some(bytes) => R::decode(&mut Decoder::new(bytes)).map_err(JobError::from),
            None => Err(JobError::Codec {
                message: "the worker left no readable result".into(),
            }),
        };
        decoded.map_err(|error| Failure {
            error,
            worker_pid: self.worker_pid,
        })
    }

    fn failure(&self, fault: &Fault, payload: &[u8]) -> Failure {
        let text = || String::from_utf8_lossy(payload).into_owned();
        let error = match fault.kind {
            FaultKind::Panicked => {
                let mut report = Decoder::new(payload);
                let mut part = || report.value::<String>().unwrap_or_default();
                JobError::Panicked {
                    message: part(),
                    location: part(),
                    backtrace: part(),
                }
            }
            FaultKind::Codec => JobError::Codec { message: text() },
            FaultKind::Killed => JobError::Killed {
                signal: fault.detail,
                last_words: text(),
            },
            FaultKind::Exited => JobError::Exited { code: fault.detail },
            FaultKind::TimedOut => JobError::TimedOut {
                limit: self.limit(|limits| limits.timeout),
            },
            FaultKind::DeadlinePassed => JobError::TimedOut {
                limit: self.limit(|limits| limits.deadline),
            },
            FaultKind::MemoryExceeded => JobError::MemoryExceeded {
                limit: self.limits.as_ref().map_or(0, |limits| limits.memory),
            },
            FaultKind::Cancelled => JobError::Cancelled,
        };
        Failure {
            error,
            worker_pid: Some(fault.pid),
        }
    }

    fn limit(&self, which: impl FnOnce(&Limits) -> Option<Duration>) -> Duration {
        let limit = self.limits.as_deref().and_then(which);
        limit.unwrap_or_default()
    }

    fn unfinished(&self, item: u32) -> Failure {
        let started = item < self.started;
        let error = match &self.rest {
            Rest::Cancelled => JobError::Cancelled,
            Rest::Lost(reason) => JobError::lost(&**reason, started),
        };
        Failure {
            error,
            worker_pid: self.worker_pid.filter(|_| started),
        }
    }
}

fn has_death(faults: &[(Fault, Vec<u8>)]) -> bool {
    let is_death = |kind| !matches!(kind, FaultKind::Panicked | FaultKind::Codec);
    faults.iter().any(|(fault, _)| is_death(fault.kind))
}
