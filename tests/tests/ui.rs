//! What the user reads after each mistake: every file in `ui/` is compiled and its errors are compared with its annotations.
//!
//! All files are bins of one package made for this test, so that cargo runs once. A line is annotated from below or at its end:
//!
//! ```text
//! fn job(x: &mut u8) {}
//! //~^ own at `&mut u8`: a job cannot take `&mut`: …           our own message, in full
//! //~^^ E0308 at `"1"`: expected `u64` … found `&str`           rustc's: the code, and words to be found in this order
//! ```
//!
//! A message of rustc's that has no code is annotated as `rustc`. Each `^` goes one line up; `at` holds the underlined text. No error may go without annotation, no annotation without error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Mistake {
    line: usize,
    /// `own`, rustc's code, or `rustc` for its messages without one.
    kind: String,
    underlined: String,
    /// A whole message of ours; of rustc's, words that it holds, separated by ` … `.
    words: String,
}

#[test]
fn every_mistake_is_reported_once_and_in_its_place() {
    let package = package();
    let found = check(&package);
    let mut complaints = String::new();
    for (name, path) in sources() {
        let source = fs::read_to_string(&path).unwrap();
        let mut expected = annotations(&source);
        assert!(!expected.is_empty(), "{name} expects nothing");
        for rendered in found.get(&name).into_iter().flatten() {
            match expected.iter().position(|mistake| rendered.is(mistake)) {
                Some(index) => drop(expected.remove(index)),
                None => writeln!(
                    complaints,
                    "{name}: not annotated:\n{}\n{}",
                    rendered.annotation(),
                    rendered.text
                )
                .unwrap(),
            }
        }
        for mistake in expected {
            writeln!(complaints, "{name}: not reported: {mistake:?}").unwrap();
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// Everything a dependency's other name must not disturb: this package knows `procession` as `multiprocess` only.
#[test]
fn a_renamed_dependency_works() {
    let package = package();
    let output = cargo(&package)
        .args(["run", "--quiet", "--package", "renamed"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// With the lints that users deny.
#[test]
fn an_expansion_breaks_no_lint() {
    let package = package();
    let clippy = cargo(&package)
        .args(["clippy", "--version"])
        .output()
        .unwrap()
        .status
        .success();
    let command = if clippy { "clippy" } else { "check" };
    let output = cargo(&package)
        .args([command, "--quiet", "--package", "strict"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("checked by cargo {command}");
}

struct Reported {
    mistake: Mistake,
    text: String,
}

impl Reported {
    fn new(message: &Value) -> Self {
        let own = message["code"].is_null();
        let primary = message["spans"]
            .as_array()
            .unwrap()
            .iter()
            .find(|span| span["is_primary"] == true)
            .map(where_the_user_wrote);
        let text = message["rendered"].as_str().unwrap().to_owned();
        let mistake = Mistake {
            line: primary.map_or(0, |span| span["line_start"].as_u64().unwrap() as usize),
            kind: if own {
                "own"
            } else {
                message["code"]["code"].as_str().unwrap()
            }
            .to_owned(),
            underlined: primary.map(underlined).unwrap_or_default(),
            words: message["message"].as_str().unwrap().to_owned(),
        };
        Self { mistake, text }
    }

    fn is(&self, expected: &Mistake) -> bool {
        let Mistake {
            line,
            kind,
            underlined,
            words,
        } = &self.mistake;
        let says = match expected.kind.as_str() {
            "own" => kind == "own" && *words == expected.words,
            "rustc" => kind == "own" && in_this_order(&self.text, &expected.words),
            code => kind == code && in_this_order(&self.text, &expected.words),
        };
        says && *line == expected.line && *underlined == expected.underlined
    }

    fn annotation(&self) -> String {
        let Mistake {
            line,
            kind,
            underlined,
            words,
        } = &self.mistake;
        format!("line {line}: //~^ {kind} at `{underlined}`: {words}")
    }
}

/// What has no token of the user's to lie on lies in our `macro_rules`: its place is then the whole macro call.
fn where_the_user_wrote(mut span: &Value) -> &Value {
    while !span["file_name"].as_str().unwrap().contains("/ui/") && !span["expansion"].is_null() {
        span = &span["expansion"]["span"];
    }
    span
}

/// The text under the carets of a span's first line.
fn underlined(span: &Value) -> String {
    let Some(line) = span["text"].get(0) else {
        return String::new();
    };
    let column = |name: &str| line[name].as_u64().unwrap() as usize - 1;
    let text = line["text"].as_str().unwrap().chars();
    text.skip(column("highlight_start"))
        .take(column("highlight_end") - column("highlight_start"))
        .collect()
}

fn in_this_order(text: &str, words: &str) -> bool {
    let mut rest = text;
    words.split(" … ").all(|word| match rest.split_once(word) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn annotations(source: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let Some((_, annotation)) = line.split_once("//~") else {
            continue;
        };
        let rest = annotation.trim_start_matches('^');
        let n_up = annotation.len() - rest.len();
        let parsed = rest.trim().split_once(" at `").and_then(|(kind, rest)| {
            let (underlined, words) = rest.split_once("`: ")?;
            let (kind, underlined, words) =
                (kind.to_owned(), underlined.to_owned(), words.to_owned());
            Some(Mistake {
                line: index + 1 - n_up,
                kind,
                underlined,
                words,
            })
        });
        mistakes.push(parsed.unwrap_or_else(|| panic!("no annotation: {line}")));
    }
    mistakes
}

fn check(package: &Path) -> BTreeMap<String, Vec<Reported>> {
    let output = cargo(package)
        .args([
            "check",
            "--quiet",
            "--keep-going",
            "--message-format=json",
            "--package",
            "refused",
        ])
        .output()
        .unwrap();
    let mut found: BTreeMap<String, Vec<Reported>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let message = &line["message"];
        // An error without a place is the closing "could not compile due to …".
        if line["reason"] != "compiler-message"
            || message["level"] != "error"
            || message["spans"] == Value::Array(Vec::new())
        {
            continue;
        }
        let name = line["target"]["name"].as_str().unwrap();
        found
            .entry(name.to_owned())
            .or_default()
            .push(Reported::new(message));
    }
    assert!(
        !found.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    found
}

fn cargo(package: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    // The target folder of the test run is locked or not, depending on who runs it: this one is ours.
    command
        .current_dir(package)
        .arg("--offline")
        .env("CARGO_TARGET_DIR", package.join("target"));
    command
}

fn sources() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/ui")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// Writes the manifests of the packages `refused`, `renamed` and `strict`.
fn package() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let head = |name: &str| {
        format!(
            "[package]\nname = {name:?}\nedition = \"2024\"\npublish = false\nautobins = false\n"
        )
    };
    let serde = "serde = { version = \"1\", features = [\"derive\"] }";
    let runtime = tests.join("../runtime");

    let mut refused = format!(
        "{}[dependencies]\nprocession.path = {runtime:?}\n{serde}\n",
        head("refused")
    );
    for (name, path) in sources() {
        writeln!(refused, "[[bin]]\nname = {name:?}\npath = {path:?}").unwrap();
    }
    let renamed = format!(
        "{}[dependencies]\nmultiprocess = {{ package = \"procession\", path = {runtime:?} }}\n{serde}\n\
         [[bin]]\nname = \"renamed\"\npath = {:?}\n",
        head("renamed"),
        tests.join("renamed.rs"),
    );
    let strict = format!(
        "{}[dependencies]\nprocession.path = {runtime:?}\n{serde}\n[lib]\npath = {:?}\n",
        head("strict"),
        tests.join("strict.rs"),
    );
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Two tests write the same: unchanged files keep cargo from building again.
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(path, text).unwrap();
        }
    };
    write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"refused\", \"renamed\", \"strict\"]\n",
    );
    write("refused/Cargo.toml", &refused);
    write("renamed/Cargo.toml", &renamed);
    write("strict/Cargo.toml", &strict);
    if let Ok(lock) = fs::read_to_string(tests.join("../Cargo.lock")) {
        write("Cargo.lock", &lock);
    }
    root
}
