//! The end of a worker that leaves in order: its finalizer, and the end of its state.
//!
//! Responsible for: both in their order, within a time that this process cannot prolong. Not responsible for what a finalizer
//! returns, which its shim sends ([`crate::job`]), nor for workers that are killed: those have no end in order.

use std::time::Duration;

use super::{Birth, WorkerState, catch_panic, finalizer_at, setup_part};
use crate::board::{Ordering, Phase, WorkerRecord};
use crate::codec::Decoder;
use crate::supervisor::SetupPart;
use crate::sys;

pub(super) fn finish(birth: &Birth<'_>, record: &WorkerRecord, mut state: WorkerState) {
    if birth.terms.finalizer.is_none() && !state.needs_drop() {
        return;
    }
    let finishing = &record.finishing;
    finishing
        .since
        .store(sys::monotonic_nanos(), Ordering::Relaxed);
    record.set_phase(Phase::Finishing);
    let limit = Duration::from_nanos(birth.terms.time_to_finish());
    // Code that nobody could end is not begun.
    if let Err(error) = sys::process::kill_after(limit) {
        eprintln!(
            "a worker ends without its finalizer, which could not be given a time limit: {error}"
        );
        sys::exit_now(1);
    }
    if let Some([shim, job]) = birth.terms.finalizer {
        let args = setup_part(birth, SetupPart::FinalizerArgs);
        let result = finalizer_at(shim as i64)
            .map(|finalizer| catch_panic(|| finalizer(Decoder::new(args), job, &mut state)));
        // Its own panics it has caught; these are of what it was given and could not read.
        if !matches!(result, Some(Ok(Ok(())))) {
            sys::exit_now(1);
        }
    }
    // A panic in it has been printed. What was panicked with may panic again when it goes.
    if let Err(payload) = catch_panic(|| drop(state)) {
        std::mem::forget(payload);
    }
    sys::flush_stdio();
}
