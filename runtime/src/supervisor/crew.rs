//! The workers of one board: forked, buried, replaced, stopped.
//!
//! | what ends | what happens |
//! |---|---|
//! | a worker that held an item | the item gets its verdict ([`super::verdict`]), a new worker comes at once |
//! | a worker that left by itself (its number of jobs) | a new one comes at once |
//! | a worker that was not yet ready | a new one after a pause that doubles; after [`MAX_BARREN`] in a row, where none lives, the crew is broken and says why |
//! | a worker that had nothing to do for long | the post is dormant: one comes when there is something to do |
//! | a worker of a stopping crew, or at a closed post | none comes |
//! | the one worker of a `Process` | none comes, unless its task is to be tried again |

mod posts;

use std::io;
use std::rc::Rc;

use super::message::{Ending, SetupPart, Terms};
use super::verdict::{Blameless, Burial, Cause, Death};
use super::watch::{Running, Watch};
use super::worker::Worker;
use crate::board::{Board, Ordering, Phase, TIME_UP, TaskId, TaskIndex, WorkerIndex, WorkerRecord};
use crate::sys::{self, Confinement, Context, Ended, Fd, Forked, OneThread, Pidfd, Rlimit};
use crate::worker::{self, Birth, Closure};

/// So many workers in a row that died before they did anything are enough to give a crew up.
const MAX_BARREN: u32 = 5;

const MILLISECOND: u64 = 1_000_000;

/// How long the workers of a closing crew may take to leave by themselves, beside their time to finish.
const TIME_TO_LEAVE: u64 = 2_000 * MILLISECOND;

pub(super) struct Crew<'program> {
    pub(super) id: u64,
    pub(super) context: Rc<Context>,
    board: Board,
    terms: Terms,
    name: String,
    confinement: Confinement,
    birthright: Birthright<'program>,
    /// As many as the board has places. The first `n_open` are to have workers.
    posts: Vec<Post>,
    n_open: usize,
    pub(super) watch: Watch,
    n_barren: u32,
    blameless: Blameless,
    /// Jobs done by all workers when one last failed to start.
    jobs_seen: u64,
    stopping: bool,
    /// When those that have not left a stopping crew are ended.
    terminate_at: Option<u64>,
}

/// What the supervisor has to pass on to every worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birthright<'program> {
    pub(super) one_thread: OneThread,
    pub(super) file_limit: Rlimit,
    pub(super) inherits_program: bool,
    pub(super) closure: Option<Closure<'program>>,
}

/// How a crew comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Workers leave when nothing is left to do.
    Leave,
    /// They are ended with the grace that the pool gives.
    Terminate,
    Kill,
}

/// The place of one worker after another.
#[derive(Default)]
struct Post {
    worker: Option<Worker>,
    had_worker: bool,
    /// CPU time of all that were here before.
    cpu_nanos: u64,
    /// No worker before this moment.
    not_before: u64,
    /// No worker ever again.
    is_over: bool,
    /// No worker before there is a task for it.
    is_dormant: bool,
}

impl<'program> Crew<'program> {
    /// The task of a process.
    pub(super) const ONLY_TASK: TaskId = TaskId {
        index: TaskIndex(0),
        generation: 0,
    };

    pub(super) fn new(
        id: u64,
        board: Board,
        terms: Terms,
        directory: Fd,
        birthright: Birthright<'program>,
    ) -> io::Result<Self> {
        let setup = board.layout().setup();
        let read = |part| {
            let mut bytes = Vec::new();
            board.read_into(terms.setup_part(setup, part), &mut bytes);
            bytes
        };
        let context = Context::from_bytes(&read(SetupPart::Context), directory)?;
        let name = String::from_utf8_lossy(&read(SetupPart::Name)).into_owned();
        let confinement = Confinement::from_bytes(&read(SetupPart::Confinement))?;
        let posts = (0..board.layout().n_workers)
            .map(|_| Post::default())
            .collect();
        Ok(Self {
            id,
            context: Rc::new(context),
            watch: Watch::new(terms.limits),
            board: board.with_places_taken(0),
            terms,
            name,
            confinement,
            birthright,
            posts,
            n_open: 0,
            n_barren: 0,
            blameless: Blameless::default(),
            jobs_seen: 0,
            stopping: false,
            terminate_at: None,
        })
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Worker> {
        self.posts.iter().filter_map(|post| post.worker.as_ref())
    }

    fn fork(&mut self, place: usize, now: u64) -> io::Result<()> {
        let index = WorkerIndex(place as u16);
        let Some(record) = self.board.worker(index) else {
            return Ok(());
        };
        record.prepare();
        self.board.end_taking(index);
        // A worker gone mad may have written it: then this one would leave at once, and so on for ever.
        self.tell_open();
        let supervisor_pid = sys::pid();
        self.board.show_to_children(true)?;
        // A signal for the worker must wait until it has its own dispositions: this process ignores most.
        let all_blocked = sys::signals::block_all()?;
        let forked = self.birthright.one_thread.fork();
        if let Ok(Forked::Child) = forked {
            worker::run(&Birth {
                board: &self.board,
                index,
                terms: self.terms,
                context: &self.context,
                name: &self.name,
                confinement: &self.confinement,
                supervisor_pid,
                file_limit: self.birthright.file_limit,
                inherits_program: self.birthright.inherits_program,
                closure: self.birthright.closure,
            });
        }
        drop(all_blocked);
        // Failure would leave later workers a mapping that they do not use.
        let _ = self.board.show_to_children(false);
        let Forked::Parent(pid) = forked? else {
            return Ok(());
        };
        let pidfd = match Pidfd::open(pid) {
            Ok(pidfd) => pidfd,
            Err(error) => {
                // Without a pidfd its death could not be seen.
                sys::process::kill_and_reap(pid);
                return Err(error);
            }
        };
        record.pid.store(pid, Ordering::Relaxed);
        if self.posts[place].had_worker {
            record.restarts.fetch_add(1, Ordering::Relaxed);
        }
        self.posts[place].had_worker = true;
        self.posts[place].worker = Some(Worker::new(pid, pidfd));
        self.posts[place].not_before = now;
        Ok(())
    }

    /// Takes note of the workers that have ended; `has_ended` is asked once for each of [`living`](Self::living).
    /// Returns whether there was any.
    pub(super) fn bury_the_dead(&mut self, now: u64, mut has_ended: impl FnMut() -> bool) -> bool {
        let mut any = false;
        for place in 0..self.posts.len() {
            let Some(worker) = &self.posts[place].worker else {
                continue;
            };
            if has_ended()
                && let Ok(Some(ended)) = worker.pidfd.reap()
            {
                any = true;
                self.bury(place, ended, now);
            }
        }
        any
    }

    fn bury(&mut self, place: usize, ended: Ended, now: u64) {
        let index = WorkerIndex(place as u16);
        let post = &mut self.posts[place];
        let Some(worker) = post.worker.take() else {
            return;
        };
        let Some(record) = self.board.worker(index) else {
            return;
        };
        let phase = record.phase();
        let cause = worker
            .ended_for()
            .unwrap_or_else(|| Cause::of_status(ended.status));
        let death = Death {
            board: &self.board,
            record,
            index,
            pid: worker.pid,
            cause,
        };
        let is_process = self.terms.one_shot && phase != Phase::Failed;
        let burial = if is_process {
            death.bury_with_only_task()
        } else {
            death.bury(self.blameless.blame())
        };
        self.blameless.note(cause, burial);

        if phase == Phase::Finishing {
            note_death_while_finishing(record, ended.status, self.terms.time_to_finish());
        }
        post.cpu_nanos += ended.cpu.as_nanos() as u64;
        record.cpu_nanos.store(post.cpu_nanos, Ordering::Relaxed);
        record
            .exit_status
            .store(ended.status as u32, Ordering::Relaxed);
        if let Burial::ToBeTriedAgain { attempt } = burial {
            post.not_before = now + pause(attempt);
        }
        if self.stopping || (self.terms.one_shot && !burial.left_work()) {
            post.is_over = true;
            // Release: whoever sees it sees the status too.
            record.ended.store(1, Ordering::Release);
        }
        if !self.terms.one_shot {
            // Its number may pass to a stranger.
            record.pid.store(0, Ordering::Relaxed);
        }
        let is_open = !self.stopping && place < self.n_open;
        let retires = is_open && phase == Phase::Retired && self.terms.idle_nanos > 0;
        if retires || !is_open {
            // Nobody comes after it who would say so: it holds no task.
            record.set_current(None);
            self.posts[place].had_worker = false;
            self.posts[place].is_dormant = retires;
        }
        if is_open {
            self.judge_start(place, phase, burial, ended.status, now);
        }
        self.board.wake_callers();
        // What it left, and what it may have been woken for and not lived to claim.
        self.board.forget_waiting(index);
        self.rouse_if_queued();
    }

    /// Workers that die before they are ready come back more and more slowly, and where none ever gets there, not
    /// at all.
    fn judge_start(&mut self, place: usize, phase: Phase, burial: Burial, status: i32, now: u64) {
        let is_ready = |record: &WorkerRecord| record.phase() == Phase::Ready;
        let jobs_done = self
            .board
            .workers()
            .iter()
            .map(|record| record.jobs_done.load(Ordering::Relaxed))
            .fold(0, u64::wrapping_add);
        let has_failed = matches!(phase, Phase::Starting | Phase::Failed);
        if !has_failed || jobs_done != self.jobs_seen || self.living_records().any(is_ready) {
            self.n_barren = 0;
            self.jobs_seen = jobs_done;
        }
        if !has_failed {
            return;
        }
        self.n_barren += 1;
        self.posts[place].not_before = now + pause(self.n_barren);
        let is_process = self.terms.one_shot && !burial.left_work();
        // Somebody who kills workers at random may well hit a few that have just begun.
        let is_from_outside = Cause::of_status(status) == Cause::Signal(sys::SIGKILL);
        let enough = if is_from_outside {
            4 * MAX_BARREN
        } else {
            MAX_BARREN
        };
        if is_process || (self.n_barren >= enough && self.living().next().is_none()) {
            let words = self
                .board
                .worker(WorkerIndex(place as u16))
                .map(|record| record.words.read());
            let words = words
                .filter(|words| !words.is_empty())
                .unwrap_or_else(|| Cause::of_status(status).to_string());
            self.give_up(&format!("the pool's workers cannot start: {words}"));
        }
    }

    fn living_records(&self) -> impl Iterator<Item = &WorkerRecord> {
        let posts = self.posts.iter().zip(self.board.workers());
        posts
            .filter(|(post, _)| post.worker.is_some())
            .map(|(_, record)| record)
    }

    /// The crew cannot work: whoever waits is told why.
    fn give_up(&mut self, cause: &str) {
        self.board.header().cause.write(cause);
        self.board.header().broken.store(1, Ordering::Release);
        self.stop(Stop::Kill);
        self.board.wake_callers();
    }

    pub(super) fn wants_workers(&self, now: u64) -> bool {
        self.vacant().any(|(_, post)| post.not_before <= now)
    }

    /// Fills the posts whose time has come; `entered` tells whether this process stands in the crew's context.
    pub(super) fn replace(&mut self, now: u64, entered: io::Result<()>) {
        let mut result = entered;
        let due = self.vacant().filter(|(_, post)| post.not_before <= now);
        for place in due.map(|(place, _)| place).collect::<Vec<_>>() {
            result = result.and_then(|()| self.fork(place, now));
            if result.is_err() {
                self.posts[place].not_before = now + pause(self.n_barren + 1);
            }
        }
        if let Err(error) = result {
            self.n_barren += 1;
            // While one worker lives, the others may come when the pressure is over.
            if self.n_barren >= 2 * MAX_BARREN && self.living().next().is_none() {
                self.give_up(&format!("no worker process could be started: {error}"));
            }
        }
    }

    /// No worker comes any more; those that are there leave, or are ended. To say it again changes nothing.
    pub(super) fn stop(&mut self, stop: Stop) {
        let is_first = !std::mem::replace(&mut self.stopping, true);
        self.tell_open();
        for post in &mut self.posts {
            post.is_over = true;
            match (&mut post.worker, stop) {
                (None, _) | (_, Stop::Leave) => {}
                (Some(worker), Stop::Terminate) => {
                    worker.terminate(Cause::Cancelled, self.terms.limits.grace_nanos);
                }
                (Some(worker), Stop::Kill) => worker.kill(Cause::Cancelled),
            }
        }
        if is_first && stop == Stop::Leave {
            self.board.wake_all_workers();
            let time_to_leave = self.terms.time_to_finish().saturating_add(TIME_TO_LEAVE);
            self.terminate_at = Some(sys::monotonic_nanos().saturating_add(time_to_leave));
        }
    }

    /// Ends the worker that runs `task`, if one still does. One between two of its items begins none any more, unless it was
    /// stopped there: then the watch ends it.
    pub(super) fn end(&mut self, task: TaskId, ending: Ending) {
        let cause = match ending {
            Ending::Cancelled => Cause::Cancelled,
            Ending::DeadlinePassed => Cause::DeadlinePassed,
        };
        for (place, post) in self.posts.iter_mut().enumerate() {
            if let Some(worker) = &mut post.worker
                && let Some(running) = Running::of(&self.board, WorkerIndex(place as u16))
                && running.task == task
            {
                worker.end(&running, cause, self.terms.limits.grace_nanos);
            }
        }
        self.begin_watch(sys::monotonic_nanos());
    }

    pub(super) fn signal(&mut self, worker: WorkerIndex, signal: i32) -> io::Result<()> {
        if self.terms.one_shot
            && let Some(row) = self.board.task(Self::ONLY_TASK.index)
        {
            // Who terminates a process does not want another.
            row.retries.store(0, Ordering::Relaxed);
        }
        match self
            .posts
            .get(usize::from(worker.0))
            .and_then(|post| post.worker.as_ref())
        {
            Some(worker) => worker.pidfd.kill(signal),
            // Ended already: nothing to do, as for a joined process.
            None => Ok(()),
        }
    }

    /// Writes CPU time and memory of every worker into its record.
    pub(super) fn measure(&mut self) {
        for (post, record) in self.posts.iter().zip(self.board.workers()) {
            let (mut cpu, mut memory) = (post.cpu_nanos, 0);
            if let Some(worker) = &post.worker {
                cpu += sys::cpu_of(worker.pid).map_or(0, |time| time.as_nanos() as u64);
                memory = sys::private_memory(worker.pid).unwrap_or(0);
            }
            record.cpu_nanos.store(cpu, Ordering::Relaxed);
            record.private_memory.store(memory, Ordering::Relaxed);
        }
    }

    pub(super) fn begin_watch(&mut self, now: u64) {
        self.watch.begin(&self.board, now);
    }

    /// Ends the workers that are over a limit, those that do not leave, and those whose grace is over.
    pub(super) fn watch(&mut self, now: u64) {
        if self.watch.is_due(now) {
            let workers = self.posts.iter_mut().enumerate();
            let living = workers.filter_map(|(place, post)| {
                Some((WorkerIndex(place as u16), post.worker.as_mut()?))
            });
            self.watch.look(&self.board, living, now);
        }
        if self.terminate_at.is_some_and(|at| at <= now) {
            self.stop(Stop::Terminate);
            self.terminate_at = None;
        }
        for post in &mut self.posts {
            post.worker
                .iter_mut()
                .for_each(|worker| worker.kill_if_due(now));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.vacant()
            .map(|(_, post)| post.not_before)
            .chain(self.watch.next_look())
            .chain(self.terminate_at)
            .chain(self.living().filter_map(Worker::kill_at))
            .min()
    }

    /// Whether nothing is left, and nothing will come.
    pub(super) fn is_over(&self) -> bool {
        self.posts
            .iter()
            .all(|post| post.is_over && post.worker.is_none())
    }

    /// Nothing of the crew is left, which the program asks for when it is woken.
    pub(super) fn wake_who_stopped_it(&self) {
        if self.stopping {
            self.board.wake_callers();
        }
    }
}

/// A worker did not come to the end of its finalizer, or of dropping its state.
fn note_death_while_finishing(record: &WorkerRecord, status: i32, limit: u64) {
    let finishing = &record.finishing;
    let took = sys::monotonic_nanos().saturating_sub(finishing.since.load(Ordering::Relaxed));
    let is_time_up = took >= limit && Cause::of_status(status) == Cause::Signal(sys::SIGKILL);
    let status = if is_time_up { TIME_UP } else { status as u32 };
    finishing.last_status.store(status, Ordering::Relaxed);
    finishing.deaths.fetch_add(1, Ordering::Release);
}

/// Nothing, then 10 ms, 20 ms, 40 ms … up to a second.
fn pause(n_in_a_row: u32) -> u64 {
    match n_in_a_row {
        0 | 1 => 0,
        n => ((10 * MILLISECOND) << (n - 2).min(7)).min(1_000 * MILLISECOND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_nothing_to_a_second() {
        let millis = [0, 1, 2, 3, 4, 8, 9, 100, u32::MAX].map(|n| pause(n) / MILLISECOND);
        assert_eq!(millis, [0, 0, 10, 20, 40, 640, 1000, 1000, 1000]);
    }
}
