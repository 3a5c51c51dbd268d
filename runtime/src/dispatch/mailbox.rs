//! Where outcomes wait for their caller.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering as StdOrdering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::outcome::Outcome;
use crate::supervisor::lock;

/// Where the outcomes of one caller arrive, each with the tag it was sent under.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    content: Mutex<MailboxContent>,
    /// Whether something is there, for those who only look.
    has_arrived: AtomicBool,
    emptied: AtomicBool,
    /// Where it was last found among the [`Mailboxes`] of a desk: they look there first.
    place: AtomicU32,
}

#[derive(Debug, Default)]
struct MailboxContent {
    arrived: Vec<(u64, Outcome)>,
    /// Empty allocations for the results of the next ones.
    buffers: Vec<Vec<u8>>,
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with the release in `OpenMailbox::put`.
        !self.has_arrived.load(StdOrdering::Acquire)
    }

    pub(crate) fn take(&self) -> Vec<(u64, Outcome)> {
        let mut arrived = Vec::new();
        self.exchange(&mut arrived, &mut Vec::new());
        arrived
    }

    /// Takes what has arrived, in exchange for allocations that serve again: that of `arrived` itself, which is empty, and
    /// buffers for results.
    pub(crate) fn exchange(&self, arrived: &mut Vec<(u64, Outcome)>, buffers: &mut Vec<Vec<u8>>) {
        let mut content = lock(&self.content);
        std::mem::swap(&mut content.arrived, arrived);
        content.buffers.append(buffers);
        // In this order: who looks meanwhile sees at least one of the two.
        if !arrived.is_empty() {
            self.emptied.store(true, StdOrdering::Release);
        }
        self.has_arrived.store(false, StdOrdering::Release);
    }

    /// For several outcomes in a row; meanwhile nobody else looks in.
    pub(super) fn open(&self) -> OpenMailbox<'_> {
        OpenMailbox {
            content: lock(&self.content),
            has_arrived: &self.has_arrived,
        }
    }

    /// Whether something had arrived and was taken.
    pub(crate) fn is_emptied(&self) -> bool {
        self.emptied.load(StdOrdering::Acquire) && self.is_empty()
    }

    /// Whether the one job whose outcome has arrived here gave no result, and was not cancelled.
    pub(crate) fn has_failed(&self) -> bool {
        let content = lock(&self.content);
        let first = content.arrived.first();
        first.is_some_and(|(_, outcome)| outcome.has_failed() && !outcome.is_cancelled())
    }

    /// Whether the one job whose outcome arrives here was cancelled.
    pub(crate) fn was_cancelled(&self) -> bool {
        let content = lock(&self.content);
        let first = content.arrived.first();
        first.is_some_and(|(_, outcome)| outcome.is_cancelled())
    }
}

/// A mailbox that nobody else looks into.
pub(super) struct OpenMailbox<'m> {
    content: MutexGuard<'m, MailboxContent>,
    has_arrived: &'m AtomicBool,
}

impl OpenMailbox<'_> {
    /// `read` is given a buffer for the results' bytes.
    pub(super) fn put(&mut self, tag: u64, read: impl FnOnce(Vec<u8>) -> Outcome) {
        let buffer = self.content.buffers.pop().unwrap_or_default();
        self.content.arrived.push((tag, read(buffer)));
        self.has_arrived.store(true, StdOrdering::Release);
    }
}

/// The mailboxes of the tasks on a board. One caller's tasks are many, and share one entry: to count them there costs
/// less than a handle for each.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    entries: Vec<Entry>,
    vacant: Vec<MailboxPlace>,
}

#[derive(Debug)]
struct Entry {
    /// `None` while there is no task for it.
    mailbox: Option<Arc<Mailbox>>,
    n_tasks: usize,
}

/// Of an entry, until as many tasks have left it as entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MailboxPlace(u32);

impl Mailboxes {
    /// For one task more.
    pub(super) fn enter(&mut self, mailbox: &Arc<Mailbox>) -> MailboxPlace {
        let place = MailboxPlace(mailbox.place.load(StdOrdering::Relaxed));
        if let Some(entry) = self.entries.get_mut(place.0 as usize)
            && entry
                .mailbox
                .as_ref()
                .is_some_and(|known| Arc::ptr_eq(known, mailbox))
        {
            entry.n_tasks += 1;
            return place;
        }
        let entry = Entry {
            mailbox: Some(Arc::clone(mailbox)),
            n_tasks: 1,
        };
        let place = if let Some(place) = self.vacant.pop() {
            self.entries[place.0 as usize] = entry;
            place
        } else {
            self.entries.push(entry);
            MailboxPlace(self.entries.len() as u32 - 1)
        };
        mailbox.place.store(place.0, StdOrdering::Relaxed);
        place
    }

    /// For so many tasks less.
    pub(super) fn leave(&mut self, place: MailboxPlace, n_tasks: usize) {
        let entry = &mut self.entries[place.0 as usize];
        entry.n_tasks -= n_tasks;
        if entry.n_tasks == 0 {
            entry.mailbox = None;
            self.vacant.push(place);
        }
    }

    pub(super) fn at(&self, place: MailboxPlace) -> Option<Arc<Mailbox>> {
        self.entries.get(place.0 as usize)?.mailbox.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_one_caller_share_an_entry_until_the_last_of_them_leaves() {
        let mut mailboxes = Mailboxes::default();
        let [one, other] = [(); 2].map(|()| Arc::new(Mailbox::default()));
        let first = mailboxes.enter(&one);
        assert_ne!(mailboxes.enter(&other), first);
        assert_eq!(mailboxes.enter(&one), first);
        mailboxes.leave(first, 1);
        assert_eq!(Arc::strong_count(&one), 2);
        mailboxes.leave(first, 1);
        assert_eq!(Arc::strong_count(&one), 1, "it is let go of");
        let place = mailboxes.enter(&Arc::new(Mailbox::default()));
        assert_eq!(place, first, "an entry serves again");
        assert_ne!(
            mailboxes.enter(&one),
            first,
            "and is no longer the former caller's"
        );
    }
}
