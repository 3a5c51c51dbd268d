//! Who has which chunk of a divided array.
//!
//! Responsible for the claims to chunks: they pass from process to process, one at a time, and come together
//! again when the array is joined. What is done with a chunk is [`ArrayChunk`](super::ArrayChunk)'s.
//!
//! A division has a large block of its own:
//!
//! | from byte | there is |
//! |---|---|
//! | 0 | the id of the array's block |
//! | 8 | the generation of the array's state |
//! | 16 | the notice: a claim has changed |
//! | 64 + 16 i | the *claim word* of chunk i, and the identity of its holder |
//!
//! The claim word is a pid (32 bits), a turn (30), which grows whenever the chunk changes hands, and one of
//!
//! | | meaning | who may change it, to what | if that process is dead |
//! |---|---|---|---|
//! | held | the process has the chunk's only value | it: to free, kept, dropped | whoever has a name, or joins: to held |
//! | kept | held, and names of the turn before are refused | as held | as held |
//! | free | no value exists; a name of this turn may | the reader of that name, or who joins: to held | the same |
//! | dropped | the value was dropped, or the array was joined | nobody | the same |
//!
//! all by one compare-exchange. The second word is 0 or the identity of the process that the claim word names; so it is made
//! 0 before another pid can take the place of a dead one, and a holder notes himself after he has it. A dead process has
//! no references left: its threads have ended, and its children had no mapping of the elements.
//!
//! # How a chunk travels
//!
//! `Serialize` has but a `&ArrayChunk`: at that moment safe code may hold a `&[T]` borrowed from it, and may keep the
//! value afterwards (in an `Arc`, or by a `Serialize` of its own). So writing a name changes nothing. The claim goes along as a
//! [`Passenger`], and is told when the value that was sent has been dropped: if by then nobody has the claim any more it
//! becomes free, and the name of this turn is good. If somebody has, it is kept, and the name is refused. The reader of a
//! name who finds the chunk still held in that turn waits for one or the other, or for the sender's death.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::block::{Block, Label};
use super::layout::{self, State};
use crate::codec::Passenger;
use crate::error::Error;
use crate::sync::{Notice, RawLock};
use crate::sys;

const ARRAY: usize = 0;
const GENERATION: usize = 8;
const NOTICE: usize = 16;
const CLAIMS: usize = 64;

/// The claim word and the holder.
type Entry = [AtomicU64; 2];

const _: () = assert!(NOTICE + size_of::<Notice>() <= CLAIMS);

/// A sender drops what it has sent in the same call; one that takes longer than this is stopped or gone mad.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the life of a sender is looked after.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Dropped,
    Held,
    Kept,
    Free,
}

/// The claim word, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    pid: u32,
    turn: u32,
    standing: Standing,
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

    fn is_held(self) -> bool {
        matches!(self.standing, Standing::Held | Standing::Kept)
    }

    /// Of the next turn; `None` where there have been too many.
    fn next(self, pid: u32, standing: Standing) -> Option<Self> {
        let turn = self.turn.checked_add(1).filter(|&turn| turn <= LAST_TURN)?;
        Some(Self {
            pid,
            turn,
            standing,
        })
    }
}

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
            .checked_mul(size_of::<Entry>())
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
        self.words.len().saturating_sub(CLAIMS) / size_of::<Entry>()
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

    fn entry(&self, index: usize) -> &Entry {
        self.words.words(CLAIMS + index * size_of::<Entry>())
    }

    fn notice(&self) -> &Notice {
        self.words.words(NOTICE)
    }

    fn word(&self, index: usize) -> Word {
        Word::from_bits(self.entry(index)[0].load(Ordering::Acquire))
    }

    fn change(&self, index: usize, from: Word, to: Word) -> bool {
        // Acquire and Release: the elements go with the claim.
        let changed = self.entry(index)[0]
            .compare_exchange(
                from.to_bits(),
                to.to_bits(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok();
        if changed {
            self.notice().announce_all();
        }
        changed
    }

    /// Whether the process that has this chunk has ended; its identity is then struck out.
    fn is_orphaned(&self, index: usize, word: Word) -> bool {
        let [_, holder] = self.entry(index);
        let identity = holder.load(Ordering::Acquire);
        // Else 0, or that of a later holder: then the word has changed too, and what is found here changes nothing.
        let is_noted = (identity >> 32) as u32 == word.pid;
        if !is_noted {
            return !sys::is_alive(u64::from(word.pid) << 32);
        }
        let is_dead = !sys::is_alive(identity);
        if is_dead {
            let _ = holder.compare_exchange(identity, 0, Ordering::AcqRel, Ordering::Relaxed);
        }
        is_dead
    }

    /// Takes a chunk that nobody has.
    fn take(&self, index: usize, from: Word) -> Result<Option<Word>, Error> {
        let mine = from.next(sys::pid(), Standing::Held).ok_or_else(|| {
            Error::invalid_input(format!("chunk {index} has changed hands too often"))
        })?;
        if !self.change(index, from, mine) {
            return Ok(None);
        }
        self.entry(index)[1].store(sys::identity(), Ordering::Release);
        Ok(Some(mine))
    }

    fn claim_of(&self, index: usize, word: Word) -> Claim {
        Claim {
            division: self.clone(),
            index,
            turn: AtomicU32::new(word.turn),
            pid: word.pid,
        }
    }

    /// For the one who has made the division, once for each chunk.
    pub(super) fn first_claim(&self, index: usize) -> Claim {
        let word = Word {
            pid: sys::pid(),
            turn: 1,
            standing: Standing::Held,
        };
        let [claim, holder] = self.entry(index);
        holder.store(sys::identity(), Ordering::Relaxed);
        claim.store(word.to_bits(), Ordering::Release);
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
                Standing::Held | Standing::Kept => self.is_orphaned(index, word),
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
            self.entry(index)[0].store(dropped.to_bits(), Ordering::Release);
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
                Standing::Dropped => return Ok(Err("was dropped".to_owned())),
                Standing::Held | Standing::Kept if !self.is_orphaned(index, word) => {
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

/// The right of one process to one chunk. It is given up when dropped, by the process that has it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) division: Division,
    pub(super) index: usize,
    turn: AtomicU32,
    pub(super) pid: u32,
}

impl Claim {
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
        let word = self.division.word(self.index);
        let is_this = word.is_held() && word.pid == self.pid && word.turn == self.turn();
        let to = is_this.then(|| to(word)).flatten()?;
        if to.standing != Standing::Kept {
            let [_, holder] = self.division.entry(self.index);
            holder.store(0, Ordering::Release);
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

impl Passenger for Claim {
    fn lasts(&self) -> bool {
        false
    }

    fn depart(self: Arc<Self>) {
        match Arc::try_unwrap(self) {
            // No chunk has it, so no reference to elements exists, nor can one be made.
            Ok(claim) => claim.let_go(),
            Err(kept) => kept.refuse(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.leave(|word| {
            Some(Word {
                standing: Standing::Dropped,
                ..word
            })
        });
    }
}

#[cfg(test)]
mod tests;
