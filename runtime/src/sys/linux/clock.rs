//! Clocks: time that passes, time used on processors.
//!
//! Responsible for: readings. Not responsible for time-outs.
//!
//! Invariants: the monotonic clock is one for all processes of the machine, so a reading may be compared with one
//! that another process wrote to shared memory. It stands still while the machine sleeps.
//!
//! Man pages: `clock_gettime(2)`, `clock_getcpuclockid(3)`.

use std::io;
use std::time::Duration;

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// Nanoseconds since some moment before this machine's start.
pub(crate) fn monotonic_nanos() -> u64 {
    let reading: Duration = ClockId::CLOCK_MONOTONIC
        .now()
        .expect("Linux has had this clock since 2.6")
        .into();
    // 2^64 ns are 584 years.
    reading.as_nanos() as u64
}

/// The time that all threads of a living process have spent on processors.
pub(crate) fn cpu_of(pid: u32) -> io::Result<Duration> {
    let no_such_process = |_too_large| nix::errno::Errno::ESRCH;
    let pid = i32::try_from(pid).map_err(no_such_process)?;
    Ok(clock_getcpuclockid(Pid::from_raw(pid))?.now()?.into())
}

/// A time to wait as the kernel takes it; more than 68 years become 68 years.
pub(super) fn timespec(duration: Duration) -> libc::timespec {
    // Both fit: the seconds by this limit, the rest being below 1,000,000,000.
    let seconds = duration.as_secs().min(i32::MAX as u64);
    libc::timespec {
        tv_sec: seconds as _,
        tv_nsec: duration.subsec_nanos() as _,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::pid;
    use crate::sys::testing::{in_child, watched};

    #[test]
    fn time_passes_and_is_one_for_all_processes() {
        watched(|| {
            let before = monotonic_nanos();
            in_child(|| assert!(monotonic_nanos() >= before)).succeeds();
            assert!(monotonic_nanos() > before);
        });
    }

    #[test]
    fn time_used_is_told_from_outside_as_from_inside() {
        watched(|| {
            let used = || cpu_of(pid()).unwrap();
            while used() < Duration::from_millis(10) {}
            let before = used();
            let inside = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now().unwrap());
            let after = used();
            assert!(
                (before..=after).contains(&inside),
                "{before:?} {inside:?} {after:?}"
            );
        });
    }

    #[test]
    fn a_process_that_is_gone_has_no_clock() {
        watched(|| {
            let child = in_child(|| {});
            let pid = child.pid();
            child.succeeds();
            assert!(cpu_of(pid).is_err());
            assert_eq!(
                cpu_of(u32::MAX).unwrap_err().raw_os_error(),
                Some(nix::libc::ESRCH)
            );
        });
    }
}
