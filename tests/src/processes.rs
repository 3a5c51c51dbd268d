//! Processes as `/proc` shows them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::signal;
use nix::unistd::Pid;

pub use nix::sys::signal::Signal;

/// All processes below `pid`, without those that have ended and only wait to be reaped.
pub fn below(pid: u32) -> Vec<u32> {
    let all: Vec<_> = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .collect();
    let mut found = vec![pid];
    let mut place = 0;
    while place < found.len() {
        let parent = found[place];
        found.extend(
            all.iter()
                .filter(|(_, stat)| stat.parent == parent)
                .map(|(pid, _)| *pid),
        );
        place += 1;
    }
    found.remove(0);
    found.retain(|pid| {
        all.iter()
            .any(|(other, stat)| other == pid && !stat.has_ended())
    });
    found
}

/// How many children of `pid` have ended and were not reaped.
pub fn zombies_of(pid: u32) -> usize {
    let is_one = |stat: &Stat| stat.parent == pid && stat.has_ended();
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| Stat::of(entry.file_name().to_str()?.parse().ok()?))
        .filter(is_one)
        .count()
}

/// All processes that run and were started with `variable` (`NAME=value`) in their environment, and all forked from
/// them, whoever their parent is by now.
pub fn started_with(variable: &str) -> Vec<u32> {
    let has_variable = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|entry| entry == variable.as_bytes())
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| has_variable(pid) && is_alive(*pid))
        .collect()
}

/// Whether the process runs; one that has ended and was not reaped does not.
pub fn is_alive(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| !stat.has_ended())
}

/// Whether somebody has stopped it.
pub fn is_stopped(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.state == 'T')
}

/// The process that it was forked from, or that adopted it.
pub fn parent_of(pid: u32) -> Option<u32> {
    Stat::of(pid).map(|stat| stat.parent)
}

/// Its name, as `ps` shows it.
pub fn name_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim_end()
        .to_owned()
}

/// The signals that the thread at this place in `/proc` holds back: bit n - 1 for signal n.
pub fn held_back(thread: &Path) -> u64 {
    let status = fs::read_to_string(thread.join("status")).expect("a thread");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    u64::from_str_radix(mask.expect("its mask").trim(), 16).expect("a number")
}

/// The same of all threads of this process that have this name.
pub fn held_back_by_threads(name: &str) -> Vec<u64> {
    let has_name = |thread: &PathBuf| {
        fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    fs::read_dir("/proc/self/task")
        .expect("/proc")
        .flatten()
        .map(|entry| entry.path())
        .filter(has_name)
        .map(|thread| held_back(&thread))
        .collect()
}

/// What a process has open of the files in which arrays and queues lie: by descriptor, the bytes that the file takes.
pub fn shared_files_of(pid: u32) -> Vec<u64> {
    memory_files_of(pid, "procession-shared")
}

/// The same of the files in memory that have this name.
pub fn memory_files_of(pid: u32, name: &str) -> Vec<u64> {
    let has_name = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains(name))
    };
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(has_name)
        .filter_map(|path| Some(fs::metadata(path).ok()?.blocks() * 512))
        .collect()
}

/// Sends a signal; a process that has ended meanwhile is no error.
pub fn send(pid: u32, signal: Signal) {
    // Never 0, a group or everybody.
    let pid = i32::try_from(pid)
        .ok()
        .filter(|&pid| pid > 1)
        .expect("the number of a process");
    let _ = signal::kill(Pid::from_raw(pid), signal);
}

struct Stat {
    state: char,
    parent: u32,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold anything, parentheses and spaces too.
        let mut fields = text.rsplit_once(") ")?.1.split(' ');
        Some(Self {
            state: fields.next()?.chars().next()?,
            parent: fields.next()?.parse().ok()?,
        })
    }

    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}
