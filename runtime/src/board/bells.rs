//! Who waits on a board, and how they are told: workers for a task, callers for an outcome.
//!
//! Two ways to wait. A *sleeper* costs nothing and is woken by a system call, which takes 20 µs to reach another
//! core. A *spinner* keeps a core that nobody else wants, and sees within a tenth of a microsecond what happens; nobody needs
//! to tell it.
//!
//! Who may spin, and for how long:
//! - For as long as [`super::spin`] says, and only a worker that has just worked or a caller whose workers have: what was forked a
//!   moment ago sleeps, and so does who waits for it, since it needs the core to begin at all.
//! - By a rule of thumb, which looks and does not lock, so many that a core is left for somebody who has work: of the
//!   workers all cores but one at the most ([`Board::spin_worker`]), and a caller only while the workers with a task leave it a core
//!   ([`crate::dispatch`]). On a single core nobody spins.
//!
//! No wake-up is lost. Whoever has work for others publishes it, passes a sequentially consistent fence, and looks at
//! the bits; a worker sets or clears its bits, passes such a fence, and looks for work. So one of them sees the other:
//! - *The worker's bits say that it sleeps*: it is rung for, if there are more tasks than workers about to look.
//! - *It spins, or has been rung for and not yet looked*: it takes the task, or another one and then rings for this. If
//!   it does not come, since somebody has stopped its process, a sleeper finds the task when it next looks by itself, and
//!   then nobody is counted on any more.
//! - *Neither*: it looks once more before it sleeps, or works and looks when it is done.
//!
//! As many as there are cores are rung for at once, and each one that finds a task rings for the next while tasks are
//! left: a crowd of workers with short tasks is not woken to find that nothing is left for most of them.
//!
//! Where more workers would only take turns with those that are awake, each with a cold cache, the program says how many
//! are to be awake at the most, and takes it back when it hears nothing for a while ([`Board::set_most_awake`],
//! `pool/chunking.rs`). While so many are awake nobody is rung for, and a worker that is one too many lies down without a
//! look ([`Board::needs`]). Of several that do so at once, the last one to set its bit sees the bits of the others, and
//! looks. Who is not rung for looks once in a while all the same. Whoever has yet to begin, or is leaving, is not awake,
//! however long that takes: it says so by a bit of its own, set and cleared like the others.
//!
//! Where workers retire, the last of those asleep may be gone for good: see [`super::dormant`].
//!
//! A worker may be killed at any instruction; the supervisor clears its bits and rings for what waits. A worker gone
//! mad that sets the bits of others costs time and no more: sleepers look by themselves once in a while and put their
//! own bits right, and bits of workers that the pool does not have count for nothing.

use std::time::Duration;

use super::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use super::queue::Line;
use super::spin::spin;
use super::{Board, MAX_WORKERS, WorkerIndex};
use crate::sys::{self, futex};

/// Linux has no more threads than this.
const MOST_CALLERS: u32 = 1 << 22;

/// The words by which they are told; see the module's head.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Bells {
    /// Rung when a task is finished or the pool's state changes; callers sleep on it.
    done: AtomicU32,
    /// Callers that sleep on `done` or are about to.
    n_waiting: AtomicU32,
    /// No more workers are to be awake; 0 for no limit.
    most_awake: AtomicU32,
    /// A bit per open post at which nobody takes tasks: its worker has yet to come or to begin, or is leaving.
    absent: Line<WorkerSet>,
    /// Workers that sleep on their bells.
    sleepers: Line<Sleepers>,
    /// A bit per worker that spins.
    spinning: Line<WorkerSet>,
}

/// A word that one process sleeps on and others ring.
#[repr(transparent)]
#[derive(Debug)]
pub(crate) struct Bell(AtomicU32);

impl Bell {
    fn now(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    fn ring(&self) {
        // Release: pairs with the acquire in `now`.
        self.0.fetch_add(1, Ordering::Release);
        futex::wake(&self.0, 1);
    }

    fn sleep(&self, seen: u32, timeout: Duration) {
        futex::wait(&self.0, seen, Some(timeout));
    }
}

/// Two bits per worker: whether it sleeps, and whether it has been rung for since and has not looked yet. Never both.
#[repr(transparent)]
#[derive(Debug)]
struct Sleepers([AtomicU64; MAX_WORKERS as usize / 32]);

/// The lower bit of each pair.
const SLEEPS: u64 = 0x5555_5555_5555_5555;
/// The upper one.
const RUNG_FOR: u64 = SLEEPS << 1;

impl Sleepers {
    fn word_of(&self, worker: WorkerIndex) -> Option<(&AtomicU64, u64)> {
        let word = self.0.get(usize::from(worker.0) / 32)?;
        Some((word, 0b11 << (worker.0 % 32 * 2)))
    }

    fn insert(&self, worker: WorkerIndex) {
        if let Some((word, pair)) = self.word_of(worker) {
            word.fetch_or(SLEEPS & pair, Ordering::AcqRel);
        }
    }

    /// Whether it had been rung for.
    fn remove(&self, worker: WorkerIndex) -> bool {
        self.word_of(worker).is_some_and(|(word, pair)| {
            word.fetch_and(!pair, Ordering::AcqRel) & RUNG_FOR & pair != 0
        })
    }

    fn contains(&self, worker: WorkerIndex) -> bool {
        self.word_of(worker)
            .is_some_and(|(word, pair)| word.load(Ordering::Relaxed) & SLEEPS & pair != 0)
    }

    /// The words in use where there are so many workers, each with the bits that belong to one.
    fn words(&self, n_workers: u32) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let words = self.0[..n_workers.div_ceil(32) as usize].iter();
        words.zip(0..).map(move |(word, place)| {
            let n_pairs = (n_workers - place * 32).min(32);
            (word, u64::MAX >> (64 - 2 * n_pairs))
        })
    }

    /// How many sleep, and how many have been rung for.
    fn len(&self, n_workers: u32) -> (u32, u32) {
        let words = self.words(n_workers);
        words.fold((0, 0), |(sleeping, rung_for), (word, of_workers)| {
            let bits = word.load(Ordering::Relaxed) & of_workers;
            (
                sleeping + (bits & SLEEPS).count_ones(),
                rung_for + (bits & RUNG_FOR).count_ones(),
            )
        })
    }

    /// Turns one that sleeps into one that is rung for, which nobody else does then.
    fn ring_for_one(&self, n_workers: u32) -> Option<WorkerIndex> {
        for (place, (word, of_workers)) in self.words(n_workers).enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits & of_workers & SLEEPS != 0 {
                let shift = (bits & of_workers & SLEEPS).trailing_zeros();
                let turned = bits ^ (0b11 << shift);
                match word.compare_exchange_weak(bits, turned, Ordering::AcqRel, Ordering::Relaxed)
                {
                    Ok(_) => return Some(WorkerIndex((place * 32) as u16 + shift as u16 / 2)),
                    Err(now) => bits = now,
                }
            }
        }
        None
    }
}

/// A bit per worker.
#[repr(transparent)]
#[derive(Debug)]
struct WorkerSet([AtomicU64; MAX_WORKERS as usize / 64]);

impl WorkerSet {
    fn word_of(&self, worker: WorkerIndex) -> Option<(&AtomicU64, u64)> {
        let word = self.0.get(usize::from(worker.0) / 64)?;
        Some((word, 1 << (worker.0 % 64)))
    }

    fn insert(&self, worker: WorkerIndex) {
        if let Some((word, bit)) = self.word_of(worker) {
            word.fetch_or(bit, Ordering::AcqRel);
        }
    }

    fn remove(&self, worker: WorkerIndex) {
        if let Some((word, bit)) = self.word_of(worker) {
            word.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// The words in use where there are so many workers, each with the bits that belong to one.
    fn words(&self, n_workers: u32) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let words = self.0[..n_workers.div_ceil(64) as usize].iter();
        words.zip(0..).map(move |(word, place)| {
            let n_bits = (n_workers - place * 64).min(64);
            (word, u64::MAX >> (64 - n_bits))
        })
    }

    fn len(&self, n_workers: u32) -> u32 {
        self.words(n_workers)
            .map(|(word, bits)| (word.load(Ordering::Relaxed) & bits).count_ones())
            .sum()
    }
}

impl Board {
    fn bells(&self) -> &Bells {
        &self.header().bells
    }

    /// Whoever has put a task into a queue, or may have kept a worker from taking one: wakes a sleeping worker, unless
    /// those about to look are enough for all that waits, or will wake it.
    pub(crate) fn wake_worker(&self) {
        // SeqCst: see the module's head.
        fence(Ordering::SeqCst);
        let n_workers = self.layout().n_workers;
        let (n_sleeping, n_rung_for) = self.bells().sleepers.0.len(n_workers);
        if n_sleeping == 0 || n_rung_for >= sys::n_cores() || self.n_awake() >= self.most_awake() {
            return;
        }
        let n_looking = n_rung_for + self.bells().spinning.0.len(n_workers);
        if self.n_queued() > u64::from(n_looking) {
            self.wake_sleeper();
        }
    }

    /// How many tasks there may be that no worker has claimed; by ends that were written over, any number.
    fn n_queued(&self) -> u64 {
        let lens = self.queues().map(|queue| queue.looks_long());
        lens.fold(0, u64::saturating_add)
    }

    /// Program: from now on no more workers are to be awake than so many; `None` for no limit.
    pub(crate) fn set_most_awake(&self, most: Option<u32>) {
        let most = most.unwrap_or_default();
        self.bells().most_awake.store(most, Ordering::Relaxed);
    }

    fn most_awake(&self) -> u32 {
        let most = self.bells().most_awake.load(Ordering::Relaxed);
        if most == 0 { u32::MAX } else { most }
    }

    /// Worker: whether fewer others are awake than there are to be.
    pub(crate) fn needs(&self, worker: WorkerIndex) -> bool {
        let most_awake = self.most_awake();
        if most_awake >= self.layout().n_workers {
            return true;
        }
        let is_awake = !self.bells().sleepers.0.contains(worker);
        self.n_awake() < most_awake + u32::from(is_awake)
    }

    /// Workers at open posts that take tasks and do not sleep.
    fn n_awake(&self) -> u32 {
        let n_open = self.header().n_open.load(Ordering::Relaxed);
        let n_open = n_open.min(self.layout().n_workers);
        let (n_sleeping, _) = self.bells().sleepers.0.len(n_open);
        let n_absent = self.bells().absent.0.len(n_open);
        n_open.saturating_sub(n_sleeping + n_absent)
    }

    /// Worker: takes tasks from now on, and looks for one next.
    pub(crate) fn begin_taking(&self, worker: WorkerIndex) {
        self.bells().absent.0.remove(worker);
        // SeqCst: see the module's head. Who publishes counts on this worker, or it finds the task.
        fence(Ordering::SeqCst);
    }

    /// Worker, or the supervisor before it forks one: takes no task. What may have been left to it is another's.
    pub(crate) fn end_taking(&self, worker: WorkerIndex) {
        self.bells().absent.0.insert(worker);
        self.wake_worker();
    }

    /// Wakes a sleeping worker, if there is one.
    pub(crate) fn wake_sleeper(&self) {
        let sleeper = self
            .bells()
            .sleepers
            .0
            .ring_for_one(self.layout().n_workers);
        if let Some(record) = sleeper.and_then(|worker| self.worker(worker)) {
            record.bell.ring();
        }
    }

    /// Program, when it has put a task into a queue: whether more wait than workers that will look, and one is to be had.
    pub(crate) fn wants_dormant(&self) -> bool {
        // SeqCst: see the head of `dormant`, and this module's.
        fence(Ordering::SeqCst);
        // First these: who has taken a task that is not among them any more does not sleep, as the words below say then.
        let n_tasks = self.n_queued();
        let n_workers = self.layout().n_workers;
        let (n_sleeping, n_rung_for) = self.bells().sleepers.0.len(n_workers);
        n_tasks > u64::from(n_sleeping + n_rung_for) && self.header().dormant.take_one()
    }

    /// Wakes every sleeping worker: the pool closes, or some of its posts do.
    pub(crate) fn wake_all_workers(&self) {
        for record in self.workers() {
            record.bell.ring();
        }
    }

    /// Worker: looks for a moment without sleeping, if there is a core for that.
    pub(crate) fn spin_worker<T>(
        &self,
        worker: WorkerIndex,
        look: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let spinning = &self.bells().spinning.0;
        let most = sys::n_cores() - 1;
        if spinning.len(self.layout().n_workers) >= most {
            return None;
        }
        spinning.insert(worker);
        let found = spin(look);
        spinning.remove(worker);
        if found.is_some() {
            // This worker may have been counted on for another task than the one it found.
            self.wake_worker();
        }
        found
    }

    /// Worker: sleeps until its bell rings or `timeout` is over, unless `look` finds work first, and looks again. `look` is
    /// told whether the worker may take a task.
    pub(crate) fn sleep_worker<T>(
        &self,
        worker: WorkerIndex,
        timeout: Duration,
        mut look: impl FnMut(bool) -> Option<T>,
    ) -> Option<T> {
        let bell = &self.worker(worker)?.bell;
        let sleepers = &self.bells().sleepers.0;
        let seen = bell.now();
        // Only where a worker gone mad has set it; it would be counted on for ever.
        self.bells().spinning.0.remove(worker);
        sleepers.insert(worker);
        // SeqCst: see the module's head.
        fence(Ordering::SeqCst);
        let mut found = look(self.needs(worker));
        if found.is_none() {
            bell.sleep(seen, timeout);
        }
        let was_rung_for = sleepers.remove(worker);
        let mut others_may_wait = was_rung_for;
        if found.is_none() {
            // SeqCst: as above. Until its bits were gone, tasks may have been left to this worker.
            fence(Ordering::SeqCst);
            found = look(true);
            if found.is_some() && !was_rung_for {
                self.count_on_nobody();
                others_may_wait = true;
            }
        }
        if found.is_some() && others_may_wait {
            self.wake_worker();
        }
        found
    }

    /// As [`sleep_worker`](Self::sleep_worker), where posts may be dormant: while its bits say that it sleeps or was rung for, it
    /// takes nothing, so that whoever counts it and finds no more tasks than sleepers knows that each will be taken.
    pub(crate) fn sleep_worker_counted<T>(
        &self,
        worker: WorkerIndex,
        timeout: Duration,
        is_wanted: impl Fn() -> bool,
        look: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        self.sleep_worker(worker, timeout, |_| is_wanted().then_some(()));
        // SeqCst: see the module's head.
        fence(Ordering::SeqCst);
        look()
    }

    /// A task was left to somebody who did not come for it: a process that was stopped, perhaps. Whoever else is counted
    /// on comes without that.
    fn count_on_nobody(&self) {
        let bells = self.bells();
        for word in &bells.sleepers.0.0 {
            word.fetch_and(SLEEPS, Ordering::AcqRel);
        }
        for word in &bells.spinning.0.0 {
            word.store(0, Ordering::Release);
        }
    }

    /// Whether this worker sleeps on its bell, or says so.
    pub(crate) fn is_asleep(&self, worker: WorkerIndex) -> bool {
        self.bells().sleepers.0.contains(worker)
    }

    /// Supervisor: the worker is dead and waits for nothing; what may have been left to it is another's.
    pub(crate) fn forget_waiting(&self, worker: WorkerIndex) {
        self.bells().sleepers.0.remove(worker);
        self.bells().spinning.0.remove(worker);
        self.end_taking(worker);
    }

    /// Worker or supervisor: a task is finished, or the pool's state has changed; wakes the callers.
    pub(crate) fn wake_callers(&self) {
        let bells = self.bells();
        // SeqCst: pairs with the fence in `lie_down`.
        fence(Ordering::SeqCst);
        if bells.n_waiting.load(Ordering::Relaxed) > 0 {
            bells.done.fetch_add(1, Ordering::Release);
            futex::wake(&bells.done, u32::MAX);
        }
    }

    /// Program: sleeps until something is finished or `timeout` is over, unless `ready` says it is already.
    pub(crate) fn sleep_caller(&self, timeout: Duration, ready: impl FnOnce() -> bool) {
        let turn = self.lie_down();
        if !ready() {
            futex::wait(turn.word, turn.seen, Some(timeout));
        }
    }

    /// As [`sleep_caller`](Self::sleep_caller), until something is finished on any of these boards.
    pub(crate) fn sleep_caller_of_any(
        boards: &[&Self],
        timeout: Duration,
        ready: impl FnOnce() -> bool,
    ) {
        let turns: Vec<_> = boards.iter().map(|board| board.lie_down()).collect();
        if !ready() {
            let words: Vec<_> = turns.iter().map(|turn| (turn.word, turn.seen)).collect();
            futex::wait_any(&words, timeout);
        }
    }

    /// Program: counts a caller that is about to look for the last time, and then to sleep.
    pub(crate) fn lie_down(&self) -> Turn<'_> {
        let bells = self.bells();
        let turn = Turn {
            word: &bells.done,
            seen: bells.done.load(Ordering::Acquire),
            n_waiting: &bells.n_waiting,
        };
        if bells.n_waiting.fetch_add(1, Ordering::AcqRel) > MOST_CALLERS {
            // A worker gone mad has been here. Whoever else waits right now sleeps a while too long, once.
            bells.n_waiting.store(1, Ordering::Release);
        }
        // SeqCst: pairs with the fence in `wake_callers`: either the finisher sees that somebody waits, or
        // the caller sees what it finished.
        fence(Ordering::SeqCst);
        turn
    }
}

/// A caller that sleeps, or is about to, until dropped.
#[derive(Debug)]
pub(crate) struct Turn<'b> {
    pub(crate) word: &'b AtomicU32,
    /// What the word is while there is nothing new.
    pub(crate) seen: u32,
    n_waiting: &'b AtomicU32,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
