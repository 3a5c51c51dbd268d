//! What may lie in shared memory.

use bytemuck::Pod;

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
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in shared memory",
    label = "not plain data",
    note = "shareable are integers, floats, arrays of these, and structs of these with `#[derive(Clone, Copy, Shareable)] #[repr(C)]`",
    note = "for `bool` write `u8`, for `char` write `u32`, for an enum its number; references, `Box`, `Vec` and `String` point into one process's memory: \
            write an array of fixed length, or use `Array`"
)]
pub trait Shareable: Pod {}

#[diagnostic::do_not_recommend]
impl<T: Pod> Shareable for T {}
