//! Which process and thread this is, and whether another process still lives.
//!
//! Responsible for: the ids of this process and thread, cheap and right after any fork; a name for a process that no
//! later process with the same id shares; asking whether the process of such a name has ended. Not responsible for
//! following a process to its end, which is [`Pidfd`](super::pidfd::Pidfd)'s.
//!
//! An *identity* is the pid in the upper 32 bits and a *stamp* in the lower: 30 bits of the process's start in clock
//! ticks, above two bits that are zero and free for the words in which identities are kept. The stamp is 0 where the
//! start is not known. A process keeps its identity through `execve`.
//!
//! Invariants:
//! - What is cached lies in a page that the kernel wipes in a forked child, so that a child never takes itself for its
//!   parent. (A child of `vfork`, which has its parent's memory, must not ask.)
//! - The identity of a process never changes: whichever thread stores it first decides.
//! - [`is_alive`] says no only of a process that has ended. It sees the processes of its own pid namespace, and for
//!   stamps to be comparable all must be in one time namespace.
//!
//! Man pages: `madvise(2)` MADV_WIPEONFORK, `proc_pid_stat(5)`, `kill(2)`, `tgkill(2)`, `gettid(2)`.
//!
//! # Safety
//!
//! The page is private memory of this process, is never unmapped once its address is published, and is touched as
//! atomics only.

#![expect(unsafe_code, reason = "maps and advises the page, tgkill")]

use std::cell::Cell;
use std::ffi::c_void;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};
use nix::sys::signal::kill;
use nix::unistd::{Pid, getpid, gettid};

use super::process::stat_field;

/// What is remembered; 0 where nobody has asked in this process.
struct Page {
    pid: AtomicU32,
    identity: AtomicU64,
}

/// The kernel rounds it up to whole pages.
const PAGE_LEN: NonZeroUsize = NonZeroUsize::new(size_of::<Page>()).unwrap();

/// Stand in for the page of a process before anybody has asked, and where the kernel gave none. Nobody writes them, so
/// whoever reads them finds nothing and asks.
static UNASKED: Page = Page::of_nothing();
static ABSENT: Page = Page::of_nothing();

/// Never null, so that what is remembered is two loads away.
static PAGE: AtomicPtr<Page> = AtomicPtr::new((&raw const UNASKED).cast_mut());

impl Page {
    const fn of_nothing() -> Self {
        Self {
            pid: AtomicU32::new(0),
            identity: AtomicU64::new(0),
        }
    }

    /// To look for what is remembered.
    #[inline]
    fn get() -> &'static Self {
        let page = PAGE.load(Acquire);
        // SAFETY: the address of a static, or of a page that was mapped for this and is never unmapped; a forked child
        // has it too, wiped. No other process sees it, and its threads touch it as atomics only.
        unsafe { &*page }
    }

    /// To remember something, where the kernel has given a page for it.
    #[cold]
    fn to_write() -> Option<&'static Self> {
        if ptr::eq(Self::get(), &UNASKED) {
            make_page();
        }
        let page = Self::get();
        (!ptr::eq(page, &ABSENT)).then_some(page)
    }
}

/// No `OnceLock`: a fork while another thread fills it would leave it locked in the child.
fn make_page() {
    let page = map_wiped_page();
    let made = page.map_or((&raw const ABSENT).cast_mut(), |page| page.cast().as_ptr());
    let unasked = (&raw const UNASKED).cast_mut();
    let is_first = PAGE
        .compare_exchange(unasked, made, AcqRel, Relaxed)
        .is_ok();
    if let Some(page) = page.filter(|_| !is_first) {
        unmap(page);
    }
}

fn map_wiped_page() -> Option<NonNull<c_void>> {
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: without an address to begin at, the kernel takes one that is free: no memory of this process changes.
    let page = unsafe { mmap_anonymous(None, PAGE_LEN, protection, MapFlags::MAP_PRIVATE) }.ok()?;
    // SAFETY: the range was mapped just now and nobody else knows it; the advice concerns children only.
    let advised = unsafe { madvise(page, PAGE_LEN.get(), MmapAdvise::MADV_WIPEONFORK) };
    if advised.is_err() {
        unmap(page);
        return None;
    }
    Some(page)
}

/// Gives back a page that was not published.
fn unmap(page: NonNull<c_void>) {
    // SAFETY: the caller mapped it with this length, and its address has been given to nobody.
    let _unmapped = unsafe { munmap(page, PAGE_LEN.get()) };
}

/// The id of this process.
#[inline]
pub(crate) fn pid() -> u32 {
    match Page::get().pid.load(Relaxed) {
        0 => first_pid(),
        pid => pid,
    }
}

#[cold]
fn first_pid() -> u32 {
    let pid = getpid().as_raw().unsigned_abs();
    if let Some(page) = Page::to_write() {
        page.pid.store(pid, Relaxed);
    }
    pid
}

/// The identity of this process: see the head of this module. The two lowest bits are zero.
#[inline]
pub(crate) fn identity() -> u64 {
    match Page::get().identity.load(Relaxed) {
        0 => first_identity(),
        identity => identity,
    }
}

#[cold]
fn first_identity() -> u64 {
    let pid = pid();
    let Some(page) = Page::to_write() else {
        // Nothing to remember it in: without a stamp it is the same at every call.
        return u64::from(pid) << 32;
    };
    // An entry of another pid is that of another pid namespace's /proc.
    let stamp = Stat::read("self")
        .filter(|own| own.pid == pid)
        .map_or(0, |own| stamp_of(own.start));
    let identity = u64::from(pid) << 32 | u64::from(stamp);
    match page
        .identity
        .compare_exchange(0, identity, Relaxed, Relaxed)
    {
        Ok(_) => identity,
        Err(first) => first,
    }
}

fn stamp_of(start: u64) -> u32 {
    // The shift drops the upper bits: the ticks of 124 days, after which stamps repeat.
    (start as u32) << 2
}

/// The id of the calling thread.
#[inline]
pub(crate) fn thread_id() -> u32 {
    thread_local! {
        /// The process that asked, and what it was told: the thread that forks has another id in the child.
        static KNOWN: Cell<(u64, u32)> = const { Cell::new((0, 0)) };
    }
    let process = identity();
    let (asked_by, known) = KNOWN.get();
    if asked_by == process {
        return known;
    }
    let thread = ask_thread_id();
    KNOWN.set((process, thread));
    thread
}

#[cold]
fn ask_thread_id() -> u32 {
    gettid().as_raw().unsigned_abs()
}

/// Whether this is the id of a living thread of this process.
pub(crate) fn is_own_thread(thread: u32) -> bool {
    // SAFETY: no memory is involved, and signal 0 is none: the kernel only looks whether there is such a thread.
    unsafe { libc::syscall(libc::SYS_tgkill, pid(), thread, 0) == 0 }
}

/// Whether the process of this identity may still live: false only if it has certainly ended.
pub(crate) fn is_alive(other: u64) -> bool {
    let own = identity();
    if other == own {
        return true;
    }
    let pid = (other >> 32) as u32;
    let Some(number) = i32::try_from(pid).ok().filter(|&number| number > 0) else {
        return false;
    };
    // Whoever has no stamp found no entry for itself: there is no /proc, or one that is not about these processes.
    let has_proc = own as u32 != 0;
    match has_proc.then(|| Stat::read(&pid.to_string())).flatten() {
        Some(stat) => !stat.has_ended() && stat.may_be(other),
        // It is hidden, or gone.
        None => kill(Pid::from_raw(number), None) != Err(Errno::ESRCH),
    }
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug)]
struct Stat {
    pid: u32,
    state: char,
    n_threads: u32,
    start: u64,
}

impl Stat {
    fn read(process: &str) -> Option<Self> {
        let bytes: io::Result<Vec<u8>> = fs::read(format!("/proc/{process}/stat"));
        // The name in it can be any bytes.
        Self::parse(&String::from_utf8_lossy(&bytes.ok()?))
    }

    fn parse(stat: &str) -> Option<Self> {
        Some(Self {
            pid: stat.split(' ').next()?.parse().ok()?,
            state: stat_field(stat, 3)?,
            n_threads: stat_field(stat, 20)?,
            start: stat_field(stat, 22)?,
        })
    }

    /// A zombie whose main thread has ended while others run counts these.
    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.n_threads <= 1
    }

    /// Whether it began when the process of this identity did, as far as that is known.
    fn may_be(&self, identity: u64) -> bool {
        let stamp = identity as u32;
        stamp == 0 || stamp == stamp_of(self.start)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::sys::exit_now;
    use crate::sys::testing::{in_child, watched};

    fn sleep_forever() -> ! {
        loop {
            thread::park();
        }
    }

    #[test]
    fn ids_are_the_kernels_in_every_process_and_thread() {
        watched(|| {
            let check = || {
                for _ in 0..2 {
                    assert_eq!(pid(), getpid().as_raw().unsigned_abs());
                    assert_eq!(thread_id(), gettid().as_raw().unsigned_abs());
                    assert_eq!((identity() >> 32) as u32, pid());
                    assert_eq!(identity() & 3, 0);
                }
            };
            check();
            thread::scope(|scope| {
                scope.spawn(check);
            });
            let ours = identity();
            in_child(|| {
                check();
                assert_ne!(identity(), ours);
                in_child(check).succeeds();
                thread::scope(|scope| {
                    scope.spawn(check);
                });
            })
            .succeeds();
            check();
        });
    }

    #[test]
    fn the_page_can_be_had_and_the_stamp_is_the_start() {
        watched(|| {
            assert!(Page::to_write().is_some());
            let start = Stat::read("self").unwrap().start;
            assert_eq!(identity() as u32, (start as u32) << 2);
        });
    }

    #[test]
    fn a_process_is_alive_until_it_is_killed_reaped_or_not() {
        watched(|| {
            let child = in_child(|| sleep_forever());
            let start = Stat::read(&child.pid().to_string()).unwrap().start;
            let name = u64::from(child.pid()) << 32 | u64::from(stamp_of(start));
            assert!(is_alive(name));
            assert!(is_alive(u64::from(child.pid()) << 32), "of unknown start");
            assert!(!is_alive(name ^ 4), "it began at another time");
            child.pidfd().kill(libc::SIGKILL).unwrap();
            while is_alive(name) {
                thread::sleep(Duration::from_millis(1));
            }
            let entry = Stat::read(&child.pid().to_string()).unwrap();
            assert_eq!(entry.state, 'Z');
            assert!(!is_alive(u64::from(child.pid()) << 32));
            child.kill();
            assert!(!is_alive(name));
        });
    }

    #[test]
    fn what_names_no_process_is_not_alive() {
        for garbage in [
            0,
            4,
            u64::MAX,
            1 << 63,
            u64::from(u32::MAX),
            0x7fff_ffff << 32,
        ] {
            assert!(!is_alive(garbage), "{garbage:#x}");
        }
        assert!(is_alive(1 << 32), "init, whose entry may be hidden");
    }

    #[test]
    fn a_process_whose_main_thread_has_ended_is_alive() {
        watched(|| {
            let child = in_child(|| {
                thread::spawn(|| sleep_forever());
                // SAFETY: ends this thread only; the process goes on with the other. Nothing on this stack is used by
                // that one.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
            });
            let entry = child.pid().to_string();
            while Stat::read(&entry).unwrap().state != 'Z' {
                thread::sleep(Duration::from_millis(1));
            }
            let start = Stat::read(&entry).unwrap().start;
            let name = u64::from(child.pid()) << 32 | u64::from(stamp_of(start));
            assert!(is_alive(name));
            child.pidfd().kill(libc::SIGKILL).unwrap();
            while is_alive(name) {
                thread::sleep(Duration::from_millis(1));
            }
        });
    }

    #[test]
    fn own_threads_are_told_from_others() {
        watched(|| {
            assert!(is_own_thread(thread_id()));
            let ended = thread::spawn(thread_id).join().unwrap();
            while is_own_thread(ended) {
                thread::yield_now();
            }
            for other in [0, 1, u32::MAX] {
                assert!(pid() == 1 || !is_own_thread(other));
            }
        });
    }

    #[test]
    fn names_of_any_bytes_do_not_hide_the_start() {
        let stat = "7 (a) Z 1\u{fffd}) R 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 3 0 1234 100";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.pid, stat.state), (7, 'R'));
        assert_eq!((stat.n_threads, stat.start), (3, 1234));
        assert!(Stat::parse("7 (a) R").is_none());
    }

    #[test]
    fn a_thread_that_forks_while_others_ask_finds_its_own_ids() {
        watched(|| {
            in_child(|| {
                for _ in 0..100 {
                    let asker = thread::spawn(|| (pid(), identity(), thread_id()));
                    in_child(|| {
                        if pid() != getpid().as_raw().unsigned_abs() {
                            exit_now(9);
                        }
                        assert_eq!((identity() >> 32) as u32, pid());
                    })
                    .succeeds();
                    asker.join().unwrap();
                }
            })
            .succeeds();
        });
    }
}
