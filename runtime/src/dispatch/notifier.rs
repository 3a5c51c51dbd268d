//! The notifier, a thread of the crate's own in the program: it wakes futures and calls callbacks.
//!
//! Somebody has to, since a job ends in another process and whoever awaits it sleeps in an executor that knows nothing of
//! it. The thread is started by the first handle that is awaited or given a callback, and stays; it sleeps while nothing
//! of that kind is outstanding.
//!
//! Invariants:
//! - User code runs here under no lock of the crate's, and its panic ends here.
//! - A board with listeners is watched: a dispatch is put on the list after its listener was, and taken off, under the
//!   list's lock, only when it has none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::listener::Listener;
use super::several::wait_for_any;
use super::{Dispatch, TaskId};
use crate::supervisor::lock;
use crate::sys::{self, PerProcess};

#[derive(Debug, Default)]
struct Notifier {
    watched: Mutex<Watched>,
    changed: Condvar,
    /// Of the list; the thread looks at it before it sleeps on boards.
    version: AtomicU64,
}

#[derive(Debug, Default)]
struct Watched {
    dispatches: Vec<Arc<Dispatch>>,
    has_thread: bool,
}

/// Has a listener called once the task is over; at once where it is.
///
/// # Errors
///
/// Where the thread cannot be started. Then nobody is called.
pub(crate) fn notify(dispatch: &Arc<Dispatch>, task: TaskId, listener: Listener) -> io::Result<()> {
    let notifier = Notifier::get();
    notifier.start()?;
    dispatch.listen_in_any_case(task, listener);
    notifier.watch(dispatch);
    Ok(())
}

impl Notifier {
    fn get() -> &'static Self {
        static THIS: PerProcess<Notifier> = PerProcess::new();
        THIS.get()
    }

    fn start(&'static self) -> io::Result<()> {
        let mut watched = lock(&self.watched);
        if !watched.has_thread {
            sys::thread::spawn("procession", || self.run())?;
            watched.has_thread = true;
        }
        Ok(())
    }

    fn watch(&self, dispatch: &Arc<Dispatch>) {
        let mut watched = lock(&self.watched);
        let dispatches = &mut watched.dispatches;
        if !dispatches.iter().any(|one| Arc::ptr_eq(one, dispatch)) {
            self.version.fetch_add(1, Ordering::Release);
            // The thread sleeps on all of them together, or, where there is none, on the list.
            if let Some(other) = dispatches.first() {
                other.board.wake_callers();
            }
            dispatches.push(Arc::clone(dispatch));
            self.changed.notify_one();
        } else if dispatch.has_news() {
            dispatch.board.wake_callers();
        }
    }

    fn run(&self) -> ! {
        loop {
            let (dispatches, version) = self.wanted();
            let has_news = || {
                self.version.load(Ordering::Acquire) != version
                    || dispatches.iter().any(|dispatch| dispatch.has_news())
            };
            wait_for_any(&dispatches, has_news, None);
            let due = dispatches.iter().flat_map(|dispatch| dispatch.take_due());
            due.for_each(call);
        }
    }

    /// The boards with listeners, waited for until there is one, and the version of the list.
    fn wanted(&self) -> (Vec<Arc<Dispatch>>, u64) {
        let mut watched = lock(&self.watched);
        loop {
            watched
                .dispatches
                .retain(|dispatch| dispatch.is_listened_to());
            if !watched.dispatches.is_empty() {
                let version = self.version.load(Ordering::Acquire);
                return (watched.dispatches.clone(), version);
            }
            watched = self
                .changed
                .wait(watched)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn call(listener: Listener) {
    let called = catch_unwind(AssertUnwindSafe(|| match listener {
        Listener::Wake(waker) => waker.wake(),
        Listener::Call(callback) => callback(),
        Listener::Note(notes, number) => notes.write(number),
    }));
    if let Err(payload) = called {
        // To drop it would be to run more of what has just panicked.
        std::mem::forget(payload);
    }
}
