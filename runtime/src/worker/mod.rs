//! The life of a worker process: set up, take tasks, leave.
//!
//! A worker runs in a fork of the supervisor and never returns from [`run`]. It takes a task by one
//! compare-exchange, hands it to the job's shim, and publishes that it is done; between two tasks it spins
//! for a moment, if it may (`board/bells.rs`), and then sleeps on its bell, for ever or until it retires. It knows nothing
//! of pools, limits or retries after a death: those are the supervisor's.
//!
//! # Safety
//!
//! The address of a shim comes from the board. It is called only after it was found to lie in an executable
//! segment of this program's own image, and the shim itself checks the job's name before it touches an item.
#![expect(
    unsafe_code,
    reason = "calls a function by its address; see `# Safety` above"
)]

mod chunk;
mod claims;
mod closure;
mod fault;
mod finish;
mod growth;
mod job_index;
mod state;
mod user_code;
mod worker_index;

use std::cell::RefCell;
use std::time::Duration;

pub use chunk::Chunk;
pub(crate) use closure::Closure;
pub(crate) use fault::{take_back_fault, write_fault};
pub use job_index::job_index;
pub(crate) use job_index::with_job_index;
pub(crate) use state::WorkerState;
pub(crate) use user_code::catch_panic;
pub use worker_index::worker_index;

use claims::Claims;
use growth::Growth;

use crate::board::{AtomicU64, Board, Ordering, Phase, TaskId, WorkerIndex, WorkerRecord};
use crate::codec::{CodecError, Decoder};
use crate::job::{FinalizerShim, InitializerShim, Shim};
use crate::relatives;
use crate::supervisor::{SetupPart, Terms};
use crate::sys::{self, Confinement, Context, PanicReport};

/// How long an idle worker sleeps before it looks whether its supervisor is still there.
const LIVENESS: Duration = Duration::from_secs(1);

/// What a worker is born with.
#[derive(Debug)]
pub(crate) struct Birth<'board> {
    pub(crate) board: &'board Board,
    pub(crate) index: WorkerIndex,
    pub(crate) terms: Terms,
    pub(crate) context: &'board Context,
    pub(crate) name: &'board str,
    pub(crate) confinement: &'board Confinement,
    pub(crate) supervisor_pid: u32,
    pub(crate) file_limit: sys::Rlimit,
    /// Whether the supervisor is a fork of the program, with all its memory.
    pub(crate) inherits_program: bool,
    /// Run for every task, in place of the job that it names.
    pub(crate) closure: Option<Closure<'board>>,
}

/// What the callers are still to be told.
///
/// They hear of a task that rings as soon as it is done, and of the others before the worker turns to anything that may
/// take long: a task that rings, spinning, sleep. One that dies or leaves before that is buried with a ring.
#[derive(Debug, Default)]
struct CallersBell {
    is_owed: bool,
}

impl CallersBell {
    fn owe(&mut self) {
        self.is_owed = true;
    }

    fn ring_if_owed(&mut self, board: &Board) {
        if std::mem::take(&mut self.is_owed) {
            board.wake_callers();
        }
    }
}

/// What a worker remembers from one task to the next.
#[derive(Debug)]
struct Shift<'board> {
    claims: Claims<'board>,
    bell: CallersBell,
    /// Jobs that it may still do.
    quota: u64,
    /// When the last task ended, on the monotonic clock, if it has not waited since: the next one begins then.
    ended_at: Option<u64>,
}

impl<'board> Shift<'board> {
    fn new(birth: &Birth<'board>) -> Self {
        let max_jobs = birth.terms.max_jobs;
        Self {
            claims: Claims::new(birth.board),
            bell: CallersBell::default(),
            quota: if max_jobs > 0 { max_jobs } else { u64::MAX },
            ended_at: None,
        }
    }
}

/// What the process of a one-shot worker exits with where its job panicked, as a Rust program does.
const EXIT_PANICKED: i32 = 101;

/// Lives as a worker, in a process forked for it.
pub(crate) fn run(birth: &Birth<'_>) -> ! {
    let Some(record) = birth.board.worker(birth.index) else {
        sys::exit_now(1)
    };
    // A fork of a program that is itself a worker has that one's.
    job_index::forget();
    let mut state = match set_up(birth, record) {
        Ok(state) => state,
        Err(words) => {
            record.words.write(&words);
            record.set_phase(Phase::Failed);
            sys::exit_now(1);
        }
    };
    record.set_phase(Phase::Ready);
    birth.board.begin_taking(birth.index);
    let mut shift = Shift::new(birth);
    let (mut exit_code, mut has_worked, mut is_spoilt) = (0, false, false);
    let mut last_phase = Phase::Leaving;
    let mut growth = Growth::new(birth.terms.limits.memory_growth);
    while shift.quota > 0 && !is_spoilt && !growth.is_beyond_limit() {
        let task = match wait_for_task(birth, record, has_worked, &mut shift) {
            Next::Task(task) => task,
            Next::Leave(phase) => {
                last_phase = phase;
                break;
            }
        };
        has_worked = true;
        let panicked = work(birth, record, task, &mut state, &mut shift);
        // Whoever panics with the state in its hands may leave it half-changed.
        is_spoilt = panicked && state.is_lent();
        growth.look();
        // What a panic left half done in the program's memory is nothing for further items: the next worker has it whole.
        if panicked && birth.closure.is_some() {
            break;
        }
        if birth.terms.one_shot {
            exit_code = if panicked { EXIT_PANICKED } else { 0 };
            break;
        }
    }
    shift.bell.ring_if_owed(birth.board);
    // What it does before it ends may take long.
    birth.board.end_taking(birth.index);
    if !is_spoilt {
        finish::finish(birth, record, state);
    }
    record.set_phase(last_phase);
    sys::exit_now(exit_code)
}

fn set_up(birth: &Birth<'_>, record: &WorkerRecord) -> Result<WorkerState, String> {
    let failed =
        |doing: &str, error: std::io::Error| format!("a worker failed to {doing}: {error}");
    birth
        .context
        .apply_ids_in_worker()
        .map_err(|e| failed("take the program's user and groups", e))?;
    // After the change of user, which would undo it; whether the parent is still there is asked then.
    sys::process::die_with_parent(birth.supervisor_pid)
        .map_err(|e| failed("tie its life to its supervisor's", e))?;
    sys::signals::reset_for_worker();
    close_descriptors(birth).map_err(|e| failed("close its supervisor's descriptors", e))?;
    sys::usage::restore_file_limit(birth.file_limit)
        .map_err(|e| failed("restore the limit of open files", e))?;
    sys::process::become_subreaper()
        .map_err(|e| failed("adopt the processes that jobs leave behind", e))?;
    introduce(birth);
    let words = birth.board.last_words(record);
    sys::crash::install(words).map_err(|e| failed("make a stack for signal handlers", e))?;
    sys::crash::install_panic_hook();
    sys::crash::install_exit_hook().map_err(|e| failed("be told of `exit`", e))?;
    // Last: what it takes away is wanted above.
    birth
        .confinement
        .apply()
        .map_err(|(doing, error)| failed(&doing, error))?;
    if birth.terms.pinned {
        // To one of the CPUs that are left to it. Unpinned it works, too.
        let _ = sys::affinity::pin(usize::from(birth.index.0));
    }
    initialize(birth, record)
}

/// What the supervisor holds is not for its workers: above all not the program's lifeline.
fn close_descriptors(birth: &Birth<'_>) -> std::io::Result<()> {
    if birth.inherits_program {
        return sys::fd::hang_up_ours_except(&[]);
    }
    // SAFETY: this process never returns to the supervisor's code, which owns all of them; its memory has no other
    // code's, since the supervisor was a copy of the program that stopped before `main`.
    unsafe { sys::fd::close_ours() };
    Ok(())
}

/// Who it is, for `ps` and for its jobs.
fn introduce(birth: &Birth<'_>) {
    let place = usize::from(birth.index.0);
    sys::process::set_name(&relatives::short_name(birth.name, place));
    worker_index::set((!birth.terms.one_shot).then_some(birth.index.0));
    let parent = setup_part(birth, SetupPart::Parent);
    relatives::note_birth(&relatives::long_name(birth.name, place), parent);
}

/// What the program wrote for its workers, as this one finds it.
fn setup_part<'b>(birth: &Birth<'b>, part: SetupPart) -> &'b [u8] {
    let span = birth.terms.setup_part(birth.board.layout().setup(), part);
    birth.board.input(span).unwrap_or_default()
}

fn initialize(birth: &Birth<'_>, record: &WorkerRecord) -> Result<WorkerState, String> {
    let Some([shim, job]) = birth.terms.initializer else {
        return Ok(WorkerState::nothing());
    };
    let args = setup_part(birth, SetupPart::InitializerArgs);
    let initializer = initializer_at(shim as i64)
        .ok_or("the pool's initializer is not in this program's image")?;
    let result = catch_panic(|| initializer(Decoder::new(args), job));
    sys::flush_stdio();
    record.words.clear();
    match result {
        Ok(made) => made
            .map_err(|error| error.to_string())
            .and_then(|made| made)
            .map_err(|error| format!("the pool's initializer failed: {error}")),
        Err(payload) => {
            let report = panic_report(payload);
            Err(format!(
                "the pool's initializer panicked at {}: {}",
                report.location, report.message
            ))
        }
    }
}

/// What a worker does next.
enum Next {
    Task(TaskId),
    /// It ends; the phase says why.
    Leave(Phase),
}

/// The next task, waited for, but for no longer than a worker of this pool is to wait.
fn wait_for_task(
    birth: &Birth<'_>,
    record: &WorkerRecord,
    mut may_spin: bool,
    shift: &mut Shift<'_>,
) -> Next {
    let (board, index) = (birth.board, birth.index);
    // What there is to do: to leave, or a task. Both are rung for. To leave comes first: what is queued still when a pool
    // closes is not wanted any more, and when a post is closed it is for the workers at the others.
    let is_closed = || u32::from(index.0) >= board.header().n_open.load(Ordering::Acquire);
    let claims = RefCell::new(&mut shift.claims);
    let look = |may_claim: bool| {
        if is_closed() {
            return Some(Next::Leave(Phase::Leaving));
        }
        let claimed = may_claim.then(|| claims.borrow_mut().next(record, index));
        claimed.flatten().map(Next::Task)
    };
    if let Some(next) = look(board.needs(index)) {
        return next;
    }
    shift.bell.ring_if_owed(board);
    shift.ended_at = None;
    let idle_nanos = birth.terms.idle_nanos;
    let retires_at = (idle_nanos > 0).then(|| sys::monotonic_nanos().saturating_add(idle_nanos));
    loop {
        let is_needed = board.needs(index);
        let spin = || board.spin_worker(index, || look(true));
        let spin = || (may_spin && is_needed).then(spin).flatten();
        if let Some(next) = look(is_needed).or_else(spin) {
            return next;
        }
        may_spin = false;
        if sys::parent_pid() != birth.supervisor_pid {
            return Next::Leave(Phase::Leaving);
        }
        // Said again before each sleep, whatever a worker gone mad has written there since: who is said to hold a task
        // either works on it or is found out by the program's audit.
        record.set_current(None);
        let Some(retires_at) = retires_at else {
            if let Some(next) = board.sleep_worker(index, LIVENESS, look) {
                return next;
            }
            continue;
        };
        let time_left = || retires_at.saturating_sub(sys::monotonic_nanos());
        let patience = LIVENESS.min(Duration::from_nanos(time_left()));
        let is_wanted = || is_closed() || board.has_queued();
        if let Some(next) = board.sleep_worker_counted(index, patience, is_wanted, || look(true)) {
            return next;
        }
        if time_left() == 0 {
            return Next::Leave(Phase::Retired);
        }
    }
}

/// Runs the items of a task that it holds; returns whether one panicked.
fn work(
    birth: &Birth<'_>,
    record: &WorkerRecord,
    task: TaskId,
    state: &mut WorkerState,
    shift: &mut Shift<'_>,
) -> bool {
    let (board, index) = (birth.board, birth.index);
    let Some(row) = board.task(task.index) else {
        return false;
    };
    let rings = row.rings.load(Ordering::Relaxed) != 0;
    if rings {
        shift.bell.ring_if_owed(board);
    }
    let started = shift.ended_at.take().unwrap_or_else(sys::monotonic_nanos);
    let n_before = shift.quota;
    state.take_back();
    let (mut n_panics, mut is_over) = (0, true);
    let chunk = board.worker_log(index).and_then(|log| {
        Chunk::new(
            board,
            record,
            log,
            task,
            birth.terms.tag_of(task),
            shift.quota,
        )
    });
    if let Some(mut chunk) = chunk {
        let shim = shim_at(row.shim.load(Ordering::Relaxed) as i64);
        let run = |chunk: &mut Chunk<'_>, state: &mut WorkerState| match (birth.closure, shim) {
            (Some(closure), _) => closure.run(chunk),
            (None, Some(shim)) => shim(chunk, state),
            (None, None) => chunk.refuse(&CodecError::new(
                "the job's function is not in this program's image",
            )),
        };
        while let Err(payload) = catch_panic(|| run(&mut chunk, state)) {
            chunk.put_panic(&panic_report(payload));
            if birth.closure.is_some() {
                break;
            }
            if state.is_lent() {
                chunk.begin_no_more();
            }
        }
        chunk.flush();
        shift.quota = chunk.quota();
        n_panics = chunk.n_panics();
        is_over = chunk.is_over();
    }
    let ended_at = sys::monotonic_nanos();
    // To tell the callers may take longer than the next task.
    shift.ended_at = (!rings).then_some(ended_at);
    let busy = ended_at.saturating_sub(started);
    job_index::set(job_index::NONE);
    // Only whoever holds the task, and stands at this post, writes these.
    add(&row.progress.busy_nanos, busy);
    add(&record.busy_nanos, busy);
    add(&record.jobs_done, n_before - shift.quota);
    // Otherwise the worker has done its number of jobs; the supervisor gives the rest to another.
    if is_over {
        row.state.finish(task.generation, index);
        board.push_finished(task.index);
        shift.bell.owe();
        if rings {
            shift.bell.ring_if_owed(board);
        }
        record.set_current(None);
    }
    n_panics > 0
}

/// To a counter that nobody else writes meanwhile.
fn add(counter: &AtomicU64, n: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(n);
    counter.store(sum, Ordering::Relaxed);
}

fn shim_at(offset: i64) -> Option<Shim> {
    let address = sys::image::address_of(offset)?;
    // SAFETY:
    // - The address lies in an executable segment of the image that this process runs, which is the program's
    //   own: the offset was taken there from a function of exactly this type.
    // - A board that a worker gone mad has written may name another function; then this worker may die, which
    //   is what workers are for. Program and supervisor never call by address.
    Some(unsafe { std::mem::transmute::<usize, Shim>(address) })
}

fn initializer_at(offset: i64) -> Option<InitializerShim> {
    let address = sys::image::address_of(offset)?;
    // SAFETY: as in `shim_at`; the terms came from the program before this process was forked.
    Some(unsafe { std::mem::transmute::<usize, InitializerShim>(address) })
}

fn finalizer_at(offset: i64) -> Option<FinalizerShim> {
    let address = sys::image::address_of(offset)?;
    // SAFETY: as in `shim_at`; the terms came from the program before this process was forked.
    Some(unsafe { std::mem::transmute::<usize, FinalizerShim>(address) })
}

/// What the hook noted of a panic, or what its payload says where the hook was not asked.
pub(crate) fn panic_report(payload: Box<dyn std::any::Any + Send>) -> PanicReport {
    let message = match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => {
                // Its destructor is the user's and may panic again.
                std::mem::forget(payload);
                "a panic with a payload that is no text".to_owned()
            }
        },
    };
    sys::take_panic().unwrap_or_else(|| PanicReport {
        message,
        ..PanicReport::default()
    })
}
