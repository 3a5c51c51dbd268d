//! Items of a chunk can be told apart, skipped and taken back.

use proptest::prelude::*;

use super::*;

fn chunk_of<T: Portable>(items: &[T], fixed: Option<usize>) -> Encoder<'_> {
    let mut encoder = Encoder::new();
    for item in items {
        encoder.begin_item(fixed);
        encoder.value(item).unwrap();
        encoder.end_item().unwrap();
    }
    encoder
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn items_of_any_size_are_read_or_skipped(items: Vec<(u8, Vec<u64>)>, n_skipped: prop::sample::Index, offset in 0..64usize) {
        let stream = Stream::misaligned(&chunk_of(&items, None), offset);
        let n_skipped = n_skipped.index(items.len() + 1);
        let mut decoder = stream.decoder();
        decoder.skip_items(None, n_skipped).unwrap();
        for item in &items[n_skipped..] {
            let mut one = decoder.next_item(None).unwrap();
            prop_assert_eq!(&one.value::<(u8, Vec<u64>)>().unwrap(), item);
            prop_assert!(one.finish().is_ok());
        }
        prop_assert!(decoder.is_empty());
        prop_assert!(decoder.next_item(None).is_err());
    }

    #[test]
    fn items_of_fixed_size_have_no_frame(items: Vec<u32>, n_skipped: prop::sample::Index) {
        let stream = Stream::of(&chunk_of(&items, Some(4)));
        prop_assert_eq!(stream.bytes(), bytemuck::cast_slice::<u32, u8>(&items));
        let n_skipped = n_skipped.index(items.len() + 1);
        let mut decoder = stream.decoder();
        decoder.skip_items(Some(4), n_skipped).unwrap();
        for item in &items[n_skipped..] {
            prop_assert_eq!(decoder.next_item(Some(4)).unwrap().value::<u32>().unwrap(), *item);
        }
        prop_assert!(decoder.is_empty());
        prop_assert!(decoder.skip_items(Some(4), 1).is_err());
    }

    /// Alignment counts from the stream's start, so that a slice within an item is read in place.
    #[test]
    fn slices_within_items_lie_aligned(texts: Vec<String>, wides: Vec<u128>) {
        let mut encoder = Encoder::new();
        for text in &texts {
            encoder.begin_item(None);
            encoder.value(text).unwrap();
            encoder.lend::<[u128], _>(&wides).unwrap();
            encoder.end_item().unwrap();
        }
        let stream = Stream::of(&encoder);
        let mut decoder = stream.decoder();
        for text in &texts {
            let mut item = decoder.next_item(None).unwrap();
            prop_assert_eq!(item.lent::<str>().unwrap(), text);
            let slice = item.lent::<[u128]>().unwrap();
            prop_assert_eq!(&*slice, &wides[..]);
            prop_assert!(slice.is_empty() || lies_in(&slice, stream.bytes()));
        }
    }
}

#[test]
fn frames_stand_at_multiples_of_eight() {
    let items = ["a".to_owned(), "bcd".to_owned()];
    let stream = Stream::of(&chunk_of(&items, None));
    let length = |at: usize| u64::from_le_bytes(stream.bytes()[at..at + 8].try_into().unwrap());
    assert_eq!([length(0), length(24)], [9, 11]);
    assert_eq!(stream.bytes().len(), 24 + 8 + 11);
}

#[test]
fn units_have_no_bytes_at_all() {
    let stream = Stream::of(&chunk_of(&[(); 3], Some(0)));
    assert!(stream.bytes().is_empty());
    let mut decoder = stream.decoder();
    for _ in 0..3 {
        decoder.next_item(Some(0)).unwrap().value::<()>().unwrap();
    }
}

#[test]
fn an_abandoned_item_leaves_no_trace() {
    let large = vec![1_u8; 100_000];
    let mut encoder = Encoder::new();
    encoder.begin_item(None);
    encoder.value(&1_u8).unwrap();
    encoder.end_item().unwrap();
    encoder.begin_item(None);
    encoder.value(&large).unwrap();
    encoder.abandon_item();
    assert_eq!(encoder.len(), 9);
    encoder.begin_item(None);
    encoder.value(&2_u8).unwrap();
    encoder.end_item().unwrap();
    let stream = Stream::of(&encoder);
    let mut decoder = stream.decoder();
    let values = [(); 2].map(|()| decoder.next_item(None).unwrap().value::<u8>().unwrap());
    assert_eq!(values, [1, 2]);
    assert!(decoder.is_empty());
}

#[test]
fn an_item_of_another_size_than_announced_is_refused() {
    let mut encoder = Encoder::new();
    encoder.begin_item(Some(4));
    encoder.value(&1_u64).unwrap();
    assert_error(encoder.end_item(), &["8 bytes where 4"]);
    assert!(encoder.is_empty());
    assert_error(encoder.end_item(), &["no item"]);
}

#[test]
fn an_item_does_not_reach_into_the_next() {
    let stream = Stream::of(&chunk_of(&[1_u8, 2], None));
    let mut decoder = stream.decoder();
    let mut first = decoder.next_item(None).unwrap();
    assert_error(first.clone().value::<u16>(), &["cut short"]);
    assert_eq!(first.value::<u8>().unwrap(), 1);
    let second = decoder.next_item(None).unwrap();
    assert_error(second.finish(), &["1 bytes are left over"]);
}

#[test]
fn numbers_at_once_are_written_as_they_are_one_by_one() {
    for n_items in [0, 3, 4000_u64] {
        let items: Vec<u64> = (0..n_items).collect();
        let (mut at_once, one_by_one) = (Encoder::new(), chunk_of(&items, Some(8)));
        assert!(at_once.numbers(&items));
        let bytes = at_once.chunks().collect::<Vec<_>>().concat();
        assert_eq!(bytes, one_by_one.chunks().collect::<Vec<_>>().concat());
        let mut numbers = vec![7];
        assert!(crate::codec::append_numbers(&bytes, &mut numbers));
        assert_eq!((numbers[0], &numbers[1..]), (7, &items[..]));
        let misaligned = [&[0], &bytes[..]].concat();
        assert!(crate::codec::append_numbers(&misaligned[1..], &mut numbers));
        assert_eq!(numbers.len(), 1 + 2 * items.len());
        assert!(numbers.ends_with(&items));
        assert!(crate::codec::are_numbers::<u64>(&bytes, items.len()));
        assert!(!crate::codec::are_numbers::<u64>(&bytes, items.len() + 1));
    }
    let mut encoder = Encoder::new();
    assert!(!encoder.numbers(&[true]) && encoder.is_empty());
    assert!(!crate::codec::append_numbers(&[1], &mut Vec::<bool>::new()));
    assert!(!crate::codec::append_numbers(
        &[1, 2, 3],
        &mut Vec::<u16>::new()
    ));
    assert!(!crate::codec::are_numbers::<bool>(&[1], 1));
    assert!(!crate::codec::are_numbers::<u16>(&[1, 2], usize::MAX));
}
