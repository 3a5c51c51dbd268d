//! Random bytes that nobody can foretell.
//!
//! Man page: `getrandom(2)`.
//!
//! # Safety
//!
//! The kernel writes into the caller's slice, within its length, only while the call runs.

#![expect(unsafe_code, reason = "the kernel writes through a pointer")]

use std::io;

use nix::errno::Errno;

/// Fills `bytes`. Waits only in the first moments after the machine's start, until its generator is seeded.
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = &mut bytes[filled..];
        // SAFETY: pointer and length are those of a slice of this process's own memory, borrowed for the call.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(n) {
            // Not negative, as there was no error.
            Ok(n) => filled += n.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_filled_and_no_two_draws_are_alike() {
        let (mut first, mut second) = ([0; 4096], [0; 4096]);
        fill_random(&mut first).unwrap();
        fill_random(&mut second).unwrap();
        assert_ne!(first[..32], second[..32]);
        // 32 zeros in a row would be a piece that was left out.
        assert!(first.windows(32).all(|piece| piece != [0; 32]));
    }
}
