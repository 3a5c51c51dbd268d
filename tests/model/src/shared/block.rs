//! A block: things in places, where the original has a mapping.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;

/// By their place.
pub(crate) type Things = BTreeMap<usize, Box<dyn Any>>;

/// What lies in a block with the label of this type.
pub(crate) trait Contents {
    /// In so many bytes.
    fn things(len: usize) -> Things;
}

#[derive(Clone, Copy)]
pub(crate) struct Label(fn(usize) -> Things);

impl Label {
    pub(crate) fn of<T: Contents>() -> Self {
        Self(T::things)
    }
}

pub(crate) struct Block {
    things: Things,
    len: usize,
}

impl Block {
    pub(crate) fn large(label: Label, len: usize, _n_reserved: usize) -> Result<Arc<Self>, Error> {
        let things = label.0(len);
        Ok(Arc::new(Self { things, len }))
    }

    pub(crate) fn words<T: Any>(&self, place: usize) -> &T {
        let thing = self
            .things
            .get(&place)
            .and_then(|thing| thing.downcast_ref());
        thing.expect("every thing is read as what it was written as, where it was written")
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Each model has one array.
    pub(crate) fn id(&self) -> u64 {
        1
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").finish_non_exhaustive()
    }
}
