//! What goes in comes out, and lies where the format says.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    super::{bounded::MAX_EMPTY_ELEMENTS, encoder::FIXED, fixed_size, total_size},
    *,
};

macro_rules! round_trips {
    ($($name:ident: $type:ty;)*) => {
        proptest! {
            #![proptest_config(cases(64))]
            $(
                #[test]
                fn $name(value: $type) {
                    prop_assert_eq!(there_and_back(&value).unwrap(), value);
                }
            )*
        }
    };
}

round_trips! {
    u8_returns: u8;
    u64_returns: u64;
    u128_returns: u128;
    i128_returns: i128;
    usize_returns: usize;
    bool_returns: bool;
    char_returns: char;
    unit_returns: ();
    string_returns: String;
    boxed_str_returns: Box<str>;
    bytes_return: Vec<u8>;
    numbers_return: Vec<i32>;
    wide_numbers_return: Vec<u128>;
    boxed_numbers_return: Box<[u16]>;
    truths_return: Vec<bool>;
    letters_return: Vec<char>;
    array_returns: [u32; 7];
    arrays_return: Vec<[u16; 3]>;
    nested_lists_return: Vec<Vec<u64>>;
    texts_return: Vec<String>;
    option_returns: Option<Vec<u8>>;
    result_returns: Result<Vec<u32>, String>;
    tuple_returns: (u8, String, (i64, Option<char>), [u16; 2]);
    map_returns: HashMap<String, (u64, bool)>;
    ordered_map_returns: BTreeMap<i16, Vec<u8>>;
    sets_return: (HashSet<u32>, BTreeSet<String>);
    duration_returns: Duration;
    address_returns: IpAddr;
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    #[cfg_attr(miri, ignore = "minutes for a case there")]
    fn everything_returns(value in any_everything()) {
        prop_assert_eq!(there_and_back(&value).unwrap(), value);
    }

    #[test]
    fn floats_keep_their_bits(bits: Vec<u64>, single: u32) {
        let floats: Vec<f64> = bits.iter().copied().map(f64::from_bits).collect();
        let back: Vec<u64> = there_and_back(&floats).unwrap().into_iter().map(f64::to_bits).collect();
        prop_assert_eq!(back, bits);
        prop_assert_eq!(there_and_back(&f32::from_bits(single)).unwrap().to_bits(), single);
    }

    /// The reading side is ours, the writing side bincode's: they must mean the same format.
    #[test]
    #[cfg_attr(miri, ignore = "minutes for a case there")]
    fn bincode_reads_the_same(value in any_everything()) {
        let bytes = stream_of(&value).bytes().to_vec();
        let (back, n_read) = bincode::serde::decode_from_slice::<Everything, _>(&bytes, FIXED).unwrap();
        prop_assert_eq!(back, value);
        prop_assert_eq!(n_read, bytes.len());
    }

    /// Values behind one another, each alignment in turn; also when the memory is not aligned as promised.
    #[test]
    fn values_follow_one_another(
        text: String, shorts: Vec<u16>, wides: Vec<u128>, number: u64, floats in prop::collection::vec(0.0..1.0f64, 0..9),
        offset in 0..64usize,
    ) {
        let maybe = Some(number);
        let mut encoder = Encoder::new();
        encoder.value(&text).unwrap();
        encoder.value(&shorts).unwrap();
        encoder.value(&number).unwrap();
        encoder.value(&wides).unwrap();
        encoder.value(&maybe).unwrap();
        encoder.value(&floats).unwrap();
        let stream = Stream::misaligned(&encoder, offset);
        let mut decoder = stream.decoder();
        prop_assert_eq!(decoder.value::<String>().unwrap(), text);
        prop_assert_eq!(decoder.value::<Vec<u16>>().unwrap(), shorts);
        prop_assert_eq!(decoder.value::<u64>().unwrap(), number);
        prop_assert_eq!(decoder.value::<Vec<u128>>().unwrap(), wides);
        prop_assert_eq!(decoder.value::<Option<u64>>().unwrap(), maybe);
        prop_assert_eq!(decoder.value::<Vec<f64>>().unwrap(), floats);
        prop_assert!(decoder.finish().is_ok());
    }
}

#[test]
fn numbers_are_their_own_bytes() {
    assert_eq!(
        stream_of(&0x0102_0304_u32).bytes(),
        0x0102_0304_u32.to_ne_bytes()
    );
    assert_eq!(stream_of(&1.5_f64).bytes(), 1.5_f64.to_ne_bytes());
}

#[test]
fn a_list_of_numbers_is_length_padding_elements() {
    let mut encoder = Encoder::new();
    let list = vec![1_u32, 2];
    encoder.value(&7_u8).unwrap();
    encoder.value(&list).unwrap();
    let mut expected = vec![7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    expected.extend(1_u32.to_ne_bytes());
    expected.extend(2_u32.to_ne_bytes());
    assert_eq!(Stream::of(&encoder).bytes(), expected);
}

#[test]
fn large_lists_are_not_copied_before_the_end() {
    let large = vec![7_u64; 4096];
    let text = "x".repeat(20_000);
    let mut encoder = Encoder::new();
    encoder.value(&1_u8).unwrap();
    encoder.value(&large).unwrap();
    encoder.value(&text).unwrap();
    encoder.value(&2_u8).unwrap();
    let chunks: Vec<&[u8]> = encoder.chunks().collect();
    assert!(lies_in(chunks[1], bytemuck::cast_slice(&large)));
    assert!(lies_in(chunks[3], text.as_bytes()));
    assert_eq!(chunks.len(), 5);
    let stream = Stream::of(&encoder);
    let mut decoder = stream.decoder();
    assert_eq!(decoder.value::<u8>().unwrap(), 1);
    assert_eq!(decoder.value::<Vec<u64>>().unwrap(), large);
    assert_eq!(decoder.value::<String>().unwrap(), text);
    assert_eq!(decoder.value::<u8>().unwrap(), 2);
}

#[test]
fn lifetimes_in_a_type_do_not_hide_or_feign_plain_data() {
    fn through<'a, T: Portable + 'a>(value: &T) -> T {
        there_and_back(value).unwrap()
    }
    let local = String::from("local");
    let cow: Cow<'_, str> = Cow::Borrowed(&local);
    assert_eq!(through(&cow), "local");
    assert_eq!(through(&(Cow::Borrowed(local.as_str()), 1_u8)).1, 1);
}

#[test]
fn a_buffer_is_used_again() {
    let mut encoder = Encoder::with_buffer(Vec::with_capacity(100));
    encoder.value(&5_u64).unwrap();
    assert_eq!((encoder.len(), encoder.position()), (8, 8));
    encoder.clear();
    assert!(encoder.is_empty());
    let buffer = encoder.into_buffer();
    assert!(buffer.capacity() >= 100);
    assert!(Encoder::with_buffer(vec![1, 2, 3]).is_empty());
}

#[test]
fn a_stream_can_be_continued_by_another_encoder() {
    let numbers = vec![1_u128, 2];
    let mut first = Encoder::new();
    first.value(&true).unwrap();
    let mut second = Encoder::new().continuing_at(first.position());
    second.value(&numbers).unwrap();
    let mut whole = Encoder::new();
    whole.value(&true).unwrap();
    whole.value(&numbers).unwrap();
    assert_eq!(
        [Stream::of(&first).bytes(), Stream::of(&second).bytes()].concat(),
        Stream::of(&whole).bytes()
    );
    assert_eq!(second.position(), whole.position());
}

#[test]
fn fixed_sizes_are_those_of_numbers_and_unit() {
    assert_eq!(fixed_size::<u8>(), Some(1));
    assert_eq!(fixed_size::<i128>(), Some(16));
    assert_eq!(fixed_size::<f32>(), Some(4));
    assert_eq!(fixed_size::<()>(), Some(0));
    assert_eq!(fixed_size::<bool>(), None);
    assert_eq!(fixed_size::<(u8, u8)>(), None);
    assert_eq!(fixed_size::<str>(), None);
    assert_eq!(fixed_size::<[u8]>(), None);
    assert_eq!(total_size([Some(8), Some(0), Some(1)]), Some(9));
    assert_eq!(total_size([Some(8), None]), None);
    assert_eq!(total_size([]), Some(0));
    assert_eq!(total_size([Some(usize::MAX), Some(1)]), None);
}

#[test]
#[cfg_attr(miri, ignore = "a million steps are hours there")]
fn elements_without_bytes_return() {
    assert_eq!(there_and_back(&vec![(); 1000]).unwrap().len(), 1000);
    assert_error(
        there_and_back(&vec![(); MAX_EMPTY_ELEMENTS + 1]),
        &["elements without content"],
    );
}

#[derive(Debug, Serialize, Deserialize)]
struct Flattened {
    #[serde(flatten)]
    rest: HashMap<String, u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Number { value: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Omitting {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<u8>,
}

#[test]
fn what_serde_cannot_carry_is_refused_with_advice() {
    let advice = "send it as a string (for example JSON text), or give it a concrete type";
    let mut encoder = Encoder::new();
    encoder.value(&1_u8).unwrap();
    let flattened = (
        1_u64,
        Flattened {
            rest: HashMap::new(),
        },
    );
    assert_error(
        encoder.value(&flattened),
        &["cannot send", "Flattened", "flatten", advice],
    );
    assert_eq!(encoder.len(), 1, "a refused value leaves nothing behind");
    assert_error(
        there_and_back(&Untagged::Number(1)),
        &["cannot receive", "Untagged", "untagged", advice],
    );
    assert_error(
        there_and_back(&Tagged::Number { value: 1 }),
        &["Tagged", advice],
    );
    assert_error(
        there_and_back(&serde_json::json!({"a": 1})),
        &["serde_json::Value", advice],
    );
    assert_error(
        there_and_back(&Omitting { field: None }),
        &["skip_serializing_if"],
    );
}

#[test]
fn serde_s_own_errors_are_passed_on() {
    struct Refusing;
    impl Serialize for Refusing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    impl<'de> Deserialize<'de> for Refusing {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Err(serde::de::Error::custom("nor tomorrow"))
        }
    }
    assert_error(
        Encoder::new().value(&Refusing),
        &["cannot send", "Refusing", "not today"],
    );
    assert_error(
        Decoder::new(&[]).value::<Refusing>().map(drop),
        &["cannot receive", "nor tomorrow"],
    );
}

#[test]
fn owned_paths_and_boxes_travel_through_serde() {
    assert_eq!(
        there_and_back(&PathBuf::from("/a/b")).unwrap(),
        PathBuf::from("/a/b")
    );
    assert_eq!(there_and_back(&Box::new(5_u8)).unwrap(), Box::new(5));
}
