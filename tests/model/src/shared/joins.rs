//! Joining: while an array is shared again, nobody has a chunk of it, and no chunk is lost by a joining that fails.

use super::chunks::{BY_ITSELF, Chunk, FIRST, WOKEN, divided, spawn};
use super::claim::Standing;
use super::division::Division;
use super::layout::{self, N, State};
use crate::atomic::{check, check_deaths};
use crate::kernel::{end, enter};

/// Joins this chunk with those that nobody has, and writes to all elements.
fn join_and_write(chunk: Chunk) -> bool {
    let joined = Division::join(&[chunk.0]);
    if let Ok((array, generation)) = &joined {
        assert_eq!(layout::state(array), State::shared(*generation));
        for index in 0..N {
            layout::write(array, index);
        }
    }
    joined.is_ok()
}

#[test]
fn a_chunk_on_its_way_is_read_or_joined() {
    check(Some(3), || {
        enter(1, 1, WOKEN);
        let division = divided();
        let [sent, rest] = [0, 1].map(|index| Chunk::first(&division, index));
        sent.write();
        sent.send();
        let reader = spawn(&division, 2, WOKEN, |division| {
            let chunk = Chunk::read(division, 0, FIRST)?;
            chunk.write();
            Some(chunk)
        });
        let is_joined = join_and_write(rest);
        let chunk = reader.join().unwrap();
        assert_eq!(is_joined, chunk.is_none());
        if let Some(chunk) = chunk {
            enter(2, 2, WOKEN);
            assert!(join_and_write(chunk), "nobody has the other");
        }
    });
}

#[test]
fn of_two_who_join_one_at_most_has_the_array() {
    check(Some(3), || {
        enter(1, 1, WOKEN);
        let division = divided();
        let chunk = Chunk::first(&division, 0);
        enter(2, 2, WOKEN);
        let rest = Chunk::first(&division, 1);
        enter(1, 1, WOKEN);
        let other = spawn(&division, 2, WOKEN, move |_| {
            rest.write();
            join_and_write(rest)
        });
        chunk.write();
        let is_joined = join_and_write(chunk);
        assert!(!(other.join().unwrap() && is_joined));
    });
}

/// A chunk of a process that dies as it joins is had as long as no chunk is closed; never of an array that is shared again.
#[test]
fn who_dies_at_any_step_of_joining_leaves_no_chunk_of_a_shared_array() {
    check_deaths(Some(2), |life| {
        enter(2, 2, BY_ITSELF);
        let division = divided();
        let [sent, rest] = [0, 1].map(|index| Chunk::first(&division, index));
        sent.send();
        enter(1, 1, BY_ITSELF);
        let joiner = {
            let life = life.clone();
            spawn(&division, 2, BY_ITSELF, move |_| {
                let joined = life.live(|| join_and_write(rest));
                end();
                joined
            })
        };
        let early = Chunk::read(&division, 0, FIRST);
        if let Some(chunk) = &early {
            chunk.write();
        }
        let joined = joiner.join().unwrap();
        match early.or_else(|| Chunk::read(&division, 0, FIRST)) {
            Some(chunk) => {
                assert_eq!(layout::state(&division.array), State::divided(1));
                assert_ne!(joined, Some(true));
                assert!(join_and_write(chunk), "nobody else has any");
            }
            None => {
                assert_eq!(division.entry(0).word().standing, Standing::Dropped);
                assert_ne!(joined, Some(false));
            }
        }
    });
}
