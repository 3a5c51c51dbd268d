//! A hint to the core: a line that is about to be written is fetched while other work goes on.
//!
//! What passes between two processes passes by the cache line, and a line that another core wrote last takes 30 to 300 ns
//! to come, as the cores lie. Who knows early enough which line comes next need not wait for it.
//!
//! # Safety
//!
//! The instruction reads and writes nothing and faults nowhere, so it takes any address.
#![cfg_attr(
    all(target_arch = "x86_64", not(miri)),
    expect(unsafe_code, reason = "an instruction; see `# Safety` above")
)]

/// Has the core fetch the line at `place` to write it. Not every architecture has that.
#[inline]
pub(crate) fn prefetch_to_write<T>(place: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: reads and writes nothing, whatever processes do with the line, and does not fault at any address.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = place;
}
