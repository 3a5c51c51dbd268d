//! Children by a bare `fork`.
//!
//! # Safety
//!
//! See the head of [`super`] for what a child may do.
#![expect(unsafe_code, reason = "forks; see `# Safety` above")]

use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getppid};

use super::memory::{Shared, Words};
use crate::harness::{Problem, Result, check};
use crate::jobs::plain_square;

/// A forked process, killed when dropped.
pub(super) struct Child {
    pid: Option<Pid>,
}

impl Child {
    /// # Safety
    ///
    /// `body` keeps to what the head of [`super`] allows in a child, and does not panic.
    pub(super) unsafe fn fork(body: impl FnOnce()) -> Result<Self> {
        let parent = nix::unistd::getpid();
        // SAFETY: by the contract above, the child does nothing that another thread of the parent could have left half
        // done.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self { pid: Some(child) }),
            ForkResult::Child => {
                // SAFETY: a system call with numbers only: this process ends with its parent.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                if getppid() == parent {
                    body();
                }
                // SAFETY: ends the process at once; nothing of the parent's is run or written out here.
                unsafe { libc::_exit(0) }
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.map_or(0, |pid| pid.as_raw().unsigned_abs())
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn wait(mut self) -> Result<()> {
        let Some(pid) = self.pid.take() else {
            return Ok(());
        };
        match waitpid(pid, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            status => Err(Problem::failed(format!("a forked child ended: {status:?}"))),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.pid.take() {
            // Failure means that it has ended already, which `waitpid` will say.
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
        }
    }
}

#[repr(C)]
struct Answer {
    square: AtomicU64,
}

// SAFETY: one atomic.
unsafe impl Words for Answer {}

/// One value, worked out in a process of its own.
pub(crate) fn square_in_a_fork(x: u64) -> Result<u64> {
    let answer = Shared::<Answer>::new()?;
    // SAFETY: the child multiplies and stores an atomic.
    let child = unsafe { Child::fork(|| answer.square.store(plain_square(x), Ordering::Release)) }?;
    child.wait()?;
    let square = answer.square.load(Ordering::Acquire);
    check(square == plain_square(x), "square in a fork")?;
    Ok(square)
}

/// A process that does nothing.
pub(crate) fn fork_and_wait() -> Result<()> {
    // SAFETY: the child does nothing.
    unsafe { Child::fork(|| ()) }?.wait()
}
