//! Handles through serde: a block is written as its name, and found by it.

use std::sync::Arc;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block::Block;
use super::header::Label;
use super::name::Name;
use crate::codec::beside;

const MEANS_NOTHING: &str = "a handle of shared memory means nothing outside this program: pass it to a job, return it from \
    one, or put it into a `Queue`";

pub(crate) fn serialize<S: Serializer>(block: &Arc<Block>, to: S) -> Result<S::Ok, S::Error> {
    let tag = beside::tag().ok_or_else(|| S::Error::custom(MEANS_NOTHING))?;
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
    if !beside::is_reading() {
        return Err(D::Error::custom(MEANS_NOTHING));
    }
    let (place, generation, tag) = Deserialize::deserialize(from)?;
    let name = Name {
        place,
        generation,
        tag,
    };
    Block::find(name, label).map_err(D::Error::custom)
}

/// Recalls the names that were given under this tag in bytes that nobody will read.
pub(crate) fn recall_unread(tag: u64, bytes: &[u8]) {
    for (place, generation, tag) in beside::names_under(tag, bytes) {
        Block::recall_unread(Name {
            place,
            generation,
            tag,
        });
    }
}

#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod tests {
    use super::super::Value;
    use super::super::testing::Sent;
    use super::*;

    #[test]
    fn names_in_bytes_that_nobody_reads_keep_nothing() {
        let values = [(); 3].map(|()| Value::new(1_u64).unwrap());
        let (kept, mut sent) = (values[1].clone(), Sent::given(&(7_u8, values.clone())));
        drop(values);
        sent.forget();
        recall_unread(78, sent.bytes());
        assert!(sent.read::<(u8, [Value<u64>; 3])>().is_ok());
        let (values, _) = (kept.clone(), drop(kept));
        let mut sent = Sent::given(&(7_u8, [values.clone(), Value::new(2).unwrap()]));
        sent.forget();
        recall_unread(77, sent.bytes());
        assert_eq!(values.get(), 1);
        let gone = sent.refusal::<(u8, [Value<u64>; 2])>();
        assert!(gone.contains("is gone"), "{gone}");
    }
}
