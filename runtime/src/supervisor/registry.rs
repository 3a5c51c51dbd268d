//! The registry: keeps shared memory from the moment one process sends it on its way until another has it.
//!
//! It lies in the supervisor of the root program, which outlives every worker and always listens. For every piece it
//! has the descriptor, and a count of holds by tag: a program's own hold, for as long as it has a handle; a hold for a
//! task's results, until the program has read them; one for a message in a queue, until it is received.
//!
//! It believes nobody: any process of the family may ask anything. What it keeps is bounded; descriptors are only
//! passed on, never mapped or read.

use std::collections::HashMap;
use std::io;

use super::door::{QUESTION_LEN, Question};
use super::family::ARENA;
use crate::sys::{self, Channel, Fd};

/// See the module's head.
pub(super) struct Registry {
    door: Channel,
    kept: HashMap<u64, Kept>,
    most: usize,
}

struct Kept {
    fd: Fd,
    /// By tag, with their number.
    holds: HashMap<u64, u32>,
}

impl Registry {
    /// `most` pieces are kept at a time.
    pub(super) fn new(door: Channel, arena: Fd, most: usize) -> Self {
        let for_ever = HashMap::from([(0, 1)]);
        let arena = Kept {
            fd: arena,
            holds: for_ever,
        };
        Self {
            door,
            kept: HashMap::from([(ARENA, arena)]),
            most,
        }
    }

    /// Readable when somebody asks.
    pub(super) fn fd(&self) -> &Fd {
        self.door.fd()
    }

    /// Answers one question.
    pub(super) fn serve(&mut self) {
        let mut bytes = [0; QUESTION_LEN];
        // A question that could not be received whole is closed with all that came of it, which the asker sees.
        let Ok(received) = self.door.recv(&mut bytes) else {
            return;
        };
        if received.len != QUESTION_LEN {
            return;
        }
        let mut fds = received.fds.into_iter();
        match Question::from_bytes(&bytes) {
            Some(Question::Hold { id, tag }) => {
                if let (Some(asker), Some(fd)) = (fds.next(), fds.next()) {
                    let held = self.hold(id, tag, fd);
                    answer(asker, held.map(|()| None));
                }
            }
            Some(Question::Want { id, tag }) => {
                if let Some(asker) = fds.next() {
                    let kept = self.kept.get(&id).map(|kept| Some(&kept.fd));
                    answer(asker, kept.ok_or(sys::ENOENT));
                }
                if tag != 0 {
                    self.let_go(id, tag);
                }
            }
            Some(Question::LetGo { id: 0, tag }) => {
                let ids: Vec<u64> = self
                    .kept
                    .iter()
                    .filter(|(_, kept)| kept.holds.contains_key(&tag))
                    .map(|(&id, _)| id)
                    .collect();
                for id in ids {
                    self.kept.get_mut(&id).map(|kept| kept.holds.insert(tag, 1));
                    self.let_go(id, tag);
                }
            }
            Some(Question::LetGo { id, tag }) => self.let_go(id, tag),
            None => {}
        }
    }

    fn hold(&mut self, id: u64, tag: u64, fd: Fd) -> Result<(), i32> {
        let is_full = self.kept.len() >= self.most;
        let n_holds: usize = self.kept.get(&id).map_or(0, |kept| kept.holds.len());
        if tag == 0 || id <= ARENA {
            return Err(sys::EINVAL);
        }
        // Holds are bounded too: each task and each queue is one tag.
        if n_holds >= 64 * 1024 || (is_full && n_holds == 0) {
            return Err(sys::EMFILE);
        }
        let kept = self.kept.entry(id).or_insert_with(|| Kept {
            fd,
            holds: HashMap::new(),
        });
        let count = kept.holds.entry(tag).or_insert(0);
        *count = count.saturating_add(1);
        Ok(())
    }

    fn let_go(&mut self, id: u64, tag: u64) {
        let Some(kept) = self.kept.get_mut(&id).filter(|_| tag != 0) else {
            return;
        };
        if let Some(count) = kept.holds.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                kept.holds.remove(&tag);
            }
        }
        if kept.holds.is_empty() {
            self.kept.remove(&id);
        }
    }
}

fn answer(asker: Fd, result: Result<Option<&Fd>, i32>) {
    let errno = result.err().unwrap_or(0) as u64;
    let fds: Vec<&Fd> = result.ok().flatten().into_iter().collect();
    let asker = Channel::from_fd(asker);
    // Failure means that the asker is gone, or that its descriptors are used up: it sees the socket closed.
    let _: io::Result<()> = asker.try_send(bytemuck::bytes_of(&errno), &fds);
}
