//! A shared library that some other program loads.

/// Prints what becomes of it.
#[unsafe(no_mangle)]
pub extern "C" fn try_it() {
    println!("{:?}", procession::start());
}
