//! Arrays that are divided into chunks.
//!
//! Responsible for where a division notes who has which chunk, for waiting for one, and for joining all of them
//! again. What a claim is, and how it passes on, is in [`claim`](super::claim).
//!
//! A division has a large block of its own, which names the array by the id of its block and the generation of its state, so
//! that no name can bring two together that do not belong together:
//!
//! | from byte | there is |
//! |---|---|
//! | 0 | the id of the array's block |
//! | 8 | the generation of the array's state |
//! | 16 | the notice: a claim has changed |
//! | 64 + 16 i | the claim to chunk i |
//!
//! Invariants: whoever joins has all claims, and closes each of them before the array is shared again; so no chunk
//! is ever claimed of an array that is not divided, also if the joiner dies in between (the array is lost then).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::Block;
use super::claim::{Claim, ENTRY_LEN, Entry, Standing, Word};
use super::layout::{self, State};
use crate::board::{AtomicU64, Ordering};
use crate::error::Error;
use crate::shared::Label;
use crate::sync::{Notice, RawLock};
use crate::sys;

const ARRAY: usize = 0;
const GENERATION: usize = 8;
const NOTICE: usize = 16;
const CLAIMS: usize = 64;

const _: () = assert!(NOTICE + size_of::<Notice>() <= CLAIMS);

/// A sender drops what it has sent in the same call; one that takes longer than this is stopped or gone mad.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the life of a sender is looked after.
const LOOK: Duration = Duration::from_millis(20);

/// One division of one array into chunks.
#[derive(Clone, Debug)]
pub(super) struct Division {
    pub(super) array: Arc<Block>,
    pub(super) words: Arc<Block>,
    generation: u64,
}

impl Division {
    /// The block for a division into `n` chunks.
    pub(super) fn words(n: usize) -> Result<Arc<Block>, Error> {
        let len = n
            .checked_mul(ENTRY_LEN)
            .and_then(|len| len.checked_add(CLAIMS))
            .ok_or_else(|| {
                Error::invalid_input(format!("an array cannot be divided into {n} chunks"))
            })?;
        Block::large(Label::of::<Self>(), len, len)
    }

    /// For the one who has just made the array divided in this generation.
    pub(super) fn new(array: Arc<Block>, words: Arc<Block>, generation: u64) -> Self {
        let [of, since] = [ARRAY, GENERATION].map(|place| words.words::<AtomicU64>(place));
        of.store(array.id(), Ordering::Relaxed);
        since.store(generation, Ordering::Release);
        Self {
            array,
            words,
            generation,
        }
    }

    /// From blocks that a name has led to, which may not belong together.
    pub(super) fn find(array: Arc<Block>, words: Arc<Block>) -> Result<Self, Error> {
        if words.len() < CLAIMS + ENTRY_LEN {
            return Err(Error::invalid_input(
                "this division of an array has no chunks: the data is damaged",
            ));
        }
        let generation = words.words::<AtomicU64>(GENERATION).load(Ordering::Acquire);
        let of = words.words::<AtomicU64>(ARRAY).load(Ordering::Relaxed);
        if of != array.id() || layout::state(&array) != State::divided(generation) {
            return Err(Error::invalid_input(
                "the array of this chunk was joined again meanwhile",
            ));
        }
        Ok(Self {
            array,
            words,
            generation,
        })
    }

    /// How many chunks there are.
    pub(super) fn n_chunks(&self) -> usize {
        self.words.len().saturating_sub(CLAIMS) / ENTRY_LEN
    }

    /// The place of a chunk among `len` elements: the first ones have one more where they cannot be equal.
    pub(super) fn bounds(&self, index: usize, len: usize) -> (usize, usize) {
        let (least, n_longer) = (len / self.n_chunks(), len % self.n_chunks());
        let first = index * least + index.min(n_longer);
        (first, least + usize::from(index < n_longer))
    }

    fn is(&self, other: &Self) -> bool {
        self.array.id() == other.array.id() && self.generation == other.generation
    }

    pub(super) fn entry(&self, index: usize) -> Entry<'_> {
        Entry(self.words.words(CLAIMS + index * ENTRY_LEN))
    }

    fn notice(&self) -> &Notice {
        self.words.words(NOTICE)
    }

    fn word(&self, index: usize) -> Word {
        self.entry(index).word()
    }

    /// Changes a claim word, if it is still so, and says so to those who wait.
    pub(super) fn change(&self, index: usize, from: Word, to: Word) -> bool {
        let changed = self.entry(index).change(from, to);
        if changed {
            self.notice().announce_all();
        }
        changed
    }

    /// Takes a chunk that nobody has.
    fn take(&self, index: usize, from: Word) -> Result<Option<Word>, Error> {
        let mine = from.next(sys::pid(), Standing::Held).ok_or_else(|| {
            Error::invalid_input(format!("chunk {index} has changed hands too often"))
        })?;
        if !self.change(index, from, mine) {
            return Ok(None);
        }
        self.entry(index).note(sys::identity());
        Ok(Some(mine))
    }

    fn claim_of(&self, index: usize, word: Word) -> Claim {
        Claim::new(self.clone(), index, word)
    }

    /// For the one who has made the division, once for each chunk.
    pub(super) fn first_claim(&self, index: usize) -> Claim {
        let word = Word {
            pid: sys::pid(),
            turn: 1,
            standing: Standing::Held,
        };
        let entry = self.entry(index);
        entry.note(sys::identity());
        entry.set(word);
        self.claim_of(index, word)
    }

    /// Takes the chunk that a name of this turn stands for, when its sender has let go of it.
    pub(super) fn claim(&self, index: usize, turn: u32) -> Result<Claim, Error> {
        self.claim_within(PATIENCE, index, turn)
    }

    fn claim_within(&self, patience: Duration, index: usize, turn: u32) -> Result<Claim, Error> {
        if index >= self.n_chunks() {
            return Err(Error::invalid_input("there is no such chunk of this array"));
        }
        let begin = Instant::now();
        loop {
            let seen = self.notice().seen();
            let word = self.word(index);
            let is_mine_to_take = match word.standing {
                Standing::Free => word.turn == turn,
                Standing::Held | Standing::Kept => self.entry(index).is_orphaned(word),
                Standing::Dropped => false,
            };
            if is_mine_to_take {
                match self.take(index, word)? {
                    Some(mine) => return Ok(self.claim_of(index, mine)),
                    None => continue,
                }
            }
            let is_still_sent = word.is_held() && word.turn == turn;
            if !is_still_sent || begin.elapsed() >= patience {
                return Err(self.why_not(index, word, turn));
            }
            self.notice().wait(seen, Some(LOOK));
        }
    }

    fn why_not(&self, index: usize, word: Word, turn: u32) -> Error {
        let pid = word.pid;
        Error::invalid_input(match word.standing {
            Standing::Kept if word.turn == turn.wrapping_add(1) => format!(
                "chunk {index} was sent while somebody kept it: a chunk is one of a kind, pass it by value"
            ),
            Standing::Held | Standing::Kept if word.turn == turn => {
                format!("chunk {index} was sent by process {pid}, which does not let go of it")
            }
            Standing::Held | Standing::Kept => {
                format!(
                    "chunk {index} was claimed already, by process {pid}: a chunk is one of a kind"
                )
            }
            Standing::Free => {
                format!("chunk {index} was claimed already, and sent on: a chunk is one of a kind")
            }
            Standing::Dropped => format!("chunk {index} was dropped, or its array joined again"),
        })
    }

    /// Makes a shared array of a divided one, of this generation, by the claims to its chunks.
    pub(super) fn join(claims: &[Arc<Claim>]) -> Result<(Arc<Block>, u64), Error> {
        let joined = Self::try_join(claims);
        if joined.is_err() {
            // Nobody has them now, but they are not dropped: whoever joins next finds them.
            claims.iter().for_each(|claim| claim.let_go_without_name());
        }
        joined
    }

    fn try_join(claims: &[Arc<Claim>]) -> Result<(Arc<Block>, u64), Error> {
        let Some(first) = claims.first() else {
            return Err(Error::invalid_input(
                "there are no chunks to join: at least one must tell which array it is",
            ));
        };
        let division = &first.division;
        if claims.iter().any(|claim| !claim.division.is(division)) {
            return Err(Error::invalid_input(
                "these chunks cannot be joined: they are of different arrays",
            ));
        }
        if let Some(claim) = claims.iter().find(|claim| !claim.is_ours()) {
            return Err(Error::invalid_input(format!(
                "these chunks cannot be joined here: they belong to process {}, from which this one was forked",
                claim.pid
            )));
        }
        let found = division.gather(claims)?;
        // Until the state is another, the claims keep everybody away; a stale handle has the lock for a moment only.
        let lock: &RawLock = layout::lock(&division.array);
        if lock.acquire(None).is_err() {
            return Err(not_divided());
        }
        let is_divided = layout::state(&division.array) == State::divided(division.generation);
        let next = division.generation + 1;
        if is_divided {
            division.close();
            layout::set_state(&division.array, State::shared(next));
        }
        lock.release(false);
        drop(found);
        if !is_divided {
            return Err(not_divided());
        }
        Ok((Arc::clone(&division.array), next))
    }

    /// For the one who has all claims: no chunk can be had any more, whoever dies.
    fn close(&self) {
        for index in 0..self.n_chunks() {
            let dropped = Word {
                standing: Standing::Dropped,
                ..self.word(index)
            };
            self.entry(index).set(dropped);
        }
    }

    /// Takes the chunks that are not among `claims` and that nobody has; all, or none.
    fn gather(&self, claims: &[Arc<Claim>]) -> Result<Vec<Claim>, Error> {
        let mut is_here = vec![false; self.n_chunks()];
        for claim in claims {
            is_here[claim.index] = true;
        }
        let missing = (0..is_here.len()).filter(|&index| !is_here[index]);
        let (mut found, mut lacking) = (Vec::new(), Vec::new());
        for index in missing {
            match self.find_nobodys(index)? {
                Ok(claim) => found.push(claim),
                Err(why) => lacking.push(format!("chunk {index} {why}")),
            }
        }
        if lacking.is_empty() {
            return Ok(found);
        }
        found.iter().for_each(Claim::let_go_without_name);
        const SHOWN: usize = 8;
        let n_more = lacking.len().saturating_sub(SHOWN);
        lacking.truncate(SHOWN);
        if n_more > 0 {
            lacking.push(format!("and {n_more} more are missing"));
        }
        Err(Error::invalid_input(format!(
            "these chunks cannot be joined: {}",
            lacking.join(", ")
        )))
    }

    fn find_nobodys(&self, index: usize) -> Result<Result<Claim, String>, Error> {
        loop {
            let word = self.word(index);
            match word.standing {
                Standing::Dropped => {
                    return Ok(Err("was dropped: a job has to return it".to_owned()));
                }
                Standing::Held | Standing::Kept if !self.entry(index).is_orphaned(word) => {
                    return Ok(Err(format!("is held by process {}", word.pid)));
                }
                _ => {}
            }
            if let Some(mine) = self.take(index, word)? {
                return Ok(Ok(self.claim_of(index, mine)));
            }
        }
    }
}

fn not_divided() -> Error {
    Error::invalid_input("these chunks cannot be joined: their array is not divided any more")
}

// Said in full, because the models include this file from another place.
#[cfg(all(test, not(loom)))]
#[path = "division/tests.rs"]
mod tests;
