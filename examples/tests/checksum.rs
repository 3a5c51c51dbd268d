//! `checksum` says what `sha256sum` says, whoever is killed meanwhile.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::empty_folder;
use crate::watchdog::{Said, run};

/// Names with everything that the format or the way to the worker may trip over, and contents of many sizes.
fn tree(name: &str) -> (PathBuf, Vec<PathBuf>) {
    let folder = empty_folder(name);
    let names: [&[u8]; 8] = [
        b"plain",
        b" two  blanks ",
        b"end\nof line",
        b"carriage\rreturn",
        b"back\\slash\\n",
        b"not UTF-8: \xff\xfe",
        "größe".as_bytes(),
        b"empty",
    ];
    let mut paths: Vec<_> = names
        .iter()
        .map(|name| folder.join(OsStr::from_bytes(name)))
        .collect();
    fs::create_dir(folder.join("below")).expect("a folder in an empty one");
    paths.extend((0..40).map(|number| folder.join(format!("below/file-{number}"))));
    for (index, path) in paths.iter().enumerate() {
        let bytes: Vec<u8> = (0..index * index * 100)
            .map(|at| (at * (index + 1)) as u8)
            .collect();
        let bytes = if path.ends_with("empty") {
            Vec::new()
        } else {
            bytes
        };
        fs::write(path, bytes).expect("a file can be written");
    }
    (folder, paths)
}

fn checksum(arguments: &[&str], paths: &[PathBuf]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_checksum"))
        .args(arguments)
        .args(paths))
}

fn sha256sum(paths: &[PathBuf]) -> Vec<u8> {
    run(Command::new("sha256sum").args(paths)).stdout
}

#[test]
fn says_what_the_systems_tool_says_of_odd_names() {
    let (_, paths) = tree("odd-names");
    let ended = checksum(&[], &paths);
    assert!(ended.status.success(), "{}", ended.stderr());
    assert_eq!(
        ended.stdout.escape_ascii().to_string(),
        sha256sum(&paths).escape_ascii().to_string()
    );
    assert!(
        ended.stderr().starts_with("48 files, "),
        "{}",
        ended.stderr()
    );
}

#[test]
fn the_systems_tool_finds_every_file_of_a_folder_unchanged() {
    let (folder, _) = tree("whole-folder");
    let ended = checksum(&["--workers", "3"], std::slice::from_ref(&folder));
    assert!(ended.status.success(), "{}", ended.stderr());
    let list = folder.with_extension("sums");
    fs::write(&list, &ended.stdout).expect("a file can be written");
    let verified = run(Command::new("sha256sum")
        .args(["--check", "--strict"])
        .arg(&list));
    assert!(verified.status.success(), "{}", verified.stderr());
    assert_eq!(
        verified
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"OK"))
            .count(),
        48
    );
}

#[test]
fn twenty_killed_workers_change_no_sum() {
    let (_, paths) = tree("chaos");
    let ended = checksum(&["--chaos", "20"], &paths);
    assert!(ended.status.success(), "{}", ended.stderr());
    assert_eq!(
        ended.stdout.escape_ascii().to_string(),
        sha256sum(&paths).escape_ascii().to_string()
    );
    assert!(
        ended
            .stderr()
            .contains("\nchaos: 20 of 20 kills delivered in "),
        "{}",
        ended.stderr()
    );
}

#[test]
fn kills_hit_workers_at_work() {
    let (_, paths) = tree("no-retries");
    let ended = checksum(&["--chaos", "20", "--retries", "0"], &paths);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr());
    let n_lost = ended
        .stderr()
        .lines()
        .filter(|line| line.ends_with(": killed by signal 9 (SIGKILL)"))
        .count();
    assert!(
        (1..=20).contains(&n_lost),
        "each kill takes one file with it at most: {}",
        ended.stderr()
    );
    let n_summed = ended
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    assert_eq!(n_summed, paths.len() - n_lost);
}

#[test]
fn what_cannot_be_read_is_told_and_the_rest_is_summed() {
    let (folder, paths) = tree("missing");
    let missing = folder.join("missing");
    let ended = checksum(&[], &[missing.clone(), paths[0].clone()]);
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.stdout, sha256sum(&paths[..1]));
    let complaint = format!("checksum: {}: No such file or directory", missing.display());
    assert!(ended.stderr().contains(&complaint), "{}", ended.stderr());
}

#[test]
fn bad_arguments_are_refused_with_what_to_do() {
    for (arguments, told) in [
        (
            &["--workers", "0"][..],
            "a pool needs 1 to 1024 workers, not 0",
        ),
        (&["--chaos", "many"], "cannot parse argument \"many\""),
        (&["--fast"], "usage: checksum"),
    ] {
        let ended = checksum(arguments, &[Path::new("Cargo.toml").to_owned()]);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(
            ended.stderr().contains(told),
            "{arguments:?}: {}",
            ended.stderr()
        );
    }
}
