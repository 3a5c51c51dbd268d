//! Files for a test, gone when it ends.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it, with `name` as part of its name.
    pub fn new(name: &str) -> Self {
        static N_MADE: AtomicU32 = AtomicU32::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("procession {name} {} {number}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder for temporary files");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Counts runs of jobs across processes, also of those that die: a byte in a file for each.
#[derive(Debug)]
pub struct Tally {
    folder: Scratch,
}

impl Tally {
    /// Nothing counted yet.
    #[expect(clippy::new_without_default, reason = "it makes a file")]
    pub fn new() -> Self {
        let folder = Scratch::new("tally");
        File::create(folder.path().join("runs")).expect("a file");
        Self { folder }
    }

    /// For the job, which calls [`Tally::count`] with it.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    /// In the job: one more run.
    pub fn count(path: &Path) {
        OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(b"."))
            .expect("the tally's file");
    }

    /// In the program: the runs so far.
    pub fn runs(&self) -> u64 {
        fs::metadata(self.path()).expect("the tally's file").len()
    }
}
