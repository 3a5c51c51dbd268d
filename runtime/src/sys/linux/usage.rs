//! What a process uses of memory and may use of descriptors.
//!
//! Responsible for: readings, and the one limit that the supervisor raises for itself. Not responsible for acting on
//! them.
//!
//! Invariants: none of its own; a reading is of the past.
//!
//! Man pages: `proc_pid_statm(5)`, `proc_pid_smaps(5)`, `getrlimit(2)`.

use std::fs::{self, File};
use std::io::{self, Read};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::memory::page_size;

/// Resident bytes that belong to no file: heap, stacks, written private pages. Pages still shared with a parent since
/// the fork are counted too, so this is at least the private memory's anonymous part. Fast.
pub(crate) fn resident_anonymous(pid: u32) -> io::Result<u64> {
    // Seven numbers: a fixed buffer spares the allocations that would cost as much as the reading.
    let mut buffer = [0; 256];
    let len = File::open(format!("/proc/{pid}/statm"))?.read(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..len]);
    let mut pages = text
        .split_whitespace()
        .skip(1)
        .map_while(|number| number.parse::<u64>().ok());
    match (pages.next(), pages.next()) {
        // The kernel counts per processor and may be some pages off, in either.
        (Some(resident), Some(shared)) => Ok(resident.saturating_sub(shared) * page_size() as u64),
        _ => Err(gone(pid)),
    }
}

/// Resident bytes that no other process has mapped: what would be freed if the process ended. Walks its page tables.
pub(crate) fn private_memory(pid: u32) -> io::Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    if rollup.is_empty() {
        return Err(gone(pid));
    }
    let kibibytes: u64 = rollup
        .lines()
        .filter_map(|line| line.strip_prefix("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    Ok(kibibytes * 1024)
}

/// The files of a process that has ended but is not reaped are there and empty.
fn gone(pid: u32) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("process {pid} has ended"))
}

/// A limit of a resource: the one in force, and how far it may be raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rlimit {
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// Lets this process open as many files as it may; gives the limits as they were.
///
/// Not for processes that run a user's code: `select(2)` fails from descriptor 1024 on, and some programs close every
/// number up to the limit.
pub(crate) fn raise_file_limit() -> io::Result<Rlimit> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(Rlimit { soft, hard })
}

/// Sets the limits of open files to what [`raise_file_limit`] found. Open descriptors past the limit stay open.
pub(crate) fn restore_file_limit(limit: Rlimit) -> io::Result<()> {
    Ok(setrlimit(Resource::RLIMIT_NOFILE, limit.soft, limit.hard)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::pid;
    use crate::sys::testing::{alone, fill, in_child, watched};
    use crate::sys::{Channel, Mapping, memfd};

    const MIB: usize = 1 << 20;

    #[test]
    fn memory_that_a_child_writes_is_its_own_and_shared_memory_is_not() {
        // The memory that other tests had is kept for the next, and `heap` would be found there.
        alone(|| {
            let readings = || {
                (
                    resident_anonymous(pid()).unwrap(),
                    private_memory(pid()).unwrap(),
                )
            };
            let before = readings();
            let mapping = Mapping::shared(&memfd("usage", 16 << 20).unwrap(), 16 * MIB).unwrap();
            let (here, there) = Channel::pair().unwrap();
            // Written by another process, so that the pages are shared by two.
            let other = in_child(|| {
                fill(&mapping, 1);
                there.send(b"filled", &[]).unwrap();
                loop {
                    std::thread::park();
                }
            });
            assert_eq!(here.recv(&mut [0; 8]).unwrap().len, 6);
            fill(&mapping, 1);
            let with_shared = readings();
            let heap = vec![1_u8; 32 * MIB];
            let with_heap = readings();
            std::hint::black_box(&heap);
            drop(other);
            let tolerance = 4 * MIB as u64;
            assert!(
                with_shared.0 < before.0 + tolerance,
                "{before:?} {with_shared:?}"
            );
            assert!(
                with_shared.1 < before.1 + tolerance,
                "{before:?} {with_shared:?}"
            );
            assert!(
                with_heap.0 + tolerance > with_shared.0 + 32 * MIB as u64,
                "{with_shared:?} {with_heap:?}"
            );
            assert!(
                with_heap.1 + tolerance > with_shared.1 + 32 * MIB as u64,
                "{with_shared:?} {with_heap:?}"
            );
        });
    }

    #[test]
    fn the_dead_have_no_memory() {
        watched(|| {
            let child = in_child(|| {});
            while !child.pidfd().has_ended() {
                std::thread::yield_now();
            }
            // Ended but not reaped: the first has zeros to read, the second nothing.
            assert_eq!(resident_anonymous(child.pid()).unwrap_or(0), 0);
            assert!(private_memory(child.pid()).is_err());
            let pid = child.pid();
            child.succeeds();
            assert_eq!(
                resident_anonymous(pid).unwrap_err().kind(),
                io::ErrorKind::NotFound
            );
        });
    }

    #[test]
    fn the_limit_of_files_is_raised_and_restored() {
        watched(|| {
            in_child(|| {
                let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
                setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
                let old = raise_file_limit().unwrap();
                assert_eq!(old, Rlimit { soft: 64, hard });
                assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((hard, hard)));
                restore_file_limit(old).unwrap();
                assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((64, hard)));
            })
            .succeeds();
        });
    }
}
