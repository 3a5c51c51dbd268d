//! `judge` has one true verdict for each script, whatever the others do to their processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::empty_folder;
use crate::watchdog::{Said, run};

/// For a script that ends by itself or fills its memory, on a machine that is busy with other things.
const TIME_ENOUGH: &str = "--time-limit=5";

/// With that.
const VERDICTS: &str = "\
script                   verdict        why
abort.lua                killed         killed by signal 6 (SIGABRT)
endless_loop.lua         time limit     ran longer than its time limit of 5s
endless_match.lua        time limit     ran longer than its time limit of 5s
exit.lua                 exited         called exit(0)
memory_bomb.lua          memory limit   used more than its memory limit of 67108864 bytes
right_division.lua       accepted
right_sieve.lua          accepted
runtime_error.lua        runtime error  runtime_error.lua:5: attempt to perform arithmetic on a nil value (field 'integer index')
syntax_error.lua         syntax error   syntax_error.lua:5: syntax error near '+'
wrong_answer.lua         wrong answer   0 for 3, not 1

10 scripts, 2 accepted
";

fn judge(arguments: &[&str], folder: Option<&Path>) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_judge"))
        .args(arguments)
        .args(folder))
}

/// An empty folder but for these scripts.
fn scripts(name: &str, scripts: &[(&str, &str)]) -> PathBuf {
    let folder = empty_folder(name);
    for (name, source) in scripts {
        fs::write(folder.join(name), source).expect("a file can be written");
    }
    folder
}

/// The table's row of a script, without its name.
fn row<'text>(table: &'text str, script: &str) -> &'text str {
    let row = table.lines().find_map(|line| line.strip_prefix(script));
    row.unwrap_or_else(|| panic!("{script}:\n{table}")).trim()
}

#[test]
fn each_script_has_its_true_verdict_however_many_workers_there_are() {
    for workers in ["2", "4"] {
        let ended = judge(&["--workers", workers, TIME_ENOUGH], None);
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(ended.stdout(), VERDICTS, "{workers} workers");
        assert_eq!(ended.stderr(), "", "{workers} workers");
    }
}

#[test]
fn each_script_has_a_process_of_its_own() {
    let tell_pid = "error('pid ' .. io.open('/proc/self/stat'):read('n'), 0)";
    let names = ["a.lua", "b.lua", "c.lua", "d.lua", "e.lua", "f.lua"];
    let folder = scripts("judge-processes", &names.map(|name| (name, tell_pid)));
    let ended = judge(&["--workers", "2"], Some(&folder));
    assert!(ended.status.success(), "{ended:?}");
    let pids: BTreeSet<_> = names.map(|name| row(ended.stdout(), name)).into();
    assert_eq!(pids.len(), names.len(), "{}", ended.stdout());
    for pid in pids {
        assert!(pid.starts_with("runtime error  pid "), "{pid}");
    }
}

#[test]
fn the_limits_are_those_asked_for() {
    let keep_48_mebibytes = "\
        local kept = {} \
        for i = 1, 48 do kept[i] = (('x'):rep(1024)):rep(1024) end \
        while true do end";
    let folder = scripts(
        "judge-limits",
        &[
            ("keep.lua", keep_48_mebibytes),
            ("loop.lua", "while true do end"),
        ],
    );
    let ended = judge(
        &["--time-limit", "0.3", "--memory-limit", "96"],
        Some(&folder),
    );
    assert!(ended.status.success(), "{ended:?}");
    let over_time = "time limit     ran longer than its time limit of 300ms";
    assert_eq!(row(ended.stdout(), "keep.lua"), over_time);
    assert_eq!(row(ended.stdout(), "loop.lua"), over_time);

    let ended = judge(&["--memory-limit", "24", TIME_ENOUGH], Some(&folder));
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(
        row(ended.stdout(), "keep.lua"),
        "memory limit   used more than its memory limit of 25165824 bytes"
    );
    assert_eq!(
        row(ended.stdout(), "loop.lua"),
        "time limit     ran longer than its time limit of 5s"
    );
}

#[test]
fn only_scripts_are_judged_also_those_in_folders_below() {
    let folder = scripts(
        "judge-folders",
        &[
            ("README", "not Lua and not looked at"),
            ("no_answer.lua", ""),
            ("no_text.lua", "\0"),
        ],
    );
    fs::create_dir(folder.join("below")).expect("a folder in an empty one");
    fs::write(folder.join("below/constant.lua"), "return 25").expect("a file can be written");
    let ended = judge(&[], Some(&folder));
    assert!(ended.status.success(), "{ended:?}");
    let table = ended.stdout();
    assert_eq!(
        row(table, "below/constant.lua"),
        "wrong answer   25 for 2, not 0"
    );
    assert!(
        row(table, "no_answer.lua").starts_with("runtime error  error converting Lua nil to i64"),
        "{table}"
    );
    assert!(
        row(table, "no_text.lua").starts_with("syntax error   no_text.lua:1: "),
        "{table}"
    );
    assert!(table.ends_with("\n3 scripts, 0 accepted\n"), "{table}");

    let alone = folder.join("no_text.lua");
    let ended = judge(&[], Some(&alone));
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        row(ended.stdout(), &alone.display().to_string()).starts_with("syntax error "),
        "{ended:?}"
    );
}

#[test]
fn bad_arguments_are_refused_with_what_to_do() {
    let empty = empty_folder("judge-empty");
    for (arguments, told) in [
        (
            &["--workers", "0"][..],
            "a pool needs 1 to 1024 workers, not 0",
        ),
        (
            &["--time-limit", "0"],
            "`timeout` of 0 would kill every job",
        ),
        (&["--time-limit", "-1"], "judge: "),
        (
            &["--memory-limit", "0"],
            "`memory_limit` of 0 would kill every worker",
        ),
        (
            &["--memory-limit", "much"],
            "cannot parse argument \"much\"",
        ),
        (&["--fast"], "usage: judge"),
    ] {
        let ended = judge(arguments, None);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert_eq!(ended.stdout(), "", "{arguments:?}");
        assert!(ended.stderr().contains(told), "{}", ended.stderr());
    }
    let ended = judge(&[], Some(&empty));
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        ended.stderr(),
        "judge: no `.lua` file there: name another folder\n"
    );
}
