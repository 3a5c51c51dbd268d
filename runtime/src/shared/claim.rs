//! The claim to a chunk of a divided array: one process has it, and it passes on.
//!
//! Of each chunk there are two words in shared memory. The second is 0 or the identity of the process that the first names, so it
//! is made 0 before another pid can take the place of a dead one, and a holder notes itself after it has the claim.
//! The first, the *claim word*, is a pid (32 bits), a turn (30), which grows whenever the chunk changes hands, and one of
//!
//! | | meaning | who may change it, to what | if that process is dead |
//! |---|---|---|---|
//! | held | the process has the chunk's only value | it: to free, kept, dropped | whoever has a name, or joins: to held |
//! | kept | held, and names of the turn before are refused | as held | as held |
//! | free | no value exists; a name of this turn may | the reader of that name, or who joins: to held | the same |
//! | dropped | the value was dropped, or the array was joined | nobody | the same |
//!
//! all by one compare-exchange. A dead process has no references left: its threads have ended, and its children had no
//! mapping of the elements.
//!
//! # How a chunk travels
//!
//! `Serialize` has but a `&ArrayChunk`: at that moment safe code may hold a `&[T]` borrowed from it, and may keep the
//! value afterwards (in an `Arc`, or by a `Serialize` of its own). So writing a name changes nothing. The claim goes along as a
//! [`Passenger`], and is told when the value that was sent has been dropped: if by then nobody has the claim any more it
//! becomes free, and the name of this turn is good. If somebody has, it is kept, and the name is refused. The reader of a
//! name who finds the chunk still held in that turn waits for one or the other, or for the sender's death.

use std::sync::{Arc, Mutex};
use std::thread;

use super::division::Division;
use crate::board::{AtomicU32, AtomicU64, Ordering};
use crate::codec::Passenger;
use crate::supervisor::lock;
use crate::sys;

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Dropped,
    Held,
    Kept,
    Free,
}

/// The claim word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) pid: u32,
    pub(super) turn: u32,
    pub(super) standing: Standing,
}

const LAST_TURN: u32 = (1 << 30) - 1;

impl Word {
    fn from_bits(bits: u64) -> Self {
        Self {
            pid: (bits >> 32) as u32,
            turn: bits as u32 >> 2,
            standing: match bits & 3 {
                1 => Standing::Held,
                2 => Standing::Kept,
                3 => Standing::Free,
                _ => Standing::Dropped,
            },
        }
    }

    fn to_bits(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.turn) << 2 | self.standing as u64
    }

    pub(super) fn is_held(self) -> bool {
        matches!(self.standing, Standing::Held | Standing::Kept)
    }

    /// Of the next turn; `None` where there have been too many.
    pub(super) fn next(self, pid: u32, standing: Standing) -> Option<Self> {
        let turn = self.turn.checked_add(1).filter(|&turn| turn <= LAST_TURN)?;
        Some(Self {
            pid,
            turn,
            standing,
        })
    }
}

/// Bytes of what there is of each chunk.
pub(super) const ENTRY_LEN: usize = size_of::<[AtomicU64; 2]>();

/// The claim word and the identity of the holder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'d>(pub(super) &'d [AtomicU64; 2]);

impl Entry<'_> {
    pub(super) fn word(self) -> Word {
        Word::from_bits(self.0[0].load(Ordering::Acquire))
    }

    /// For the one who keeps all others away.
    pub(super) fn set(self, word: Word) {
        self.0[0].store(word.to_bits(), Ordering::Release);
    }

    /// Whether the word was still as it was found. Those who wait are told by [`Division::change`].
    pub(super) fn change(self, from: Word, to: Word) -> bool {
        let (from, to) = (from.to_bits(), to.to_bits());
        // Acquire and Release: the elements go with the claim.
        self.0[0]
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// For the holder: who it is, or 0 before it lets go.
    pub(super) fn note(self, identity: u64) {
        self.0[1].store(identity, Ordering::Release);
    }

    /// Whether the process that has this chunk has ended; its identity is then struck out.
    pub(super) fn is_orphaned(self, word: Word) -> bool {
        let identity = self.0[1].load(Ordering::Acquire);
        // Else 0, or that of a later holder: then the word has changed too, and what is found here changes nothing.
        let is_noted = (identity >> 32) as u32 == word.pid;
        if !is_noted {
            return !sys::is_alive(u64::from(word.pid) << 32);
        }
        let is_dead = !sys::is_alive(identity);
        if is_dead {
            let _ = self.0[1].compare_exchange(identity, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        is_dead
    }
}

/// The right of one process to one chunk. It is given up when dropped, by the process that has it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) division: Division,
    pub(super) index: usize,
    turn: AtomicU32,
    pub(super) pid: u32,
}

impl Claim {
    /// For the process that has just become the holder.
    pub(super) fn new(division: Division, index: usize, word: Word) -> Self {
        Self {
            division,
            index,
            turn: AtomicU32::new(word.turn),
            pid: word.pid,
        }
    }

    /// Whether it is this process's, and not a forked copy.
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        self.pid == sys::pid()
    }

    /// Of the names that are written now.
    pub(super) fn turn(&self) -> u32 {
        self.turn.load(Ordering::Acquire)
    }

    /// Changes the word, if it still says that this claim holds the chunk.
    fn leave(&self, to: impl Fn(Word) -> Option<Word>) -> Option<Word> {
        if !self.is_ours() {
            return None;
        }
        let entry = self.division.entry(self.index);
        let word = entry.word();
        let is_this = word.is_held() && word.pid == self.pid && word.turn == self.turn();
        let to = is_this.then(|| to(word)).flatten()?;
        if to.standing != Standing::Kept {
            entry.note(0);
        }
        self.division.change(self.index, word, to).then_some(to)
    }

    /// Nobody has the chunk any more: the name of this turn is good.
    fn let_go(&self) {
        self.leave(|word| {
            Some(Word {
                standing: Standing::Free,
                ..word
            })
        });
    }

    /// Nobody has the chunk any more, and no name is good: it can only be joined.
    pub(super) fn let_go_without_name(&self) {
        self.leave(|word| word.next(word.pid, Standing::Free));
    }

    /// Names of this turn are refused.
    fn refuse(&self) {
        if let Some(kept) = self.leave(|word| word.next(word.pid, Standing::Kept)) {
            self.turn.store(kept.turn, Ordering::Release);
        }
    }
}

/// A claim beside a name that was written of it.
#[derive(Debug)]
pub(super) struct Crossing(Mutex<Option<Arc<Claim>>>);

impl Crossing {
    pub(super) fn of(claim: &Arc<Claim>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(Arc::clone(claim)))))
    }
}

impl Passenger for Crossing {
    fn depart(self: Arc<Self>) {
        let Some(claim) = lock(&self.0).take() else {
            return;
        };
        match Arc::try_unwrap(claim) {
            // No chunk has it, so no reference to elements exists, nor can one be made.
            Ok(claim) => claim.let_go(),
            Err(kept) => kept.refuse(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if thread::panicking() {
            // As with a process that was killed: nobody meant to give the chunk up.
            return self.let_go_without_name();
        }
        self.leave(|word| {
            Some(Word {
                standing: Standing::Dropped,
                ..word
            })
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_what_it_was_made_of() {
        for standing in [
            Standing::Dropped,
            Standing::Held,
            Standing::Kept,
            Standing::Free,
        ] {
            for turn in [0, 1, LAST_TURN] {
                let word = Word {
                    pid: u32::MAX,
                    turn,
                    standing,
                };
                assert_eq!(Word::from_bits(word.to_bits()), word);
            }
        }
        let last = Word {
            pid: 1,
            turn: LAST_TURN,
            standing: Standing::Held,
        };
        assert_eq!(last.next(2, Standing::Free), None);
    }

    #[test]
    fn a_claim_passes_to_one_of_those_who_saw_it_free() {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let entry = Entry(&words);
        let free = Word {
            pid: 7,
            turn: 3,
            standing: Standing::Free,
        };
        entry.set(free);
        let [one, other] = [8, 9].map(|pid| free.next(pid, Standing::Held).unwrap());
        assert!(entry.change(free, one));
        assert!(!entry.change(free, other));
        assert_eq!(entry.word(), one);
    }

    #[test]
    fn a_holder_that_has_not_noted_itself_is_not_taken_for_the_one_before() {
        let words = [AtomicU64::new(0), AtomicU64::new(0)];
        let entry = Entry(&words);
        let held = Word {
            pid: sys::pid(),
            turn: 3,
            standing: Standing::Held,
        };
        assert!(!entry.is_orphaned(held));
        entry.note(sys::identity());
        assert!(!entry.is_orphaned(held));
        // Past the largest pid of any Linux.
        let dead = Word {
            pid: 1 << 23,
            ..held
        };
        assert!(entry.is_orphaned(dead));
        entry.note(1 << 55);
        assert!(entry.is_orphaned(dead));
        assert_eq!(words[1].load(Ordering::Relaxed), 0);
    }
}
