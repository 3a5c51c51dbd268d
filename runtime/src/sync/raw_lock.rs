//! A lock in shared memory whose holder may be killed.
//!
//! Responsible for: one holder at a time among the threads of all processes that see the words; telling the next
//! holder how the last one left; fair turns. Not responsible for what is guarded, for where the words lie, or for
//! guards: who acquires releases, once and on the same thread.
//!
//! | word | meaning | changed by | if that process is killed |
//! |---|---|---|---|
//! | `holder` | 0: free. [`RESERVED`]: free, and the heir comes first. Else the identity of the holding process, with the marks [`CONTENDED`] (somebody may sleep) and [`SETTLING`] (taken from a dead holder; `thread` may still be the dead one's) | free to held: whoever wins the exchange. Held to free: the holder. From the dead: whoever wins the exchange. CONTENDED: any waiter, and a thread of the holder's process | a waiter takes it over |
//! | `heir` | the process of one waiter that has waited long; 0: none | to its own: a waiter, where there is none or a dead one. To 0: that waiter, or who takes the lock in its place | another takes its place, and the lock if it was reserved |
//! | `thread` | the thread that holds; 0 when nobody does | the holder, after it has the lock and before it lets go | stays until the next holder writes its own; not read while SETTLING |
//! | `left` | not 0: the last holder left by a panic | set by the holder before it lets go, cleared by the next | the lock goes over with the death reported, and this is cleared |
//! | `reserved_at` | when the lock was last reserved, in [`TICK`]s | the holder, before it lets go to an heir | is only ever compared with the clock |
//! | `bell` | how often a holder let go while others waited; these sleep on it | the holder that let go | the sleepers look by themselves when their pause is over |
//!
//! Invariants:
//! - Only the end of a *process* frees what it holds. Safe code can leak a guard and send what it borrowed to another
//!   thread, so the end of a thread says nothing; such a lock stays locked while the process lives.
//! - Every change of hands is one exchange of `holder`, so a death is reported to exactly one process, and a killed
//!   one leaves either the old holder or the new. If the new one is killed before it returns, its own death is
//!   reported in place of what it was to report.
//! - A reservation is no hold: it is for the order of turns only. Everybody passes over an heir that is dead, or that has
//!   not come in [`RESERVED_FOR`] (it may be stopped), also those who only try.
//!
//! A waiter sleeps on `bell` as it was before it marked `holder` as contended; the holder that finds the mark when it
//! lets go changes `bell`, so no wake-up is lost. Man page: `futex(2)`. On the marked word and the woken waiter that
//! marks it again: Ulrich Drepper, "Futexes Are Tricky".

use std::time::{Duration, Instant};

use crate::board::{AtomicU32, AtomicU64, Ordering};
use crate::sys::identity::{identity, is_alive, is_own_thread, thread_id};
use crate::sys::{futex, monotonic_nanos};

const FREE: u64 = 0;
const RESERVED: u64 = CONTENDED;
const NOBODY: u64 = 0;
const NO_THREAD: u32 = 0;

// Marks beside an identity, in the bits that identities leave zero.
const CONTENDED: u64 = 1;
const SETTLING: u64 = 2;
const IDENTITY: u64 = !(CONTENDED | SETTLING);

/// In nanoseconds, as all below. Whoever has waited so long wants to be the heir.
const HEIR_AFTER: u64 = 500_000;
const FIRST_PAUSE: u64 = HEIR_AFTER;
/// A killed holder, or one killed before it rang, is noticed after such a pause at the latest.
const LONGEST_PAUSE: u64 = 16_000_000;
const RESERVED_FOR: u64 = 20_000_000;
const LONGEST_PAUSE_BEHIND_HEIR: u64 = 1_000_000;
/// In which reservations are dated: 32 bits of them come around in 49 days.
const TICK: u64 = 1_000_000;

/// Looks at a held lock before the first sleep: most are held for less than a sleep takes. Each pause between them is twice
/// as long as the one before, since a look takes the words from the holder's cache and makes it slower.
const N_LOOKS: u32 = if cfg!(loom) { 0 } else { 8 };

const NEVER: u64 = u64::MAX;
const AT_ONCE: u64 = 0;

/// How the lock was left by the last holder. Each is told once, to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acquired {
    /// It let go.
    Clean,
    /// Its process has ended while it held the lock.
    OwnerDied,
    /// It let go while it panicked.
    Poisoned,
}

/// Why the lock was not acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAcquired {
    /// The calling thread holds it: it would wait for itself.
    AlreadyHeld,
    /// Another holds it, and the time is over.
    TimedOut,
}

/// The words of one lock; all zeros at the beginning.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct RawLock {
    holder: AtomicU64,
    heir: AtomicU64,
    thread: AtomicU32,
    left: AtomicU32,
    bell: AtomicU32,
    reserved_at: AtomicU32,
}

impl RawLock {
    /// Waits until the lock is this thread's, or until `deadline`, never less. Without one, as long as it takes.
    ///
    /// # Errors
    ///
    /// [`NotAcquired::AlreadyHeld`] at once, [`NotAcquired::TimedOut`] when the time is over.
    #[inline]
    pub(crate) fn acquire(&self, deadline: Option<Instant>) -> Result<Acquired, NotAcquired> {
        if let Some(acquired) = self.acquire_at_once() {
            return Ok(acquired);
        }
        // The clock is read after the time left, so the sum is not before `deadline`.
        let deadline = deadline.map_or(NEVER, |deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = u64::try_from(left.as_nanos()).unwrap_or(NEVER);
            monotonic_nanos().saturating_add(left)
        });
        self.wait_in_line(deadline)
    }

    /// Takes the lock if it is free, or if its holder's process has ended.
    ///
    /// # Errors
    ///
    /// [`NotAcquired::AlreadyHeld`]; [`NotAcquired::TimedOut`] if another holds it or is about to.
    pub(crate) fn try_acquire(&self) -> Result<Acquired, NotAcquired> {
        match self.acquire_at_once() {
            Some(acquired) => Ok(acquired),
            None => self.wait_in_line(AT_ONCE),
        }
    }

    /// Lets go if nobody waits, and does not touch the lock afterwards, when its place may be another's. False, and the
    /// lock is as it was, where somebody may wait, or where the calling process or thread does not hold it.
    #[inline]
    pub(crate) fn release_uncontended(&self, by_panic: bool) -> bool {
        let own = identity();
        let is_free_of_others = self.holder.load(Ordering::Relaxed) == own
            && self.heir.load(Ordering::Relaxed) == NOBODY;
        if !is_free_of_others || !self.may_release() {
            return false;
        }
        if by_panic {
            self.left.store(1, Ordering::Relaxed);
        }
        self.thread.store(NO_THREAD, Ordering::Relaxed);
        let exchange = self
            .holder
            .compare_exchange(own, FREE, Ordering::AcqRel, Ordering::Relaxed);
        if exchange.is_err() {
            self.thread.store(thread_id(), Ordering::Relaxed);
        }
        exchange.is_ok()
    }

    /// Lets go. Does nothing where the calling process or thread does not hold it.
    ///
    /// A copy of a guard in a forked child must not be dropped while the child holds the same lock by itself: the
    /// words cannot tell the two apart. Guards that can get there compare the identity under which they were made.
    #[inline]
    pub(crate) fn release(&self, by_panic: bool) {
        let own = identity();
        let mut word = self.holder.load(Ordering::Relaxed);
        if word & IDENTITY != own || !self.may_release() {
            return;
        }
        if by_panic {
            self.left.store(1, Ordering::Relaxed);
        }
        self.thread.store(NO_THREAD, Ordering::Relaxed);
        // Another identity is the deed of a process gone mad.
        while word & IDENTITY == own {
            let has_heir = self.heir.load(Ordering::Relaxed) != NOBODY;
            if has_heir {
                let now = ticks(monotonic_nanos());
                self.reserved_at.store(now, Ordering::Relaxed);
            }
            let free = if has_heir { RESERVED } else { FREE };
            match self
                .holder
                .compare_exchange(word, free, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if word & CONTENDED == 0 => return,
                // One of several sleepers is the heir.
                Ok(_) => return self.ring(if has_heir { u32::MAX } else { 1 }),
                Err(now) => word = now,
            }
        }
    }

    /// Marks the lock as contended, for its holder in this process to find when it lets go. False where nobody does.
    pub(crate) fn mark_for_holder_here(&self) -> bool {
        let own = identity();
        let mut word = self.holder.load(Ordering::Relaxed);
        while word & IDENTITY == own {
            // Release: with the mark the holder sees what was done before.
            match self.holder.compare_exchange(
                word,
                word | CONTENDED,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether the calling thread holds the lock.
    pub(crate) fn is_held_by_this_thread(&self) -> bool {
        // First who holds: then `thread` is not older than that holder's.
        self.holder.load(Ordering::Acquire) & !CONTENDED == identity()
            && self.thread.load(Ordering::Relaxed) == thread_id()
    }

    /// The id of the process that holds the lock, at this moment.
    pub(crate) fn holder(&self) -> Option<u32> {
        let word = self.holder.load(Ordering::Relaxed);
        (word & IDENTITY != FREE).then_some((word >> 32) as u32)
    }

    /// The whole of an acquisition where nobody is in the way.
    #[inline]
    fn acquire_at_once(&self) -> Option<Acquired> {
        let own = identity();
        self.holder
            .compare_exchange(FREE, own, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| self.settle(false))
    }

    /// In the process that holds. Where `thread` names no thread of it, it was overwritten. Then the caller is believed, or the lock
    /// would stay locked as long as this process lives.
    #[inline]
    fn may_release(&self) -> bool {
        let thread = self.thread.load(Ordering::Relaxed);
        thread == thread_id() || !is_own_thread(thread)
    }

    /// Whether the heir has not come in time, at this reading of the clock, which was taken after the lock was seen reserved.
    fn is_reservation_over(&self, now: u64) -> bool {
        let reserved_at = self.reserved_at.load(Ordering::Relaxed);
        ticks(now).wrapping_sub(reserved_at) > ticks(RESERVED_FOR)
    }

    #[cold]
    fn ring(&self, n_sleepers: u32) {
        self.bell.fetch_add(1, Ordering::Release);
        futex::wake(&self.bell, n_sleepers);
    }

    /// The new holder signs, and takes note of how the last one left.
    #[inline]
    fn settle(&self, has_died: bool) -> Acquired {
        self.thread.store(thread_id(), Ordering::Relaxed);
        if has_died {
            self.holder.fetch_and(!SETTLING, Ordering::Release);
        }
        let has_panicked = self.left.load(Ordering::Relaxed) != 0;
        if has_panicked {
            self.left.store(0, Ordering::Relaxed);
        }
        match (has_died, has_panicked) {
            (true, _) => Acquired::OwnerDied,
            (false, true) => Acquired::Poisoned,
            (false, false) => Acquired::Clean,
        }
    }

    /// Acquires where somebody is in the way. `deadline` is a reading of the monotonic clock.
    #[cold]
    pub(super) fn wait_in_line(&self, deadline: u64) -> Result<Acquired, NotAcquired> {
        if self.is_held_by_this_thread() {
            return Err(NotAcquired::AlreadyHeld);
        }
        let mut waiter = Waiter::new(self);
        let result = waiter.wait(deadline);
        waiter.leave(result.is_ok());
        result
    }
}

fn ticks(nanos: u64) -> u32 {
    (nanos / TICK) as u32
}

/// One call that found the lock taken.
struct Waiter<'a> {
    lock: &'a RawLock,
    own: u64,
    /// This thread made its process the heir. Others may have passed it over since.
    is_heir: bool,
    has_slept: bool,
    /// Since when it stands back behind an heir.
    behind_heir_since: Option<u64>,
}

impl<'a> Waiter<'a> {
    fn new(lock: &'a RawLock) -> Self {
        Self {
            lock,
            own: identity(),
            is_heir: false,
            has_slept: false,
            behind_heir_since: None,
        }
    }

    fn wait(&mut self, deadline: u64) -> Result<Acquired, NotAcquired> {
        let began = monotonic_nanos();
        let mut n_looks = 0;
        // When to ask whether those in the way live: that takes microseconds. By the clock, and not whenever a sleep was
        // as long as it should be, since signals can cut every sleep short.
        let mut pause = FIRST_PAUSE;
        let mut next_look = began + pause;
        loop {
            let bell = self.lock.bell.load(Ordering::Acquire);
            let word = self.lock.holder.load(Ordering::Acquire);
            // After the word: read late it is never early.
            let now = monotonic_nanos();
            let is_last = now >= deadline;
            let asks = is_last || now >= next_look;
            if asks {
                pause = (pause * 2).min(LONGEST_PAUSE);
                next_look = now + pause;
            }
            if self.may_take(word, now, asks) {
                if let Some(acquired) = self.take(word) {
                    return Ok(acquired);
                }
                continue;
            }
            if is_last {
                return Err(NotAcquired::TimedOut);
            }
            if n_looks < N_LOOKS && word & CONTENDED == 0 {
                (0..1 << n_looks).for_each(|_| std::hint::spin_loop());
                n_looks += 1;
                continue;
            }
            if now - began >= HEIR_AFTER {
                self.become_heir(asks);
            }
            if !self.mark_contended(word) {
                continue;
            }
            if self.behind_heir_since.is_some() {
                next_look = next_look.min(now + LONGEST_PAUSE_BEHIND_HEIR);
            }
            let time = Duration::from_nanos(next_look.min(deadline) - now);
            futex::wait(&self.lock.bell, bell, Some(time));
            self.has_slept = true;
        }
    }

    /// Whether nobody who lives is in the way.
    fn may_take(&mut self, word: u64, now: u64, asks: bool) -> bool {
        if word & IDENTITY != FREE {
            self.behind_heir_since = None;
            return asks && !is_alive(word & IDENTITY);
        }
        let heir = self.lock.heir.load(Ordering::Relaxed);
        if word & CONTENDED == 0 || heir == NOBODY || (self.is_heir && heir == self.own) {
            return true;
        }
        let since = *self.behind_heir_since.get_or_insert(now);
        now - since >= RESERVED_FOR
            || self.lock.is_reservation_over(now)
            || (asks && !is_alive(heir))
    }

    /// Makes the lock this thread's if nobody was faster.
    fn take(&self, word: u64) -> Option<Acquired> {
        let has_died = word & IDENTITY != FREE;
        let mark = if has_died { SETTLING } else { 0 };
        // Contended where others may sleep: whoever rang has woken only one.
        let contended = if self.has_slept {
            CONTENDED
        } else {
            word & CONTENDED
        };
        let held = self.own | contended | mark;
        let heir = self.lock.heir.load(Ordering::Relaxed);
        self.lock
            .holder
            .compare_exchange(word, held, Ordering::AcqRel, Ordering::Relaxed)
            .ok()?;
        // The reservation is used up, by the heir or by one who has waited for it in vain.
        if word == RESERVED {
            self.strike_heir(heir);
        }
        Some(self.lock.settle(has_died))
    }

    /// Whether the lock is held, or reserved, as it was seen, and whoever lets go will see that somebody sleeps.
    fn mark_contended(&self, word: u64) -> bool {
        word & CONTENDED != 0
            || self
                .lock
                .holder
                .compare_exchange(word, word | CONTENDED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn become_heir(&mut self, asks: bool) {
        let heir = self.lock.heir.load(Ordering::Relaxed);
        if heir == self.own {
            // Whether by this thread or by another of this process stays as it is.
            return;
        }
        self.is_heir = (heir == NOBODY || (asks && !is_alive(heir)))
            && self
                .lock
                .heir
                .compare_exchange(heir, self.own, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
    }

    fn strike_heir(&self, heir: u64) {
        let _already_another =
            self.lock
                .heir
                .compare_exchange(heir, NOBODY, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whoever gives up may have been woken in place of others: it leaves the mark, or wakes the next.
    fn leave(&self, has_acquired: bool) {
        if self.is_heir {
            self.strike_heir(self.own);
        }
        if (self.has_slept || self.is_heir) && !has_acquired {
            let word = self.lock.holder.fetch_or(CONTENDED, Ordering::AcqRel);
            if word & IDENTITY == FREE {
                self.lock.ring(1);
            }
        }
    }
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, target_os = "linux", not(loom), not(procession_unsupported)))]
#[path = "raw_lock/tests.rs"]
mod tests;
