//! The job: ask one script a few questions, and see whether it knows the answers.
//!
//! The question is how many primes there are below a number. The number is the script's argument (`...` in Lua), the
//! answer is what it returns. Of the host it has one function, `isqrt`.
//!
//! Nothing here limits time or memory, and nothing catches what ends the process: that is the pool's.

use std::fs;
use std::path::Path;
use std::process;

use mlua::{Function, Lua};
use procession::process_job;
use serde::{Deserialize, Serialize};

/// Numbers, and how many primes are below each.
const QUESTIONS: [(i64, i64); 4] = [(2, 0), (3, 1), (100, 25), (10_000, 1229)];

/// What a script came to that did not end its process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Accepted,
    WrongAnswer {
        question: i64,
        answer: i64,
        expected: i64,
    },
    SyntaxError(String),
    RuntimeError(String),
    Unreadable(String),
}

/// A script that fails is a value like any other, not a failure of the job.
#[process_job]
pub(crate) fn run_script(path: &Path) -> Outcome {
    let source = match fs::read(path) {
        Ok(source) => source,
        Err(error) => return Outcome::Unreadable(error.to_string()),
    };
    let name = path.file_name().unwrap_or_default().display();
    ask(&source, &name.to_string()).unwrap_or_else(Outcome::from)
}

fn ask(source: &[u8], name: &str) -> mlua::Result<Outcome> {
    let lua = Lua::new();
    lua.globals()
        .set("isqrt", lua.create_function(|_, number| Ok(isqrt(number)))?)?;
    // After `=` stands what Lua is to call the script in its messages.
    let script: Function = lua
        .load(source)
        .set_name(format!("={name}"))
        .into_function()?;
    for (question, expected) in QUESTIONS {
        let answer = script.call(question)?;
        if answer != expected {
            return Ok(Outcome::WrongAnswer {
                question,
                answer,
                expected,
            });
        }
    }
    Ok(Outcome::Accepted)
}

/// The integer part of the square root. Stands for a function of a C library, and has the manners of one: where its
/// argument makes no sense it calls C's `abort`.
fn isqrt(number: i64) -> i64 {
    match number.checked_isqrt() {
        Some(root) => root,
        None => process::abort(),
    }
}

impl From<mlua::Error> for Outcome {
    fn from(error: mlua::Error) -> Self {
        match error {
            mlua::Error::SyntaxError { message, .. } => Self::SyntaxError(first_line(&message)),
            mlua::Error::RuntimeError(message) => Self::RuntimeError(first_line(&message)),
            other => Self::RuntimeError(first_line(&other.to_string())),
        }
    }
}

/// A traceback follows.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}
