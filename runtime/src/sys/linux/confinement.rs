//! What the workers of a pool are confined to beyond what the program itself is: niceness, processors, files, cores.
//!
//! Responsible for its bytes, for finding out in the program whether a worker could be so confined, and for putting it on
//! a worker. Not responsible for limits that the kernel does not keep by itself: see `supervisor/watch.rs`.
//!
//! Invariants: finding out changes nothing in the program; it is tried on a thread made for that, which then ends. Bytes
//! from outside are bounded before they are believed.
//!
//! Man pages: `setpriority(2)`, `sched_setaffinity(2)`, `getrlimit(2)`, `core(5)`.
//!
//! # Safety
//!
//! `setpriority` takes three numbers and touches no memory.
#![expect(unsafe_code, reason = "setpriority has no wrapper")]

use std::io;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

/// `None` and no processors: as the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confinement {
    /// -20 to 19.
    pub(crate) niceness: Option<i32>,
    pub(crate) cpus: Vec<usize>,
    pub(crate) open_files: Option<u64>,
    pub(crate) core_bytes: Option<u64>,
}

/// What could not be done, as "run on CPU 7", and why.
pub(crate) type Refused = (String, io::Error);

const CALLING_THREAD: Pid = Pid::from_raw(0);
const NONE: u64 = u64::MAX;
const LEAST_NICENESS: i32 = -20;

impl Confinement {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let from_least = |niceness: i32| niceness.abs_diff(LEAST_NICENESS).into();
        let numbers = [
            self.niceness.map_or(NONE, from_least),
            self.open_files.unwrap_or(NONE),
            self.core_bytes.unwrap_or(NONE),
        ];
        let cpus = self.cpus.iter().map(|&cpu| cpu as u64);
        let words: Vec<u64> = numbers.into_iter().chain(cpus).collect();
        bytemuck::cast_slice(&words).to_vec()
    }

    /// What [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the bytes are not of that form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        let words: Vec<u64> = bytes
            .chunks(size_of::<u64>())
            .map(bytemuck::try_pod_read_unaligned)
            .collect::<Result<_, _>>()
            .map_err(|_| io::ErrorKind::InvalidData)?;
        let [niceness, open_files, core_bytes, cpus @ ..] = &words[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let given = |word: u64| (word != NONE).then_some(word);
        let niceness = given(*niceness).map(|from_least| {
            let from_least = i32::try_from(from_least).unwrap_or(i32::MAX);
            from_least.saturating_add(LEAST_NICENESS)
        });
        Ok(Self {
            niceness,
            cpus: cpus.iter().map(|&cpu| cpu as usize).collect(),
            open_files: given(*open_files),
            core_bytes: given(*core_bytes),
        })
    }

    /// Puts it on this worker, for good; threads and processes that jobs start have it too.
    pub(crate) fn apply(&self) -> Result<(), Refused> {
        self.apply_to_thread()?;
        for (resource, limit, what) in self.resource_limits() {
            setrlimit(resource, limit, limit)
                .map_err(|error| (format!("limit its {what} to {limit}"), error.into()))?;
        }
        Ok(())
    }

    /// Whether a worker could be so confined.
    pub(crate) fn try_out(&self) -> Result<(), Refused> {
        for (resource, limit, what) in self.resource_limits() {
            let doing = || format!("limit a worker's {what} to {limit}");
            let (_, hard) = getrlimit(resource).map_err(|error| (doing(), error.into()))?;
            if limit > hard {
                let words = format!("this process itself may have {hard} at the most");
                return Err((doing(), io::Error::new(io::ErrorKind::InvalidInput, words)));
            }
        }
        if self.niceness.is_none() && self.cpus.is_empty() {
            return Ok(());
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .spawn_scoped(scope, || self.apply_to_thread())
                .map_err(|error| ("start a thread to try a worker's limits on".into(), error))?;
            // It does not panic.
            thread.join().unwrap_or(Ok(()))
        })
    }

    /// Those that are asked for, and what they limit.
    fn resource_limits(&self) -> impl Iterator<Item = (Resource, u64, &'static str)> {
        let limits = [
            (Resource::RLIMIT_NOFILE, self.open_files, "open files"),
            (Resource::RLIMIT_CORE, self.core_bytes, "core dumps"),
        ];
        let asked_for = |(resource, limit, what)| Some((resource, limit?, what));
        limits.into_iter().filter_map(asked_for)
    }

    fn apply_to_thread(&self) -> Result<(), Refused> {
        if let Some(niceness) = self.niceness {
            // SAFETY: three numbers go in, none of them an address; 0 is the calling thread.
            let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
            Errno::result(set)
                .map_err(|error| (format!("have niceness {niceness}"), error.into()))?;
        }
        if !self.cpus.is_empty() {
            self.set_affinity()?;
        }
        Ok(())
    }

    fn set_affinity(&self) -> Result<(), Refused> {
        let mut wanted = CpuSet::new();
        for &cpu in &self.cpus {
            wanted.set(cpu).map_err(|error| (on(cpu), error.into()))?;
        }
        let all = || on_all(&self.cpus);
        sched_setaffinity(CALLING_THREAD, &wanted).map_err(|error| (all(), error.into()))?;
        // The kernel leaves out those that are not there.
        let had = sched_getaffinity(CALLING_THREAD).map_err(|error| (all(), error.into()))?;
        let missing = |&&cpu: &&usize| !had.is_set(cpu).unwrap_or(false);
        match self.cpus.iter().find(missing) {
            None => Ok(()),
            Some(&cpu) => {
                let words = "there is no such CPU, or it is not for this process";
                Err((on(cpu), io::Error::new(io::ErrorKind::InvalidInput, words)))
            }
        }
    }
}

fn on(cpu: usize) -> String {
    format!("run on CPU {cpu}")
}

fn on_all(cpus: &[usize]) -> String {
    match cpus {
        [cpu] => on(*cpu),
        _ => format!("run on CPUs {cpus:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::testing::{in_child, watched};

    fn some() -> Confinement {
        Confinement {
            niceness: Some(-1),
            cpus: vec![0, 700],
            open_files: Some(64),
            core_bytes: Some(0),
        }
    }

    #[test]
    fn it_survives_the_way_and_other_bytes_are_refused() {
        for confinement in [some(), Confinement::default()] {
            let bytes = confinement.to_bytes();
            assert_eq!(Confinement::from_bytes(&bytes).unwrap(), confinement);
            assert!(Confinement::from_bytes(&bytes[..20]).is_err());
        }
        assert!(Confinement::from_bytes(&[]).is_err());
        assert!(Confinement::from_bytes(&[255; 24]).is_ok());
        assert!(Confinement::from_bytes(&[254; 32]).is_ok());
    }

    #[test]
    fn it_is_tried_out_without_a_trace_and_put_on_for_good() {
        watched(|| {
            in_child(|| {
                let cpus = || sched_getaffinity(CALLING_THREAD).unwrap();
                let before = cpus();
                let first = (0..CpuSet::count()).find(|&cpu| before.is_set(cpu).unwrap());
                let confinement = Confinement {
                    niceness: Some(19),
                    cpus: first.into_iter().collect(),
                    open_files: Some(64),
                    core_bytes: Some(0),
                };
                confinement.try_out().unwrap();
                assert_eq!(cpus(), before);
                // SAFETY: numbers only.
                let niceness = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
                assert!(niceness() < 19);
                confinement.apply().unwrap();
                assert_eq!(niceness(), 19);
                assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((64, 64)));
                assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
                let missing = (0..CpuSet::count())
                    .find(|&cpu| Some(cpu) != first)
                    .unwrap();
                assert_ne!(cpus().is_set(missing), Ok(true));
                let more = Confinement {
                    open_files: Some(65),
                    ..Confinement::default()
                };
                let (doing, error) = more.try_out().unwrap_err();
                assert_eq!(doing, "limit a worker's open files to 65");
                assert_eq!(
                    error.to_string(),
                    "this process itself may have 64 at the most"
                );
            })
            .succeeds();
        });
    }
}
