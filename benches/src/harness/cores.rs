//! Whether the machine's cores are what they seem, at this moment.
//!
//! Two virtual CPUs may be two threads of one core for minutes on end, and then two busy workers take as long as one that
//! does the work of both: nobody's fault, and nothing that a work could be judged by.

use std::hint::black_box;
use std::thread;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::{Problem, Result, timed};

/// What two threads must gain over one for a round of CPU work to count.
pub(super) const ENOUGH: f64 = 1.5;

/// How many times as fast two `std::thread`s are as one, just now.
pub(super) fn speed_up() -> f64 {
    let (alone, ()) = timed(spin_arithmetic);
    let (pair, ()) = timed(|| {
        thread::scope(|scope| {
            scope.spawn(spin_arithmetic);
            scope.spawn(spin_arithmetic);
        });
    });
    2.0 * alone / pair
}

/// A call, so that one thread and two run the same instructions: copies of the loop at other addresses may take a tenth longer.
#[inline(never)]
fn spin_arithmetic() {
    let sum = (0..8_000_000_u64).fold(0_u64, |sum, i| {
        let i = black_box(i);
        sum.wrapping_add(i.wrapping_mul(i).wrapping_mul(i))
    });
    black_box(sum);
}

/// The first two CPUs that this process may use.
pub(crate) fn two_cores() -> Result<[usize; 2]> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    match (cpus.next(), cpus.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(Problem::absent("this process may use only one core")),
    }
}

/// Keeps a process on one CPU until dropped. A sleeper that is woken on its own CPU answers ten times as soon as one on
/// another, and who goes where is otherwise the scheduler's choice.
#[derive(Debug)]
pub(crate) struct Pinned {
    pid: Pid,
    before: CpuSet,
}

impl Pinned {
    /// 0 is the calling thread.
    pub(crate) fn new(pid: u32, cpu: usize) -> Result<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).map_err(Problem::failed)?);
        let before = sched_getaffinity(pid)?;
        let mut one = CpuSet::new();
        one.set(cpu)?;
        sched_setaffinity(pid, &one)?;
        Ok(Self { pid, before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Failure means that the process is gone.
        let _ = sched_setaffinity(self.pid, &self.before);
    }
}
