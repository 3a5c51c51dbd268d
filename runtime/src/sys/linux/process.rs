//! This process and its family: fork, names, parents, children.
//!
//! Responsible for: making a process, ending this one, and asking who is related to whom. Not responsible for
//! following one process to its end, which is [`Pidfd`](super::pidfd::Pidfd)'s, nor for starting programs.
//!
//! Invariants: only a process of a single thread is forked.
//!
//! Man pages: `fork(2)`, `_exit(2)`, `prctl(2)` and its pages PR_SET_NAME, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER,
//! `timer_create(2)`, `proc_pid_stat(5)`, `proc_tid_children(5)`, `waitid(2)`.
//!
//! # Safety
//!
//! `fork` is the one dangerous call; its contract stands at [`fork`] and [`fork_unchecked`].

#![expect(unsafe_code, reason = "fork and _exit")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigEvent, SigevNotify, Signal, kill};
use nix::sys::time::TimeSpec;
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::time::ClockId;
use nix::unistd::{ForkResult, Pid, getppid};

pub(crate) use super::identity::pid;

/// Which of the two processes one is after [`fork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forked {
    /// The one that called, with the pid of the new one.
    Parent(u32),
    /// The new one.
    Child,
}

/// Makes a second process of this one, which must have no other thread.
///
/// The contract of fork. The child is a copy of one instant, in which only the calling thread goes on:
///
/// - *Locks.* What another thread held at that instant stays locked in the child for ever, and what it was changing
///   stays half changed: the allocator's arenas, stdout, a `Mutex`, a table inside a C library. We check that there is
///   no other thread and refuse otherwise. What this thread itself holds, it holds in both processes.
/// - *Not everything is copied.* Robust mutexes, record locks, timers and pending signals stay behind; shared mappings
///   and the files behind descriptors are shared, with their offsets. The C library's handlers (`pthread_atfork`) run,
///   and it registers its list of robust mutexes with the kernel again, which a raw `clone` would not do.
/// - *Twice of everything.* Buffers not yet written are written by both, destructors run in both, a random generator
///   gives both the same numbers. Therefore the child must never return into its caller's code and must end with
///   [`exit_now`], on a panic too. What we cannot check: whether code of the user's remembers the pid, holds
///   hardware or speaks a protocol that allows one speaker only. That is why a clean supervisor is the default.
///
/// # Errors
///
/// This process has more than one thread, `/proc` cannot be read, or a limit of processes or memory is reached.
pub(crate) fn fork() -> io::Result<Forked> {
    OneThread::check()?.fork()
}

/// Proof that this process had one thread when it was asked. It stays true, since only a thread starts another, for as
/// long as that thread starts none: whoever keeps it sees to that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneThread(PhantomData<*mut ()>);

impl OneThread {
    pub(crate) fn check() -> io::Result<Self> {
        match n_threads()? {
            1 => Ok(Self(PhantomData)),
            n_threads => Err(io::Error::other(format!(
                "cannot fork a process of {n_threads} threads: the locks of all but one would stay locked in the child"
            ))),
        }
    }

    /// As [`fork`], without asking again.
    pub(crate) fn fork(self) -> io::Result<Forked> {
        // SAFETY: this is the only thread, so none can vanish in the child.
        unsafe { fork_unchecked() }
    }
}

/// Makes a second process of this one.
///
/// # Safety
///
/// Where this process has other threads, the child must do nothing that needs what they may have held at that
/// instant (see [`fork`]): in general, nothing but async-signal-safe calls (`signal-safety(7)`).
pub(crate) unsafe fn fork_unchecked() -> io::Result<Forked> {
    // SAFETY: the caller answers for the child, see above.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Parent(child.as_raw().unsigned_abs())),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Ends this process at once: no destructors, no exit handlers, no flushing of buffers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` may be called at any time; no code of this process runs after it.
    unsafe { libc::_exit(code) }
}

/// Ends this process as [`Pidfd::kill`](super::pidfd::Pidfd::kill) from outside would.
pub(crate) fn kill_self() {
    let _refused_only_by_a_filter = nix::sys::signal::raise(Signal::SIGKILL);
}

/// From now on the kernel kills this process `after` that time, whatever it does; a fork of it is not concerned.
pub(crate) fn kill_after(after: Duration) -> io::Result<()> {
    let notify = SigevNotify::SigevSignal {
        signal: Signal::SIGKILL,
        si_value: 0,
    };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify))?;
    // 0 would disarm it; more than the clock can count is never.
    let after = after.clamp(Duration::from_nanos(1), Duration::from_secs(1 << 40));
    let once = Expiration::OneShot(TimeSpec::from_duration(after));
    timer.set(once, TimerSetTimeFlags::empty())?;
    // Dropped, it would be deleted.
    std::mem::forget(timer);
    Ok(())
}

/// The id of the process that is now the parent; 0 if it is not visible in this pid namespace.
pub(crate) fn parent_pid() -> u32 {
    getppid().as_raw().unsigned_abs()
}

/// How many threads this process has.
///
/// For the kernel a thread lives on for a moment after it was joined (and a scoped one after its scope): a program that
/// has just joined its threads has been seen with two, 4 times in 30,000. More than one is therefore believed only when
/// it is still so fifty milliseconds later.
pub(crate) fn n_threads() -> io::Result<usize> {
    const PAUSES_IN_MICROSECONDS: [u64; 9] = [50, 100, 250, 500, 1000, 3000, 5000, 10_000, 30_000];
    let mut n_threads = n_threads_now()?;
    for pause in PAUSES_IN_MICROSECONDS {
        if n_threads == 1 {
            break;
        }
        thread::sleep(Duration::from_micros(pause));
        n_threads = n_threads_now()?;
    }
    Ok(n_threads)
}

fn n_threads_now() -> io::Result<usize> {
    let stat = read_proc("self/stat")?;
    stat_field(&stat, 20).ok_or_else(|| unexpected("/proc/self/stat"))
}

/// Field `number` of the text of a `/proc/<pid>/stat`, counted from 1 as its page does.
pub(super) fn stat_field<T: std::str::FromStr>(stat: &str, number: usize) -> Option<T> {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    let (_, third_and_on) = stat.rsplit_once(')')?;
    third_and_on
        .split_whitespace()
        .nth(number.checked_sub(3)?)?
        .parse()
        .ok()
}

fn read_proc(name: &str) -> io::Result<String> {
    let path = format!("/proc/{name}");
    fs::read_to_string(&path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {path}: {error}")))
}

fn unexpected(path: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{path} is not as the kernel writes it"),
    )
}

/// Names the calling thread (for the main thread: the process, as `ps` and `top` show it).
///
/// Cut to 15 bytes, at the start of a character, and at a NUL.
pub(crate) fn set_name(name: &str) {
    let until_nul = name.split('\0').next().unwrap_or_default();
    let longest = until_nul.len().min(15);
    let end = (0..=longest)
        .rev()
        .find(|&end| until_nul.is_char_boundary(end))
        .unwrap_or(0);
    let Ok(fitting) = CString::new(&until_nul[..end]) else {
        return;
    };
    // A name is a courtesy to people: a sandbox that forbids it is no reason to fail.
    let _named = prctl::set_name(&fitting);
}

/// From now on the kernel kills this process when the *thread* that forked it ends.
///
/// If the parent, `expected_parent`, has ended already, this process ends here. A change of user or of capabilities
/// takes the effect away again.
pub(crate) fn die_with_parent(expected_parent: u32) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have died before the call: then there is no death left to be told of.
    if parent_pid() != expected_parent {
        exit_now(1);
    }
    Ok(())
}

/// From now on orphaned descendants become children of this process instead of init's.
pub(crate) fn become_subreaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// The children of this process, living or not yet reaped.
///
/// A child that comes or goes meanwhile may be missing or too many: ask until [`has_children`] says no.
fn children() -> io::Result<Vec<u32>> {
    match children_by_thread() {
        // Kernels can be built without these files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => children_by_parent(),
        other => other,
    }
}

/// Each thread has a list of those it forked or inherited.
fn children_by_thread() -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir("/proc/self/task")? {
        let list = thread?.path().join("children");
        let text = match fs::read_to_string(&list) {
            Ok(text) => text,
            // A thread that has just ended; its children have gone to another.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(error),
        };
        children.extend(
            text.split_whitespace()
                .filter_map(|pid| pid.parse::<u32>().ok()),
        );
    }
    Ok(children)
}

/// Looks through all processes for those that name this one as their parent.
fn children_by_parent() -> io::Result<Vec<u32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(other) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        // One that has ended meanwhile has no parent to name.
        let stat = fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        if stat_field(&stat, 4) == Some(pid()) {
            children.push(other);
        }
    }
    Ok(children)
}

/// Whether this process has any child, living or not yet reaped. One system call.
fn has_children() -> bool {
    let look = WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT | WaitPidFlag::WEXITED;
    waitid(Id::All, look) != Err(Errno::ECHILD)
}

/// Kills and reaps every child but these; whether to look again: there was one, and when it ends its own children come to this
/// process, perhaps after the list was made. Children that have taken on another user's rights are left alone.
pub(crate) fn kill_children_except(keep: &[u32]) -> bool {
    if !has_children() {
        return false;
    }
    // Without a list there is nobody to name; the next call asks again.
    let Ok(children) = children() else {
        return true;
    };
    let mut any = false;
    for child in children.into_iter().filter(|child| !keep.contains(child)) {
        any |= kill_and_try_to_reap(child).is_some();
    }
    any
}

/// Ends a child of which nothing but its number is known, and waits for its end.
pub(crate) fn kill_and_reap(child: u32) {
    while kill_and_try_to_reap(child) == Some(false) {
        thread::sleep(Duration::from_micros(100));
    }
}

/// Whether the child is gone; `None` for one that is not to be killed by this process. Its number cannot have passed to
/// another process: it is reaped nowhere else.
fn kill_and_try_to_reap(child: u32) -> Option<bool> {
    let child = Pid::from_raw(i32::try_from(child).ok()?);
    if kill(child, Signal::SIGKILL) == Err(Errno::EPERM) {
        return None;
    }
    let is_alive = waitpid(child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
    Some(!is_alive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{alone, in_child, watched};
    use crate::sys::{Channel, Pidfd, exit_status};

    /// Forks, in a process of one thread: `body` runs in the child of it. For use inside `in_child`.
    fn forked(body: impl FnOnce()) -> u32 {
        match fork().unwrap() {
            Forked::Parent(child) => child,
            Forked::Child => {
                body();
                exit_now(0)
            }
        }
    }

    fn reap(child: u32) {
        Pidfd::open(child).unwrap().reap_blocking().unwrap();
    }

    fn sleep_forever() {
        loop {
            thread::park();
        }
    }

    #[test]
    fn a_process_of_several_threads_is_not_forked() {
        watched(|| {
            // The test harness has several.
            let n_threads = n_threads().unwrap();
            assert!(n_threads > 1);
            let message = fork().unwrap_err().to_string();
            assert!(
                message.starts_with("cannot fork a process of ")
                    && message.contains("threads: the locks"),
                "{message}"
            );
        });
    }

    #[test]
    fn a_process_of_one_thread_is_forked() {
        watched(|| {
            in_child(|| {
                assert_eq!(n_threads().unwrap(), 1);
                let parent = pid();
                let child = forked(|| {
                    if parent_pid() != parent || pid() == parent {
                        exit_now(9);
                    }
                    exit_now(3)
                });
                let ended = Pidfd::open(child).unwrap().reap_blocking().unwrap();
                assert_eq!(exit_status(ended.status).code(), Some(3));
            })
            .succeeds();
        });
    }

    #[test]
    fn threads_that_were_joined_are_not_counted() {
        watched(|| {
            in_child(|| {
                for _ in 0..200 {
                    thread::scope(|scope| {
                        scope.spawn(|| {});
                        scope.spawn(|| {});
                    });
                    assert_eq!(n_threads().unwrap(), 1);
                }
            })
            .succeeds();
        });
    }

    #[test]
    fn threads_that_are_ending_are_not_counted_and_those_that_stay_are() {
        alone(|| {
            for _ in 0..20 {
                // It has at least begun to end.
                let (ending, end) = std::sync::mpsc::channel::<()>();
                thread::spawn(move || drop(ending));
                assert!(end.recv().is_err());
                assert_eq!(n_threads().unwrap(), 1);
            }
            let _stays = thread::spawn(sleep_forever);
            assert_eq!(n_threads().unwrap(), 2);
        });
    }

    #[test]
    fn fields_are_found_behind_any_name() {
        let stat = "42 (a) b) R 7 42 1 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 3 0 100";
        assert_eq!(stat_field(stat, 4), Some(7));
        assert_eq!(stat_field(stat, 20), Some(3));
        assert_eq!(stat_field::<u32>("42 (a", 20), None);
    }

    #[test]
    fn a_name_is_cut_at_a_character() {
        watched(|| {
            in_child(|| {
                let named = |name| {
                    set_name(name);
                    fs::read_to_string("/proc/self/comm").unwrap()
                };
                assert_eq!(named("worker 1"), "worker 1\n");
                assert_eq!(named("fourteen bytesé"), "fourteen bytes\n");
                assert_eq!(named("0123456789abcdefgh"), "0123456789abcde\n");
                assert_eq!(named("a\0b"), "a\n");
            })
            .succeeds();
        });
    }

    #[test]
    fn a_process_cannot_outlive_the_time_it_gave_itself() {
        watched(|| {
            in_child(|| {
                let child = forked(|| {
                    kill_after(Duration::from_millis(5)).unwrap();
                    sleep_forever();
                });
                let ended = Pidfd::open(child).unwrap().reap_blocking().unwrap();
                assert_eq!(ended.status, libc::SIGKILL);
            })
            .succeeds();
        });
    }

    #[test]
    fn a_child_dies_with_its_parent() {
        watched(|| {
            let (here, there) = Channel::pair().unwrap();
            let parent = in_child(|| {
                let parent = pid();
                forked(|| {
                    die_with_parent(parent).unwrap();
                    there.send(&pid().to_le_bytes(), &[]).unwrap();
                    sleep_forever();
                });
                sleep_forever();
            });
            drop(there);
            assert_eq!(here.recv(&mut [0; 4]).unwrap().len, 4);
            parent.kill();
            // The channel closes when the last of the two is gone.
            assert_eq!(here.recv(&mut [0; 4]).unwrap().len, 0);
        });
    }

    #[test]
    fn a_child_whose_parent_is_gone_already_ends() {
        watched(|| {
            let child = in_child(|| die_with_parent(1_000_000_000).unwrap());
            assert_eq!(child.code(), Some(1));
        });
    }

    /// What it had started comes to this process when it ends, and may have come after the list was made.
    #[test]
    fn after_a_child_that_had_ended_already_there_is_another_look() {
        watched(|| {
            in_child(|| {
                let child = forked(|| {});
                waitid(
                    Id::Pid(Pid::from_raw(child as i32)),
                    WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT,
                )
                .unwrap();
                assert!(kill_children_except(&[]));
                assert!(!kill_children_except(&[]));
            })
            .succeeds();
        });
    }

    #[test]
    fn a_subreaper_inherits_orphans_and_finds_them() {
        watched(|| {
            in_child(|| {
                assert!(!has_children());
                assert_eq!(children().unwrap(), Vec::<u32>::new());
                become_subreaper().unwrap();
                let (here, there) = Channel::pair().unwrap();
                let child = forked(|| {
                    let orphan = forked(sleep_forever);
                    there.send(&orphan.to_le_bytes(), &[]).unwrap();
                });
                let mut orphan = [0; 4];
                assert_eq!(here.recv(&mut orphan).unwrap().len, 4);
                let orphan = u32::from_le_bytes(orphan);
                reap(child);
                assert!(has_children());
                assert_eq!(children().unwrap(), [orphan]);
                assert_eq!(children_by_parent().unwrap(), [orphan]);
                Pidfd::open(orphan).unwrap().kill(libc::SIGKILL).unwrap();
                reap(orphan);
                assert!(!has_children());
            })
            .succeeds();
        });
    }
}
