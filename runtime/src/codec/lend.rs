//! What stands behind a reference parameter: `Lent` is the target of the reference, `Lend` what a caller may pass for it.
//!
//! A worker never gets the caller's reference, but one to the same data: [`Lent::Held`] keeps that data for the time
//! of the call, in the received bytes themselves where it can. Does not decide which parameters a job has.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    ops::Deref,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use super::{CodecError, Decoder, Encoder, Portable, plain::Numbers};

/// A type that a job may take by shared reference: `str`, `Path`, `[T]`, and every [`Portable`] type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel to a worker process",
    label = "needs serde's `Serialize` and `Deserialize`",
    note = "for a type of yours, derive both: `#[derive(serde::Serialize, serde::Deserialize)]`; a type with a borrowed part cannot be read back as an owned value",
    note = "what has no serde travels as something else: an error as a `String`, a `Mutex` as a `Value` or a `Lock`, a channel as a `Queue`"
)]
pub trait Lent {
    /// What keeps the data in the worker, given bytes that live for `'b`.
    type Held<'b>: Deref<Target = Self>;

    /// In the program: appends the data.
    ///
    /// # Errors
    ///
    /// As for [`Encoder::value`].
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError>;

    /// In the worker: gets hold of the data.
    ///
    /// # Errors
    ///
    /// As for [`Decoder::value`].
    fn read<'b>(from: &mut Decoder<'b>) -> Result<Self::Held<'b>, CodecError>;
}

/// Something that a caller may pass where a job takes `&T`: owners of a `T`, and references to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lend a `&{T}` to a job",
    label = "expected something that lends `&{T}`",
    note = "a vector, array, string, box or `Arc` lends what it holds, and so does a reference to one"
)]
pub trait Lend<T: ?Sized> {
    /// The data itself.
    fn lend(&self) -> &T;

    /// Appends the data. The same as `self.lend().write(to)`, for callers that know nothing of `T`'s lifetimes.
    ///
    /// # Errors
    ///
    /// As for [`Encoder::value`].
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError>
    where
        T: Lent;
}

/// The data behind a `&T`, read from bytes.
#[derive(Debug)]
pub struct HeldValue<T>(T);

impl<T> Deref for HeldValue<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// The data behind a `&[T]`: numbers lie where they were received, other elements had to be decoded.
#[derive(Debug)]
pub struct HeldSlice<'b, T>(pub(super) Numbers<'b, T>);

impl<T> Deref for HeldSlice<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Numbers::InPlace(slice) => slice.as_slice(),
            Numbers::Owned(vec) => vec,
        }
    }
}

impl<T: Portable> Lent for T {
    type Held<'b> = HeldValue<T>;

    #[inline]
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.value(self)
    }

    #[inline]
    fn read<'b>(from: &mut Decoder<'b>) -> Result<HeldValue<T>, CodecError> {
        from.value().map(HeldValue)
    }
}

impl<T: Portable> Lent for [T] {
    type Held<'b> = HeldSlice<'b, T>;

    #[inline]
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.slice(self)
    }

    #[inline]
    fn read<'b>(from: &mut Decoder<'b>) -> Result<HeldSlice<'b, T>, CodecError> {
        from.slice()
    }
}

impl Lent for str {
    type Held<'b> = &'b str;

    #[inline]
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.bytes(self.as_bytes());
        Ok(())
    }

    #[inline]
    fn read<'b>(from: &mut Decoder<'b>) -> Result<&'b str, CodecError> {
        from.str()
    }
}

/// A path need not be UTF-8: its bytes are taken as they are.
#[cfg(unix)]
impl Lent for Path {
    type Held<'b> = &'b Path;

    #[inline]
    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        to.bytes(std::os::unix::ffi::OsStrExt::as_bytes(self.as_os_str()));
        Ok(())
    }

    #[inline]
    fn read<'b>(from: &mut Decoder<'b>) -> Result<&'b Path, CodecError> {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(from.bytes()?);
        Ok(Path::new(name))
    }
}

#[cfg(not(unix))]
impl Lent for Path {
    type Held<'b> = &'b Path;

    fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError> {
        let text = self.to_str().ok_or_else(|| {
            CodecError::new(format!(
                "cannot send the path {}: it is not valid Unicode",
                self.display()
            ))
        })?;
        to.bytes(text.as_bytes());
        Ok(())
    }

    fn read<'b>(from: &mut Decoder<'b>) -> Result<&'b Path, CodecError> {
        from.str().map(Path::new)
    }
}

/// Implements [`Lend`] for an owner that gives the target by the expression `$lent`.
macro_rules! lend {
    ([$($generics:tt)*] $target:ty: $owner:ty, |$this:ident| $lent:expr) => {
        impl<$($generics)*> Lend<$target> for $owner {
            #[inline]
            fn lend(&self) -> &$target {
                let $this = self;
                $lent
            }

            #[inline]
            fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError>
            where
                $target: Lent,
            {
                Lent::write(Lend::<$target>::lend(self), to)
            }
        }
    };
}

/// Implements [`Lend`] for a pointer to whatever lends the target.
macro_rules! lend_through {
    ([$($generics:tt)*] $target:ty: $pointer:ty $(, $bound:ident)?) => {
        impl<S: ?Sized + Lend<$target> $(+ $bound)?, $($generics)*> Lend<$target> for $pointer {
            #[inline]
            fn lend(&self) -> &$target {
                S::lend(self)
            }

            #[inline]
            fn write<'i>(&'i self, to: &mut Encoder<'i>) -> Result<(), CodecError>
            where
                $target: Lent,
            {
                S::write(self, to)
            }
        }
    };
}

// For a sized `T` each owner is named: an impl for "a reference to whatever lends a `T`" would overlap with the first.
macro_rules! lend_sized {
    ($($owner:ty),*) => {$(
        lend!([T: Portable] T: $owner, |this| this);
    )*};
}
lend_sized!(T, &T, &&T, Box<T>, &Box<T>, Rc<T>, &Rc<T>, Arc<T>, &Arc<T>);

// For an unsized target, whatever lends it does so through any number of pointers.
macro_rules! lend_unsized {
    ($generics:tt $target:ty) => {
        lend_through!($generics $target: &S);
        lend_through!($generics $target: Box<S>);
        lend_through!($generics $target: Rc<S>);
        lend_through!($generics $target: Arc<S>);
        lend_through!($generics $target: Cow<'_, S>, ToOwned);
    };
}

lend_unsized!([T: Portable] [T]);
lend!([T: Portable] [T]: [T], |this| this);
lend!([T: Portable] [T]: Vec<T>, |this| this);
lend!([T: Portable, const N: usize] [T]: [T; N], |this| this);

lend_unsized!([] str);
lend!([] str: str, |this| this);
lend!([] str: String, |this| this);

lend_unsized!([] Path);
lend!([] Path: Path, |this| this);
lend!([] Path: PathBuf, |this| this);
lend!([] Path: OsStr, |this| Path::new(this));
lend!([] Path: OsString, |this| Path::new(this));
lend!([] Path: str, |this| Path::new(this));
lend!([] Path: String, |this| Path::new(this));
