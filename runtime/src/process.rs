//! One job in a process of its own.

use std::fmt;
use std::marker::PhantomData;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use crate::argument::ByValue;
use crate::board::{Ordering, Room, WorkerIndex, WorkerRecord};
use crate::codec::{Encoder, fixed_size};
use crate::dispatch::{Dispatch, Mailbox, Places, Plan};
use crate::error::{Error, JobError};
use crate::job::{Job, encode_call, see_off};
use crate::pool::CallTerms;
use crate::relatives;
use crate::supervisor::{Link, Request, Terms};
use crate::sys::{self, Confinement};

/// A process that runs one job, from [`spawn!`](crate::spawn).
///
/// Dropped unjoined it is killed and reaped; [`detach`](Self::detach) lets it run until the program ends.
///
/// ```
/// use procession::{process_job, spawn};
///
/// #[process_job]
/// fn add(a: u32, b: u32) -> u32 { a + b }
///
/// let child = spawn!(add(40, 2))?;
/// println!("process {} adds", child.pid());
/// assert_eq!(child.join()?, 42);
/// # Ok::<(), procession::Error>(())
/// ```
#[must_use = "dropped, it is killed: `join` it, or `detach` it"]
pub struct Process<R> {
    dispatch: Arc<Dispatch>,
    mailbox: Arc<Mailbox>,
    job: &'static str,
    result: PhantomData<fn() -> R>,
}

/// Room for a result without a fixed size; a larger one goes to the worker's region.
const HEAP_LEN: u64 = 4096;

pub(crate) fn spawn<J: Job<Item>, Item>(args: Item) -> Result<Process<J::Output>, Error> {
    let terms = CallTerms::of_job::<J, Item>()?;
    let mut encoder = Encoder::new();
    encode_call::<J, Item>(&args, &mut encoder)?;
    let mailbox = Arc::new(Mailbox::default());
    let task = crate::dispatch::NewTask {
        guarded: true,
        heap_len: HEAP_LEN,
        ..terms.task::<J, Item>(&encoder, 1, &mailbox)
    };
    let plan = Plan {
        n_workers: 1,
        n_places: Places::Exactly(1),
        n_tasks: 1,
        arena_len: encoder.len() as u64 + Room::len(1, fixed_size::<J::Output>(), HEAP_LEN) + 64,
        terms: Terms {
            one_shot: true,
            ..Terms::default()
        },
        name: J::NAME,
        confinement: &Confinement::default(),
        initializer_args: &[],
        finalizer_args: &[],
        keeps: Vec::new(),
    };
    let dispatch = Link::with_program(encoder.passengers(), |link| {
        Dispatch::make(link, &plan, Some(&task))
    })?;
    see_off(encoder.take_passengers(), args);
    let dispatch = Arc::new(dispatch);
    relatives::note_crew(&dispatch);
    Ok(Process {
        dispatch,
        mailbox,
        job: J::NAME,
        result: PhantomData,
    })
}

impl<R: ByValue> Process<R> {
    /// Waits for the process to end and gives the job's result.
    ///
    /// # Errors
    ///
    /// How the job ended without one.
    ///
    /// ```
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn square(x: u64) -> u64 { x * x }
    ///
    /// assert_eq!(spawn!(square(12))?.join()?, 144);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join(self) -> Result<R, JobError> {
        self.dispatch
            .join_single(&self.mailbox, || self.has_ended(), "process")
    }

    /// Waits for the process to end, but not longer than `timeout`; `None`: not yet, ask again.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join). Once it has given a result or an error, it is a [`JobError::Lost`] to ask again.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let mut child = spawn!(forever())?;
    /// assert_eq!(child.join_timeout(Duration::from_millis(5))?, None);
    /// child.kill()?;
    /// assert!(child.join().is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn join_timeout(&mut self, timeout: Duration) -> Result<Option<R>, JobError> {
        self.dispatch
            .take_single(&self.mailbox, || self.has_ended(), Some(timeout), "process")
    }
}

impl<R> Process<R> {
    fn record(&self) -> Option<&WorkerRecord> {
        self.dispatch.check_ours().ok()?;
        self.dispatch.board().worker(WorkerIndex(0))
    }

    fn has_ended(&self) -> bool {
        self.record()
            .is_none_or(|record| record.ended.load(Ordering::Acquire) != 0)
    }

    pub(crate) fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Whether a `join` would not wait.
    pub(crate) fn is_over(&self) -> bool {
        if self.dispatch.check_ours().is_err() {
            return true;
        }
        self.dispatch.drain();
        let is_here = !self.mailbox.is_empty() && self.has_ended();
        is_here || self.mailbox.is_emptied() || self.dispatch.gone().is_some()
    }

    /// Its process number. A job that is tried again has a new one.
    ///
    /// ```
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn own_pid() -> u32 { std::process::id() }
    ///
    /// let child = spawn!(own_pid())?;
    /// let pid = child.pid();
    /// assert_eq!(child.join()?, pid);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn pid(&self) -> u32 {
        self.record()
            .map_or(0, |record| record.pid.load(Ordering::Relaxed))
    }

    /// Whether the process has not ended yet.
    ///
    /// ```
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// assert!(spawn!(forever())?.is_alive());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn is_alive(&self) -> bool {
        !self.has_ended() && !self.dispatch.is_gone()
    }

    /// Asks it to end (SIGTERM). Once it has ended this does nothing.
    ///
    /// # Errors
    ///
    /// Where the supervisor is gone, and the process with it.
    ///
    /// ```
    /// use procession::{JobError, process_job, spawn};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let child = spawn!(forever())?;
    /// child.terminate()?;
    /// assert!(matches!(child.join(), Err(JobError::Killed { signal: 15, .. })));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn terminate(&self) -> Result<(), Error> {
        self.signal(sys::SIGTERM)
    }

    /// Kills it (SIGKILL). Once it has ended this does nothing.
    ///
    /// # Errors
    ///
    /// Where the supervisor is gone, and the process with it.
    ///
    /// ```
    /// use procession::{JobError, process_job, spawn};
    ///
    /// #[process_job]
    /// fn forever() { loop { std::thread::park() } }
    ///
    /// let child = spawn!(forever())?;
    /// child.kill()?;
    /// assert!(matches!(child.join(), Err(JobError::Killed { signal: 9, .. })));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn kill(&self) -> Result<(), Error> {
        self.signal(sys::SIGKILL)
    }

    fn signal(&self, signal: i32) -> Result<(), Error> {
        self.dispatch.check_ours()?;
        if self.has_ended() {
            return Ok(());
        }
        self.dispatch.request(|crew| Request::Signal {
            crew,
            worker: WorkerIndex(0),
            signal,
        })
    }

    /// How the process ended; `None` while it has not.
    ///
    /// A process exits with 0 when its job returned, with 101 when it panicked.
    ///
    /// ```
    /// use std::time::Duration;
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn leave() { std::process::exit(3) }
    ///
    /// let mut child = spawn!(leave())?;
    /// let _ = child.join_timeout(Duration::MAX);
    /// assert_eq!(child.exit_status().and_then(|status| status.code()), Some(3));
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn exit_status(&self) -> Option<ExitStatus> {
        let record = self.record()?;
        let ended = record.ended.load(Ordering::Acquire) != 0;
        ended.then(|| sys::exit_status(record.exit_status.load(Ordering::Relaxed) as i32))
    }

    /// Lets it run on its own until the program ends. So long lasts, too, the shared memory that its arguments
    /// and its result name.
    ///
    /// ```
    /// use procession::{process_job, spawn};
    ///
    /// #[process_job]
    /// fn tidy_up() {}
    ///
    /// spawn!(tidy_up())?.detach();
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn detach(self) {
        self.dispatch.keep_passengers();
        self.dispatch.forget();
        relatives::note_detached(Arc::clone(&self.dispatch));
    }
}

impl<R> Drop for Process<R> {
    fn drop(&mut self) {
        if self.has_ended() {
            self.dispatch.forget();
        }
        // An error means that the supervisor is gone, and then so is the process.
        let _ = self.dispatch.stop(true);
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("job", &self.job)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
