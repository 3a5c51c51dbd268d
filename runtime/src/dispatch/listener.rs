//! Who hears of an outcome without asking for it.
//!
//! Responsible for: keeping a listener with its task, and handing it on when the task is over. What is the user's, a
//! waker or a callback, is never called here, since whoever takes outcomes in holds the desk's lock: it is put where
//! [`super::notifier`] finds it. Nor is it dropped under that lock, for a waker's end may be that of a future that holds
//! another handle. A note is the crate's own and is written down at once.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use super::Dispatch;
use super::desk::Desk;
use crate::board::TaskId;
use crate::supervisor::lock;

/// What is to happen once a task is over.
pub(crate) enum Listener {
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
    /// This number is written down.
    Note(Arc<Notes>, usize),
}

/// The numbers of tasks that are over, until somebody takes them.
#[derive(Debug, Default)]
pub(crate) struct Notes(Mutex<Vec<usize>>);

impl Notes {
    pub(crate) fn write(&self, number: usize) {
        lock(&self.0).push(number);
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    pub(crate) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut lock(&self.0))
    }
}

impl Listener {
    /// Whether somebody else is to do something.
    fn is_called(&self) -> bool {
        !matches!(self, Self::Note(..))
    }

    fn is_waker(&self) -> bool {
        matches!(self, Self::Wake(_))
    }

    fn writes_to(&self, notes: &Arc<Notes>) -> bool {
        matches!(self, Self::Note(own, _) if Arc::ptr_eq(own, notes))
    }
}

impl Desk {
    /// `Err` where the task is over; else the waker whose place this one takes.
    fn listen(&mut self, task: TaskId, listener: Listener) -> Result<Option<Listener>, Listener> {
        let Some(listeners) = self.listeners_of(task) else {
            return Err(listener);
        };
        let latest = listeners.iter_mut().find(|old| old.is_waker());
        if let Some(old) = latest.filter(|_| listener.is_waker()) {
            return Ok(Some(std::mem::replace(old, listener)));
        }
        let is_called = listener.is_called();
        listeners.push(listener);
        self.n_to_call += usize::from(is_called);
        Ok(None)
    }

    /// Gives those back that hear of nothing any more.
    fn unlisten(&mut self, task: TaskId, is_meant: impl Fn(&Listener) -> bool) -> Vec<Listener> {
        let Some(listeners) = self.listeners_of(task) else {
            return Vec::new();
        };
        let (meant, others) = std::mem::take(listeners).into_iter().partition(is_meant);
        *listeners = others;
        let meant: Vec<Listener> = meant;
        self.n_to_call -= meant.iter().filter(|one| one.is_called()).count();
        meant
    }

    /// Their task is over.
    pub(super) fn tell(&mut self, listeners: Vec<Listener>) {
        for listener in listeners {
            match listener {
                Listener::Note(notes, number) => notes.write(number),
                other => {
                    self.n_to_call -= 1;
                    self.due.push(other);
                }
            }
        }
    }
}

impl Dispatch {
    /// Has a listener hear of a task's end; false where that is over already, and nobody hears of it.
    pub(crate) fn listen(&self, task: TaskId, listener: Listener) -> bool {
        let listens = lock(&self.desk).listen(task, listener);
        listens.is_ok()
    }

    /// As [`listen`](Self::listen); of a task that is over a listener hears at once.
    pub(super) fn listen_in_any_case(&self, task: TaskId, listener: Listener) {
        let mut desk = lock(&self.desk);
        let replaced = desk.listen(task, listener).unwrap_or_else(|listener| {
            desk.due.push(listener);
            None
        });
        drop(desk);
        drop(replaced);
    }

    /// Whoever awaited the task does not any more.
    pub(crate) fn forget_waker(&self, task: TaskId) {
        self.unlisten(task, Listener::is_waker);
    }

    pub(crate) fn forget_notes(&self, task: TaskId, notes: &Arc<Notes>) {
        self.unlisten(task, |listener| listener.writes_to(notes));
    }

    fn unlisten(&self, task: TaskId, is_meant: impl Fn(&Listener) -> bool) {
        let removed = lock(&self.desk).unlisten(task, is_meant);
        drop(removed);
    }

    /// Those whose task is over.
    pub(super) fn take_due(&self) -> Vec<Listener> {
        std::mem::take(&mut lock(&self.desk).due)
    }

    /// Whether somebody is to be called now, or nobody any more.
    pub(super) fn has_news(&self) -> bool {
        let desk = lock(&self.desk);
        desk.n_to_call == 0 || !desk.due.is_empty()
    }

    /// Whether somebody is to be called, now or later.
    pub(super) fn is_listened_to(&self) -> bool {
        let desk = lock(&self.desk);
        desk.n_to_call > 0 || !desk.due.is_empty()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wake(_) => "Wake",
            Self::Call(_) => "Call",
            Self::Note(..) => "Note",
        })
    }
}
