//! A lock for one writer or many readers in shared memory, any of whom may be killed.
//!
//! Responsible for: no reader beside a writer; what a writer's death or panic left is told to all until a writer has been told;
//! no writer starves. Not responsible for guards.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `lock` | held by a writer as long as it writes, by a reader while it comes in | | told to the next, who [settles](RawRwLock::settle) it |
//! | `stage` | what its holder does: [`COMING`], [`CLEARING`] (a writer waits for the readers to go), [`WRITING`] | the holder | says whether anything may have been changed |
//! | `left` | how the last writer left, until another has begun | a holder of `lock` | as it was, or as it becomes |
//! | `readers` | how many guards each reading thread has | that thread: it comes in under the lock, and goes without it | not counted: the writer asks after those it waits for |
//!
//! A thread that reads already comes in again without the lock: a writer may be waiting there for that very thread.

use std::time::Instant;

use crate::board::{AtomicU32, Ordering};
use crate::sync::{Acquired, NotAcquired, Notice, Places, RawLock, Vigil};
use crate::sys::identity::thread_id;

const COMING: u32 = 0;
const CLEARING: u32 = 1;
const WRITING: u32 = 2;

const WELL: u32 = 0;
const DIED: u32 = 1;
const PANICKED: u32 = 2;

/// Why the lock was not acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAccess {
    /// This thread reads or writes, and would wait for itself.
    AlreadyHeld,
    TimedOut,
    /// As many threads read as there are places.
    NoPlace,
}

impl From<NotAcquired> for NoAccess {
    fn from(why: NotAcquired) -> Self {
        match why {
            NotAcquired::AlreadyHeld => Self::AlreadyHeld,
            NotAcquired::TimedOut => Self::TimedOut,
        }
    }
}

/// See the module's head.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawRwLock {
    lock: RawLock,
    stage: AtomicU32,
    left: AtomicU32,
    notice: Notice,
    _unused: AtomicU32,
    readers: Places,
}

impl RawRwLock {
    /// Waits to read: how the last writer left, and the place.
    pub(crate) fn read(&self, deadline: Option<Instant>) -> Result<(Acquired, usize), NoAccess> {
        if let Some(place) = self.own_place() {
            self.readers.at(place).n.fetch_add(1, Ordering::Relaxed);
            return Ok((self.how_left(), place));
        }
        let acquired = self.lock.acquire(deadline)?;
        self.settle(acquired);
        let place = self.readers.take(thread_id()).or_else(|| {
            self.make_room();
            self.readers.take(thread_id())
        });
        if let Some(place) = place {
            self.readers.at(place).n.store(1, Ordering::Release);
        }
        let how = self.how_left();
        self.lock.release(false);
        Ok((how, place.ok_or(NoAccess::NoPlace)?))
    }

    /// Whether somebody writes, or is about to. Else who has the lock is coming in to read, and soon has.
    pub(crate) fn has_writer(&self) -> bool {
        self.stage.load(Ordering::Acquire) != COMING
    }

    /// Waits to write: how the last writer left.
    pub(crate) fn write(&self, deadline: Option<Instant>) -> Result<Acquired, NoAccess> {
        if self.own_place().is_some() {
            return Err(NoAccess::AlreadyHeld);
        }
        let acquired = self.lock.acquire(deadline)?;
        self.settle(acquired);
        self.stage.store(CLEARING, Ordering::Release);
        if !self.wait_for_readers(deadline) {
            self.stage.store(COMING, Ordering::Release);
            self.lock.release(false);
            return Err(NoAccess::TimedOut);
        }
        let how = self.how_left();
        // First the stage: one who is killed here has left it as it found it, or worse.
        self.stage.store(WRITING, Ordering::Release);
        self.left.store(WELL, Ordering::Relaxed);
        Ok(how)
    }

    /// A guard of a reader, and of this thread, goes.
    pub(crate) fn end_read(&self, place: usize) {
        let n = &self.readers.at(place).n;
        if n.load(Ordering::Relaxed) > 1 {
            n.fetch_sub(1, Ordering::Release);
        } else {
            self.readers.free(place);
            self.notice.announce_one();
        }
    }

    /// The writer goes.
    pub(crate) fn end_write(&self, by_panic: bool) {
        if !self.lock.is_held_by_this_thread() {
            return;
        }
        if by_panic {
            self.left.store(PANICKED, Ordering::Relaxed);
        }
        self.stage.store(COMING, Ordering::Release);
        self.lock.release(false);
    }

    /// So many guards read, at this moment.
    pub(crate) fn n_readers(&self) -> usize {
        let places = self.readers.used().iter();
        places
            .map(|place| place.n.load(Ordering::Relaxed) as usize)
            .sum()
    }

    /// The process that writes, at this moment.
    pub(crate) fn writer(&self) -> Option<u32> {
        let is_writing = self.stage.load(Ordering::Relaxed) == WRITING;
        self.lock.holder().filter(|_| is_writing)
    }

    fn own_place(&self) -> Option<usize> {
        let place = self.readers.own(thread_id())?;
        (self.readers.at(place).n.load(Ordering::Relaxed) > 0).then_some(place)
    }

    /// Under the lock: what the death of its last holder means. Done again if this process is killed, too.
    fn settle(&self, acquired: Acquired) {
        if acquired != Acquired::OwnerDied {
            return;
        }
        if self.stage.load(Ordering::Acquire) == WRITING {
            self.left.store(DIED, Ordering::Relaxed);
        }
        self.stage.store(COMING, Ordering::Release);
    }

    fn how_left(&self) -> Acquired {
        match self.left.load(Ordering::Relaxed) {
            WELL => Acquired::Clean,
            PANICKED => Acquired::Poisoned,
            _ => Acquired::OwnerDied,
        }
    }

    /// Under the lock, so that no more come in. False where the time is over.
    fn wait_for_readers(&self, deadline: Option<Instant>) -> bool {
        if self.is_free_of_readers() {
            return true;
        }
        let mut vigil = Vigil::until(deadline);
        loop {
            let seen = self.notice.seen();
            if vigil.asks() {
                self.make_room();
            }
            if self.is_free_of_readers() {
                return true;
            }
            if vigil.is_over() {
                return false;
            }
            self.notice.wait(seen, Some(vigil.nap()));
        }
    }

    fn is_free_of_readers(&self) -> bool {
        let mut readers = self.readers.used().iter();
        readers.all(|place| place.n.load(Ordering::Acquire) == 0)
    }

    /// Clears the places of the dead.
    fn make_room(&self) {
        for (place, dead) in self.readers.dead() {
            self.readers.clear(place, dead);
        }
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "raw_rwlock/tests.rs"]
mod tests;
