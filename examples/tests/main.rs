//! Runs each program of this package as a user would, and reads what it says.

mod watchdog;

mod checksum;
mod compare;
mod connection;
mod fork_map;
mod judge;
mod lock;
mod mandelbrot;
mod pool;
mod process;
mod queue;
mod shared;
mod survey;

use std::fs;
use std::path::{Path, PathBuf};

/// An empty folder of this name, for one test alone.
fn empty_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}
