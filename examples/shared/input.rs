//! Which files a program works on: those it was given, those below the folders it was given, or the sources
//! that cargo has unpacked for the build of this workspace.
//!
//! Order is by name within each folder, so that two runs over the same tree say the same. Below a folder
//! only regular files count: no symbolic link is followed (it may lead in a circle) and nothing is opened that may
//! never end (a pipe, a device). What cannot be listed is told, and the search goes on.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The packages of this build, each with its version: what cargo unpacked for it.
const LOCK_FILE: &str = include_str!("../../Cargo.lock");

/// One file to work on.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is: as given, or below a folder that was given.
    pub path: PathBuf,
    /// Its length in bytes, as far as is known before it is opened.
    pub len: u64,
}

/// What a search has found.
#[derive(Debug, Default)]
pub struct Found {
    /// In the order of the arguments, and by name below each of them.
    pub files: Vec<File>,
    /// What could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

impl Found {
    /// Adds a file, or all files below a folder whose path `is_wanted`. A file that was named is always wanted.
    pub fn add(&mut self, path: &Path, is_wanted: fn(&Path) -> bool) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.add_folder(path, is_wanted),
            Ok(metadata) => self.files.push(File {
                path: path.to_owned(),
                len: metadata.len(),
            }),
            Err(error) => self.unreadable.push((path.to_owned(), error)),
        }
    }

    fn add_folder(&mut self, folder: &Path, is_wanted: fn(&Path) -> bool) {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = match listed {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push((folder.to_owned(), error)),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => self.add_folder(&path, is_wanted),
                Ok(metadata) if metadata.is_file() && is_wanted(&path) => {
                    self.files.push(File {
                        path,
                        len: metadata.len(),
                    });
                }
                Ok(_) => {}
                Err(error) => self.unreadable.push((path, error)),
            }
        }
    }

    /// The length of all files together.
    pub fn total_len(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }
}

/// The folders of the crates that cargo has unpacked for this build.
///
/// # Errors
///
/// None is there: the message says what to do.
pub fn unpacked_crates() -> Result<Vec<PathBuf>, String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = cargo_home
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let sources = home.join("registry/src");
    let wanted = locked_packages(LOCK_FILE);
    let folders = fs::read_dir(&sources).into_iter().flatten().flatten();
    let crates = folders.flat_map(|registry| {
        fs::read_dir(registry.path())
            .into_iter()
            .flatten()
            .flatten()
    });
    let wanted_crates = crates.filter(|folder| {
        folder
            .file_name()
            .to_str()
            .is_some_and(|name| wanted.contains(name))
    });
    let mut paths: Vec<_> = wanted_crates.map(|folder| folder.path()).collect();
    // Two registries (a mirror) may hold the same crate.
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    paths.dedup_by(|a, b| a.file_name() == b.file_name());
    if paths.is_empty() {
        let sources = sources.display();
        return Err(format!(
            "cargo has unpacked no crate of this build below {sources}: name files or folders instead"
        ));
    }
    Ok(paths)
}

/// `name-version` of each package in a Cargo.lock, as cargo names the folders it unpacks to.
fn locked_packages(lock_file: &str) -> BTreeSet<String> {
    fn value<'text>(line: &'text str, key: &str) -> Option<&'text str> {
        line.strip_prefix(key)?
            .strip_prefix(" = \"")?
            .strip_suffix('"')
    }
    let mut packages = BTreeSet::new();
    let mut name = "";
    for line in lock_file.lines() {
        if let Some(value) = value(line, "name") {
            name = value;
        } else if let Some(version) = value(line, "version") {
            packages.insert(format!("{name}-{version}"));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_names_the_crates_of_this_build() {
        let packages = locked_packages(LOCK_FILE);
        assert!(
            packages.iter().any(|package| package.starts_with("syn-3.")),
            "{packages:?}"
        );
        let of_one = locked_packages(
            "version = 4\n[[package]]\nname = \"a-b\"\nversion = \"1.2.0+spec\"\nsource = \"x\"\n",
        );
        assert!(of_one.contains("a-b-1.2.0+spec"), "{of_one:?}");
    }
}
