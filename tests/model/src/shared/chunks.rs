//! A chunk that is sent: one of the readers of its name has it, whoever dies, and nobody beside it.

use std::sync::Arc;

use loom::thread;

use super::block::{Block, Contents, Label, Things};
use super::claim::{Claim, Crossing, ENTRY_LEN};
use super::division::Division;
use super::layout::{self, Array, N, State};
use crate::atomic::{AtomicU64, check, check_deaths};
use crate::codec::Passenger;
use crate::kernel::{Manner, end, enter};
use crate::sync::Notice;

impl Contents for Division {
    /// At the places that `division.rs` names.
    fn things(len: usize) -> Things {
        const CLAIMS: usize = 64;
        let mut things = Things::new();
        things.insert(0, Box::new(AtomicU64::new(0)));
        things.insert(8, Box::new(AtomicU64::new(0)));
        things.insert(16, Box::new(Notice::default()));
        for place in (CLAIMS..len).step_by(ENTRY_LEN) {
            things.insert(place, Box::new(<[AtomicU64; 2]>::default()));
        }
        things
    }
}

pub(super) const BY_ITSELF: Manner = Manner {
    wakes_by_itself: true,
    is_old: false,
};
/// A lost wake-up is a deadlock.
pub(super) const WOKEN: Manner = Manner {
    wakes_by_itself: false,
    is_old: false,
};

/// The turn of the first name that is written of a chunk.
pub(super) const FIRST: u32 = 1;

pub(super) fn divided() -> Division {
    let array = Block::large(Label::of::<Array>(), 0, 0).unwrap();
    layout::set_state(&array, State::divided(1));
    Division::new(array, Division::words(N).unwrap(), 1)
}

/// `ArrayChunk`.
pub(super) struct Chunk(pub(super) Arc<Claim>);

impl Chunk {
    /// For the process that divides the array.
    pub(super) fn first(division: &Division, index: usize) -> Self {
        Self(Arc::new(division.first_claim(index)))
    }

    /// `ArrayChunk::deserialize` behind [`Division::find`].
    pub(super) fn read(division: &Division, index: usize, turn: u32) -> Option<Self> {
        let claim = division.claim(index, turn).ok()?;
        Some(Self(Arc::new(claim)))
    }

    pub(super) fn write(&self) -> u32 {
        assert!(self.0.is_ours());
        layout::write(&self.0.division.array, self.0.index)
    }

    /// `ArrayChunk::serialize`: the turn in the name, and who travels beside it.
    fn name(&self) -> (u32, Arc<Crossing>) {
        (self.0.turn(), Crossing::of(&self.0))
    }

    pub(super) fn send(self) {
        let (_, crossing) = self.name();
        drop(self);
        crossing.depart();
    }

    /// Its process has it until it ends.
    fn keep(self) {
        std::mem::forget(self);
    }
}

pub(super) fn spawn<T: 'static>(
    division: &Division,
    number: u32,
    manner: Manner,
    deeds: impl FnOnce(&Division) -> T + 'static,
) -> thread::JoinHandle<T> {
    let division = division.clone();
    thread::spawn(move || {
        enter(number, number, manner);
        deeds(&division)
    })
}

/// Reads a name and writes what it stands for; gives what was written before.
fn read_and_write(division: &Division, turn: u32) -> Option<u32> {
    Chunk::read(division, 0, turn).map(|chunk| chunk.write())
}

#[test]
fn of_two_readers_of_one_name_one_has_the_chunk_and_none_sleeps_on() {
    check(Some(1), || {
        enter(1, 1, WOKEN);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        let readers = [2, 3].map(|number| {
            spawn(&division, number, WOKEN, |division| {
                read_and_write(division, FIRST)
            })
        });
        assert_eq!(chunk.write(), 0);
        chunk.send();
        let read = readers.map(|reader| reader.join().unwrap());
        assert!(
            matches!(read, [Some(1), None] | [None, Some(1)]),
            "{read:?}"
        );
    });
}

#[test]
fn a_chunk_that_is_kept_is_refused_and_the_next_name_is_good() {
    check(Some(1), || {
        enter(1, 1, WOKEN);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        let refused = spawn(&division, 2, WOKEN, |division| {
            read_and_write(division, FIRST)
        });
        let (turn, crossing) = chunk.name();
        assert_eq!(turn, FIRST);
        chunk.write();
        crossing.depart();
        chunk.write();
        let (turn, _) = chunk.name();
        let reader = spawn(&division, 3, WOKEN, move |division| {
            read_and_write(division, turn)
        });
        chunk.send();
        assert_eq!(refused.join().unwrap(), None);
        assert_eq!(reader.join().unwrap(), Some(2));
    });
}

/// Two threads of one process: the one lets go of the chunk while the other's sending of it is over.
#[test]
fn a_chunk_that_is_dropped_as_its_name_departs_is_free_or_dropped() {
    check(Some(3), || {
        enter(1, 1, WOKEN);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        let (turn, crossing) = chunk.name();
        let reader = spawn(&division, 2, WOKEN, move |division| {
            read_and_write(division, turn)
        });
        let keeper = spawn(&division, 1, WOKEN, move |_| chunk.write());
        crossing.depart();
        assert_eq!(keeper.join().unwrap(), 0);
        assert!(matches!(reader.join().unwrap(), Some(1) | None));
    });
}

#[test]
fn a_chunk_whose_sender_dies_at_any_step_is_had_by_one_reader() {
    check_deaths(Some(3), |life| {
        enter(2, 2, BY_ITSELF);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        enter(1, 1, BY_ITSELF);
        let sender = {
            let life = life.clone();
            spawn(&division, 2, BY_ITSELF, move |_| {
                life.live(|| {
                    chunk.write();
                    chunk.send();
                });
                end();
            })
        };
        let chunk = Chunk::read(&division, 0, FIRST).expect("nobody else reads");
        chunk.write();
        sender.join().unwrap();
        enter(3, 3, BY_ITSELF);
        assert!(Chunk::read(&division, 0, FIRST).is_none());
        enter(1, 1, BY_ITSELF);
        chunk.write();
    });
}

#[test]
fn a_chunk_whose_keeper_dies_at_any_step_is_had_by_its_reader() {
    check_deaths(Some(3), |life| {
        enter(2, 2, BY_ITSELF);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        enter(1, 1, BY_ITSELF);
        let keeper = {
            let life = life.clone();
            spawn(&division, 2, BY_ITSELF, move |_| {
                life.live(|| {
                    let (_, crossing) = chunk.name();
                    crossing.depart();
                    chunk.write();
                    chunk.keep();
                });
                end();
            })
        };
        let early = Chunk::read(&division, 0, FIRST);
        keeper.join().unwrap();
        let chunk = early.or_else(|| Chunk::read(&division, 0, FIRST));
        chunk.expect("nobody else has it").write();
    });
}

/// Whoever has had it in the end, the one with the other chunk finds it.
#[test]
fn a_chunk_whose_readers_die_at_any_step_can_be_joined() {
    check_deaths(Some(1), |life| {
        enter(1, 1, BY_ITSELF);
        let division = divided();
        let chunks = [0, 1].map(|index| Chunk::first(&division, index));
        let reader = {
            let life = life.clone();
            spawn(&division, 2, BY_ITSELF, move |division| {
                life.live(|| {
                    if let Some(chunk) = Chunk::read(division, 0, FIRST) {
                        chunk.write();
                        chunk.keep();
                    }
                });
                end();
            })
        };
        let other = spawn(&division, 3, BY_ITSELF, |division| {
            if let Some(chunk) = Chunk::read(division, 0, FIRST) {
                chunk.write();
                chunk.keep();
            }
            end();
        });
        let [chunk, rest] = chunks;
        chunk.write();
        chunk.send();
        reader.join().unwrap();
        other.join().unwrap();
        let (array, _) = Division::join(&[rest.0]).expect("its holders have died");
        layout::write(&array, 0);
    });
}
