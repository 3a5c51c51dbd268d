//! Reference parameters: what may be passed for them, and what the worker holds.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{super::Lend, *};

fn lent<T: ?Sized + Lent>(source: &(impl Lend<T> + ?Sized)) -> Stream {
    let mut encoder = Encoder::new();
    encoder
        .lend::<T, _>(source)
        .expect("what is lent can be sent");
    Stream::of(&encoder)
}

macro_rules! all_lend {
    ($target:ty, $expected:expr, [$($source:expr),* $(,)?]) => {$(
        let stream = lent::<$target>(&$source);
        assert_eq!(&*held::<$target>(&stream), $expected, "{}", stringify!($source));
        assert_eq!(Lend::<$target>::lend(&$source), $expected);
    )*};
}

#[test]
fn owners_and_references_lend_text() {
    let owned = String::from("text");
    all_lend!(
        str,
        "text",
        [
            owned,
            &owned,
            &&owned,
            "text",
            &"text",
            Box::<str>::from("text"),
            &Box::<str>::from("text"),
            Arc::<str>::from("text"),
            Rc::<str>::from("text"),
            Arc::new(owned.clone()),
            Cow::Borrowed("text"),
            Cow::<str>::Owned(owned.clone()),
            &Cow::Borrowed("text"),
        ]
    );
}

#[test]
fn owners_and_references_lend_numbers() {
    let owned = vec![1.0, 2.0];
    all_lend!(
        [f64],
        &[1.0, 2.0][..],
        [
            owned,
            &owned,
            &&owned,
            [1.0, 2.0],
            &[1.0, 2.0],
            owned[..],
            &owned[..],
            owned.clone().into_boxed_slice(),
            Arc::<[f64]>::from(owned.clone()),
            Arc::new(owned.clone()),
            &Arc::new(owned.clone()),
            Rc::new(owned.clone()),
            Rc::<[f64]>::from(owned.clone()),
            Arc::new([1.0, 2.0]),
            Cow::Borrowed(&owned[..]),
            Box::new(owned.clone()),
        ]
    );
}

#[test]
fn slices_of_other_elements_are_decoded() {
    let owned = vec![Shape::Nothing, Shape::Number(3)];
    all_lend!(
        [Shape],
        &owned[..],
        [owned, &owned, &owned[..], Arc::new(owned.clone())]
    );
    let texts = ["a", "b"].map(String::from);
    all_lend!([String], &texts[..], [texts, &texts, texts.to_vec()]);
}

#[test]
fn owners_and_references_lend_paths() {
    let owned = PathBuf::from("/some/file");
    let path = Path::new("/some/file");
    all_lend!(
        Path,
        path,
        [
            owned,
            &owned,
            path,
            &path,
            "/some/file",
            String::from("/some/file"),
            OsStr::new("/some/file"),
            OsString::from("/some/file"),
            Box::<Path>::from(path),
            Arc::<Path>::from(path),
            Arc::new(owned.clone()),
            Cow::Borrowed(path),
        ]
    );
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_text() {
    let path: &Path = Path::new(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(
        b"/\xff/x",
    ));
    let stream = lent::<Path>(path);
    assert_eq!(held::<Path>(&stream), path);
}

#[test]
fn owners_and_references_lend_a_sized_value() {
    let value = Shape::Number(5);
    all_lend!(
        Shape,
        &value,
        [
            value,
            &value,
            &&value,
            Box::new(value.clone()),
            &Box::new(value.clone()),
            Rc::new(value.clone()),
            Arc::new(value.clone()),
            &Arc::new(value.clone()),
        ]
    );
    let list = vec![1_u8, 2];
    all_lend!(Vec<u8>, &[1, 2][..], [list, &list, Arc::new(list.clone())]);
    all_lend!(u64, &7, [7, &7]);
}

#[test]
fn text_paths_and_numbers_are_read_in_place() {
    let stream = lent::<str>("text");
    assert!(lies_in(held::<str>(&stream).as_bytes(), stream.bytes()));
    let stream = lent::<Path>("file");
    assert!(lies_in(
        held::<Path>(&stream).as_os_str().as_encoded_bytes(),
        stream.bytes()
    ));
    let stream = lent::<[u128]>(&[1, 2, 3]);
    assert!(lies_in(&held::<[u128]>(&stream), stream.bytes()));
}

#[test]
fn misaligned_numbers_are_copied() {
    let numbers = [1_u64, 2, 3];
    let mut encoder = Encoder::new();
    encoder.lend::<[u64], _>(&numbers).unwrap();
    for offset in 0..=8 {
        let stream = Stream::misaligned(&encoder, offset);
        let held = held::<[u64]>(&stream);
        assert_eq!(*held, numbers);
        assert_eq!(
            lies_in(&held, stream.bytes()),
            offset % align_of::<u64>() == 0
        );
    }
}

/// A job that is generic over its element, as the attribute expands it: nothing is known of `T`'s lifetimes.
#[test]
fn generic_code_lends_without_lifetime_bounds() {
    fn encode<'i, T: Portable, S: Lend<[T]>>(
        item: &'i S,
        to: &mut Encoder<'i>,
    ) -> Result<(), CodecError> {
        to.lend::<[T], _>(item)
    }
    fn call<T: Portable>(from: &mut Decoder<'_>) -> Result<usize, CodecError> {
        Ok(from.lent::<[T]>()?.len() + from.lent::<T>().map_or(0, |_| 100))
    }
    let items = vec![1_u16, 2, 3];
    let mut encoder = Encoder::new();
    encode::<u16, _>(&items, &mut encoder).unwrap();
    assert_eq!(call::<u16>(&mut Stream::of(&encoder).decoder()).unwrap(), 3);
}
