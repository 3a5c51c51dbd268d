//! One program, many situations: `probe WHAT …`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use procession::{JobError, process_job, spawn};
use start_programs::supervisor_pid;

static RAN_BEFORE_MAIN: AtomicU32 = AtomicU32::new(0);

#[ctor::ctor]
fn before_main() {
    RAN_BEFORE_MAIN.fetch_add(1, Ordering::Relaxed);
}
inventory::submit!(start_programs::PlugIn("one"));
inventory::submit!(start_programs::PlugIn("two"));

#[process_job]
fn plug_ins() -> String {
    let mut names: Vec<_> = inventory::iter::<start_programs::PlugIn>
        .into_iter()
        .map(|plug_in| plug_in.0)
        .collect();
    names.sort_unstable();
    format!(
        "ctor {} inventory {}",
        RAN_BEFORE_MAIN.load(Ordering::Relaxed),
        names.join(",")
    )
}

#[process_job]
fn surroundings() -> String {
    let link = |fd: u32| {
        std::fs::read_link(format!("/proc/self/fd/{fd}")).map(|path| path.display().to_string())
    };
    let streams: Vec<_> = (0..3).map(|fd| link(fd).unwrap_or_default()).collect();
    let markers: Vec<_> = std::env::vars()
        .filter(|(name, _)| name.starts_with("PROCESSION"))
        .collect();
    format!(
        "args {:?}\ncwd {:?}\nexe {:?}\nmarkers {markers:?}\nstreams {streams:?}",
        std::env::args_os().collect::<Vec<_>>(),
        std::env::current_dir(),
        std::env::current_exe()
    )
}

#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 100]);
    if depth == u64::MAX {
        0
    } else {
        overflow(depth + 1) + room[3]
    }
}

#[process_job]
fn ends(how: &str) -> u64 {
    match how {
        "well" => 1,
        "panic" => panic!("oh no"),
        "abort" => std::process::abort(),
        "overflow" => overflow(0),
        "null" => {
            unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
            2
        }
        other => panic!("what is {other:?}?"),
    }
}

fn show(outcome: Result<u32, procession::Error>) {
    match outcome {
        Ok(pid) => {
            assert_ne!(pid, std::process::id());
            println!("ok");
        }
        Err(error) => println!("{error}"),
    }
}

fn main() {
    println!("main begins");
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "start" => show(supervisor_pid()),
        "plug-ins" => println!(
            "here: {}\njob: {}",
            plug_ins(),
            spawn!(plug_ins()).unwrap().join().unwrap()
        ),
        "around" => println!(
            "{}\nJOB\n{}",
            surroundings(),
            spawn!(surroundings()).unwrap().join().unwrap()
        ),
        "threads" => {
            let threads = [(); 8].map(|()| std::thread::spawn(|| supervisor_pid().unwrap()));
            let pids = threads.map(|thread| thread.join().unwrap());
            assert!(pids.iter().all(|&pid| pid == pids[0]));
            println!("ok");
        }
        "ends" => {
            for how in ["well", "panic", "abort", "overflow", "null"] {
                match spawn!(ends(how)).unwrap().join() {
                    Err(JobError::Killed { signal, last_words }) => {
                        println!("{how}: {signal} {last_words:?}")
                    }
                    other => println!("{how}: {other:?}"),
                }
            }
        }
        "closed" => {
            unsafe { libc::close(0) };
            unsafe { libc::close(1) };
            eprintln!("{}", spawn!(surroundings()).unwrap().join().unwrap());
        }
        "sigchld" => {
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            show(supervisor_pid());
        }
        "waitpid" => {
            // Another thread takes every child it can get.
            std::thread::spawn(|| {
                loop {
                    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
                    std::thread::sleep(Duration::from_micros(10));
                }
            });
            for _ in 0..50 {
                let supervisor = supervisor_pid().unwrap();
                unsafe { libc::kill(supervisor as i32, libc::SIGKILL) };
                while spawn!(plug_ins())
                    .and_then(|process| Ok(process.join()?))
                    .is_err()
                {}
            }
            println!("ok");
        }
        "wait for all" => {
            supervisor_pid().unwrap();
            let found = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
            println!("waitpid {found}: {}", std::io::Error::last_os_error());
        }
        "deleted" => {
            std::fs::remove_file(std::env::current_exe().unwrap()).unwrap();
            show(supervisor_pid());
        }
        "drop root" => {
            unsafe { libc::setresuid(65534, 65534, 65534) };
            show(supervisor_pid());
        }
        "effective user" => {
            unsafe { libc::seteuid(65534) };
            show(supervisor_pid());
        }
        other => panic!("what is {other:?}?"),
    }
}
