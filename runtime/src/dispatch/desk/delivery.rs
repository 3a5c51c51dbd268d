//! From a task that is over to its caller's mailbox; then its row and its memory are free.

use super::{Desk, Tenant};
use crate::board::{Board, Ordering, Pocket, State, TaskId, TaskIndex};
use crate::dispatch::mailbox::{Mailbox, MailboxPlace, OpenMailbox};
use crate::dispatch::outcome::{Outcome, Parcel, Rest};

impl Desk {
    pub(in crate::dispatch) fn take_if_done(&mut self, board: &Board, index: TaskIndex) {
        self.take_done(board, std::iter::once(index));
    }

    /// Takes those of these tasks that are done, of one caller several at a time.
    pub(super) fn take_done(&mut self, board: &Board, tasks: impl Iterator<Item = TaskIndex>) {
        let mut tasks = tasks.peekable();
        while let Some(first) = tasks.peek() {
            let place = self.mailbox_of(*first);
            self.deliver_to(place, |desk, mut open| {
                let mut n_taken = 0;
                while let Some(index) = tasks.next_if(|next| desk.mailbox_of(*next) == place) {
                    if desk.is_done(board, index) {
                        desk.deliver(board, index, Rest::Cancelled, open.as_mut());
                        desk.free_rows.push(index);
                        n_taken += 1;
                    }
                }
                n_taken
            });
        }
    }

    pub(super) fn deliver_alone(&mut self, board: &Board, index: TaskIndex, rest: Rest) {
        let place = self.mailbox_of(index);
        self.deliver_to(place, |desk, mut open| {
            desk.deliver(board, index, rest, open.as_mut());
            1
        });
    }

    /// Has the mailbox at this place, if there is one, open while `deliver` fills it, which gives how many tasks have left it then.
    fn deliver_to(
        &mut self,
        place: Option<MailboxPlace>,
        deliver: impl FnOnce(&mut Self, Option<OpenMailbox<'_>>) -> usize,
    ) {
        let mailbox = place.and_then(|place| self.mailboxes.at(place));
        let n_taken = deliver(self, mailbox.as_deref().map(Mailbox::open));
        if let Some(place) = place {
            self.mailboxes.leave(place, n_taken);
        }
    }

    fn mailbox_of(&self, index: TaskIndex) -> Option<MailboxPlace> {
        let row = self.rows.get(index.0 as usize)?;
        row.tenant.as_ref().and_then(|tenant| tenant.mailbox)
    }

    fn is_done(&self, board: &Board, index: TaskIndex) -> bool {
        self.task_at(index).is_some_and(|task| {
            let row = &board.tasks()[index.0 as usize];
            row.state.read(task.generation) == Some(State::Done)
        })
    }

    /// Reads the outcome, ends the task's generation, frees its memory, and puts it into its caller's mailbox, which it has
    /// left then.
    fn deliver(
        &mut self,
        board: &Board,
        index: TaskIndex,
        rest: Rest,
        open: Option<&mut OpenMailbox<'_>>,
    ) {
        let row = &mut self.rows[index.0 as usize];
        let Some(Tenant {
            span,
            remembered,
            passengers,
            tag,
            listeners,
            most_awake,
            ..
        }) = &mut row.tenant
        else {
            return;
        };
        let is_for_all = most_awake.is_none();
        let task = TaskId {
            index,
            generation: row.generation,
        };
        let shared = &board.tasks()[index.0 as usize];
        let gives = shared.progress.gives.load(Ordering::Relaxed) != 0;
        let (kept, listeners) = (std::mem::take(passengers), std::mem::take(listeners));
        let read = |buffer| Outcome::read(board, task, remembered, rest, kept, buffer);
        match open {
            Some(open) => open.put(*tag, read),
            // What its results name is needed by nobody.
            None if gives => drop(read(Vec::new())),
            // Also where a worker was killed before it could say that it gives something.
            None => drop(Parcel::of(task, remembered)),
        }
        if span.len > Pocket::LEN {
            self.arena.give_back(*span);
            // The next task's, as like as not.
            board.prefetch(span.offset);
        }
        row.tenant = None;
        shared.state.free(row.generation);
        row.generation = row.generation.wrapping_add(1);
        self.n_in_flight -= 1;
        self.n_for_all -= usize::from(is_for_all);
        self.has_answered = true;
        // After the mailbox, where they look.
        self.tell(listeners);
    }
}
