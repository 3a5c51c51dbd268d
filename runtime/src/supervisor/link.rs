//! The program's end of the control socket, and how it comes by a supervisor.
//!
//! One supervisor of the default start method serves all pools and processes of a program; it is started at
//! first use and again if it was killed. Each pool of `StartMethod::Fork` has one of its own.
//!
//! A process that the program forks by itself inherits all this but owns none of it: everything here is
//! tied to the process that made it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::family::Family;
use super::message::{Reply, Request};
use crate::codec::Passengers;
use crate::error::{Error, ErrorKind};
use crate::pool::Pool;
use crate::sys::{self, Channel, Fd, PerProcess, Pidfd, lock};
use crate::worker::Closure;

/// A connection to a supervisor.
#[derive(Debug)]
pub(crate) struct Link {
    channel: Channel,
    /// Held from a request to its reply, which comes at once: the supervisor waits for nothing.
    exchange: Mutex<()>,
    supervisor: Pidfd,
    /// When it was last seen alive, on the monotonic clock.
    seen_alive: AtomicU64,
    program_pid: u32,
    next_crew: AtomicU64,
}

pub(crate) const SUPERVISOR_GONE: &str = "the supervisor process was killed";

impl Link {
    pub(crate) fn new(launched: sys::Launched) -> Self {
        Self {
            channel: launched.channel,
            exchange: Mutex::new(()),
            supervisor: launched.supervisor,
            seen_alive: AtomicU64::new(0),
            program_pid: sys::pid(),
            next_crew: AtomicU64::new(0),
        }
    }

    /// A supervisor forked from this program as it stands, whose workers run the closure, if there is one.
    pub(crate) fn fork(closure: Option<Closure<'_>>) -> Result<Arc<Self>, Error> {
        Family::get()?;
        // Its workers reach the registry by the door they are born with. Where no supervisor can be executed there is
        // none, and only what needs the registry is refused.
        let _ = Self::of_program();
        let launched = sys::start::fork_supervisor(|seat| super::run(seat, closure))?;
        Ok(Arc::new(Self::new(launched)))
    }

    /// The program's supervisor of the default start method.
    pub(crate) fn of_program() -> Result<Arc<Self>, Error> {
        let mut link = lock(&ThisProcess::get().link);
        let family = Family::get()?;
        if let Some(link) = link.as_ref().filter(|link| !link.is_dead()) {
            // A worker gone mad may have shut the door, which is one socket for all.
            let is_shut = family.is_root() && family.latest_door().is_some_and(Channel::is_hung_up);
            let joined = if is_shut { link.join(family) } else { Ok(()) };
            if joined.is_ok() || !link.is_dead() {
                return joined.map(|()| Arc::clone(link));
            }
        }
        let new = Arc::new(Self::new(sys::start::launch()?));
        new.join(family)?;
        *link = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Makes the supervisor one of the family, with a registry if it is the root's.
    fn join(&self, family: &'static Family) -> Result<(), Error> {
        let failed = |error| Error::system("share memory with the supervisor process", error);
        let root_pid = family.root_pid();
        let request = Request::Join { root_pid };
        let joined = family.with_arena_fd(|arena| {
            if !family.is_root() {
                let door = family.latest_door().map(Channel::fd);
                let door = door.ok_or_else(|| io::Error::other(SUPERVISOR_GONE))?;
                return Ok(self.request(request, &[arena, door]));
            }
            let (door, served) = Channel::pair()?;
            let joined = self.request(request, &[arena, door.fd(), served.fd()]);
            if joined.is_ok() {
                family.set_door(door)?;
            }
            Ok(joined)
        });
        joined.map_err(failed)?
    }

    /// Has `make` done by the program's supervisor, once more by the next one where this one dies meanwhile. What it
    /// sends lends these passengers.
    pub(crate) fn with_program<T>(
        lent: &Passengers,
        make: impl Fn(Arc<Self>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let attempt = || {
            let link = Self::of_program()?;
            // Their names may have been written in the days of the supervisor before.
            let mut lent = lent.iter();
            lent.try_for_each(|passenger| passenger.lend_again())
                .map_err(|e| Error::system("share memory with the supervisor process", e))?;
            make(link)
        };
        match attempt() {
            Err(error) if error.kind() == ErrorKind::PoolGone => attempt(),
            other => other,
        }
    }

    /// A name for a crew that this supervisor has not heard before.
    pub(crate) fn new_crew(&self) -> u64 {
        self.next_crew.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether this is the process that made the link, and not one forked from it.
    pub(crate) fn is_ours(&self) -> bool {
        self.program_pid == sys::pid()
    }

    pub(crate) fn is_dead(&self) -> bool {
        // Its end of the socket closes a moment before its process counts as ended.
        self.channel.is_hung_up() || self.supervisor.has_ended()
    }

    /// As [`is_dead`](Self::is_dead), but who was alive a moment ago is taken to be so still, without a system call.
    pub(crate) fn is_dead_by_now(&self) -> bool {
        // Less than it takes to kill a process and to see it end.
        const MOMENT: u64 = 50_000;
        let now = sys::monotonic_nanos();
        if now.saturating_sub(self.seen_alive.load(Ordering::Relaxed)) < MOMENT {
            return false;
        }
        let is_dead = self.is_dead();
        if !is_dead {
            self.seen_alive.store(now, Ordering::Relaxed);
        }
        is_dead
    }

    /// Has something done; returns when it is, or has failed.
    pub(crate) fn request(&self, request: Request, fds: &[&Fd]) -> Result<(), Error> {
        self.ask(request, fds).map(drop)
    }

    /// Has a crew ended, and returns at once: whether nothing is left of it. To be asked again until then.
    pub(crate) fn stop(&self, crew: u64, kill: bool) -> Result<bool, Error> {
        let reply = self.ask(Request::Stop { crew, kill }, &[])?;
        Ok(reply != Reply::NOT_YET)
    }

    /// Asks, and waits for the answer; the supervisor's death is an answer too.
    fn ask(&self, request: Request, fds: &[&Fd]) -> Result<Reply, Error> {
        let _exchange = lock(&self.exchange);
        let mut words = [0_u64; 2];
        let answered = self
            .channel
            .send(bytemuck::bytes_of(&request.to_words()), fds)
            .and_then(|()| self.channel.recv(bytemuck::bytes_of_mut(&mut words)));
        match answered {
            Ok(received) if received.len == size_of_val(&words) => match Reply::from_words(words) {
                reply @ Reply { errno: 0, .. } => Ok(reply),
                reply => Err(Error::system(
                    reply.step.doing(),
                    io::Error::from_raw_os_error(reply.errno),
                )),
            },
            _ if self.is_dead() => Err(Error::new(ErrorKind::PoolGone, SUPERVISOR_GONE)),
            Ok(_) => Err(Error::new(
                ErrorKind::PoolGone,
                "the supervisor process closed its connection",
            )),
            Err(error) => Err(Error::system("speak with the supervisor process", error)),
        }
    }

    /// Says something that has no answer.
    pub(crate) fn tell(&self, request: Request) {
        // Failure means that the supervisor is gone, which whoever waits will learn.
        let _ = self
            .channel
            .send(bytemuck::bytes_of(&request.to_words()), &[]);
    }
}

/// What this module has for each process.
#[derive(Debug, Default)]
pub(crate) struct ThisProcess {
    link: Mutex<Option<Arc<Link>>>,
    pub(crate) default_pool: Mutex<Option<Arc<Pool>>>,
}

impl ThisProcess {
    pub(crate) fn get() -> &'static Self {
        static THIS: PerProcess<ThisProcess> = PerProcess::new();
        THIS.get()
    }
}
