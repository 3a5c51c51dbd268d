//! All files through the pool: once, or round after round until all strikes of the chaos have fallen.
//!
//! Each further round is a check of the one before it: a worker that was killed must not change a sum.

use std::thread;

use procession::{JobError, Pool, job};
use procession_examples::input::Found;
use procession_examples::progress::Progress;

use crate::chaos::Chaos;
use crate::sum::{Sum, sha256};

/// What became of one file.
pub(crate) type Verdict = Result<Result<Sum, String>, JobError>;

/// What became of all of them.
pub(crate) struct Outcome {
    /// In the order of the files. A file that was lost in one round counts as lost.
    pub(crate) verdicts: Vec<Verdict>,
    pub(crate) n_rounds: u64,
    pub(crate) n_killed: u32,
    /// Places of the files whose sum was another in another round.
    pub(crate) changed: Vec<usize>,
}

/// Hashes all files, at least once, and kills `n_kills` workers in the meantime.
pub(crate) fn hash_all(
    pool: &Pool,
    found: &Found,
    n_kills: u32,
) -> Result<Outcome, procession::Error> {
    thread::scope(|scope| {
        let mut chaos = Chaos::new(scope, pool, n_kills, found.total_len());
        let outcome = hash_in_rounds(pool, found, &mut chaos);
        chaos.end();
        outcome
    })
}

fn hash_in_rounds(
    pool: &Pool,
    found: &Found,
    chaos: &mut Chaos<'_>,
) -> Result<Outcome, procession::Error> {
    let verdicts = hash_once(pool, found, chaos)?;
    let mut outcome = Outcome {
        verdicts,
        n_rounds: 1,
        n_killed: 0,
        changed: Vec::new(),
    };
    while chaos.wants_more() && !found.files.is_empty() {
        let verdicts = hash_once(pool, found, chaos)?;
        for (index, (verdict, of_this_round)) in
            outcome.verdicts.iter_mut().zip(verdicts).enumerate()
        {
            match (&*verdict, of_this_round) {
                (Ok(Ok(sum)), Ok(Ok(again))) if *sum != again => outcome.changed.push(index),
                (Ok(Ok(_)), lost @ (Ok(Err(_)) | Err(_))) => *verdict = lost,
                _ => {}
            }
        }
        outcome.n_rounds += 1;
    }
    outcome.n_killed = chaos.n_killed();
    Ok(outcome)
}

fn hash_once(
    pool: &Pool,
    found: &Found,
    chaos: &mut Chaos<'_>,
) -> Result<Vec<Verdict>, procession::Error> {
    let progress = Progress::new(found.total_len());
    let paths = found.files.iter().map(|file| {
        progress.advance(file.len);
        chaos.advance(file.len);
        &*file.path
    });
    pool.map_each(job!(sha256), paths)
}
