//! Calling what the user wrote.
//!
//! Responsible for: its panics end here, and a backtrace that is printed of one ends here, too.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// `catch_unwind` around code of the user's.
///
/// What it may have left half-changed is the user's alone, or is given up with the panic.
pub(crate) fn catch_panic<R>(run: impl FnOnce() -> R) -> thread::Result<R> {
    catch_unwind(AssertUnwindSafe(|| __rust_begin_short_backtrace(run)))
}

/// The panic hook of the standard library shows no frame below one of this name, unless `RUST_BACKTRACE=full` asks for them.
#[inline(never)]
fn __rust_begin_short_backtrace<R>(run: impl FnOnce() -> R) -> R {
    let result = run();
    // A call that were the last thing here might take this frame's place.
    black_box(());
    result
}
