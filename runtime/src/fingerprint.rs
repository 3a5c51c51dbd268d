//! A number that stands for names of types and jobs.

/// Tells lists of names apart but for chance, and is the same in every process of a program: all run one image.
pub(crate) fn fingerprint(names: &[&str]) -> u64 {
    // FNV-1a.
    let bytes = names.iter().flat_map(|name| name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}
