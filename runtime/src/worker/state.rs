//! What the initializer made in this worker, lent to one job after another.
//!
//! Invariant: a job gets the state only as the very type that it is (`Any`); whatever the program said, here it is
//! looked at again.

use std::any::{Any, type_name};

use crate::codec::CodecError;

/// The state of one worker.
pub(crate) struct WorkerState {
    made: Box<dyn Any>,
    name: &'static str,
    needs_drop: bool,
    /// For jobs that borrow nothing.
    nothing: (),
    /// Whether the present task's job has borrowed it.
    is_lent: bool,
}

impl WorkerState {
    pub(crate) fn new<S: 'static>(state: S) -> Self {
        Self {
            made: Box::new(state),
            name: type_name::<S>(),
            needs_drop: std::mem::needs_drop::<S>(),
            nothing: (),
            is_lent: false,
        }
    }

    /// Of a worker without initializer.
    pub(crate) fn nothing() -> Self {
        Self::new(())
    }

    /// The state as an `S`, which it must be.
    pub(crate) fn lend<S: 'static>(&mut self) -> Result<&mut S, CodecError> {
        let nothing: &mut dyn Any = &mut self.nothing;
        if nothing.is::<S>() {
            return Ok(nothing.downcast_mut().expect("looked at just now"));
        }
        self.is_lent = true;
        let name = self.name;
        self.made.downcast_mut().ok_or_else(|| {
            CodecError::new(format!(
                "the job borrows a state of type `{}`, and its worker's is `{name}`",
                type_name::<S>()
            ))
        })
    }

    /// A new task begins.
    pub(super) fn take_back(&mut self) {
        self.is_lent = false;
    }

    /// Whether the present task's job has borrowed it.
    pub(super) fn is_lent(&self) -> bool {
        self.is_lent
    }

    /// Whether something is to be done when it goes.
    pub(super) fn needs_drop(&self) -> bool {
        self.needs_drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_lent_as_what_it_is_and_as_nothing_else() {
        let mut state = WorkerState::new(String::from("model"));
        state.lend::<()>().unwrap();
        assert!(!state.is_lent(), "nothing was borrowed");
        state.lend::<String>().unwrap().push('s');
        assert!(state.is_lent());
        assert_eq!(state.lend::<String>().unwrap(), "models");
        state.take_back();
        let error = state.lend::<Vec<u8>>().unwrap_err().to_string();
        assert_eq!(
            error,
            "the job borrows a state of type `alloc::vec::Vec<u8>`, and its worker's is `alloc::string::String`"
        );
        assert!(WorkerState::nothing().lend::<String>().is_err());
    }
}
