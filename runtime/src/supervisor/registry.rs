//! The registry: keeps shared memory from the moment one process sends it on its way until another has it.
//!
//! It lies in the supervisor of the root program, which outlives every worker and always listens. For every piece it
//! has the descriptor, and a count of holds by tag: a program's own hold, for as long as it has a handle; a hold for a
//! task's results, until the program has read them; one for a message in a queue, until it is received. The tag of a
//! process other than the root is its identity, which is even: the holds of the dead are struck off.
//!
//! It believes nobody: any process of the family may ask anything. What it keeps is bounded; descriptors are only
//! passed on, never mapped or read.

use std::collections::HashMap;
use std::io;

use super::door::{QUESTION_LEN, Question};
use super::family::ARENA;
use crate::sys::{self, Channel, Fd};

/// So many pairs of a piece and a tag that holds it are counted at a time: each task, queue and process is one tag.
const MOST_HOLDS: usize = 1 << 20;

/// See the module's head.
pub(super) struct Registry {
    door: Channel,
    kept: HashMap<u64, Kept>,
    /// Pairs of a piece and a tag.
    n_holds: usize,
    most: usize,
    /// At so many pieces the holds of the dead are looked for.
    sweep_at: usize,
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
            n_holds: 1,
            most,
            sweep_at: 64,
        }
    }

    /// Readable when somebody asks.
    pub(super) fn fd(&self) -> &Fd {
        self.door.fd()
    }

    /// Answers one question; false when there will be none any more.
    pub(super) fn serve(&mut self) -> bool {
        let mut bytes = [0; QUESTION_LEN];
        // A question that could not be received whole is closed with all that came of it, which the asker sees.
        let Ok(received) = self.door.recv(&mut bytes) else {
            return true;
        };
        // The program is at its end, or a worker gone mad has shut the door.
        if received.len == 0 {
            return false;
        }
        if received.len != QUESTION_LEN {
            return true;
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
        true
    }

    fn hold(&mut self, id: u64, tag: u64, fd: Fd) -> Result<(), i32> {
        if tag == 0 || id <= ARENA {
            return Err(sys::EINVAL);
        }
        if self.kept.len() >= self.sweep_at.min(self.most) {
            self.sweep();
        }
        let is_new = match self.kept.get(&id) {
            Some(kept) => !kept.holds.contains_key(&tag),
            None if self.kept.len() >= self.most => return Err(sys::EMFILE),
            None => true,
        };
        if is_new && self.n_holds >= MOST_HOLDS {
            return Err(sys::EMFILE);
        }
        self.n_holds += usize::from(is_new);
        let kept = self.kept.entry(id).or_insert_with(|| Kept {
            fd,
            holds: HashMap::new(),
        });
        let count = kept.holds.entry(tag).or_insert(0);
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Strikes off what processes held that have ended.
    pub(super) fn sweep(&mut self) {
        self.kept.retain(|_, kept| {
            kept.holds
                .retain(|&tag, _| tag % 2 == 1 || tag == 0 || sys::is_alive(tag));
            !kept.holds.is_empty()
        });
        self.n_holds = self.kept.values().map(|kept| kept.holds.len()).sum();
        self.sweep_at = 2 * self.kept.len() + 64;
    }

    fn let_go(&mut self, id: u64, tag: u64) {
        let Some(kept) = self.kept.get_mut(&id).filter(|_| tag != 0) else {
            return;
        };
        if let Some(count) = kept.holds.get_mut(&tag) {
            *count -= 1;
            if *count == 0 {
                kept.holds.remove(&tag);
                self.n_holds -= 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::memfd;

    /// A registry and the outside of its door.
    fn registry(most: usize) -> (Registry, Channel) {
        let (outside, inside) = Channel::pair().unwrap();
        let arena = memfd("arena", 4096).unwrap();
        (Registry::new(inside, arena, most), outside)
    }

    /// Asks, has it answered, and gives the answer: the number of the error, and the descriptor's file length.
    fn ask(
        registry: &mut Registry,
        door: &Channel,
        question: Question,
        fd: Option<&Fd>,
    ) -> Option<(u64, Option<u64>)> {
        let (mine, theirs) = Channel::pair().unwrap();
        let beside: Vec<&Fd> = [theirs.fd()].into_iter().chain(fd).collect();
        door.send(&question.to_bytes(), &beside).unwrap();
        drop(theirs);
        registry.serve();
        let mut errno = 0_u64;
        let answer = mine.recv(bytemuck::bytes_of_mut(&mut errno)).unwrap();
        let len = answer.fds.first().map(|fd| fd.file_len().unwrap());
        (answer.len > 0).then_some((errno, len))
    }

    fn let_go(registry: &mut Registry, door: &Channel, id: u64, tag: u64) {
        let question = Question::LetGo { id, tag };
        door.send(&question.to_bytes(), &[]).unwrap();
        registry.serve();
    }

    const GIVEN: Option<(u64, Option<u64>)> = Some((0, Some(8192)));
    const UNKNOWN: Option<(u64, Option<u64>)> = Some((sys::ENOENT as u64, None));

    #[test]
    fn memory_is_kept_until_the_last_hold_is_let_go() {
        let (mut registry, door) = registry(8);
        let file = memfd("kept", 8192).unwrap();
        let (id, want) = (7, Question::Want { id: 7, tag: 0 });
        for tag in [11, 11, 21] {
            let held = ask(
                &mut registry,
                &door,
                Question::Hold { id, tag },
                Some(&file),
            );
            assert_eq!(held, Some((0, None)));
        }
        drop(file);
        assert_eq!(ask(&mut registry, &door, want, None), GIVEN);
        // Taking it with its tag uses that hold up.
        let take = Question::Want { id, tag: 21 };
        assert_eq!(ask(&mut registry, &door, take, None), GIVEN);
        let_go(&mut registry, &door, id, 11);
        assert_eq!(ask(&mut registry, &door, want, None), GIVEN);
        let_go(&mut registry, &door, id, 11);
        assert_eq!(ask(&mut registry, &door, want, None), UNKNOWN);
    }

    #[test]
    fn a_tag_lets_go_of_all_that_it_held_and_of_nothing_else() {
        let (mut registry, door) = registry(8);
        let file = memfd("kept", 8192).unwrap();
        for (id, tag) in [(5, 1), (5, 1), (6, 1), (6, 3)] {
            ask(
                &mut registry,
                &door,
                Question::Hold { id, tag },
                Some(&file),
            );
        }
        let_go(&mut registry, &door, 0, 1);
        let mut want = |id| ask(&mut registry, &door, Question::Want { id, tag: 0 }, None);
        assert_eq!((want(5), want(6)), (UNKNOWN, GIVEN));
    }

    #[test]
    fn what_the_dead_held_is_struck_off() {
        let (mut registry, door) = registry(8);
        let file = memfd("kept", 8192).unwrap();
        let (dead, living, other) = (u64::from(u32::MAX) << 32, sys::identity(), 1);
        for (id, tag) in [(5, dead), (6, dead), (6, living), (7, other)] {
            ask(
                &mut registry,
                &door,
                Question::Hold { id, tag },
                Some(&file),
            );
        }
        registry.sweep();
        let mut want = |id| ask(&mut registry, &door, Question::Want { id, tag: 0 }, None);
        assert_eq!([want(5), want(6), want(7)], [UNKNOWN, GIVEN, GIVEN]);
    }

    #[test]
    fn what_the_dead_held_is_struck_off_before_it_takes_the_room_of_others() {
        let (mut registry, door) = registry(200);
        let file = memfd("kept", 8192).unwrap();
        let dead = u64::from(u32::MAX) << 32;
        for id in 2..1000 {
            let question = Question::Hold { id, tag: dead };
            let held = ask(&mut registry, &door, question, Some(&file));
            assert_eq!(held, Some((0, None)));
            assert!(registry.kept.len() <= 130);
        }
    }

    #[test]
    fn the_arena_cannot_be_replaced_nor_lost() {
        let (mut registry, door) = registry(8);
        let file = memfd("other", 8192).unwrap();
        for (id, tag) in [(ARENA, 1), (0, 1), (9, 0)] {
            let held = ask(
                &mut registry,
                &door,
                Question::Hold { id, tag },
                Some(&file),
            );
            assert_eq!(held, Some((sys::EINVAL as u64, None)), "{id} {tag}");
        }
        for (id, tag) in [(ARENA, 0), (0, 0), (ARENA, 1)] {
            let_go(&mut registry, &door, id, tag);
        }
        let want = Question::Want { id: ARENA, tag: 0 };
        assert_eq!(ask(&mut registry, &door, want, None), Some((0, Some(4096))));
    }

    #[test]
    fn what_it_keeps_is_bounded() {
        let (mut registry, door) = registry(3);
        let file = memfd("kept", 8192).unwrap();
        let mut hold = |id| {
            ask(
                &mut registry,
                &door,
                Question::Hold { id, tag: 1 },
                Some(&file),
            )
        };
        assert_eq!([hold(2), hold(3)], [Some((0, None)); 2]);
        assert_eq!(hold(4), Some((sys::EMFILE as u64, None)));
        assert_eq!(hold(3), Some((0, None)), "it is there already");
    }

    #[test]
    fn a_door_that_is_shut_is_not_served_for_ever() {
        let (mut registry, door) = registry(8);
        door.send(&[1], &[]).unwrap();
        drop(door);
        assert!(registry.serve());
        assert!(!registry.serve());
    }

    #[test]
    fn the_tags_that_hold_something_are_bounded_in_all() {
        let (mut registry, _door) = registry(8);
        let file = memfd("kept", 8192).unwrap();
        let hold = |registry: &mut Registry, id, tag| {
            let fd = file.duplicate().unwrap();
            registry.hold(id, tag, fd)
        };
        for (id, tag) in [(2, 1), (2, 1), (2, 3), (3, 1)] {
            assert_eq!(hold(&mut registry, id, tag), Ok(()));
        }
        assert_eq!(registry.n_holds, 4, "with the arena's");
        registry.n_holds = MOST_HOLDS;
        assert_eq!(hold(&mut registry, 2, 5), Err(sys::EMFILE));
        assert_eq!(hold(&mut registry, 4, 1), Err(sys::EMFILE));
        assert_eq!(hold(&mut registry, 2, 3), Ok(()), "it is there already");
        registry.let_go(3, 1);
        assert_eq!(hold(&mut registry, 2, 5), Ok(()));
        registry.sweep();
        assert_eq!(registry.n_holds, 4);
    }

    #[test]
    fn nonsense_at_the_door_does_no_harm() {
        let (mut registry, door) = registry(8);
        let nonsense: [&[u8]; 5] = [&[1], &[0xff; 24], &[0; 24], &[7; 200], &[1; 23]];
        let file = memfd("beside", 4096).unwrap();
        for bytes in nonsense {
            for fds in [&[][..], &[&file][..], &[&file, &file, &file][..]] {
                door.send(bytes, fds).unwrap();
                registry.serve();
            }
        }
        // A question without the socket for its answer, and one with something else in its place.
        for fds in [&[][..], &[&file][..]] {
            let want = Question::Want { id: ARENA, tag: 0 };
            door.send(&want.to_bytes(), fds).unwrap();
            registry.serve();
        }
        let want = Question::Want { id: ARENA, tag: 0 };
        assert_eq!(ask(&mut registry, &door, want, None), Some((0, Some(4096))));
    }
}
