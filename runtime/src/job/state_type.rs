//! Which type of state an initializer makes, a job borrows.
//!
//! Compared in the program before anything is sent, so that a job never starts in a pool that has not what it borrows. The
//! worker compares again ([`crate::worker::WorkerState`]): what lies on a board is no proof.

use std::any::{TypeId, type_name};

use super::Job;
use crate::error::Error;

/// A type of state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateType {
    id: TypeId,
    name: &'static str,
}

impl StateType {
    /// What is there without an initializer, and borrowed by a job that borrows nothing.
    pub(crate) const NOTHING: fn() -> Self = Self::of::<()>;

    pub(crate) fn of<S: 'static>() -> Self {
        Self {
            id: TypeId::of::<S>(),
            name: type_name::<S>(),
        }
    }

    /// An error where the job borrows what workers with this state have not.
    pub(crate) fn check<J: Job<Item>, Item>(self) -> Result<(), Error> {
        let borrowed = Self::of::<J::State>();
        let nothing = Self::NOTHING();
        if borrowed.id == nothing.id || borrowed.id == self.id {
            return Ok(());
        }
        let there_is = if self.id == nothing.id {
            "its worker has none: run it on a pool whose initializer returns that type".to_owned()
        } else {
            format!("the pool's initializer returns `{}`", self.name)
        };
        Err(Error::invalid_input(format!(
            "the job `{}` borrows a state of type `{}`, and {there_is}",
            J::NAME,
            borrowed.name
        )))
    }
}
