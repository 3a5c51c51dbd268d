//! The numbers of errors that other rooms have to name.
//!
//! Man page: `errno(3)`.

/// Something went wrong that has no number of its own.
pub(crate) const EIO: i32 = libc::EIO;
/// A descriptor is missing, or is not what it should be.
pub(crate) const EBADF: i32 = libc::EBADF;
/// More descriptors than may be open.
pub(crate) const EMFILE: i32 = libc::EMFILE;
/// An argument that means nothing.
pub(crate) const EINVAL: i32 = libc::EINVAL;
/// There is no such thing.
pub(crate) const ENOENT: i32 = libc::ENOENT;
