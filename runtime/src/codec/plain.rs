//! Plain data: finds out that a generic type is in fact a number, or a list of numbers, and gives its bytes.
//!
//! A number is a type of which every bit pattern is a value: the integers and floats, not `bool`, not `char`. The
//! casts between numbers and bytes are bytemuck's, the step from a generic `T` to the concrete type is `identity`'s; this
//! file knows which types count as plain. Does not know positions or streams.
//!
//! In an optimised build every question asked here is answered by the compiler.

use std::{any::TypeId, mem, str::Utf8Error};

use bytemuck::Pod;

use super::identity::{
    InPlace, NoLifetimes, cast_mut, cast_ref, cast_slice, is_same, type_id, uncast,
};

/// One of the number types.
trait Number: Pod + NoLifetimes {}

/// A list of numbers, in a type of its own.
trait List: NoLifetimes {
    type Element: Number;

    fn elements(&self) -> &[Self::Element];

    /// `bytes` is a whole number of elements, aligned or not.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Utf8Error>;
}

/// The bytes of a list of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListBytes<'i> {
    pub(super) bytes: &'i [u8],
    pub(super) element: Element,
}

/// Size and alignment of the elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) size: usize,
    pub(super) align: usize,
}

impl Element {
    pub(super) const BYTE: Self = Self::of::<u8>();

    const fn of<T>() -> Self {
        Self {
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }
}

/// Numbers read from bytes: where they lie, or copied because they lie misaligned.
#[derive(Debug)]
pub(super) enum Numbers<'b, T> {
    InPlace(InPlace<'b, T>),
    Owned(Vec<T>),
}

macro_rules! number_types {
    ($use_types:ident) => {
        $use_types! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }
    };
}

macro_rules! implement_traits {
    ($($number:ty)*) => {$(
        impl Number for $number {}
    )*};
}
number_types!(implement_traits);

impl<P: Number> List for Vec<P> {
    type Element = P;

    #[inline]
    fn elements(&self) -> &[P] {
        self
    }

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self, Utf8Error> {
        Ok(match numbers_in_place::<P>(bytes) {
            Some(numbers) => numbers.to_vec(),
            None => copy_misaligned(bytes),
        })
    }
}

impl<P: Number> List for Box<[P]> {
    type Element = P;

    #[inline]
    fn elements(&self) -> &[P] {
        self
    }

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self, Utf8Error> {
        Vec::from_bytes(bytes).map(Vec::into_boxed_slice)
    }
}

impl List for String {
    type Element = u8;

    #[inline]
    fn elements(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self, Utf8Error> {
        str::from_utf8(bytes).map(str::to_owned)
    }
}

impl List for Box<str> {
    type Element = u8;

    #[inline]
    fn elements(&self) -> &[u8] {
        self.as_bytes()
    }

    #[inline]
    fn from_bytes(bytes: &[u8]) -> Result<Self, Utf8Error> {
        str::from_utf8(bytes).map(Box::from)
    }
}

/// Whether `T` is `()`.
#[inline]
pub(super) fn is_unit<T: ?Sized>() -> bool {
    type_id::<T>() == TypeId::of::<()>()
}

/// The size of `T` if it is a number.
#[inline]
pub(super) fn number_size<T: ?Sized>() -> Option<usize> {
    number_element::<T>().map(|element| element.size)
}

/// Size and alignment of `T` if it is a number.
#[inline]
pub(super) fn number_element<T: ?Sized>() -> Option<Element> {
    let id = type_id::<T>();
    macro_rules! first_match {
        ($($number:ty)*) => {$(
            if id == TypeId::of::<$number>() {
                return Some(Element::of::<$number>());
            }
        )*};
    }
    number_types!(first_match);
    None
}

/// The bytes of `values` if they are numbers.
#[inline]
pub(super) fn number_bytes<T>(values: &[T]) -> Option<&[u8]> {
    macro_rules! first_match {
        ($($number:ty)*) => {$(
            if let Some(numbers) = cast_slice::<T, $number>(values) {
                return Some(bytemuck::cast_slice(numbers));
            }
        )*};
    }
    number_types!(first_match);
    None
}

/// The number that `bytes` are, if `T` is a number and there are just as many bytes as it has.
#[inline]
pub(super) fn number_from_bytes<T>(bytes: &[u8]) -> Option<T> {
    macro_rules! first_match {
        ($($number:ty)*) => {$(
            if is_same::<T, $number>() {
                return uncast(bytemuck::try_pod_read_unaligned::<$number>(bytes).ok()?);
            }
        )*};
    }
    number_types!(first_match);
    None
}

/// The numbers that `bytes` are, if `T` is a number; `bytes` must be a whole number of them.
#[inline]
pub(super) fn numbers_from_bytes<T>(bytes: &[u8]) -> Option<Numbers<'_, T>> {
    macro_rules! first_match {
        ($($number:ty)*) => {$(
            if is_same::<T, $number>() {
                return match numbers_in_place::<$number>(bytes) {
                    Some(numbers) => InPlace::new(numbers).map(Numbers::InPlace),
                    None => uncast(copy_misaligned::<$number>(bytes)).map(Numbers::Owned),
                };
            }
        )*};
    }
    number_types!(first_match);
    None
}

/// Appends the numbers that `bytes` are, if `T` is a number; `bytes` must be a whole number of them.
#[inline]
pub(super) fn append_numbers<T>(bytes: &[u8], to: &mut Vec<T>) -> bool {
    macro_rules! first_match {
        ($($number:ty)*) => {$(
            if let Some(to) = cast_mut::<Vec<T>, Vec<$number>>(to) {
                match numbers_in_place(bytes) {
                    Some(numbers) => to.extend_from_slice(numbers),
                    None => to.append(&mut copy_misaligned(bytes)),
                }
                return true;
            }
        )*};
    }
    number_types!(first_match);
    false
}

/// Whether `T` has the outline of a list type, so that only such types pay for the comparison with each of them.
const fn may_be_list<T>() -> bool {
    mem::needs_drop::<T>()
        && (size_of::<T>() == size_of::<Vec<u8>>() || size_of::<T>() == size_of::<Box<[u8]>>())
}

macro_rules! list_types {
    ($use_types:ident) => {
        $use_types! {
            String Box<str>
            Vec<u8> Vec<u16> Vec<u32> Vec<u64> Vec<u128> Vec<usize>
            Vec<i8> Vec<i16> Vec<i32> Vec<i64> Vec<i128> Vec<isize> Vec<f32> Vec<f64>
            Box<[u8]> Box<[u16]> Box<[u32]> Box<[u64]> Box<[u128]> Box<[usize]>
            Box<[i8]> Box<[i16]> Box<[i32]> Box<[i64]> Box<[i128]> Box<[isize]> Box<[f32]> Box<[f64]>
        }
    };
}

/// The bytes of `value` if it is a list of numbers or text.
#[inline]
pub(super) fn list_bytes<T>(value: &T) -> Option<ListBytes<'_>> {
    fn bytes_of<L: List>(list: &L) -> ListBytes<'_> {
        ListBytes {
            bytes: bytemuck::cast_slice(list.elements()),
            element: Element::of::<L::Element>(),
        }
    }
    macro_rules! first_match {
        ($($list:ty)*) => {$(
            if let Some(list) = cast_ref::<T, $list>(value) {
                return Some(bytes_of(list));
            }
        )*};
    }
    if const { may_be_list::<T>() } {
        list_types!(first_match);
    }
    None
}

/// Size and alignment of the elements if `T` is a list of numbers or text.
#[inline]
pub(super) fn list_element<T>() -> Option<Element> {
    fn element_of<L: List>() -> Element {
        Element::of::<L::Element>()
    }
    let id = type_id::<T>();
    macro_rules! first_match {
        ($($list:ty)*) => {$(
            if id == TypeId::of::<$list>() {
                return Some(element_of::<$list>());
            }
        )*};
    }
    if const { may_be_list::<T>() } {
        list_types!(first_match);
    }
    None
}

/// The list that `bytes` are, if `T` is one; `bytes` must be a whole number of elements.
#[inline]
pub(super) fn list_from_bytes<T>(bytes: &[u8]) -> Option<Result<T, Utf8Error>> {
    macro_rules! first_match {
        ($($list:ty)*) => {$(
            if is_same::<T, $list>() {
                return match <$list>::from_bytes(bytes) {
                    Ok(list) => uncast(list).map(Ok),
                    Err(error) => Some(Err(error)),
                };
            }
        )*};
    }
    if const { may_be_list::<T>() } {
        list_types!(first_match);
    }
    None
}

#[inline]
fn numbers_in_place<P: Number>(bytes: &[u8]) -> Option<&[P]> {
    bytemuck::try_cast_slice(bytes).ok()
}

fn copy_misaligned<P: Number>(bytes: &[u8]) -> Vec<P> {
    bytes
        .chunks_exact(size_of::<P>())
        .map(bytemuck::pod_read_unaligned)
        .collect()
}
