//! The secret that both ends have, and what is proved with it.

use std::fmt;

use hmac_sha256::HMAC;

use crate::error::Error;
use crate::sys;

/// The bytes of a proof.
pub(super) const MAC_LEN: usize = 32;

/// See the module's head. Never shown, not even by `Debug`.
#[derive(Clone)]
pub(super) struct Key(Box<[u8]>);

impl Key {
    /// # Errors
    ///
    /// No bytes are no secret.
    pub(super) fn new(bytes: impl AsRef<[u8]>) -> Result<Self, Error> {
        match bytes.as_ref() {
            [] => Err(Error::invalid_input(
                "a connection's key needs at least one byte; `connection::random_key` makes a good one",
            )),
            bytes => Ok(Self(bytes.into())),
        }
    }

    /// Shows that whoever made it has the key and has seen all these pieces, whose lengths are fixed.
    pub(super) fn prove(&self, pieces: &[&[u8]]) -> [u8; MAC_LEN] {
        self.over(pieces).finalize()
    }

    /// Whether `proof` is that of these pieces, in a time that does not depend on where it is wrong.
    pub(super) fn verifies(&self, pieces: &[&[u8]], proof: &[u8; MAC_LEN]) -> bool {
        self.over(pieces).finalize_verify(proof)
    }

    fn over(&self, pieces: &[&[u8]]) -> HMAC {
        let mut mac = HMAC::new(&self.0);
        pieces.iter().for_each(|piece| mac.update(piece));
        mac
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A key that nobody can guess, from `getrandom(2)`.
///
/// # Errors
///
/// Of kind [`System`](crate::ErrorKind::System) where the system has no random bytes.
///
/// ```
/// use procession::connection::{Listener, random_key};
///
/// let listener = Listener::bind("tcp:127.0.0.1:0", random_key()?)?;
/// # Ok::<(), procession::Error>(())
/// ```
pub fn random_key() -> Result<[u8; 32], Error> {
    random()
}

/// So many bytes that nobody can foretell.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let filled = sys::fill_random(&mut bytes);
    filled.map_err(|cause| Error::system("draw random bytes", cause))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231.
    #[test]
    fn proofs_are_hmac_sha_256() {
        let key = Key::new("Jefe").unwrap();
        let proof = key.prove(&[b"what do ya want ", b"for nothing?"]);
        let text: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn a_proof_with_any_bit_flipped_is_none() {
        let key = Key::new("key").unwrap();
        let proof = key.prove(&[b"seen"]);
        assert!(key.verifies(&[b"seen"], &proof));
        for bit in 0..MAC_LEN * 8 {
            let mut flipped = proof;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifies(&[b"seen"], &flipped), "{bit}");
        }
    }

    #[test]
    fn a_key_is_never_shown_and_never_empty() {
        assert_eq!(format!("{:?}", Key::new("secret").unwrap()), "Key(..)");
        let error = Key::new("").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }
}
