//! For fuzzing: every kind of decoder in front of any bytes.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Decoder;
use crate::shared::Value;
use crate::sync::{Event, Lock};

macro_rules! read_as {
    ($bytes:ident, $method:ident: $($type:ty),* $(,)?) => {$(
        let mut decoder = Decoder::new($bytes);
        if decoder.$method::<$type>().is_ok() {
            let _ = decoder.finish();
        }
    )*};
}

/// Reads the bytes as arguments and results of many types, and as streams of items.
pub fn decode(bytes: &[u8]) {
    read_as!(
        bytes, value: u8, u64, i128, f64, bool, char, (), String, Box<str>, PathBuf, Vec<u8>, Vec<u64>, Vec<bool>,
        Vec<String>, Vec<Vec<u64>>, Option<Vec<u16>>, Result<u64, String>, (u64, f64), [u32; 4], HashMap<String, u64>,
        Duration, IpAddr, Bound<u8>, Result<Vec<Option<String>>, (u16, char)>, BTreeMap<u16, Vec<IpAddr>>,
        Option<Option<Box<[f64]>>>, (Value<u64>, Option<Lock>), Vec<Event>,
    );
    read_as!(bytes, lent: str, Path, [u8], [u64], [f32], [String], [IpAddr], u64, Value<[u8; 100]>);
    for fixed in [None, Some(0), Some(3), Some(usize::MAX)] {
        let mut decoder = Decoder::new(bytes);
        let _ = decoder.skip_items(fixed, 2);
        for _ in 0..1000 {
            let Ok(mut item) = decoder.next_item(fixed) else {
                break;
            };
            assert!(item.position() <= decoder.position());
            let _ = item.value::<Vec<u64>>();
        }
    }
    // What was given in bytes that nobody will read is looked for in them.
    if let Some(tag) = bytes.first_chunk() {
        crate::shared::travel::recall_unread(u64::from_le_bytes(*tag), bytes);
    }
}
