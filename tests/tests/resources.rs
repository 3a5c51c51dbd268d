//! Nothing grows: pools, jobs and processes by the thousand leave the program and its supervisor as they were. Where
//! processes cannot be had, whoever asked is told, and when they can be had again, all goes on.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use procession::{Pool, job, pool_map, process_job, spawn};
use procession_tests::{MOMENTS, Story, begin, supervisor_pid};

#[process_job]
fn square(x: u64) -> u64 {
    x * x
}

/// What a process has: descriptors, mappings, KiB of memory that are its own.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    n_descriptors: usize,
    n_mappings: usize,
    private_kib: usize,
}

impl Holdings {
    fn of(pid: u32) -> Self {
        let read = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("/proc");
        let status = read("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let private = line.expect("a line of this name").trim_end_matches("kB");
        Self {
            n_descriptors: fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("/proc")
                .count(),
            n_mappings: read("maps").lines().count(),
            private_kib: private.trim().parse().expect("a number"),
        }
    }

    /// More descriptors, more mappings than the allocator's few, or a mebibyte.
    fn has_grown_to(self, later: Self) -> bool {
        later.n_descriptors > self.n_descriptors
            || later.n_mappings > self.n_mappings + 4
            || later.private_kib > self.private_kib + 1024
    }
}

/// Has `act` done so many times, and the program and its supervisor looked at after a few and after all.
#[track_caller]
fn nothing_grows(n: u64, act: impl Fn(u64)) {
    let _test = begin();
    let both = || [std::process::id(), supervisor_pid()].map(Holdings::of);
    let n_first = n / 10 + 1;
    (0..n_first).for_each(&act);
    let before = both();
    (n_first..n).for_each(&act);
    let mut after = both();
    // The end of a process is seen a moment later.
    let deadline = Instant::now() + MOMENTS;
    let has_grown = |after: &[Holdings; 2]| (0..2).any(|who| before[who].has_grown_to(after[who]));
    while has_grown(&after) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
        after = both();
    }
    assert!(
        !has_grown(&after),
        "the program and its supervisor: {before:#?}, then {after:#?}"
    );
}

#[test]
fn a_thousand_pools_leave_nothing() {
    nothing_grows(1000, |round| {
        let pool = Pool::new(1 + round as usize % 3).expect("a pool");
        let squares = pool.map(job!(square), 0..20).expect("squares");
        assert_eq!(squares.len(), 20);
        match round % 4 {
            0 => pool.close().expect("an end"),
            1 => pool.terminate(),
            2 => {
                let _open = pool.submit(job!(square), 3).expect("a handle");
                drop(pool);
            }
            _ => drop(pool),
        }
    });
}

#[test]
fn a_thousand_processes_leave_nothing() {
    nothing_grows(1000, |round| {
        let process = spawn!(square(round)).expect("a process");
        match round % 4 {
            0 => drop(process),
            1 => process.kill().expect("a signal"),
            _ => assert_eq!(process.join(), Ok(round * round)),
        }
    });
}

#[test]
fn ten_thousand_jobs_leave_nothing() {
    nothing_grows(10, |_| {
        let pool = Pool::new(2).expect("a pool");
        let handles: Vec<_> = (0..1000)
            .map(|x| pool.submit(job!(square), x).expect("a handle"))
            .collect();
        for (x, handle) in (0..).zip(handles) {
            assert_eq!(handle.join(), Ok(x * x));
        }
        let squares = pool_map!(in pool, square, 0..10_000, chunk_size = 13);
        assert_eq!(squares.expect("squares").len(), 10_000);
    });
}

#[test]
fn where_no_process_can_be_forked_who_asked_is_told_and_later_all_goes_on() {
    let _test = begin();
    let story = Story::of(Command::new(env!("CARGO_BIN_EXE_surroundings")).arg("process limit"));
    assert_eq!(story.success(), "well\n");
}

/// A memory cgroup below that of this process, gone when this is dropped.
struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// `None` where that is not permitted.
    fn new(limit: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path_of = |controllers: &str| {
            own.lines().find_map(|line| {
                let (names, path) = line.split_once(':')?.1.split_once(':')?;
                (names == controllers).then(|| path.to_owned())
            })
        };
        let name = format!("procession-{}", std::process::id());
        let (root, path, file) = match path_of("memory") {
            Some(path) => ("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"),
            None => ("/sys/fs/cgroup", path_of("")?, "memory.max"),
        };
        let group = Self(
            Path::new(root)
                .join(path.trim_start_matches('/'))
                .join(name),
        );
        fs::create_dir(&group.0).ok()?;
        fs::write(group.0.join(file), limit.to_string()).ok()?;
        Some(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Its processes are gone a moment after they have ended.
        let deadline = Instant::now() + MOMENTS;
        while fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn in_a_memory_cgroup_who_asks_for_too_much_is_told_and_who_takes_it_dies_alone() {
    let _test = begin();
    let Some(group) = MemoryGroup::new(96 << 20) else {
        return eprintln!("LEFT OUT: no memory cgroup can be made here");
    };
    let mut enter = Command::new("sh");
    enter
        .arg("-c")
        .arg(r#"echo $$ > "$1/cgroup.procs" && exec "$2""#)
        .arg("enter")
        .arg(&group.0)
        .arg(env!("CARGO_BIN_EXE_pressure"));
    let said = Story::of(&mut enter).success();
    let [refusal, end] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("two lines: {said}")
    };
    let told = "bytes of shared memory were asked for";
    assert!(refusal.contains(told), "{refusal}");
    assert_eq!(end, "well");
}

#[test]
fn without_a_dev_shm_nothing_is_missed() {
    let _test = begin();
    let script = r#"mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@""#;
    let hidden = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, "hide"]);
        command.args(program);
        command
    };
    let permitted = hidden(&["true"]).status();
    if !permitted.is_ok_and(|status| status.success()) {
        return eprintln!("LEFT OUT: `unshare --mount` is not permitted here");
    }
    let program = [env!("CARGO_BIN_EXE_surroundings"), "no shm"];
    assert_eq!(Story::of(&mut hidden(&program)).success(), "3 of 3\n");
}
