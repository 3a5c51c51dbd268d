//! The kernel's face as the lock and the notice see it: processes that end, clocks, and sleep.
//!
//! A loom thread says which process and thread it stands for, and how it sleeps ([`enter`]). Where it wakes by itself,
//! a sleep is a turn for the others; else only a wake ends it, and a lost one is a deadlock, which loom reports.

use std::cell::Cell;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::sync::{Condvar, Mutex};

use crate::atomic::Life;

/// How a process sleeps and how its time passes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// Sleeps end by themselves.
    pub(crate) wakes_by_itself: bool,
    /// A millisecond passes with every look at the clock, not only with every sleep: it soon has waited long.
    pub(crate) is_old: bool,
}

pub(crate) const BY_ITSELF: Manner = Manner {
    wakes_by_itself: true,
    is_old: false,
};
pub(crate) const WOKEN: Manner = Manner {
    wakes_by_itself: false,
    is_old: false,
};

/// Starts a process of which any step may be the last; what its thread ends with: whether it lived.
pub(crate) fn spawn_mortal(
    number: u32,
    life: &Life,
    deeds: impl FnOnce() + 'static,
) -> loom::thread::JoinHandle<bool> {
    let life = life.clone();
    loom::thread::spawn(move || {
        enter(number, number, BY_ITSELF);
        let lived = life.live(deeds).is_some();
        if !lived {
            end();
        }
        lived
    })
}

/// Starts a process.
pub(crate) fn spawn<T: 'static>(
    number: u32,
    manner: Manner,
    deeds: impl FnOnce() -> T + 'static,
) -> loom::thread::JoinHandle<T> {
    loom::thread::spawn(move || {
        enter(number, number, manner);
        deeds()
    })
}

#[derive(Clone, Copy, Default)]
struct Process {
    number: u32,
    thread: u32,
    manner: Manner,
    now: u64,
}

const MILLISECOND: u64 = 1_000_000;

loom::thread_local! {
    static OWN: Cell<Process> = Cell::new(Process::default());
}

loom::lazy_static! {
    /// A bit per process.
    static ref ENDED: AtomicU32 = AtomicU32::new(0);
    static ref FUTEX: Futex = Futex::default();
}

/// From now on this is that thread of that process, of which there are up to 31.
pub(crate) fn enter(number: u32, thread: u32, manner: Manner) {
    OWN.with(|own| {
        own.set(Process {
            number,
            thread,
            manner,
            now: 0,
        });
    });
}

/// This process has ended.
pub(crate) fn end() {
    ENDED.fetch_or(1 << own().number, Ordering::AcqRel);
}

fn own() -> Process {
    OWN.with(Cell::get)
}

fn pass_millisecond() {
    OWN.with(|cell| {
        let mut own = cell.get();
        own.now += MILLISECOND;
        cell.set(own);
    });
}

pub(crate) fn monotonic_nanos() -> u64 {
    if own().manner.is_old {
        pass_millisecond();
    }
    own().now
}

pub(crate) mod identity {
    use super::{ENDED, Ordering, own};
    use crate::atomic::is_killed;

    /// Of a killed process what is its own is nobody's: its destructors, which a SIGKILL does not run, find it so.
    pub(crate) fn pid() -> u32 {
        if is_killed() { 0 } else { own().number }
    }

    pub(crate) fn identity() -> u64 {
        u64::from(own().number) << 32 | 4
    }

    pub(crate) fn thread_id() -> u32 {
        own().thread
    }

    /// Nobody is mad here.
    pub(crate) fn is_own_thread(_thread: u32) -> bool {
        true
    }

    pub(crate) fn is_alive(other: u64) -> bool {
        // No load: the kernel never answers with a state of the past.
        let ended = ENDED.fetch_or(0, Ordering::AcqRel);
        ended & (1 << (other >> 32)) == 0
    }
}

/// One queue of sleepers: each model sleeps on one word.
#[derive(Default)]
struct Futex {
    n_sleepers: Mutex<u32>,
    wakes: Condvar,
}

pub(crate) mod futex {
    use std::time::Duration;

    use super::{FUTEX, own, pass_millisecond};
    use crate::atomic::{AtomicU32, Ordering};

    pub(crate) fn wait(word: &AtomicU32, expected: u32, _timeout: Option<Duration>) {
        pass_millisecond();
        if own().manner.wakes_by_itself {
            loom::thread::yield_now();
            return;
        }
        let mut n_sleepers = FUTEX.n_sleepers.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            *n_sleepers += 1;
            drop(FUTEX.wakes.wait(n_sleepers).unwrap());
        }
    }

    pub(crate) fn wake(_word: &AtomicU32, n: u32) -> bool {
        let mut n_sleepers = FUTEX.n_sleepers.lock().unwrap();
        let n_woken = n.min(*n_sleepers);
        *n_sleepers -= n_woken;
        for _ in 0..n_woken {
            FUTEX.wakes.notify_one();
        }
        n_woken > 0
    }
}
