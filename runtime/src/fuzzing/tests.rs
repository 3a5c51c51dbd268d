//! The corpus of every target, and seeded mutations of it, as an ordinary test on stable Rust.

use std::fs;
use std::path::Path;

use crate::sys::testing::watched;

/// Mutations of each target's corpus.
const N_MUTATIONS: u64 = 2000;

fn next(seed: &mut u64) -> usize {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (seed.rotate_left(32) >> 1) as usize
}

/// Bytes changed, put in, taken out, or another's tail.
fn mutate(corpus: &[Vec<u8>], seed: &mut u64) -> Vec<u8> {
    let mut bytes = corpus[next(seed) % corpus.len()].clone();
    for _ in 0..1 + next(seed) % 8 {
        let place = next(seed) % (bytes.len() + 1);
        match next(seed) % 5 {
            0 => bytes.insert(place, next(seed) as u8),
            1 => {
                let more: Vec<u8> = (0..next(seed) % 24).map(|_| next(seed) as u8).collect();
                bytes.splice(place..place, more);
            }
            2 => bytes.truncate(place),
            3 => {
                let other = &corpus[next(seed) % corpus.len()];
                bytes.truncate(place);
                bytes.extend(&other[next(seed) % (other.len() + 1)..]);
            }
            _ => {
                let changed = [0, 1, 0x7f, 0xff, next(seed) as u8][next(seed) % 5];
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = changed;
                }
            }
        }
    }
    bytes.truncate(4096);
    bytes
}

fn run(target: &str, act: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let files = fs::read_dir(folder.join(target)).expect("the corpus");
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    paths.sort();
    let read = |path| fs::read(path).expect("a file of the corpus");
    let corpus: Vec<_> = paths.iter().map(read).collect();
    assert!(!corpus.is_empty());
    watched(move || {
        for (bytes, path) in corpus.iter().zip(&paths) {
            let result = std::panic::catch_unwind(|| act(bytes));
            assert!(result.is_ok(), "{}", path.display());
        }
        for seed in 0..N_MUTATIONS {
            let bytes = mutate(&corpus, &mut (seed << 8));
            let result = std::panic::catch_unwind(|| act(&bytes));
            assert!(result.is_ok(), "mutation {seed}: {bytes:?}");
        }
    });
}

#[test]
fn decoders_stand_their_corpus() {
    run("decode", super::decode);
}

#[test]
fn the_programs_side_of_a_board_stands_its_corpus() {
    run("take_outcomes", super::take_outcomes);
}

#[test]
fn the_supervisors_side_of_a_board_stands_its_corpus() {
    run("bury", super::bury);
}

#[test]
fn the_door_stands_its_corpus() {
    run("serve_door", super::serve_door);
}

#[test]
fn queues_stand_their_corpus() {
    run("use_damaged_queue", super::use_damaged_queue);
}
