//! `survey` counts exactly, names what kills its workers, and dies of it with threads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::empty_folder;
use crate::watchdog::{Said, run};

const DEEP_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/survey/deep.rs");

/// 8 lines; 6 items: a module, a function, a struct, an impl, a trait and a foreign block; functions: one free,
/// one in the impl, one in the trait, one foreign; 2 unsafe blocks.
const ALPHA: &str = "\
mod inner {
    pub fn free() { unsafe { unsafe {} } }
}
struct S;
impl S { fn method(&self) {} }
trait T { fn required(&self); }

unsafe extern \"C\" { fn foreign(); }
";

/// 2 lines, 2 items, 1 function; what is in the macro call is not seen.
const BETA: &str = "fn only() {}\nmacro_call! { fn hidden() { unsafe {} } }\n";

/// Two crates, a file that is no Rust, one that is no text, one that kills, one that is not meant.
fn tree(name: &str) -> PathBuf {
    let folder = empty_folder(name);
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a path below the folder"))
            .expect("a folder can be made");
        fs::write(path, bytes).expect("a file can be written");
    };
    write("alpha-1.0.0/Cargo.toml", b"");
    write("alpha-1.0.0/src/lib.rs", ALPHA.as_bytes());
    write("alpha-1.0.0/src/more/again.rs", ALPHA.as_bytes());
    write("alpha-1.0.0/README.md", b"not Rust and not looked at");
    write("beta-2.0.0/Cargo.toml", b"");
    write("beta-2.0.0/src/lib.rs", BETA.as_bytes());
    write("beta-2.0.0/src/bad.rs", b"fn 1() {}");
    write("beta-2.0.0/src/bytes.rs", b"\xff\xfe");
    fs::copy(DEEP_FILE, folder.join("beta-2.0.0/src/deep.rs")).expect("the deep file is there");
    folder
}

/// With the usual stack, whatever the machine of the test allows.
fn survey(arguments: &[&str], paths: &[&Path]) -> Output {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -S -s 8192 && exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_survey"),
    ]);
    run(shell.args(arguments).args(paths))
}

fn row<'text>(table: &'text str, name: &str) -> Vec<&'text str> {
    let row = table
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("{name}:\n{table}"));
    row.split_whitespace().collect()
}

#[test]
fn counts_exactly_and_names_what_did_not_parse_and_what_killed() {
    let folder = tree("survey");
    let missing = folder.join("missing.rs");
    let ended = survey(&[], &[&folder, &missing]);
    assert!(ended.status.success(), "{ended:?}");
    let table = ended.stdout();
    assert_eq!(row(table, "alpha-1.0.0 "), ["2", "16", "12", "8", "4"]);
    assert_eq!(row(table, "beta-2.0.0 "), ["1", "2", "2", "1", "0"]);
    assert_eq!(row(table, "total "), ["3", "18", "14", "9", "4"]);

    let line_of = |file: &str| {
        table
            .lines()
            .find(|line| line.contains(file))
            .unwrap_or_else(|| panic!("{file}:\n{table}"))
    };
    let overflow =
        "src/deep.rs: killed by signal 11 (SIGSEGV): thread 'main' has overflowed its stack";
    assert!(line_of("deep.rs").contains(overflow), "{table}");
    assert!(
        table.contains("\nlost with the worker that parsed it: 1\n"),
        "{table}"
    );
    assert!(table.contains("\nnot parsed: 2\n"), "{table}");
    assert!(
        line_of("bad.rs").contains("src/bad.rs: expected identifier"),
        "{table}"
    );
    assert!(
        line_of("bytes.rs").contains("src/bytes.rs: invalid utf-8 sequence"),
        "{table}"
    );
    assert!(table.contains("\nnot read: 1\n"), "{table}");
    assert!(
        line_of("missing.rs").ends_with("missing.rs: No such file or directory (os error 2)"),
        "{table}"
    );
    assert!(table.contains("\n7 files in "), "{table}");
    assert!(table.ends_with(" 1 replaced\n"), "{table}");
}

#[test]
fn an_unreadable_file_is_named_and_the_rest_is_counted() {
    let folder = empty_folder("survey-unreadable");
    let secret = folder.join("secret.rs");
    fs::write(folder.join("open.rs"), BETA).expect("a file can be written");
    fs::write(&secret, ALPHA).expect("a file can be written");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("one's own file");
    if fs::read(&secret).is_ok() {
        println!("skipped: root reads every file");
        return;
    }
    let ended = survey(&[], &[&folder]);
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended
            .stdout()
            .contains("secret.rs: Permission denied (os error 13)\n"),
        "{}",
        ended.stdout()
    );
    assert_eq!(row(ended.stdout(), "total "), ["1", "2", "2", "1", "0"]);
}

#[test]
fn threads_die_of_the_file_that_processes_survive() {
    let folder = tree("survey-threads");
    let ended = survey(&["--threads"], &[&folder]);
    let signal = ended.status.signal();
    assert!(
        matches!(signal, Some(6 | 11)),
        "SIGABRT or SIGSEGV: {ended:?}"
    );
    assert_eq!(ended.stdout(), "", "no report");

    // Without that file, threads say the same.
    fs::remove_file(folder.join("beta-2.0.0/src/deep.rs")).expect("the file is there");
    let by_threads = survey(&["--threads"], &[&folder]);
    let by_processes = survey(&[], &[&folder]);
    assert!(by_threads.status.success() && by_processes.status.success());
    let body = |ended: &Output| {
        ended
            .stdout()
            .rsplit_once(" files in ")
            .map(|(body, _)| body.to_owned())
    };
    assert!(body(&by_threads).is_some());
    assert_eq!(body(&by_threads), body(&by_processes));
}

#[test]
fn without_arguments_it_surveys_the_crates_of_this_build_and_the_file_that_kills() {
    let ended = survey(&[], &[]);
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        row(ended.stdout(), "syn-3.")[1]
            .parse::<u64>()
            .is_ok_and(|files| files > 10),
        "{}",
        ended.stdout()
    );
    assert!(
        ended
            .stdout()
            .contains("survey/deep.rs: killed by signal 11"),
        "{}",
        ended.stdout()
    );
    assert!(
        ended
            .stdout()
            .contains("\nlost with the worker that parsed it: 1\n"),
        "{}",
        ended.stdout()
    );
}

#[test]
fn without_unpacked_crates_it_says_what_to_do() {
    let empty = empty_folder("no-cargo-home");
    let mut command = Command::new(env!("CARGO_BIN_EXE_survey"));
    let ended = run(command.env("CARGO_HOME", &empty));
    assert_eq!(ended.status.code(), Some(2));
    assert!(
        ended
            .stderr()
            .starts_with("survey: cargo has unpacked no crate"),
        "{}",
        ended.stderr()
    );
    assert!(
        ended.stderr().ends_with("name files or folders instead\n"),
        "{}",
        ended.stderr()
    );

    let ended = survey(&[], &[&empty]);
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.stderr(),
        "survey: no `.rs` file there: name other files or folders\n"
    );
}
