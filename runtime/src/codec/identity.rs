//! Types seen without their lifetimes: whether a generic `T` is a given concrete type, and casts once it is.
//!
//! Stable Rust answers the question only for `'static` types (`TypeId::of`), while a value that travels may have
//! lifetimes in its type. Knows nothing of numbers, lists or bytes.
//!
//! # Safety
//!
//! The casts rest on one fact: if a type `A` has the same [`TypeId`], lifetimes disregarded, as a type `B` that is
//! written without any lifetime, then `A` *is* `B`. A `TypeId` is computed from the type after all lifetimes in it
//! have been erased, so two types with equal ids can differ only in the lifetimes at the places where lifetimes
//! stand; `B` has no such place, so neither has `A`. [`NoLifetimes`] marks the types allowed as `B`. The memory
//! touched is only what the caller's references already give access to, in this process.

use std::{
    any::TypeId,
    marker::PhantomData,
    mem::{self, ManuallyDrop},
    ptr, slice,
};

/// A type that is written without any lifetime.
///
/// # Safety
///
/// No lifetime may occur in the type, not even `'static`: `&'static str` would pass for any `&'a str`.
pub(super) unsafe trait NoLifetimes: Sized + 'static {}

macro_rules! without_lifetimes {
    ($($word:ty)*) => {$(
        // SAFETY: the type is one word without a lifetime.
        unsafe impl NoLifetimes for $word {}
    )*};
}
without_lifetimes! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 }

// SAFETY: neither `Vec` nor its element has a lifetime.
unsafe impl<P: NoLifetimes> NoLifetimes for Vec<P> {}
// SAFETY: neither `Box`, nor a slice type, nor its element has a lifetime.
unsafe impl<P: NoLifetimes> NoLifetimes for Box<[P]> {}
// SAFETY: the type has no lifetime.
unsafe impl NoLifetimes for String {}
// SAFETY: neither `Box` nor `str` has a lifetime.
unsafe impl NoLifetimes for Box<str> {}

/// A slice that lies within bytes that live for `'b`.
///
/// What a `&'b [T]` would be, if the type could be written where nothing is known of `T`'s lifetimes, as in a job that is
/// generic over `T`.
#[derive(Debug)]
pub(super) struct InPlace<'b, T> {
    first: *const T,
    len: usize,
    bytes: PhantomData<&'b [u8]>,
}

impl<'b, T> InPlace<'b, T> {
    /// `slice` as a slice of the generic type, if `T` is `B`.
    #[inline]
    pub(super) fn new<B: NoLifetimes>(slice: &'b [B]) -> Option<Self> {
        is_same::<T, B>().then(|| Self {
            first: slice.as_ptr().cast(),
            len: slice.len(),
            bytes: PhantomData,
        })
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: `first` and `len` are those of the valid `&'b [B]` that `new` was given, `B` is `T` as compared there and
        // argued in the head, and `self` cannot outlive `'b`. The memory is borrowed shared for that time, so this
        // process does not write to it, and the room's head binds its caller to keep other processes from it.
        unsafe { slice::from_raw_parts(self.first, self.len) }
    }
}

/// The identity of a type, its lifetimes disregarded.
#[inline]
pub(super) fn type_id<T: ?Sized>() -> TypeId {
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
pub(super) fn is_same<A, B: NoLifetimes>() -> bool {
    type_id::<A>() == TypeId::of::<B>()
}

/// `value` as what it is, if `A` is `B`.
#[inline]
pub(super) fn cast_ref<A, B: NoLifetimes>(value: &A) -> Option<&B> {
    if !is_same::<A, B>() {
        return None;
    }
    let pointer = ptr::from_ref(value).cast::<B>();
    // SAFETY: `A` is `B`, as compared above and argued in the head, so this is the reference that came in, with the
    // lifetime it had.
    Some(unsafe { &*pointer })
}

/// `value` as what it is, if `A` is `B`.
#[inline]
pub(super) fn cast_mut<A, B: NoLifetimes>(value: &mut A) -> Option<&mut B> {
    if !is_same::<A, B>() {
        return None;
    }
    let pointer = ptr::from_mut(value).cast::<B>();
    // SAFETY: as in `cast_ref`; the reference that came in is not used while this one is.
    Some(unsafe { &mut *pointer })
}

/// `values` as what they are, if `A` is `B`.
#[inline]
pub(super) fn cast_slice<A, B: NoLifetimes>(values: &[A]) -> Option<&[B]> {
    if !is_same::<A, B>() {
        return None;
    }
    // SAFETY: `A` is `B`, as compared above and argued in the head, so this is the slice that came in, with the length
    // and the lifetime it had.
    Some(unsafe { slice::from_raw_parts(values.as_ptr().cast::<B>(), values.len()) })
}

/// `value` as a value of the generic type, if `A` is `B`.
#[inline]
pub(super) fn uncast<B, A>(value: B) -> Option<A>
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
