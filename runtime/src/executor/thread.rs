//! Jobs in threads of this process.
//!
//! Invariants:
//! - A call that was taken on is run or cancelled before the last thread is gone.
//! - A thread waits for no call that only it could run: what it joins and nobody has begun it runs itself. So among jobs that
//!   join what they submitted, each waits for one that began later, and none for ever.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::handle::Slot;
use super::local::Call;
use super::{Executor, ExecutorHandle, RunsLocally};
use crate::error::{Error, JobError};
use crate::job::Job;
use crate::pool::MapOptions;
use crate::sys::lock;

/// Runs jobs in threads of the program: for jobs that are trusted and wait much, or to look at them with a profiler.
///
/// See [`Executor`] for what is the same as in a process, and what is not. Dropping it cancels what waits and waits
/// for what runs, since a thread cannot be ended; [`close`](Self::close) waits for everything. A job that does so with its own
/// executor waits for nobody, or it would wait for itself: the threads end once they have run what is theirs.
///
/// A job may submit to its own executor and [join](ExecutorHandle::join): what nobody has begun then runs at once, on the thread of
/// the job that joins, on top of its stack. [`join_timeout`](ExecutorHandle::join_timeout) only waits.
///
/// ```
/// use procession::{Executor, ThreadExecutor, job, process_job};
///
/// #[process_job]
/// fn square(x: u64) -> u64 { x * x }
///
/// let threads = ThreadExecutor::new(2)?;
/// assert_eq!(threads.map(job!(square), 0..4)?, [0, 1, 4, 9]);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
pub struct ThreadExecutor {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    has_changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Slot>,
    is_closed: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n_waiting = lock(&self.state).waiting.len();
        f.debug_struct("Queue").field("len", &n_waiting).finish()
    }
}

thread_local! {
    /// Whose jobs this thread runs.
    static SERVED: RefCell<Option<Arc<Queue>>> = const { RefCell::new(None) };
}

/// Runs the call at once where it waits for one of the threads of which this is one.
pub(super) fn run_if_ours(slot: &Slot) {
    // A destructor of a thread's own may find the thread past its work.
    let served = SERVED.try_with(|served| served.borrow().clone());
    if let Ok(Some(queue)) = served
        && queue.take_out(slot)
    {
        slot.run();
    }
}

impl Queue {
    /// Lives as one of the threads.
    fn serve(self: &Arc<Self>) {
        SERVED.set(Some(Arc::clone(self)));
        while let Some(slot) = self.next() {
            slot.run();
        }
    }

    /// Whether the call waited here.
    fn take_out(&self, slot: &Slot) -> bool {
        let waiting = &mut lock(&self.state).waiting;
        // What a job joins it has submitted not long ago.
        let place = waiting.iter().rposition(|other| other.is(slot));
        place.and_then(|place| waiting.remove(place)).is_some()
    }

    fn next(&self) -> Option<Slot> {
        let mut state = lock(&self.state);
        loop {
            if let Some(slot) = state.waiting.pop_front() {
                return Some(slot);
            }
            if state.is_closed {
                return None;
            }
            let woken = self.has_changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl ThreadExecutor {
    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for none of them, or more than 1024;
    /// [`ErrorKind::System`](crate::ErrorKind::System) where the system refuses one.
    ///
    /// ```
    /// use procession::{ErrorKind, ThreadExecutor};
    ///
    /// assert_eq!(ThreadExecutor::new(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn new(threads: usize) -> Result<Self, Error> {
        let n_threads = crate::pool::checked_workers(threads, "a thread executor")?;
        let mut this = Self {
            queue: Arc::default(),
            threads: Vec::new(),
        };
        for place in 0..n_threads {
            let queue = Arc::clone(&this.queue);
            let thread = thread::Builder::new()
                .name(format!("executor-{place}"))
                .spawn(move || queue.serve())
                .map_err(|error| Error::system("start a thread", error))?;
            this.threads.push(thread);
        }
        Ok(this)
    }

    /// Waits for everything that was submitted, then ends the threads. Called by one of its own jobs, it does not wait.
    ///
    /// ```
    /// procession::ThreadExecutor::new(1)?.close();
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        lock(&self.queue.state).is_closed = true;
        self.queue.has_changed.notify_all();
        let this_thread = thread::current().id();
        let is_this = |one: &JoinHandle<()>| one.thread().id() == this_thread;
        if self.threads.iter().any(is_this) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A panic of a job ends no thread.
            let _ = thread.join();
        }
    }
}

impl Drop for ThreadExecutor {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        if state.is_closed {
            // After `close` there is nothing left to do, and what a job of ours has closed goes on.
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for slot in waiting {
            slot.cancel();
        }
        self.end();
    }
}

impl RunsLocally for ThreadExecutor {
    fn start(&self, call: Call) -> Result<Slot, Error> {
        let slot = Slot::new(call);
        lock(&self.queue.state).waiting.push_back(slot.clone());
        self.queue.has_changed.notify_one();
        Ok(slot)
    }

    fn window(&self) -> usize {
        2 * self.threads.len()
    }
}

impl Executor for ThreadExecutor {
    fn workers(&self) -> usize {
        self.threads.len()
    }

    fn submit<J, Item>(&self, _job: J, args: Item) -> Result<ExecutorHandle<J::Output>, Error>
    where
        J: Job<Item>,
    {
        super::submit::<J, Item>(self, args)
    }

    fn map<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<J::Output>, Error>
    where
        J: Job<Item>,
    {
        super::map::<J, Item>(self, items, MapOptions::NONE)
    }

    fn map_each<J, Item>(
        &self,
        _job: J,
        items: impl IntoIterator<Item = Item>,
    ) -> Result<Vec<Result<J::Output, JobError>>, Error>
    where
        J: Job<Item>,
    {
        super::map_each::<J, Item>(self, items)
    }
}
