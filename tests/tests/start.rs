//! How a supervisor comes to be, in the situations in which it might not: each is a run of a small program.
//!
//! The programs lie in tests/start and are built here: they need other features, profiles and dependencies than the
//! tests. Each prints `main begins`, which may be printed only once.

#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use procession_tests::{Scratch, Story, begin};

const MARKER: &str = concat!("PROCESSION_SUPERVISOR_", env!("CARGO_PKG_VERSION"));
const NOBODY: u32 = 65534;

/// As a user builds first.
const PLAIN: Build = Build { profile: "debug" };
/// `panic = "abort"`, stripped, with link-time optimisation.
const LEAN: Build = Build { profile: "lean" };

struct Build {
    profile: &'static str,
}

impl Build {
    /// The program `name`, where it can be had.
    fn program(&self, name: &str) -> Option<PathBuf> {
        static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
        // All at once, so that no test counts processes while a compiler runs.
        let target = BUILT.get_or_init(build).as_deref()?;
        Some(target.join(self.profile).join(name))
    }
}

/// Builds the programs into one folder, where whatever they have in common is built once; says so where they cannot
/// be had.
fn build() -> Option<PathBuf> {
    let cargo = |arguments: &[&str]| {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/start/Cargo.toml");
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).args(["--manifest-path", manifest]);
        command.env_remove("RUSTFLAGS").output().expect("cargo")
    };
    let fetched = cargo(&["fetch", "--locked"]);
    if !fetched.status.success() {
        let why = String::from_utf8_lossy(&fetched.stderr);
        eprintln!(
            "LEFT OUT: the programs of tests/start need crates that cannot be had here\n{why}"
        );
        return None;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("start");
    let builds: [&[&str]; 3] = [
        &["--workspace"],
        &[
            "--bin",
            "init",
            "--no-default-features",
            "--features",
            "by-hand",
        ],
        &["--bin", "probe", "--profile", "lean"],
    ];
    for build in builds {
        let mut arguments = vec!["build", "--quiet", "--offline", "--locked", "--target-dir"];
        arguments.push(target.to_str().expect("text"));
        arguments.extend(build);
        let built = cargo(&arguments);
        assert!(
            built.status.success(),
            "{}",
            String::from_utf8_lossy(&built.stderr)
        );
    }
    Some(target)
}

/// What a program prints, on both streams; it must have begun its `main` exactly once and end well.
#[track_caller]
fn said(command: &mut Command) -> String {
    let _test = begin();
    let story = Story::of(command.env("RUST_BACKTRACE", "0"));
    assert!(story.status.success(), "{command:?}: {story:?}");
    let text = story.output + &story.errors;
    assert_eq!(
        text.matches("main begins").count(),
        1,
        "{command:?}\n{text}"
    );
    text
}

#[track_caller]
fn has(text: &str, part: &str) {
    assert!(text.contains(part), "no {part:?} in:\n{text}");
}

/// `probe WHAT` says `part`.
#[track_caller]
fn probe_says(what: &str, part: &str) {
    if let Some(probe) = PLAIN.program("probe") {
        has(&said(Command::new(probe).arg(what)), part);
    }
}

#[track_caller]
fn plain_says(program: &str, part: &str) {
    if let Some(program) = PLAIN.program(program) {
        has(&said(&mut Command::new(program)), part);
    }
}

fn copy_of(program: &Path, folder: &Scratch, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    // Through `cp`: a file that this process writes may still be open in a child of another test (ETXTBSY).
    let copied = Command::new("cp").arg(program).arg(&path).status().unwrap();
    assert!(copied.success());
    path
}

fn is_root() -> bool {
    let is_root = nix::unistd::getuid().is_root();
    if !is_root {
        eprintln!("LEFT OUT: needs root");
    }
    is_root
}

#[test]
fn the_supervisor_is_another_process() {
    probe_says("start", "\nok\n");
}

#[test]
fn threads_that_ask_at_once_share_one_supervisor() {
    probe_says("threads", "\nok\n");
}

#[test]
fn constructors_of_other_crates_have_run_before_a_job() {
    probe_says("plug-ins", "job: ctor 1 inventory one,two\n");
}

#[test]
fn constructors_run_once_and_see_no_marker_whatever_their_order() {
    plain_says("order", "job: ran, no marker\n");
    plain_says("order2", "job: ran, no marker\n");
}

#[test]
fn a_constructor_with_threads_is_refused() {
    plain_says("early_thread", "has started threads, 2 in all");
}

#[test]
fn a_constructor_that_joined_its_threads_is_not() {
    plain_says("early_joined", "\ntrue\n");
}

#[test]
fn a_copy_that_dies_early_is_an_error_that_says_how() {
    let Some(program) = PLAIN.program("early_death") else {
        return;
    };
    let text = said(&mut Command::new(program));
    assert_eq!(
        text.matches("before its `main` (signal: 6 (SIGABRT))")
            .count(),
        2,
        "{text}"
    );
    has(&text, "before its `main` (exit status: 0)");
}

#[test]
fn a_job_sees_the_programs_arguments_and_no_marker() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let text = said(Command::new(probe).args(["around", "a b", "", "\u{fc}"]));
    let (here, job) = text.split_once("JOB").unwrap();
    for name in ["args", "cwd", "exe", "markers"] {
        let line = |part: &str| {
            part.lines()
                .find(|line| line.starts_with(name))
                .unwrap()
                .to_owned()
        };
        assert_eq!(line(here), line(job));
    }
    has(job, "markers []");
}

#[test]
fn closed_standard_streams_are_open_in_a_job() {
    probe_says("closed", r#"streams ["/dev/null", "/dev/null", ""#);
}

#[test]
fn a_path_may_have_a_space_and_a_newline() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let folder = Scratch::new("path");
    has(
        &said(Command::new(copy_of(&probe, &folder, "with a\nnewline")).arg("start")),
        "\nok\n",
    );
}

#[test]
fn the_executable_may_be_deleted_while_it_runs() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let folder = Scratch::new("deleted");
    has(
        &said(Command::new(copy_of(&probe, &folder, "gone")).arg("deleted")),
        "\nok\n",
    );
}

#[test]
fn a_program_started_through_the_dynamic_loader_is_refused() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let loader = Path::new("/lib64/ld-linux-x86-64.so.2");
    if !loader.exists() {
        return eprintln!("LEFT OUT: there is no {} here", loader.display());
    }
    has(
        &said(Command::new(loader).arg(probe).arg("start")),
        "is not the file that holds this code",
    );
}

#[test]
fn a_marker_set_by_hand_does_nothing() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    for text in ["1", "1:1:1", "4:99999999:1"] {
        has(
            &said(Command::new(&probe).arg("start").env(MARKER, text)),
            "\nok\n",
        );
    }
}

#[test]
fn a_copy_whose_socket_is_lost_starts_no_other() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let marker = format!("1:{}:1", std::process::id());
    has(
        &said(Command::new(probe).arg("start").env(MARKER, marker)),
        "did not become a supervisor",
    );
}

/// An outsider who knows everything: the socket is right, the parent is right.
const ATTACK: &str = r#"
use Socket; require POSIX;
socketpair(my $a, my $b, AF_UNIX, SOCK_SEQPACKET, 0) or die;
my $inode = (stat($b))[1]; my $me = $$; $^F = 10;
my $child = fork();
if (!$child) { close($a); POSIX::dup2(fileno($b), 3); $ENV{$ARGV[1]} = "1:$me:$inode"; exec($ARGV[0], "start"); }
close($b); waitpid($child, 0); alarm 5;
printf "main begins (of this script)\nended %d, said %d bytes\n", $? >> 8, sysread($a, my $hello, 64);
"#;

#[test]
fn a_set_user_id_program_is_refused_and_takes_no_orders() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    if !is_root() {
        return;
    }
    let folder = Scratch::new("suid");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let path = copy_of(&probe, &folder, "suid");
    fs::set_permissions(&path, Permissions::from_mode(0o4755)).unwrap();
    has(
        &said(Command::new(&path).arg("start").uid(NOBODY).gid(NOBODY)),
        "has rights by its file",
    );
    // Started by root it is not privileged, but a copy made after root is dropped would be.
    has(
        &said(Command::new(&path).arg("drop root")),
        "has rights by its file",
    );
    if Command::new("perl").arg("-v").output().is_err() {
        return eprintln!("LEFT OUT: the attack needs perl");
    }
    let outsider = || {
        let mut perl = Command::new("perl");
        said(
            perl.args(["-e", ATTACK])
                .arg(&path)
                .arg(MARKER)
                .uid(NOBODY)
                .gid(NOBODY),
        )
    };
    has(&outsider(), "ended 77, said 0 bytes");
    // The attack works on a program without rights, where there is nothing to gain.
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    has(&outsider(), "ended 0, said 8 bytes");
}

#[test]
fn a_program_that_acts_for_another_user_is_refused() {
    if is_root() {
        probe_says(
            "effective user",
            "the real and the effective user or group differ",
        );
    }
}

#[test]
fn an_ignored_sigchld_is_harmless() {
    probe_says("sigchld", "\nok\n");
}

#[test]
fn a_thread_that_waits_for_all_children_is_harmless() {
    probe_says("waitpid", "\nok\n");
}

#[test]
fn waiting_for_all_children_does_not_wait_for_the_supervisor() {
    probe_says("wait for all", "waitpid -1: No child");
}

#[test]
fn every_death_is_told_by_its_true_name() {
    let Some(probe) = PLAIN.program("probe") else {
        return;
    };
    let text = said(Command::new(probe).arg("ends"));
    for line in [
        "well: Ok(1)",
        "panic: Err(Panicked { message: \"oh no\"",
        "abort: 6 ",
        "overflow: 11 \"thread 'main' has overflowed its stack (stack overflow)\"",
        "null: 11 \"segmentation fault at 0x0\"",
    ] {
        has(&text, line);
    }
}

#[test]
fn a_stripped_aborting_release_with_link_time_optimisation_works() {
    let Some(probe) = LEAN.program("probe") else {
        return;
    };
    has(&said(Command::new(&probe).arg("start")), "\nok\n");
    has(
        &said(Command::new(&probe).arg("plug-ins")),
        "job: ctor 1 inventory one,two\n",
    );
    let text = said(Command::new(&probe).arg("ends"));
    has(&text, "well: Ok(1)");
    let panic = text
        .lines()
        .find(|line| line.starts_with("panic: 6 "))
        .unwrap_or_else(|| panic!("{text}"));
    has(panic, "oh no");
    has(&text, "abort: 6 ");
    has(&text, "overflow: 11 ");
    has(&text, "null: 11 ");
}

#[test]
fn without_the_hook_init_does_the_same() {
    let Some(init) = PLAIN.program("init") else {
        return;
    };
    has(&said(&mut Command::new(init)), "\nok\n");
}

#[test]
fn without_the_hook_and_without_init_it_is_a_clear_error() {
    let Some(init) = PLAIN.program("init") else {
        return;
    };
    has(
        &said(Command::new(init).arg("never")),
        "call `procession::init()` first in `main`",
    );
}

#[test]
fn init_after_a_thread_was_started_is_a_clear_error() {
    let Some(init) = PLAIN.program("init") else {
        return;
    };
    has(
        &said(Command::new(init).arg("late")),
        "has started threads, 2 in all",
    );
}

#[test]
fn a_library_in_another_program_is_refused_and_that_program_runs_once() {
    let Some(library) = PLAIN.program("libplugin.so") else {
        return;
    };
    let works = Command::new("python3")
        .args(["-c", "import ctypes"])
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        return eprintln!("LEFT OUT: there is no python3 here");
    }
    let script = format!(
        "import ctypes\nprint('main begins', flush=True)\nctypes.CDLL({:?}).try_it()",
        library.display().to_string()
    );
    has(
        &said(Command::new("python3").args(["-c", &script])),
        "is not the file that holds this code",
    );
}
