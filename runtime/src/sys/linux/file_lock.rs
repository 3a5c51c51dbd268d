//! Turns between processes that use the same file or folder.
//!
//! Responsible for: one turn, waited for no longer than is said. Whoever may open the file may keep the turn for ever, so
//! nothing may depend on getting it.
//!
//! Man page: `flock(2)`.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Waits for the turn, which ends with what is given, or with the process. `None`: somebody keeps it, or there are no turns.
pub(crate) fn take_turn(mut file: File, patience: Duration) -> Option<Flock<File>> {
    let until = Instant::now() + patience;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(turn) => return Some(turn),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < until => file = back,
            Err(_) => return None,
        }
        thread::sleep(Duration::from_millis(1));
    }
}
