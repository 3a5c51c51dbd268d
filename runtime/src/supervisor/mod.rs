//! The supervisor process: the parent of all workers, one thread, one loop, no user code.
//!
//! It forks workers, learns of every death with its true status, gives the item that died its verdict and the
//! rest of its task back to be claimed, replaces the worker, watches limits, and sees to it that nothing
//! outlives the program. It owns no result and decodes nothing.
//!
//! Invariants:
//! - It has one thread, so a fork of it is sound and `PR_SET_PDEATHSIG` in its children means its own death.
//! - It believes no number on a board before it has compared it with the layout.
//! - It never blocks but in `poll(2)`: on the control socket, the program's pidfd and the workers' pidfds.
//! - It is a subreaper: processes that a job started come to it when their worker dies, and die too.
//!
//! See `pidfd_open(2)`, `prctl(2)`, `unix(7)`.

mod crew;
pub(crate) mod door;
mod family;
#[cfg(all(any(test, fuzzing), target_os = "linux", not(procession_unsupported)))]
pub(crate) mod fuzzing;
mod link;
mod message;
mod registry;
mod verdict;
mod watch;
mod worker;

use std::io;
use std::rc::Rc;
use std::time::Duration;

pub(crate) use crate::sys::lock;
use crew::{Birthright, Crew, Stop};
pub(crate) use family::{Family, random};
pub(crate) use link::{Link, SUPERVISOR_GONE, ThisProcess};
pub(crate) use message::{Ending, Request, SetupPart, Terms, WorkerLimits, tag_of};
use message::{MESSAGE_LEN, Reply, Step};
use registry::Registry;

use crate::board::{Board, Layout};
use crate::sys::{self, Channel, Context, Fd, OneThread, PollSet, Rlimit, Seat};
use crate::worker::Closure;

/// Lives as the supervisor of the program at the other end of the seat's channel. Its workers run the closure, if there is
/// one, instead of the jobs that tasks name.
pub(crate) fn run(seat: Seat, closure: Option<Closure<'_>>) -> ! {
    let mut supervisor = Supervisor::new(seat, closure);
    while supervisor.turn() {}
    supervisor.end_all();
    sys::exit_now(0)
}

/// How long processes that were killed may take to end. Some cannot be killed: they wait in the kernel, or have
/// another user's rights by now.
const PATIENCE: Duration = Duration::from_secs(2);

struct Supervisor<'program> {
    seat: Seat,
    closure: Option<Closure<'program>>,
    crews: Vec<Crew<'program>>,
    /// Where this process stands, so that an unchanged context is not entered again.
    entered: Option<Rc<Context>>,
    file_limit: Rlimit,
    one_thread: Option<OneThread>,
    /// Since when processes that are no workers, children of those that died, are being ended.
    orphans_since: Option<u64>,
    poll_set: PollSet,
    /// In the root program's supervisor of the default start method.
    registry: Option<Registry>,
}

impl<'program> Supervisor<'program> {
    fn new(seat: Seat, closure: Option<Closure<'program>>) -> Self {
        // None of these can be refused to a process that was let come so far; without one of them it serves on.
        let _ = sys::process::become_subreaper();
        sys::process::set_name("procession");
        let file_limit = sys::usage::raise_file_limit().unwrap_or(Rlimit {
            soft: 1024,
            hard: 1024,
        });
        // Known from here on to all workers, which are forked from this process.
        sys::n_cores();
        let _ = sys::crash::note_this_stack();
        // Constructors may have set handlers since the first time.
        sys::signals::ignore_for_supervisor();
        Self {
            seat,
            closure,
            crews: Vec::new(),
            entered: None,
            file_limit,
            one_thread: None,
            orphans_since: None,
            poll_set: PollSet::default(),
            registry: None,
        }
    }

    /// Waits for something to happen and deals with it; false when the program is gone.
    fn turn(&mut self) -> bool {
        let timeout = self
            .next_deadline()
            .map(|at| Duration::from_nanos(at.saturating_sub(sys::monotonic_nanos())));
        self.poll_set.clear();
        self.poll_set.add(self.seat.channel.fd());
        self.poll_set.add(self.seat.program.fd());
        for worker in self.crews.iter().flat_map(Crew::living) {
            self.poll_set.add(worker.pidfd.fd());
        }
        let registry = self
            .registry
            .as_ref()
            .map(|registry| self.poll_set.add(registry.fd()));
        if self.poll_set.wait(timeout).is_err() {
            // Out of memory for an instant; every fact asked for below is still true later.
            return true;
        }
        if self.poll_set.is_ready(1) {
            return false;
        }
        let asked = registry.is_some_and(|place| self.poll_set.is_ready(place));
        // Deaths first: a request may be about a worker that has just died.
        let now = sys::monotonic_nanos();
        let mut place = 2;
        for crew in &mut self.crews {
            let poll_set = &self.poll_set;
            let any_death = crew.bury_the_dead(now, || {
                place += 1;
                poll_set.is_ready(place - 1)
            });
            if any_death {
                self.orphans_since = Some(now);
                self.registry.iter_mut().for_each(Registry::sweep);
            }
        }
        self.replace_workers(now);
        for crew in &mut self.crews {
            crew.watch(now);
        }
        self.end_orphans(now);
        self.forget_ended_crews();
        if let Some(registry) = &mut self.registry
            && asked
            && !registry.serve()
        {
            // Who asks from now on is told that nobody is there.
            self.registry = None;
        }
        !self.poll_set.is_ready(0) || self.serve()
    }

    /// When the loop has to look even though nothing happens.
    fn next_deadline(&self) -> Option<u64> {
        // Soon, then less and less often.
        let now = sys::monotonic_nanos();
        let orphans = self
            .orphans_since
            .map(|since| now + (now.saturating_sub(since) / 4).max(1_000_000));
        self.crews
            .iter()
            .filter_map(Crew::next_deadline)
            .chain(orphans)
            .min()
    }

    /// Reads one request and answers it; false when the program has closed its end.
    fn serve(&mut self) -> bool {
        let mut bytes = [0_u8; MESSAGE_LEN];
        let received = match self.seat.channel.recv(&mut bytes) {
            Ok(received) => received,
            Err(error) => {
                // Its descriptors found no room here, and with them the request is lost; the program waits.
                self.answer(Reply::failed(Step::Receive, &error));
                return true;
            }
        };
        if received.len == 0 {
            return false;
        }
        let Some(request) = Request::from_words(bytemuck::pod_read_unaligned(&bytes)) else {
            return true;
        };
        let reply = match request {
            Request::Make {
                crew,
                layout,
                n_workers,
                terms,
            } => Some(self.make((crew, n_workers), layout, terms, received.fds)),
            Request::Join { root_pid } => Some(self.join(root_pid, received.fds)),
            Request::Stop { crew, kill } => {
                let stop = if kill { Stop::Terminate } else { Stop::Leave };
                self.with_crew(crew, |crew| crew.stop(stop));
                self.forget_ended_crews();
                let is_left = self.with_crew(crew, |_| ()).is_some();
                Some(if is_left { Reply::NOT_YET } else { Reply::OK })
            }
            Request::End { crew, task, ending } => {
                self.with_crew(crew, |crew| crew.end(task, ending));
                Some(Reply::OK)
            }
            Request::Signal {
                crew,
                worker,
                signal,
            } => {
                let sent = self.with_crew(crew, |crew| crew.signal(worker, signal));
                Some(
                    sent.unwrap_or(Ok(()))
                        .map_or_else(|e| Reply::failed(Step::Signal, &e), |()| Reply::OK),
                )
            }
            Request::Resize { crew, n_workers } => Some(self.resize(crew, n_workers)),
            Request::Measure { crew } => {
                self.with_crew(crew, Crew::measure);
                Some(Reply::OK)
            }
            Request::Rouse { crew } => {
                self.with_crew(crew, Crew::rouse);
                None
            }
            Request::Watch { crew } => {
                let now = sys::monotonic_nanos();
                self.with_crew(crew, |crew| crew.begin_watch(now));
                None
            }
        };
        if let Some(reply) = reply {
            self.answer(reply);
        }
        true
    }

    fn join(&mut self, root_pid: u32, fds: Vec<Fd>) -> Reply {
        let mut fds = fds.into_iter();
        let (Some(arena), Some(door)) = (fds.next(), fds.next()) else {
            return Reply::failed(Step::Join, &io::Error::from_raw_os_error(sys::EBADF));
        };
        if let Err(error) = Family::join(&arena, door, root_pid) {
            return Reply::failed(Step::Join, &error);
        }
        // Half of what may be open, so that workers can be had still.
        let most = usize::try_from(self.file_limit.hard / 2).unwrap_or(usize::MAX);
        self.registry = fds
            .next()
            .map(|served| Registry::new(Channel::from_fd(served), arena, most));
        Reply::OK
    }

    fn with_crew<T>(&mut self, id: u64, act: impl FnOnce(&mut Crew<'program>) -> T) -> Option<T> {
        self.crews.iter_mut().find(|crew| crew.id == id).map(act)
    }

    fn answer(&self, reply: Reply) {
        // Failure means that the program is gone, which the next turn sees, or does not read what it asked for.
        let _ = self
            .seat
            .channel
            .try_send(bytemuck::bytes_of(&reply.to_words()), &[]);
    }

    fn make(
        &mut self,
        (id, n_workers): (u64, u32),
        layout: Layout,
        terms: Terms,
        fds: Vec<Fd>,
    ) -> Reply {
        let Ok([board, directory]) = <[Fd; 2]>::try_from(fds) else {
            return Reply::failed(Step::MapBoard, &io::Error::from_raw_os_error(sys::EBADF));
        };
        let board = match Board::attach(&board, layout) {
            Ok(board) => board,
            Err(error) => return Reply::failed(Step::MapBoard, &error),
        };
        let birthright = match self.birthright() {
            Ok(birthright) => birthright,
            Err(error) => return Reply::failed(Step::Fork, &error),
        };
        let mut crew = match Crew::new(id, board, terms, directory, birthright) {
            Ok(crew) => crew,
            Err(error) => return Reply::failed(Step::TakeContext, &error),
        };
        let reply = self.fill(&mut crew, n_workers);
        if reply != Reply::OK {
            crew.stop(Stop::Kill);
        }
        self.crews.push(crew);
        reply
    }

    fn resize(&mut self, id: u64, n_workers: u32) -> Reply {
        let Some(place) = self.crews.iter().position(|crew| crew.id == id) else {
            // It has been given up, for a cause that the program reads on the board.
            return Reply::failed(Step::Fork, &io::Error::from_raw_os_error(sys::EBADF));
        };
        let mut crew = self.crews.swap_remove(place);
        let reply = self.fill(&mut crew, n_workers);
        self.crews.push(crew);
        reply
    }

    fn fill(&mut self, crew: &mut Crew<'program>, n_workers: u32) -> Reply {
        let filled = self
            .enter(&crew.context)
            .map_err(|error| Reply::failed(Step::TakeContext, &error))
            .and_then(|()| {
                crew.resize(n_workers, sys::monotonic_nanos())
                    .map_err(|error| Reply::failed(Step::Fork, &error))
            });
        filled.err().unwrap_or(Reply::OK)
    }

    fn birthright(&mut self) -> io::Result<Birthright<'program>> {
        let one_thread = match self.one_thread {
            Some(one_thread) => one_thread,
            // Kept: this process starts no thread.
            None => *self.one_thread.insert(OneThread::check()?),
        };
        Ok(Birthright {
            one_thread,
            file_limit: self.file_limit,
            inherits_program: self.seat.inherits_program,
            closure: self.closure,
        })
    }

    /// Takes the context on, for the workers that are forked next.
    fn enter(&mut self, context: &Rc<Context>) -> io::Result<()> {
        if !self
            .entered
            .as_ref()
            .is_some_and(|entered| Rc::ptr_eq(entered, context))
        {
            context.apply_to_supervisor()?;
            self.entered = Some(Rc::clone(context));
        }
        Ok(())
    }

    fn replace_workers(&mut self, now: u64) {
        for place in 0..self.crews.len() {
            if !self.crews[place].wants_workers(now) {
                continue;
            }
            let context = Rc::clone(&self.crews[place].context);
            let entered = self.enter(&context);
            self.crews[place].replace(now, entered);
        }
    }

    /// Processes of jobs whose worker is dead die too. They may have children in their turn, so this goes on
    /// from turn to turn until there is none, or it has gone on for so long that they cannot be killed.
    fn end_orphans(&mut self, now: u64) {
        let Some(since) = self.orphans_since else {
            return;
        };
        let workers: Vec<u32> = self
            .crews
            .iter()
            .flat_map(Crew::living)
            .map(|worker| worker.pid)
            .collect();
        let any = sys::process::kill_children_except(&workers);
        if !any || now.saturating_sub(since) > PATIENCE.as_nanos() as u64 {
            self.orphans_since = None;
        }
    }

    /// A crew of which nothing is left is forgotten, and whoever waits for that woken to ask again.
    fn forget_ended_crews(&mut self) {
        if self.orphans_since.is_some() {
            return;
        }
        self.crews.retain(|crew| {
            let is_over = crew.is_over();
            if is_over {
                crew.wake_who_stopped_it();
            }
            !is_over
        });
    }

    /// The program is gone: nothing of it may remain that can be killed.
    fn end_all(&mut self) {
        for crew in &mut self.crews {
            crew.stop(Stop::Kill);
        }
        // With their descriptors, so that there is room for those that the list of children takes.
        self.crews.clear();
        let begin = std::time::Instant::now();
        while sys::process::kill_children_except(&[]) && begin.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

#[cfg(test)]
mod tests;
