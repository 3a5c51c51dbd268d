use super::*;
use crate::shared::{Array, ArrayChunk};

fn claims(len: usize, n: usize) -> Vec<Arc<Claim>> {
    let chunks = Array::<u8>::zeroed(len).unwrap().into_chunks(n).unwrap();
    chunks.into_iter().map(ArrayChunk::into_claim).collect()
}

#[test]
fn chunks_cover_an_array_and_do_not_overlap() {
    for (len, n) in [(0, 1), (0, 3), (1, 3), (10, 4), (12, 4), (1000, 7), (5, 5)] {
        let division = claims(len, n)[0].division.clone();
        assert_eq!(division.n_chunks(), n);
        let mut end = 0;
        for (first, part) in (0..n).map(|index| division.bounds(index, len)) {
            assert_eq!(first, end);
            assert!((len / n..=len / n + 1).contains(&part));
            end = first + part;
        }
        assert_eq!(end, len);
    }
}

#[test]
fn a_sender_that_never_lets_go_is_not_waited_for_for_ever() {
    let claims = claims(4, 2);
    let error = claims[0]
        .division
        .claim_within(Duration::from_millis(30), 0, 1)
        .unwrap_err();
    let pid = sys::pid();
    assert_eq!(
        error.to_string(),
        format!("chunk 0 was sent by process {pid}, which does not let go of it")
    );
}

#[test]
fn a_claim_that_was_made_up_is_refused() {
    let claims = claims(4, 2);
    let division = &claims[0].division;
    let no_such = division.claim(2, 1).unwrap_err().to_string();
    assert!(no_such.contains("no such chunk"), "{no_such}");
    for turn in [0, 2, u32::MAX >> 2, u32::MAX] {
        let error = division.claim(0, turn).unwrap_err().to_string();
        assert!(error.contains("claimed already"), "{error}");
    }
    let other = self::claims(4, 2);
    let array = Arc::clone(&division.array);
    let words = Arc::clone(&other[0].division.words);
    assert!(Division::find(array, words).is_err());
}

#[test]
fn no_chunk_can_be_had_of_an_array_that_was_joined_whoever_dies_then() {
    let claims = claims(4, 2);
    let division = claims[0].division.clone();
    Division::join(&claims).unwrap();
    // The claims live still, as those of a process that is killed here would.
    for index in 0..2 {
        assert_eq!(division.word(index).standing, Standing::Dropped);
    }
    assert!(Division::join(&claims).is_err());
}
