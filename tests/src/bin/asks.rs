//! A program that asks for workers in some situation and prints what it gets: `asks WHAT`.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

use std::collections::HashSet;
use std::fs::File;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use procession::{Error, Pool, job, pool_map, process_job, spawn};

#[process_job]
fn pid() -> u32 {
    std::process::id()
}

fn show<T: std::fmt::Debug>(what: &str, outcome: Result<T, Error>) {
    match outcome {
        Ok(value) => println!("{what}: {value:?}"),
        Err(error) => println!("{what}: {:?}: {error}", error.kind()),
    }
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "workers" => {
            show("built", Pool::builder().build().map(|pool| pool.workers()));
            let pids = pool_map!(pid, [(); 1000]);
            let in_range = |pids: Vec<u32>| {
                let n_pids = pids.into_iter().collect::<HashSet<_>>().len();
                let default = Pool::builder().build().expect("a pool").workers();
                (1..=default).contains(&n_pids)
            };
            show("mapped", pids.map(in_range));
        }
        "descriptors" => {
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
            // All that may be open is open.
            setrlimit(Resource::RLIMIT_NOFILE, 32, hard).expect("a limit");
            let mut files: Vec<File> =
                std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            for n_free in 0..6 {
                show(
                    &format!("pool {n_free}"),
                    Pool::new(1).map(|pool| pool.map(job!(pid), [()]).map(|pids| pids.len())),
                );
                show(
                    &format!("process {n_free}"),
                    spawn!(pid()).map(|process| process.join().is_ok()),
                );
                files.pop();
            }
            drop(files);
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).expect("a limit");
            show(
                "pool",
                Pool::new(1)
                    .and_then(|pool| pool.map(job!(pid), [()]))
                    .map(|pids| pids.len()),
            );
            show(
                "process",
                spawn!(pid()).map(|process| process.join().is_ok()),
            );
        }
        other => panic!("what is {other:?}?"),
    }
}
