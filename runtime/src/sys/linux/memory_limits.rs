//! How much memory there is and how much of it can still be had, as this process may use it.
//!
//! Responsible for: the smaller of what the machine has and what the memory cgroups of this process (version 2 or 1,
//! every ancestor) allow. Not responsible for acting on it. Other limits (RLIMIT_AS, overcommit) do not concern
//! shared memory.
//!
//! Invariants: what cannot be read sets no limit, so without `/proc` the answer is `u64::MAX`. Only where cgroups are
//! mounted is kept from call to call: a process may be moved, and limits may change, while it runs.
//!
//! Man pages: `proc_meminfo(5)`, `proc_pid_mountinfo(5)`, `cgroups(7)`; the kernel's `cgroup-v2.rst`.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

/// The bytes that can be had before something must be pushed out or killed.
///
/// File cache does not count as used, neither the machine's nor a cgroup's: the kernel takes it back when needed.
pub(crate) fn available_memory() -> u64 {
    let meminfo = read("/proc/meminfo");
    let total = meminfo_bytes(&meminfo, "MemTotal:");
    let available = meminfo_bytes(&meminfo, "MemAvailable:");
    memory_groups()
        .iter()
        // A limit past what the machine has cannot be reached, so its usage need not be read.
        .filter(|group| group.limit < total)
        .map(|group| group.limit.saturating_sub(group.used()))
        .fold(available, u64::min)
}

/// The bytes of the machine or, if less, of the tightest cgroup limit, as of the first call that could read them.
pub(crate) fn total_memory() -> u64 {
    static TOTAL: OnceLock<u64> = OnceLock::new();
    let read_total = || {
        let total = meminfo_bytes(&read("/proc/meminfo"), "MemTotal:");
        memory_groups()
            .iter()
            .map(|group| group.limit)
            .fold(total, u64::min)
    };
    match TOTAL.get().copied().unwrap_or_else(read_total) {
        // Nothing could be read, perhaps for want of a descriptor: the next call may do better.
        u64::MAX => u64::MAX,
        total => *TOTAL.get_or_init(|| total),
    }
}

/// The value of one line of `/proc/meminfo`, `u64::MAX` if there is none.
fn meminfo_bytes(meminfo: &str, name: &str) -> u64 {
    let value = meminfo.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.map_or(u64::MAX, |kibibytes| kibibytes.saturating_mul(1024))
}

/// A memory cgroup that has a limit: that of this process or an ancestor of it.
#[derive(Debug)]
struct MemoryGroup {
    directory: PathBuf,
    version: Version,
    limit: u64,
}

impl MemoryGroup {
    /// Bytes in use that cannot simply be taken back.
    fn used(&self) -> u64 {
        let used = number(&read(self.directory.join(self.version.usage_file()))).unwrap_or(0);
        let statistics = read(self.directory.join("memory.stat"));
        let file_cache: u64 = statistics
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| self.version.file_cache_names().contains(name))
            .filter_map(|(_, value)| number(value))
            .sum();
        used.saturating_sub(file_cache)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn limit_file(self) -> &'static str {
        match self {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        }
    }

    fn usage_file(self) -> &'static str {
        match self {
            Version::V1 => "memory.usage_in_bytes",
            Version::V2 => "memory.current",
        }
    }

    /// Lines of `memory.stat`, those that include descendants.
    fn file_cache_names(self) -> [&'static str; 2] {
        match self {
            Version::V1 => ["total_inactive_file", "total_active_file"],
            Version::V2 => ["inactive_file", "active_file"],
        }
    }
}

fn memory_groups() -> Vec<MemoryGroup> {
    // Half of the cost of an answer would be this one file, and mounts of this kind are made at a system's start.
    static MOUNTS: OnceLock<Vec<Mount>> = OnceLock::new();
    let mounts = MOUNTS.get_or_init(|| {
        read("/proc/self/mountinfo")
            .lines()
            .filter_map(Mount::parse)
            .collect()
    });
    let cgroup = read("/proc/self/cgroup");
    mounts
        .iter()
        .flat_map(|mount| mount.groups(&cgroup))
        .collect()
}

/// A mounted cgroup hierarchy that may control memory.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// The group that is seen at the mount point.
    root: PathBuf,
    mount_point: PathBuf,
}

impl Mount {
    /// Reads one line of `mountinfo`: `id parent major:minor root mount_point options [tags] - type source options`.
    fn parse(line: &str) -> Option<Mount> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (root, mount_point) = (place.next()?.into(), place.next()?.into());
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup2" => Version::V2,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => Version::V1,
            _ => return None,
        };
        Some(Mount {
            version,
            root,
            mount_point,
        })
    }

    /// The directory of this process's group, from the text of `/proc/self/cgroup`: lines of `id:controllers:path`.
    fn own_group(&self, cgroup: &str) -> Option<PathBuf> {
        let path = cgroup.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_it = match self.version {
                Version::V1 => controllers
                    .split(',')
                    .any(|controller| controller == "memory"),
                Version::V2 => controllers.is_empty(),
            };
            is_it.then_some(Path::new(path))
        })?;
        // A container without a namespace of its own sees its path from the host's root, and its mount shows only a
        // part of that tree. Where the group lies outside of what is mounted, the mount point is all that can be seen.
        let below = path.strip_prefix(&self.root).unwrap_or(Path::new(""));
        let is_outside = below.components().any(|part| part == Component::ParentDir);
        Some(if is_outside {
            self.mount_point.clone()
        } else {
            self.mount_point.join(below)
        })
    }

    /// The groups with a limit, from the process's own up to the mount point.
    fn groups(&self, cgroup: &str) -> Vec<MemoryGroup> {
        let own_group = self.own_group(cgroup).unwrap_or_default();
        let within = own_group
            .ancestors()
            .take_while(|directory| directory.starts_with(&self.mount_point));
        let limited = within.filter_map(|directory| {
            // "max", and no file at all in the root group, mean no limit.
            let limit = number(&read(directory.join(self.version.limit_file())))?;
            Some(MemoryGroup {
                directory: directory.to_owned(),
                version: self.version,
                limit,
            })
        });
        limited.collect()
    }
}

/// The text of a file of the kernel's, empty if it cannot be read.
fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_group(mount: &str, cgroup: &str) -> PathBuf {
        Mount::parse(mount).unwrap().own_group(cgroup).unwrap()
    }

    #[test]
    fn there_is_memory_and_not_all_of_it_is_available() {
        let (available, total) = (available_memory(), total_memory());
        assert!(
            available > 0 && available < total && total < u64::MAX,
            "{available} of {total}"
        );
    }

    #[test]
    fn meminfo_counts_in_kibibytes() {
        let meminfo =
            "MemTotal:       24689764 kB\nMemFree:         100 kB\nMemAvailable:    200 kB\n";
        assert_eq!(meminfo_bytes(meminfo, "MemAvailable:"), 200 * 1024);
        assert_eq!(meminfo_bytes("", "MemAvailable:"), u64::MAX);
    }

    #[test]
    fn the_group_of_a_service_is_found_below_the_mount() {
        let mount =
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate";
        let found = own_group(mount, "0::/system.slice/app.service\n");
        assert_eq!(found, Path::new("/sys/fs/cgroup/system.slice/app.service"));
    }

    #[test]
    fn a_group_that_is_not_mounted_is_taken_to_be_the_mount_point() {
        let container = "1 2 0:3 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw";
        assert_eq!(
            own_group(container, "0::/docker/ab\n"),
            Path::new("/sys/fs/cgroup")
        );
        assert_eq!(
            own_group(container, "0::/docker/ab/c\n"),
            Path::new("/sys/fs/cgroup/c")
        );
        assert_eq!(
            own_group(container, "0::/elsewhere\n"),
            Path::new("/sys/fs/cgroup")
        );
        let namespace = "1 2 0:3 / /sys/fs/cgroup ro - cgroup2 cgroup rw";
        assert_eq!(
            own_group(namespace, "0::/../../x\n"),
            Path::new("/sys/fs/cgroup")
        );
    }

    #[test]
    fn of_version_1_only_the_memory_controller_counts() {
        assert_eq!(Mount::parse("31 23 0:28 / /c rw - tmpfs tmpfs rw"), None);
        assert_eq!(
            Mount::parse("32 31 0:29 / /c/cpu rw - cgroup cgroup rw,cpu"),
            None
        );
        let memory = "35 31 0:32 / /c/memory rw - cgroup cgroup rw,memory";
        let found = own_group(memory, "9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/y\n");
        assert_eq!(found, Path::new("/c/memory/a/b"));
    }

    #[test]
    fn every_ancestor_limits_and_file_cache_does_not_count_as_used() {
        let mount_point =
            std::env::temp_dir().join(format!("procession-cgroup-{}", std::process::id()));
        fs::create_dir_all(mount_point.join("parent/child")).unwrap();
        for (directory, limit, current) in [
            ("parent", "1000\n", "700\n"),
            ("parent/child", "max\n", "600\n"),
        ] {
            let directory = mount_point.join(directory);
            fs::write(directory.join("memory.max"), limit).unwrap();
            fs::write(directory.join("memory.current"), current).unwrap();
            fs::write(
                directory.join("memory.stat"),
                "anon 9\ninactive_file 100\nactive_file 50\n",
            )
            .unwrap();
        }
        let mount = Mount {
            version: Version::V2,
            root: "/".into(),
            mount_point: mount_point.clone(),
        };
        let groups = mount.groups("0::/parent/child\n");
        let found: Vec<_> = groups
            .iter()
            .map(|group| (group.limit, group.used()))
            .collect();
        fs::remove_dir_all(&mount_point).unwrap();
        assert_eq!(found, [(1000, 550)]);
    }
}
