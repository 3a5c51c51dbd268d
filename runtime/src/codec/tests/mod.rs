//! Tests of the room as its callers see it: encoder on one side, decoder on the other.

mod framing;
mod hostile;
mod lending;
mod round_trip;

use std::{collections::HashMap, fmt::Debug};

use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    test_runner::Config,
};
use serde::{Deserialize, Serialize};

use super::{CodecError, Decoder, Encoder, Lent, Portable};

/// Fewer cases under Miri, which is some thousand times slower; no file for failed cases, which it cannot write.
fn cases(n_cases: u32) -> Config {
    Config {
        cases: if cfg!(miri) { 2 } else { n_cases },
        failure_persistence: None,
        ..Config::default()
    }
}

/// A stream in memory aligned to 64 bytes, as it will lie on the board, or off by some bytes.
struct Stream {
    memory: Vec<u8>,
    begin: usize,
}

impl Stream {
    fn of(encoder: &Encoder<'_>) -> Self {
        Self::misaligned(encoder, 0)
    }

    fn misaligned(encoder: &Encoder<'_>, offset: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(encoder.len() + offset + 64);
        let address = memory.as_ptr().addr();
        let begin = address.next_multiple_of(64) - address + offset;
        memory.resize(begin, 0);
        encoder
            .chunks()
            .for_each(|chunk| memory.extend_from_slice(chunk));
        assert_eq!(memory.len() - begin, encoder.len());
        Self { memory, begin }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.begin..]
    }

    fn decoder(&self) -> Decoder<'_> {
        Decoder::new(self.bytes())
    }
}

fn stream_of<T: Portable>(value: &T) -> Stream {
    let mut encoder = Encoder::new();
    encoder.value(value).expect("the value can be sent");
    Stream::of(&encoder)
}

fn there_and_back<T: Portable>(value: &T) -> Result<T, CodecError> {
    let stream = stream_of(value);
    let mut decoder = stream.decoder();
    let value = decoder.value()?;
    decoder.finish()?;
    Ok(value)
}

/// One of everything that serde's data model has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    unit: (),
    marker: Marker,
    wrapped: Wrapped,
    truth: bool,
    letter: char,
    numbers: (u8, i16, u32, i64, u128, f32, f64),
    text: String,
    bytes: Vec<u8>,
    floats: Vec<f64>,
    maybe: Option<Box<Everything>>,
    table: HashMap<String, Vec<Option<u16>>>,
    shapes: Vec<Shape>,
    array: [i8; 5],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Number(i32),
    Pair(String, f32),
    Fields { name: String, size: Option<u64> },
}

fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Nothing),
        any::<i32>().prop_map(Shape::Number),
        (
            any::<String>(),
            any::<f32>().prop_filter("comparable", |x| !x.is_nan())
        )
            .prop_map(|(text, number)| Shape::Pair(text, number)),
        (any::<String>(), any::<Option<u64>>())
            .prop_map(|(name, size)| Shape::Fields { name, size }),
    ]
}

fn any_everything() -> impl Strategy<Value = Everything> {
    let leaf = (
        any::<(bool, char, (u8, i16, u32, i64, u128), u64, [i8; 5])>(),
        (
            any::<String>(),
            any::<Vec<u8>>(),
            hash_map(any::<String>(), vec(any::<Option<u16>>(), 0..4), 0..4),
        ),
        (-1e9..1e9f32, vec(-1e300..1e300f64, 0..20)),
        vec(any_shape(), 0..6),
    )
        .prop_map(
            |(
                (truth, letter, (a, b, c, d, e), wrapped, array),
                (text, bytes, table),
                (f, floats),
                shapes,
            )| {
                Everything {
                    unit: (),
                    marker: Marker,
                    wrapped: Wrapped(wrapped),
                    truth,
                    letter,
                    numbers: (a, b, c, d, e, f, -0.0),
                    text,
                    bytes,
                    floats,
                    maybe: None,
                    table,
                    shapes,
                    array,
                }
            },
        );
    leaf.prop_recursive(4, 8, 1, |inner| {
        (inner.clone(), inner).prop_map(|(outer, inner)| Everything {
            maybe: Some(Box::new(inner)),
            ..outer
        })
    })
}

/// Whether a slice of numbers lies within the bytes it was decoded from.
fn lies_in<T>(slice: &[T], bytes: &[u8]) -> bool {
    bytes.as_ptr_range().contains(&slice.as_ptr().cast())
}

fn assert_error<T: Debug>(result: Result<T, CodecError>, telling_words: &[&str]) {
    let message = result.expect_err("must be refused").to_string();
    for words in telling_words {
        assert!(
            message.contains(words),
            "`{words}` is missing in: {message}"
        );
    }
}

fn held<T: ?Sized + Lent>(stream: &Stream) -> T::Held<'_> {
    let mut decoder = stream.decoder();
    let held = decoder.lent::<T>().expect("what was lent can be read");
    decoder.finish().expect("all was read");
    held
}
