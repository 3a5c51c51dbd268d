use super::super::name::Name;
use super::*;
use crate::codec::Passenger;
use crate::sys::testing::{in_child, watched};

const LABEL: Label = Label(0x1abe1);

/// Whether of many new blocks none has the memory of this one.
fn is_its_own(block: &Block) -> bool {
    let new: Vec<Arc<Block>> = (0..200).map(|_| Block::new(LABEL, 8).unwrap()).collect();
    let place = block.pointer(0, 8);
    new.iter().all(|other| other.pointer(0, 8) != place)
}

fn memory_of(block: &Block) -> (Arc<Mapped>, usize) {
    match block.home() {
        Home::Own { mapped, .. } => (Arc::clone(mapped), block.len()),
        Home::Arena { .. } => panic!("a small block"),
    }
}

#[test]
fn a_given_name_that_is_read_twice_takes_no_reference_of_others() {
    watched(|| {
        in_child(|| {
            let block = Block::new(LABEL, 8).unwrap();
            let name = block.name(77).unwrap();
            for _ in 0..3 {
                drop(Block::find(name, LABEL).unwrap());
            }
            // Nor does one that was never given.
            let forged = Name { tag: 5, ..name };
            drop(Block::find(forged, LABEL).unwrap());
            assert!(is_its_own(&block));
            drop(block);
            assert!(Block::find(name, LABEL).is_err());
        })
        .succeeds();
    });
}

#[test]
fn a_given_name_keeps_a_small_block_until_it_is_read_or_recalled() {
    watched(|| {
        in_child(|| {
            let block = Block::new(LABEL, 8).unwrap();
            block.write(0, &[7; 8]);
            let (read, recalled) = (block.name(77).unwrap(), block.name(77).unwrap());
            block.recall(77);
            drop(block);
            let found = Block::find(read, LABEL).unwrap();
            let mut bytes = [0; 8];
            found.read(0, &mut bytes);
            assert_eq!(bytes, [7; 8]);
            drop(found);
            assert!(Block::find(recalled, LABEL).is_err());
        })
        .succeeds();
    });
}

#[test]
fn what_users_write_is_never_taken_for_a_header() {
    watched(|| {
        in_child(|| {
            // As it would look at the start of every slot.
            let header = [1, LABEL.0, 8, 0, 0, 0, 0, 0];
            let bytes: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let block = Block::new(LABEL, 32 * arena::SLOT).unwrap();
            for offset in (0..block.len()).step_by(bytes.len()) {
                block.write(offset, &bytes);
            }
            let place = block.id();
            for step in 1..64 {
                for generation in 0..2 {
                    let (place, tag) = (place + step, 0);
                    let forged = Name {
                        place,
                        generation,
                        tag,
                    };
                    assert!(Block::find(forged, LABEL).is_err(), "slot {step}");
                }
            }
        })
        .succeeds();
    });
}

#[test]
fn a_small_block_that_a_child_has_inherited_becomes_nobody_elses() {
    watched(|| {
        in_child(|| {
            let block = Block::new(LABEL, 8).unwrap();
            let place = block.pointer(0, 8);
            Block::note_inheritance();
            drop(block);
            let new = Block::new(LABEL, 8).unwrap();
            assert_ne!(new.pointer(0, 8), place);
            drop(new);
            let again = Block::new(LABEL, 8).unwrap();
            assert!(is_its_own(&again));
        })
        .succeeds();
    });
}

#[test]
fn the_memory_of_a_large_block_goes_with_its_last_holder_though_others_map_it() {
    // Not in a child: the root of the family looks who is dead.
    let block = Block::large(LABEL, 1 << 16, 1 << 16).unwrap();
    let (mapped, len) = memory_of(&block);
    // Of a worker that was killed with a handle in its hands.
    let holders = Holders::of(&mapped.memory);
    assert!(holders.enter(u64::from(u32::MAX) << 32).is_some());
    drop(block);
    assert_eq!(mapped.file.allocated_len().unwrap(), LARGE_PAYLOAD as u64);
    // Who comes too late by an old name must not see it.
    let late = Block::of_found(Arc::clone(&mapped), LABEL, len);
    assert!(late.unwrap_err().to_string().contains("is gone"));
    assert!(holders.is_empty());
}

#[test]
fn a_large_block_with_a_holder_that_found_no_place_keeps_its_memory() {
    watched(|| {
        in_child(|| {
            let block = Block::large(LABEL, 1 << 16, 1 << 16).unwrap();
            let (mapped, len) = memory_of(&block);
            let holders = Holders::of(&mapped.memory);
            let (other, mut places) = (u64::from(std::process::id()) << 32, Vec::new());
            while let Some(place) = holders.enter(other) {
                places.push(place);
            }
            let unseen = Block::of_found(Arc::clone(&mapped), LABEL, len).unwrap();
            places
                .into_iter()
                .for_each(|place| holders.leave(Some(place), other));
            unseen.write(0, &[7; 8]);
            drop(block);
            let mut bytes = [0; 8];
            unseen.read(0, &mut bytes);
            assert_eq!(bytes, [7; 8]);
        })
        .succeeds();
    });
}
