//! Threads of this crate's own in the program.
//!
//! Invariant: none of them takes a signal that is sent to the program, from its first instruction on. The user's handlers run
//! on the user's threads, as they would without this crate.

use std::io;
use std::thread::Builder;

use super::signals;

/// Starts a thread that nobody joins.
///
/// Threads that it starts hold signals back as it does; programs do not.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // A thread begins with the mask of the one that starts it.
    let _held_back = signals::leave_to_others()?;
    Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::sys::testing::signal_set;

    #[test]
    fn signals_to_the_program_are_left_to_others_and_faults_are_not() {
        let held_back = || signal_set("SigBlk:");
        let before = held_back();
        let (tell, told) = channel();
        let first_look = move || tell.send(held_back()).unwrap();
        spawn("procession", first_look).unwrap();
        let mask = told.recv().unwrap();
        assert_eq!(held_back(), before);
        let left_open = (1..=64).filter(|signal| mask & (1 << (signal - 1)) == 0);
        let mut expected = signals::FAULTS.to_vec();
        // Which nobody can hold back.
        expected.extend([libc::SIGKILL, libc::SIGSTOP]);
        // The C library's own.
        expected.extend(32..libc::SIGRTMIN());
        expected.sort_unstable();
        assert_eq!(left_open.collect::<Vec<i32>>(), expected);
    }
}
