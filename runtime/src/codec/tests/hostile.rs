//! Bytes that no encoder wrote: every decoder must refuse them or read them, within bounds.
//!
//! Memory is counted by an allocator of this test binary, for each thread by itself.
//!
//! # Safety
//!
//! The allocator adds counting to the system's allocator and changes nothing about the memory it gives out.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::Path,
};

use proptest::prelude::*;

use super::{super::bounded::MAX_DEPTH, *};

struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(added: usize, removed: usize) {
    let live = LIVE.get().wrapping_add(added).wrapping_sub(removed);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: every call is passed to `System` unchanged, which keeps the contract; the counters need no memory of their own
// (constant initial value, nothing to drop).
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's duties are `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's duties are `System`'s.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller's duties are `System`'s, which gave the memory out.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, layout.size());
        // SAFETY: the caller's duties are `System`'s, which gave the memory out.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most memory that was in use at one time during `run`, beyond what was before.
fn peak_memory(run: impl FnOnce()) -> usize {
    // Freed memory of another thread may have taken the count below zero: start anew.
    LIVE.set(usize::MAX / 2);
    PEAK.set(usize::MAX / 2);
    run();
    PEAK.get() - usize::MAX / 2
}

/// What reading may take: a multiple of the bytes there, and room for a message.
///
/// The multiple is that of honest data: a `Shape` of 4 bytes takes 40 in memory, in a vector of up to twice its length.
fn allowed(bytes: &[u8]) -> usize {
    24 * bytes.len() + 4096
}

#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Vec<Tree>),
    Chain(Box<Tree>),
}

/// Reads the bytes as each of the types, with the memory counted.
macro_rules! try_decoders {
    ($bytes:expr, $method:ident: $($type:ty),* $(,)?) => {$({
        let bytes: &[u8] = $bytes;
        let peak = peak_memory(|| {
            let _ = Decoder::new(bytes).$method::<$type>();
        });
        assert!(peak <= allowed(bytes), "{} took {peak} for {} bytes", stringify!($type), bytes.len());
    })*};
}

fn try_every_decoder(bytes: &[u8]) {
    try_decoders!(
        bytes, value: u8, u64, i128, f64, bool, char, (), String, Box<str>, Vec<u8>, Vec<u64>, Vec<u128>, Box<[f64]>,
        Vec<bool>, Vec<char>, Vec<String>, Vec<Vec<u64>>, Option<Vec<u16>>, Result<u64, String>, (u64, f64), [u32; 4],
        HashMap<u64, u64>, HashMap<String, String>, HashSet<u64>, BTreeMap<String, u8>, VecDeque<u32>,
        std::ffi::CString, std::time::Duration, std::net::IpAddr, Shape, Vec<Shape>, Tree, Everything,
        serde_json::Value,
    );
    try_decoders!(bytes, lent: str, Path, [u8], [u64], [u128], [f32], [String], [Shape], u64, Shape);
    for fixed in [None, Some(3), Some(usize::MAX)] {
        let mut decoder = Decoder::new(bytes);
        let _ = decoder.skip_items(fixed, 3);
        while let Ok(mut item) = decoder.next_item(fixed) {
            assert!(item.position() <= decoder.position());
            let _ = item.value::<Vec<u64>>();
        }
    }
}

/// Types whose elements have no bytes: slow to refuse, so not for every random case.
fn try_empty_decoders(bytes: &[u8]) {
    try_decoders!(bytes, value: Vec<()>, Vec<Vec<()>>, Vec<Marker>, HashMap<(), ()>);
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    #[cfg_attr(miri, ignore = "minutes for a case there")]
    fn random_bytes_are_refused_or_read(bytes: Vec<u8>) {
        try_every_decoder(&bytes);
    }

    /// Small numbers make plausible tags and lengths, so that reading gets further.
    #[test]
    #[cfg_attr(miri, ignore = "minutes for a case there")]
    fn small_bytes_are_refused_or_read(bytes in prop::collection::vec(0..3_u8, 0..300)) {
        try_every_decoder(&bytes);
    }

    #[test]
    #[cfg_attr(miri, ignore = "minutes for a case there")]
    fn damaged_values_are_refused_or_read(
        value in any_everything(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut: prop::sample::Index,
    ) {
        let mut bytes = stream_of(&value).bytes().to_vec();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        try_every_decoder(&bytes);
    }
}

#[test]
#[cfg_attr(miri, ignore = "a million steps are hours there")]
fn hostile_lengths_reserve_nothing() {
    for length in [
        3,
        1 << 20,
        1 << 32,
        1 << 60,
        1 << 61,
        i64::MAX as u64,
        u64::MAX - 7,
        u64::MAX,
    ] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([1; 8]);
        try_every_decoder(&bytes);
        try_empty_decoders(&bytes);
        assert_error(Decoder::new(&bytes).value::<Vec<u64>>(), &["cut short"]);
        assert_error(
            Decoder::new(&bytes).value::<Vec<String>>(),
            &["ends before the value does"],
        );
        assert_error(
            Decoder::new(&bytes).value::<HashMap<u64, u64>>(),
            &["ends before the value does"],
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "a million steps are hours there")]
fn hostile_counts_of_nothing_end_soon() {
    let bytes = u64::MAX.to_le_bytes();
    assert_error(
        Decoder::new(&bytes).value::<Vec<()>>(),
        &["elements without content"],
    );
    assert_error(
        Decoder::new(&bytes).value::<Vec<Marker>>(),
        &["elements without content"],
    );
    assert_error(
        Decoder::new(&bytes).value::<HashMap<(), ()>>(),
        &["elements without content"],
    );
    // The bound is on the whole value: else each inner list could be as long.
    let mut nested = 1000_u64.to_le_bytes().to_vec();
    nested.extend([&(1_u64 << 19).to_le_bytes()[..]; 1000].concat());
    assert_error(
        Decoder::new(&nested).value::<Vec<Vec<()>>>(),
        &["elements without content"],
    );
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    let chain = [2, 0, 0, 0].repeat(1_000_000);
    assert_error(Decoder::new(&chain).value::<Tree>(), &["levels deep"]);
    let lists = [&1_u32.to_le_bytes()[..], &1_u64.to_le_bytes()]
        .concat()
        .repeat(1_000_000);
    assert_error(Decoder::new(&lists).value::<Tree>(), &["levels deep"]);
    let mut deep = Tree::Leaf;
    for _ in 0..MAX_DEPTH / 2 - 1 {
        deep = Tree::Node(vec![deep]);
    }
    there_and_back(&deep).unwrap();
}

#[test]
fn text_must_be_text() {
    let bytes = [&1_u64.to_le_bytes()[..], &[0xff]].concat();
    assert_error(Decoder::new(&bytes).value::<String>(), &["not UTF-8"]);
    assert_error(Decoder::new(&bytes).value::<Box<str>>(), &["not UTF-8"]);
    assert_error(Decoder::new(&bytes).lent::<str>(), &["not UTF-8"]);
    assert_error(Decoder::new(&bytes).value::<(String, u8)>(), &["not UTF-8"]);
}
