//! Which signals a process of ours ignores, handles or holds back.
//!
//! Responsible for the dispositions and the mask of a supervisor and of a worker, for holding all
//! signals back over a short stretch of code, and for keeping them from threads of ours. Does not send signals and does not handle a crash: the
//! handlers for SIGSEGV and SIGBUS are [`super::crash`]'s.
//!
//! Invariants: a supervisor survives whatever the terminal sends to the whole process group, since only
//! it can tell the workers to stop; it ends when its program ends. A worker meets signals as a program
//! does whose `main` has just begun, but for SIGINT: that is the program's to answer.
//!
//! The kernel's calls are used for the mask, not the C library's: the library's leave out the two or
//! three signals it keeps for itself, and those must be held back too while two processes share memory.
//!
//! See signal(7), rt_sigprocmask(2), sigaction(2).
//!
//! # Safety
//!
//! Every function here makes only async-signal-safe calls, so all may be called in the child of a
//! `vfork`, where the memory is still the parent's. The one handler does nothing.
#![expect(
    unsafe_code,
    reason = "signal dispositions and masks are set by pointer"
)]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// The highest signal number the kernel knows.
const LAST_SIGNAL: i32 = 64;

/// What a key press or a closed terminal sends to the whole process group, and the polite request to end.
const SENT_TO_THE_GROUP: [i32; 4] = [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM];

/// What a thread brings upon itself.
pub(super) const FAULTS: [i32; 7] = [
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGSEGV,
    libc::SIGSYS,
];

/// Set when the signals of a supervisor are wanted: it outlives Ctrl-C, a closed terminal and SIGTERM.
///
/// Handlers that the program had set are gone afterwards. What is ignored stays ignored over `execve`.
pub(crate) fn ignore_for_supervisor() {
    set_all_to_default();
    for signal in SENT_TO_THE_GROUP {
        set(signal, libc::SIG_IGN, 0);
    }
    set(libc::SIGPIPE, libc::SIG_IGN, 0);
    set_mask(&Mask::EMPTY);
}

/// Sets the signals of a worker, in a fork of a process that called [`ignore_for_supervisor`] and has set none since:
/// as in a program whose `main` has just begun, but Ctrl-C does nothing.
///
/// SIGINT gets a handler, since an ignored signal would stay ignored in every program that a job starts. SIGPIPE stays
/// ignored: Rust's start-up code sets that in every program, and in a worker it has not run.
pub(crate) fn reset_for_worker() {
    for signal in SENT_TO_THE_GROUP {
        set(signal, libc::SIG_DFL, 0);
    }
    // Interrupted reads and writes of a job begin anew, as if nothing had come.
    let handler: extern "C" fn(i32) = do_nothing;
    set(
        libc::SIGINT,
        handler as libc::sighandler_t,
        libc::SA_RESTART,
    );
    set_mask(&Mask::EMPTY);
}

extern "C" fn do_nothing(_signal: i32) {}

/// Puts every signal back to what the kernel does by itself.
///
/// SIGKILL and SIGSTOP cannot be set, and the C library refuses to touch its own signals: no error, since
/// neither has a handler of the program's.
fn set_all_to_default() {
    for signal in 1..=LAST_SIGNAL {
        set(signal, libc::SIG_DFL, 0);
    }
}

fn set(signal: i32, handler: libc::sighandler_t, flags: i32) {
    // SAFETY: the handler is SIG_IGN, SIG_DFL or `do_nothing`.
    let _cannot_be_set = unsafe { set_handler(signal, handler, flags) };
}

/// Sets what a signal does. Async-signal-safe.
///
/// # Errors
///
/// EINVAL for a signal that cannot be set.
///
/// # Safety
///
/// `handler` is SIG_IGN, SIG_DFL or the address of a function of the type that `flags` promise, which makes
/// async-signal-safe calls only.
pub(super) unsafe fn set_handler(
    signal: i32,
    handler: libc::sighandler_t,
    flags: i32,
) -> io::Result<()> {
    // SAFETY: a `sigaction` is integers and a set of bits; all zero is the default action, nothing blocked.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the action lives through the call; the caller answers for the handler.
    if unsafe { libc::sigaction(signal, &action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A set of signals as the kernel has it: bit n - 1 for signal n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mask(u64);

impl Mask {
    const EMPTY: Mask = Mask(0);
    const ALL: Mask = Mask(u64::MAX);
}

/// Signals are held back in this thread while this lives; then the mask is what it was.
#[derive(Debug)]
#[must_use = "signals are held back only while the guard lives"]
pub(crate) struct HeldBack {
    before: Mask,
}

/// Holds back every signal in this thread, the C library's own included.
pub(crate) fn block_all() -> io::Result<HeldBack> {
    Ok(HeldBack {
        before: swap_mask(&Mask::ALL)?,
    })
}

/// Holds back in this thread, and for ever in those that it starts meanwhile, what is sent to the program, so that it goes to
/// other threads.
///
/// Not so what a thread brings upon itself: a fault that is held back kills without a word. Nor the C library's own signals: by
/// them `setuid` reaches every thread, and waits for each.
pub(super) fn leave_to_others() -> io::Result<HeldBack> {
    let own = libc::SIGSYS + 1..libc::SIGRTMIN();
    let kept = FAULTS.into_iter().chain(own);
    let mask = kept.fold(Mask::ALL, |mask, signal| {
        Mask(mask.0 & !(1 << (signal - 1)))
    });
    Ok(HeldBack {
        before: swap_mask(&mask)?,
    })
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        set_mask(&self.before);
    }
}

fn set_mask(mask: &Mask) {
    // A valid pointer and the kernel's own size: the call has no other way to fail, and none is awaited
    // in a child that shares memory.
    let _ = swap_mask(mask);
}

fn swap_mask(mask: &Mask) -> io::Result<Mask> {
    let mut before = Mask::EMPTY;
    // SAFETY: both masks are of the size named last and live through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(mask),
            ptr::from_mut(&mut before),
            size_of::<Mask>(),
        )
    };
    if result == 0 {
        Ok(before)
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{alone, signal_set};

    /// What a line of the thread's status tells of signals 1 to 31 (32 and 33 are the C library's): bit n - 1 for
    /// signal n.
    fn bits(name: &str) -> u64 {
        signal_set(name) & 0x7fff_ffff
    }

    fn bit(signal: i32) -> u64 {
        1 << (signal - 1)
    }

    #[test]
    fn worker_has_default_signals_but_for_pipe_and_ctrl_c() {
        alone(|| {
            set(libc::SIGUSR1, libc::SIG_IGN, 0);
            let handler: extern "C" fn(i32) = do_nothing;
            set(libc::SIGTERM, handler as libc::sighandler_t, 0);
            ignore_for_supervisor();
            std::mem::forget(block_all());
            reset_for_worker();
            assert_eq!(bits("SigIgn:"), bit(libc::SIGPIPE));
            assert_eq!(bits("SigCgt:"), bit(libc::SIGINT));
            assert_eq!(bits("SigBlk:"), 0);
        });
    }

    #[test]
    fn supervisor_ignores_what_the_terminal_sends() {
        alone(|| {
            set(libc::SIGCHLD, libc::SIG_IGN, 0);
            std::mem::forget(block_all());
            ignore_for_supervisor();
            let mut ignored = bit(libc::SIGPIPE);
            for signal in SENT_TO_THE_GROUP {
                ignored |= bit(signal);
            }
            assert_eq!(bits("SigIgn:"), ignored);
            assert_eq!(bits("SigCgt:"), 0);
            assert_eq!(bits("SigBlk:"), 0);
        });
    }

    #[test]
    fn all_signals_are_held_back_until_the_guard_drops() {
        let before = bits("SigBlk:");
        let guard = block_all().unwrap();
        let all_but_kill_and_stop = 0x7fff_ffff & !(bit(libc::SIGKILL) | bit(libc::SIGSTOP));
        assert_eq!(bits("SigBlk:"), all_but_kill_and_stop);
        drop(guard);
        assert_eq!(bits("SigBlk:"), before);
    }
}
