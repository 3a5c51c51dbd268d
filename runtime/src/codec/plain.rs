//! Plain data: finds out that a generic type is in fact a number, or a list of numbers, and gives its bytes.
//!
//! A number is a type of which every bit pattern is a value: the integers and floats, not `bool`, not `char`. The
//! casts between numbers and bytes are bytemuck's; what this file adds is the step from a generic `T` to the concrete
//! type, which stable Rust offers only for `'static` types (`TypeId::of`). Does not know positions or streams.
//!
//! In an optimised build every question asked here is answered by the compiler.
//!
//! # Safety
//!
//! All `unsafe` here rests on one fact: if a type `A` has the same [`TypeId`], lifetimes disregarded, as a type `B`
//! that is written without any lifetime, then `A` *is* `B`. A `TypeId` is computed from the type after all
//! lifetimes in it have been erased, so two types with equal ids can differ only in the lifetimes at the places
//! where lifetimes stand; `B` has no such place, so neither has `A`. [`NoLifetimes`] marks the types allowed as `B`.
//! The memory touched is only what the caller's references already give access to, in this process.

use std::{
    any::TypeId,
    marker::PhantomData,
    mem::{self, ManuallyDrop},
    ptr, slice,
    str::Utf8Error,
};

use bytemuck::Pod;

/// A type that is written without any lifetime.
///
/// # Safety
///
/// No lifetime may occur in the type, not even `'static`: `&'static str` would pass for any `&'a str`.
unsafe trait NoLifetimes: Sized + 'static {}

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

/// A slice of numbers within bytes that live for `'b`.
///
/// What a `&'b [T]` would be, if the type could be written where nothing is known of `T`'s lifetimes, as in a job that is
/// generic over `T`.
#[derive(Debug)]
pub(super) struct InPlace<'b, T> {
    first: *const T,
    len: usize,
    bytes: PhantomData<&'b [u8]>,
}

impl<T> InPlace<'_, T> {
    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: `first` and `len` were taken from a valid `&[T]` over bytes borrowed for `'b` (`numbers_from_bytes` is
        // the only maker), and `self` cannot outlive `'b`. The bytes are borrowed shared for that time, so this process
        // does not write to them, and the room's head binds its caller to keep other processes from it.
        unsafe { slice::from_raw_parts(self.first, self.len) }
    }
}

macro_rules! number_types {
    ($use_types:ident) => {
        $use_types! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }
    };
}

macro_rules! implement_traits {
    ($($number:ty)*) => {$(
        // SAFETY: the type is one word without a lifetime.
        unsafe impl NoLifetimes for $number {}
        impl Number for $number {}
    )*};
}
number_types!(implement_traits);

// SAFETY: neither `Vec` nor a number has a lifetime.
unsafe impl<P: Number> NoLifetimes for Vec<P> {}
// SAFETY: neither `Box`, nor a slice type, nor a number has a lifetime.
unsafe impl<P: Number> NoLifetimes for Box<[P]> {}
// SAFETY: the type has no lifetime.
unsafe impl NoLifetimes for String {}
// SAFETY: neither `Box` nor `str` has a lifetime.
unsafe impl NoLifetimes for Box<str> {}

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
                    Some(numbers) => {
                        let numbers: &[T] = uncast_slice(numbers)?;
                        Some(Numbers::InPlace(InPlace {
                            first: numbers.as_ptr(),
                            len: numbers.len(),
                            bytes: PhantomData,
                        }))
                    }
                    None => uncast(copy_misaligned::<$number>(bytes)).map(Numbers::Owned),
                };
            }
        )*};
    }
    number_types!(first_match);
    None
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

/// The identity of a type, its lifetimes disregarded.
#[inline]
fn type_id<T: ?Sized>() -> TypeId {
    trait Identified {
        fn id(&self) -> TypeId
        where
            Self: 'static;
    }

    impl<T: ?Sized> Identified for PhantomData<T> {
        #[inline]
        fn id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }

    let marker = PhantomData::<T>;
    let identified: &dyn Identified = &marker;
    // SAFETY: only the lifetime bound of the trait object changes; it is no part of the layout. That bound lets `id`
    // be called, which touches no data: it returns a constant computed from the type with its lifetimes erased.
    // The reference itself does not leave this function.
    let identified =
        unsafe { mem::transmute::<&dyn Identified, &(dyn Identified + 'static)>(identified) };
    identified.id()
}

/// Whether `A` is `B`.
#[inline]
fn is_same<A, B: NoLifetimes>() -> bool {
    type_id::<A>() == TypeId::of::<B>()
}

/// `value` as what it is, if `A` is `B`.
#[inline]
fn cast_ref<A, B: NoLifetimes>(value: &A) -> Option<&B> {
    if !is_same::<A, B>() {
        return None;
    }
    let pointer = ptr::from_ref(value).cast::<B>();
    // SAFETY: `A` is `B`, as compared above and argued in the head, so this is the reference that came in, with the
    // lifetime it had.
    Some(unsafe { &*pointer })
}

/// `values` as what they are, if `A` is `B`.
#[inline]
fn cast_slice<A, B: NoLifetimes>(values: &[A]) -> Option<&[B]> {
    if !is_same::<A, B>() {
        return None;
    }
    // SAFETY: `A` is `B`, as compared above and argued in the head, so this is the slice that came in, with the length
    // and the lifetime it had.
    Some(unsafe { slice::from_raw_parts(values.as_ptr().cast::<B>(), values.len()) })
}

/// `values` as values of the generic type, if `A` is `B`.
#[inline]
fn uncast_slice<B: NoLifetimes, A>(values: &[B]) -> Option<&[A]> {
    if !is_same::<A, B>() {
        return None;
    }
    // SAFETY: `A` is `B`, as compared above and argued in the head, so this is the slice that came in, with the length
    // and the lifetime it had.
    Some(unsafe { slice::from_raw_parts(values.as_ptr().cast::<A>(), values.len()) })
}

/// `value` as a value of the generic type, if `A` is `B`.
#[inline]
fn uncast<B, A>(value: B) -> Option<A>
where
    B: NoLifetimes,
{
    if !is_same::<A, B>() {
        return None;
    }
    let value = ManuallyDrop::new(value);
    // SAFETY: `A` is `B`, as compared above and argued in the head, and `ManuallyDrop` has the layout of what it
    // holds: this reads a valid `A`. The original is never used nor dropped again, so there is one owner.
    Some(unsafe { mem::transmute_copy::<ManuallyDrop<B>, A>(&value) })
}
