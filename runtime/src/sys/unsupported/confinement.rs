//! See the module of this name on Linux.

use std::io;

use super::unsupported;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    pub(crate) niceness: Option<i32>,
    pub(crate) cpus: Vec<usize>,
    pub(crate) open_files: Option<u64>,
    pub(crate) core_bytes: Option<u64>,
}

pub(crate) type Refused = (String, io::Error);

impl Confinement {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    pub(crate) fn from_bytes(_bytes: &[u8]) -> io::Result<Self> {
        unsupported()
    }

    pub(crate) fn apply(&self) -> Result<(), Refused> {
        unsupported().map_err(|error| (String::new(), error))
    }

    /// What follows says why there are no workers.
    pub(crate) fn try_out(&self) -> Result<(), Refused> {
        Ok(())
    }
}
