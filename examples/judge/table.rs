//! The verdicts as a table on stdout.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use procession::JobError;

use crate::Verdict;
use crate::script::Outcome;

pub(crate) struct Table {
    /// Scripts are called by their paths below it; it may be a script itself.
    folder: PathBuf,
    rows: Vec<Row>,
}

struct Row {
    script: String,
    verdict: &'static str,
    why: String,
}

const ACCEPTED: &str = "accepted";

impl Table {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add_verdict(&mut self, script: &Path, verdict: Verdict) {
        let (verdict, why) = match verdict {
            Ok(outcome) => of_script(outcome),
            Err(death) => (of_death(&death), death.to_string()),
        };
        self.add(script, verdict, why);
    }

    pub(crate) fn add_unreadable(&mut self, path: &Path, error: &io::Error) {
        self.add(path, "not read", error.to_string());
    }

    fn add(&mut self, path: &Path, verdict: &'static str, why: String) {
        let script = match path.strip_prefix(&self.folder) {
            Ok(below) if !below.as_os_str().is_empty() => below,
            _ => path,
        };
        self.rows.push(Row {
            script: script.display().to_string(),
            verdict,
            why,
        });
    }

    pub(crate) fn print(&self) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        writeln!(out, "{:<24} {:<14} why", "script", "verdict")?;
        for Row {
            script,
            verdict,
            why,
        } in &self.rows
        {
            let row = format!("{script:<24} {verdict:<14} {why}");
            writeln!(out, "{}", row.trim_end())?;
        }
        let n_accepted = self
            .rows
            .iter()
            .filter(|row| row.verdict == ACCEPTED)
            .count();
        writeln!(out, "\n{} scripts, {n_accepted} accepted", self.rows.len())?;
        out.flush()
    }
}

fn of_script(outcome: Outcome) -> (&'static str, String) {
    match outcome {
        Outcome::Accepted => (ACCEPTED, String::new()),
        Outcome::WrongAnswer {
            question,
            answer,
            expected,
        } => (
            "wrong answer",
            format!("{answer} for {question}, not {expected}"),
        ),
        Outcome::SyntaxError(why) => ("syntax error", why),
        Outcome::RuntimeError(why) => ("runtime error", why),
        Outcome::Unreadable(why) => ("not read", why),
    }
}

fn of_death(death: &JobError) -> &'static str {
    match death {
        JobError::TimedOut { .. } => "time limit",
        JobError::MemoryExceeded { .. } => "memory limit",
        JobError::Killed { .. } => "killed",
        JobError::Exited { .. } => "exited",
        // Ours to answer for, not the script's.
        _ => "not judged",
    }
}
