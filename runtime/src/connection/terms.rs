//! What each end says about itself under the protection of its proof: the types of its messages and the most it takes.
//!
//! Types are compared by their names without paths, `Vec<Order>` for `alloc::vec::Vec<shop::orders::Order>`, since two
//! programs that mean the same type may have it in different crates. Their fields are not compared.

use std::any::type_name;

use super::error::ConnectionError;
use crate::fingerprint::fingerprint;

/// The bytes of a name: its fingerprint, and as much of its text as there is room for.
const NAME_LEN: usize = 64;
const TEXT_LEN: usize = NAME_LEN - size_of::<u64>();

/// The bytes of an end's terms: what it sends, what it receives, the most bytes it takes.
pub(super) const TERMS_LEN: usize = 2 * NAME_LEN + size_of::<u64>();

/// See the module's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    sends: Name,
    receives: Name,
    /// The most bytes of a message that this end receives.
    pub(super) message_limit: u64,
}

impl Terms {
    pub(super) fn of<S, R>(message_limit: u64) -> Self {
        Self {
            sends: Name::of(&short_name(type_name::<S>())),
            receives: Name::of(&short_name(type_name::<R>())),
            message_limit,
        }
    }

    pub(super) fn to_bytes(&self) -> [u8; TERMS_LEN] {
        let mut bytes = [0; TERMS_LEN];
        let (sends, rest) = bytes.split_at_mut(NAME_LEN);
        let (receives, limit) = rest.split_at_mut(NAME_LEN);
        sends.copy_from_slice(&self.sends.0);
        receives.copy_from_slice(&self.receives.0);
        limit.copy_from_slice(&self.message_limit.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; TERMS_LEN]) -> Self {
        let [sends, receives] =
            [0, NAME_LEN].map(|at| Name(std::array::from_fn(|index| bytes[at + index])));
        let limit = std::array::from_fn(|index| bytes[2 * NAME_LEN + index]);
        Self {
            sends,
            receives,
            message_limit: u64::from_le_bytes(limit),
        }
    }

    /// # Errors
    ///
    /// What one end sends is not what the other receives.
    pub(super) fn agree_with(&self, theirs: &Self) -> Result<(), ConnectionError> {
        if self.sends == theirs.receives && self.receives == theirs.sends {
            return Ok(());
        }
        Err(ConnectionError::WrongType {
            ours: self.to_text(),
            theirs: theirs.to_text(),
        })
    }

    fn to_text(&self) -> String {
        let [sends, receives] = [&self.sends, &self.receives].map(Name::to_text);
        format!("sends `{sends}` and receives `{receives}`")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Name([u8; NAME_LEN]);

impl Name {
    fn of(name: &str) -> Self {
        let (mut bytes, text) = ([0; NAME_LEN], name.as_bytes());
        let len = text.len().min(TEXT_LEN);
        bytes[..NAME_LEN - TEXT_LEN].copy_from_slice(&fingerprint(&[name]).to_le_bytes());
        bytes[NAME_LEN - TEXT_LEN..][..len].copy_from_slice(&text[..len]);
        Self(bytes)
    }

    fn to_text(&self) -> String {
        let text = &self.0[NAME_LEN - TEXT_LEN..];
        let is_whole = text.last() == Some(&0);
        let text = String::from_utf8_lossy(text);
        let text = text.trim_end_matches('\0');
        format!("{text}{}", if is_whole { "" } else { "…" })
    }
}

/// A type's name without the paths in it.
fn short_name(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    // Where the path that is being read began.
    let mut begin = 0;
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            short.truncate(begin);
            rest = after;
            continue;
        }
        short.push(first);
        rest = &rest[first.len_utf8()..];
        let goes_on = first.is_alphanumeric() || matches!(first, '_' | '{' | '}' | '#');
        if !goes_on {
            begin = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_their_paths() {
        for (name, short) in [
            ("u64", "u64"),
            ("alloc::vec::Vec<shop::orders::Order>", "Vec<Order>"),
            ("(a::B, [c::D; 3], &str)", "(B, [D; 3], &str)"),
            (
                "core::result::Result<(), a::{{closure}}::Local>",
                "Result<(), Local>",
            ),
            ("a::Größe", "Größe"),
        ] {
            assert_eq!(short_name(name), short);
        }
    }

    #[test]
    fn terms_cross_as_they_are_and_agree_crosswise() {
        let ours = Terms::of::<Vec<u64>, String>(5);
        assert_eq!(Terms::from_bytes(&ours.to_bytes()), ours);
        assert_eq!(ours.agree_with(&Terms::of::<String, Vec<u64>>(6)), Ok(()));
        let error = ours.agree_with(&ours).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this end sends `Vec<u64>` and receives `String`, the other end sends `Vec<u64>` and receives `String`"
        );
    }

    #[test]
    fn names_too_long_to_be_told_are_still_told_apart() {
        type Long = [[Vec<Vec<Vec<Vec<Option<Option<Option<u8>>>>>>>; 100]; 100];
        let name = short_name(type_name::<(Long, Long, u8)>());
        assert!(name.len() > TEXT_LEN);
        let ours = Terms::of::<(Long, Long, u8), ()>(0);
        assert!(
            ours.agree_with(&Terms::of::<(), (Long, Long, u16)>(0))
                .is_err()
        );
        assert!(ours.sends.to_text().ends_with('…'));
    }
}
