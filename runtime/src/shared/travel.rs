//! Handles through serde: a block is written as its name, and found by it.

use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block::{Block, Label, Name};
use crate::codec::{Decoder, beside};

pub(crate) fn serialize<S: Serializer>(block: &Arc<Block>, to: S) -> Result<S::Ok, S::Error> {
    let tag = beside::tag().ok_or_else(|| {
        S::Error::custom(
            "a handle of shared memory means nothing outside this program: pass it to a job, return it from one, or \
             put it into a `Queue`",
        )
    })?;
    let Name {
        place,
        generation,
        tag,
    } = block.name(tag).map_err(S::Error::custom)?;
    beside::embark(Arc::clone(block) as _);
    (place, generation, tag).serialize(to)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    label: Label,
    from: D,
) -> Result<Arc<Block>, D::Error> {
    let (place, generation, tag) = Deserialize::deserialize(from)?;
    let name = Name {
        place,
        generation,
        tag,
    };
    Block::find(name, label).map_err(D::Error::custom)
}

/// Bytes of a name, the tag last.
const NAME_LEN: usize = 20;

/// Recalls the names that were given under this tag in bytes that nobody will read.
///
/// What type these are of is not known here. A tag is a number drawn at random, so where it stands there is a name.
pub(crate) fn recall_unread(tag: u64, bytes: &[u8]) {
    let is_name = |window: &&[u8]| window.ends_with(&tag.to_le_bytes());
    for window in bytes.windows(NAME_LEN).filter(is_name) {
        if let Ok((place, generation, tag)) = Decoder::new(window).value() {
            Block::recall_unread(Name {
                place,
                generation,
                tag,
            });
        }
    }
}
