//! On which CPUs this process runs.
//!
//! Responsible for: keeping it to one. Not responsible for how many there are, see [`n_cores`](super::super::n_cores).
//!
//! Man pages: `sched_setaffinity(2)`.

use std::io;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Keeps the calling thread, and what it starts from now on, to one of the CPUs that it may use: that of this place in
/// their order, begun again behind the last.
///
/// # Errors
///
/// Those of the kernel: that CPU went offline meanwhile, or there are more CPUs than fit a set of 1024.
pub(crate) fn pin(place: usize) -> io::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu) == Ok(true))
        .collect();
    let cpu = *cpus.get(place % cpus.len().max(1)).ok_or(Errno::EINVAL)?;
    let mut one = CpuSet::new();
    one.set(cpu)?;
    Ok(sched_setaffinity(this, &one)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{in_child, watched};

    #[test]
    fn each_place_has_a_cpu_and_they_begin_again() {
        watched(|| {
            let allowed = || {
                let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
                (0..CpuSet::count())
                    .filter(|&cpu| set.is_set(cpu).unwrap())
                    .collect::<Vec<_>>()
            };
            let all = allowed();
            for place in 0..2 * all.len() {
                let expected = all[place % all.len()];
                in_child(move || {
                    pin(place).unwrap();
                    assert_eq!(allowed(), [expected]);
                })
                .succeeds();
            }
        });
    }
}
