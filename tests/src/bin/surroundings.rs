//! A program that puts itself into some situation and looks at what its jobs then find: `surroundings WHAT`.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{Gid, Uid, dup2_stdout, setgroups, setresgid, setresuid};
use procession::{Array, ErrorKind, JobError, Pool, Queue, job, pool_map, process_job, spawn};
use procession_tests::{processes, wait_for};

static FILLED_BY_MAIN: AtomicU32 = AtomicU32::new(0);

#[process_job]
fn filled_by_main() -> u32 {
    FILLED_BY_MAIN.load(Ordering::Relaxed)
}

#[process_job]
fn args() -> Vec<String> {
    std::env::args().collect()
}

#[process_job]
fn descriptors() -> Vec<String> {
    let mut targets: Vec<String> = fs::read_dir("/proc/self/fd")
        .expect("/proc")
        .flatten()
        .map(|entry| {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            format!("{} {}", entry.file_name().display(), target.display())
        })
        // The listing's own.
        .filter(|line| !line.ends_with("/fd"))
        .collect();
    targets.sort();
    targets
}

#[process_job]
fn signals() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let lines = status.lines().filter(|line| line.starts_with("Sig"));
    lines.map(|line| line.replace('\t', " ")).collect()
}

#[process_job]
fn ids() -> (Vec<u32>, Vec<u32>) {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let numbers = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let numbers = line.expect("a line of this name").split_whitespace();
        numbers
            .map(|number| number.parse().expect("a number"))
            .collect()
    };
    (numbers("Uid:"), numbers("Gid:"))
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        0
    } else {
        overflow(depth + 1) + room[3]
    }
}

#[process_job]
fn overflows() -> u64 {
    overflow(0)
}

#[process_job]
fn panics() {
    panic!("oh no");
}

/// Prints without a newline, as Rust and as C do.
#[process_job]
fn prints(x: u32, end: Option<i32>) -> u32 {
    print!("[rust {x}]");
    c_prints(x);
    match end {
        None => x,
        Some(-1) => std::process::abort(),
        Some(code) => std::process::exit(code),
    }
}

#[expect(unsafe_code, reason = "C's own buffer")]
fn c_prints(x: u32) {
    // SAFETY: a format with one number, and one number.
    unsafe { libc::printf(c"[c %u]".as_ptr(), x) };
}

extern "C" fn handler(_: i32) {}

#[expect(unsafe_code, reason = "handling a signal")]
fn handle(number: Signal, how: SigHandler) {
    // SAFETY: the handler does nothing.
    unsafe { signal(number, how) }.expect("a disposition");
}

/// From now on what is printed here or in a job can be read from what this returns.
fn capture_stdout() -> File {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    dup2_stdout(&writer).expect("standard output");
    drop(writer);
    let reader = OwnedFd::from(reader);
    fcntl(reader.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
    File::from(reader)
}

/// All that has come so far.
fn read_now(pipe: &mut File) -> String {
    let mut text = Vec::new();
    // An error says that there is no more for now.
    let _ = pipe.read_to_end(&mut text);
    String::from_utf8(text).expect("text")
}

fn printing() {
    let mut pipe = capture_stdout();
    let mut said = String::new();
    let mut note = |what: &str, pipe: &mut File| {
        said += &format!("{what}: {}\n", read_now(pipe));
    };
    let pool = Pool::new(1).expect("a pool");
    for x in 0..3 {
        let _ = pool.submit(job!(prints), (x, None)).expect("a pool").join();
        note("submit", &mut pipe);
    }
    let _ = spawn!(prints(3, None)).expect("a process").join();
    note("spawn", &mut pipe);
    let _ = pool
        .submit(job!(prints), (4, Some(7)))
        .expect("a pool")
        .join();
    note("exit", &mut pipe);
    let items = || (0..4).map(|x| (x, None));
    let _ = pool_map!(in pool, prints, items(), chunk_size = 4);
    note("chunk", &mut pipe);
    let crash = items().chain([(4, Some(-1))]);
    let _ = pool_map!(in pool, prints, crash, chunk_size = 5);
    note("crash", &mut pipe);
    eprint!("{said}");
}

/// As a user who may have only so many processes: the limit is lowered and raised again for the supervisor, which forks.
fn process_limit() {
    if Uid::current().is_root() {
        // Root has no such limit.
        let nobody = 65533;
        setgroups(&[]).expect("no groups");
        let (user, group) = (Uid::from_raw(nobody), Gid::from_raw(nobody));
        setresgid(group, group, group).expect("a group");
        setresuid(user, user, user).expect("a user");
    }
    let pool = Pool::new(2).expect("a pool");
    let supervisor = procession_tests::supervisor_pid();
    set_process_limit(supervisor, Some(1));
    let error = Pool::new(2).expect_err("there is no room for a process");
    assert_eq!(error.kind(), ErrorKind::System, "{error}");
    let error = spawn!(args()).expect_err("there is no room for a process");
    assert_eq!(error.kind(), ErrorKind::System, "{error}");
    let [first, _] = pool.pids()[..] else {
        panic!("two workers")
    };
    processes::send(first, Signal::SIGKILL);
    wait_for("its end", || pool.pids().len() == 1);
    // The other one works on.
    assert_eq!(pool.map(job!(args), [(); 10]).expect("a list").len(), 10);
    assert_eq!(pool.pids().len(), 1);
    set_process_limit(supervisor, None);
    wait_for("another worker", || pool.pids().len() == 2);
    assert_eq!(Pool::new(3).expect("a pool").workers(), 3);
    pool.close().expect("an end");
    println!("well");
}

/// Where nothing is mounted at `/dev/shm`.
fn no_shm() {
    assert!(!fs::exists("/dev/shm").expect("a look"));
    let (shared, queue) = (
        Array::<u64>::zeroed(1000).expect("an array"),
        Queue::new().expect("a queue"),
    );
    let items = (0..3).map(|x| (shared.clone(), queue.clone(), x));
    let n_done = pool_map!(shares, items).expect("a pool").len();
    let mut sent: Vec<u64> = (0..3).map(|_| queue.get().expect("a message")).collect();
    sent.sort_unstable();
    assert_eq!(sent, [0, 1, 2]);
    println!("{n_done} of {}", shared.get(7).expect("the eighth"));
}

#[process_job]
fn shares(shared: Array<u64>, queue: Queue<u64>, x: u64) {
    shared.lock().expect("nobody dies")[7] += 1;
    queue.put(x).expect("room");
}

/// Of the processes that its user may have; `None` for all that the hard limit allows.
#[expect(unsafe_code, reason = "another process's limit")]
fn set_process_limit(pid: u32, soft: Option<u64>) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let pid = pid.cast_signed();
    // SAFETY: the kernel writes a limit to the second address.
    unsafe { libc::prlimit(pid, libc::RLIMIT_NPROC, std::ptr::null(), &raw mut limit) };
    limit.rlim_cur = soft.unwrap_or(limit.rlim_max);
    // SAFETY: the kernel reads a limit at the first address.
    let set = unsafe {
        libc::prlimit(
            pid,
            libc::RLIMIT_NPROC,
            &raw const limit,
            std::ptr::null_mut(),
        )
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "static" => {
            FILLED_BY_MAIN.store(5, Ordering::Relaxed);
            let here = filled_by_main();
            println!(
                "{here} {:?}",
                pool_map!(filled_by_main, [()]).expect("a pool")
            );
        }
        "args" => println!(
            "{:?}",
            spawn!(args())
                .expect("a process")
                .join()
                .expect("arguments")
        ),
        "descriptors" => {
            let files = [(); 20].map(|()| File::open("/dev/zero").expect("a file"));
            for file in &files {
                fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).expect("a flag");
            }
            let lines = spawn!(descriptors())
                .expect("a process")
                .join()
                .expect("a list");
            let of_pool = pool_map!(descriptors, [()]).expect("a pool");
            assert_eq!(of_pool[0], lines);
            assert!(files.iter().all(|file| file.as_raw_fd() > 2));
            println!("{}", lines.join("\n"));
        }
        "signals" => {
            for number in [
                Signal::SIGUSR1,
                Signal::SIGTERM,
                Signal::SIGSEGV,
                Signal::SIGCHLD,
            ] {
                handle(number, SigHandler::Handler(handler));
            }
            for number in [Signal::SIGUSR2, Signal::SIGINT, Signal::SIGALRM] {
                handle(number, SigHandler::SigIgn);
            }
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None).expect("a mask");
            let lines = spawn!(signals())
                .expect("a process")
                .join()
                .expect("a list");
            println!("{}", lines.join("\n"));
        }
        "drop rights" => {
            let user = 65534;
            procession::start().expect("a supervisor");
            setgroups(&[]).expect("no groups");
            setresgid(
                Gid::from_raw(user),
                Gid::from_raw(user),
                Gid::from_raw(user),
            )
            .expect("a group");
            setresuid(
                Uid::from_raw(user),
                Uid::from_raw(user),
                Uid::from_raw(user),
            )
            .expect("a user");
            println!("{:?}", pool_map!(ids, [()]).expect("a pool"));
        }
        "overflow" => {
            let end = spawn!(overflows()).expect("a process").join();
            assert!(
                matches!(end, Err(JobError::Killed { signal: 11, .. })),
                "{end:?}"
            );
        }
        "panic" => {
            let end = spawn!(panics()).expect("a process").join();
            assert!(matches!(end, Err(JobError::Panicked { .. })), "{end:?}");
        }
        "printing" => printing(),
        "process limit" => process_limit(),
        "no shm" => no_shm(),
        other => panic!("what is {other:?}?"),
    }
    std::io::stdout().flush().expect("standard output");
}
