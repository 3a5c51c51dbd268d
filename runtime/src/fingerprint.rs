//! A number that stands for names of types and jobs.

/// Tells lists of names apart but for chance, and is the same in every process of a program: all run one image.
pub(crate) fn fingerprint(names: &[&str]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(PRIME);
        product ^ product >> 32
    };
    names.iter().fold(BASIS, |hash, name| {
        // As FNV-1a, but eight bytes at a time: a worker asks for each task. The length tells a name from one that goes on
        // with zeros, and where one ends and the next begins.
        let (words, rest) = name.as_bytes().as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        let words = words.iter().chain([&last]);
        let hash = words.fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
        mix(hash, name.len() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_that_look_alike_are_told_apart() {
        let lists: [&[&str]; 9] = [
            &[],
            &[""],
            &["", ""],
            &["job"],
            &["job\0"],
            &["jo", "b"],
            &["eightbyt"],
            &["eightbyt", ""],
            &["eightbyt\0\0\0\0\0\0\0\0"],
        ];
        let hashes: std::collections::HashSet<_> = lists.map(fingerprint).into_iter().collect();
        assert_eq!(hashes.len(), lists.len());
        let long = "crate::module::name".repeat(3);
        for place in 0..long.len() {
            let other = format!("{}-{}", &long[..place], &long[place + 1..]);
            assert_ne!(fingerprint(&[&long]), fingerprint(&[&other]), "{place}");
        }
    }
}
