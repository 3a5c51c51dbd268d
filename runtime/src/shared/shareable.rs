//! What may lie in shared memory.

use bytemuck::Pod;
/// Derives [`Shareable`](trait@Shareable), where it is documented.
pub use procession_macros::Shareable;

/// Plain data: every pattern of its bytes is a value, so that no other process can ever make it invalid.
///
/// Integers, floats, arrays of these, and structs of these with `#[derive(Shareable)]`. It is the same as
/// [`bytemuck::Pod`], so types for which another crate has implemented that are shareable too. Not among them are:
/// `bool` and `char` (store a `u8` or `u32` and convert), enums (store their number), references, `Box`, `Vec` and
/// `String` (they point into the memory of one process), and structs with padding between their fields.
///
/// # The derive
///
/// For structs without type parameters that are [`Copy`] and `#[repr(C)]` or `#[repr(transparent)]`. What cannot be shared is a
/// compile error at its own place. `#[shareable(crate = path)]` says where this crate is to be found, if not at
/// `::procession`.
///
/// ```
/// use procession::{Shareable, Value};
///
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Progress {
///     done: u64,
///     fraction: f32,
///     is_finished: u8,    // 0 or 1; a `bool` has patterns that are no value
///     _padding: [u8; 3],  // or else the compiler would put three bytes here that hold nothing
/// }
///
/// let progress = Value::new(Progress { done: 0, fraction: 0.0, is_finished: 0, _padding: [0; 3] })?;
/// progress.update(|progress| progress.done += 1);
/// assert_eq!(progress.get().done, 1);
/// # Ok::<(), procession::Error>(())
/// ```
/// What the compiler refuses:
///
/// ```compile_fail
/// # use procession::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Padded {
///     kind: u8,
///     number: u32, // three bytes of padding before it
/// }
/// ```
///
/// ```compile_fail
/// # use procession::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Flag {
///     is_set: bool, // 2 is no `bool`
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "not plain data",
    note = "shareable are integers, floats, arrays of these, and structs of these with `#[derive(Clone, Copy, Shareable)] #[repr(C)]`",
    note = "for `bool` write `u8`, for `char` write `u32`, for an enum its number, for an `Option` a number and a flag; references, `Box`, `Vec` and `String` point into one process's memory: \
            write an array of fixed length, or use `Array`"
)]
pub trait Shareable: Pod {}

#[diagnostic::do_not_recommend]
impl<T: Pod> Shareable for T {}

/// What looks like the derive's path to this crate has to be it.
///
/// ```
/// mod real { pub use procession::__private; }
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(C)]
/// #[shareable(crate = crate::real)]
/// struct Number { number: u8 }
/// fn main() {}
/// ```
///
/// ```compile_fail
/// mod fake {
///     pub mod __private {
///         pub use procession::__private::{Pod, Zeroable};
///         pub trait Shareable {}
///         impl<T> Shareable for T {}
///     }
/// }
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(C)]
/// #[shareable(crate = crate::fake)]
/// struct Flag { is_set: bool }
/// fn main() {}
/// ```
///
/// Padding at the end, and inside a transparent struct's only field, counts as well.
///
/// ```compile_fail
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(C)]
/// struct Padded { number: u32, kind: u8 }
/// ```
///
/// ```compile_fail
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(transparent)]
/// struct Flag(bool);
/// ```
///
/// A crate that calls itself `core` hides none.
///
/// ```compile_fail
/// extern crate self as core;
/// pub mod mem {
///     pub use std::mem::offset_of;
///     pub const fn size_of<T>() -> usize { 4 }
/// }
/// #[macro_export]
/// macro_rules! assert { ($($tokens:tt)*) => { () } }
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(C)]
/// struct Padded { kind: u8, number: u32 }
/// fn main() {}
/// ```
///
/// ```
/// extern crate self as core;
/// pub mod mem {
///     pub use std::mem::offset_of;
///     pub const fn size_of<T>() -> usize { 4 }
/// }
/// #[macro_export]
/// macro_rules! assert { ($($tokens:tt)*) => { () } }
/// #[derive(Clone, Copy, procession::Shareable)]
/// #[repr(C)]
/// struct Whole { kind: [u8; 4], number: u32 }
/// fn main() {}
/// ```
///
/// A struct that is not `Copy` may have a destructor.
///
/// ```compile_fail
/// #[derive(Clone, procession::Shareable)]
/// #[repr(C)]
/// struct Number { number: u8 }
/// ```
#[cfg(doctest)]
#[expect(dead_code, reason = "carries tests")]
struct Refused;
