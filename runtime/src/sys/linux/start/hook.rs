//! The hook before `main`: a constructor in the program's `.init_array`.
//!
//! Responsible for being called, and for running the constructors that come after it: in a copy `main` is
//! never reached, and crates such as `ctor` and `inventory` fill their tables in constructors whose order is
//! up to the linker. What happens then is [`super::copy`]'s.
//!
//! Invariants: in anything but a copy this does nothing. It comes before every constructor that asks for no special
//! place. The constructors after this one run exactly once in a copy: here, since the C library's own loop never
//! gets to them.
//!
//! glibc passes `argc`, `argv` and `envp` to constructors; musl passes nothing, so there they are not declared.
//!
//! See the System V gABI, "Initialization and Termination Functions".
//!
//! # Safety
//!
//! Code that runs before `main` may not count on what Rust's start-up code sets up: SIGPIPE, the handler for
//! stack overflow, the name of the main thread. Environment, standard streams and allocation work.
//! The linker makes `.init_array` one array of function pointers, whose ends it names.
#![expect(unsafe_code, reason = "constructors are found and called by address")]

use std::arch::global_asm;
#[cfg(target_env = "gnu")]
use std::ffi::{c_char, c_int};

use super::copy;

#[cfg(target_env = "gnu")]
type Constructor = unsafe extern "C" fn(c_int, *const *const c_char, *const *const c_char);
#[cfg(not(target_env = "gnu"))]
type Constructor = unsafe extern "C" fn();

// The number puts it before all constructors without one, in whatever order the linker takes the crates, so that
// none of them runs with the marker in its environment or hands the socket on to a process that it starts; and after
// Rust's own (00099), which takes the arguments.
// SAFETY: what the C library expects of each element of this section: a pointer to a function of this type.
#[used]
#[unsafe(link_section = ".init_array.00100")]
static HOOK: Constructor = before_main;

// Weak, because in a shared library (where the hook never takes over) nobody defines them; hidden, because another
// image's array is not ours.
global_asm!(
    ".weak __init_array_start",
    ".hidden __init_array_start",
    ".weak __init_array_end",
    ".hidden __init_array_end",
);

unsafe extern "C" {
    #[link_name = "__init_array_start"]
    static ARRAY_START: usize;
    #[link_name = "__init_array_end"]
    static ARRAY_END: usize;
}

/// # Safety
///
/// Called by the C library, once, before `main`.
#[cfg(target_env = "gnu")]
unsafe extern "C" fn before_main(
    argc: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
) {
    copy::become_supervisor_if_copy(|| {
        for constructor in constructors_after_this_one() {
            // SAFETY: a constructor of this image that has not run, with what the C library gave to this one.
            unsafe { constructor(argc, argv, envp) };
        }
    });
}

/// # Safety
///
/// Called by the C library, once, before `main`.
#[cfg(not(target_env = "gnu"))]
unsafe extern "C" fn before_main() {
    copy::become_supervisor_if_copy(|| {
        for constructor in constructors_after_this_one() {
            // SAFETY: a constructor of this image that has not run.
            unsafe { constructor() };
        }
    });
}

/// The constructors of the program's own image that the C library would call after the hook.
///
/// Not inlined: the weak declarations above hold for references from this object file only.
#[inline(never)]
fn constructors_after_this_one() -> impl Iterator<Item = Constructor> {
    let start = &raw const ARRAY_START;
    let end = &raw const ARRAY_END;
    let this = (&raw const HOOK).cast::<usize>();
    // Without the linker's names there is no array to be seen. Nothing comes here then: the program has
    // found out before the exec that its file is not this image.
    let n_after = if (start.addr()..end.addr()).contains(&this.addr()) {
        (end.addr() - this.addr()) / size_of::<Constructor>() - 1
    } else {
        0
    };
    (1..=n_after).filter_map(move |index| {
        let element = this.wrapping_add(index);
        // SAFETY: between the hook's own element and the array's end; the loader relocated it before the
        // first constructor ran, and nobody writes to it.
        let address = unsafe { element.read_volatile() };
        // 0 and -1 mean "none" in old object files.
        if address == 0 || address == usize::MAX {
            return None;
        }
        // SAFETY: what the section holds, by its definition.
        Some(unsafe { std::mem::transmute::<usize, Constructor>(address) })
    })
}
