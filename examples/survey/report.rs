//! What was found, as a table on stdout.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Verdict;
use crate::count::{Counts, Refusal};
use crate::crates::Crates;

/// How many files of one kind of trouble are named.
const N_NAMED: usize = 10;

/// The verdicts on all files, put together.
pub(crate) struct Report {
    crates: Crates,
    of_crate: BTreeMap<PathBuf, Counts>,
    total: Counts,
    killed: Vec<Trouble>,
    refused: Vec<Trouble>,
    unreadable: Vec<Trouble>,
}

/// A file that is not in the table, and why.
struct Trouble {
    path: PathBuf,
    why: String,
}

impl Report {
    /// Begins with what could not even be looked for.
    pub(crate) fn new(unreadable: Vec<(PathBuf, io::Error)>) -> Self {
        let unreadable = unreadable.into_iter().map(|(path, error)| Trouble {
            path,
            why: error.to_string(),
        });
        Self {
            crates: Crates::default(),
            of_crate: BTreeMap::new(),
            total: Counts::default(),
            killed: Vec::new(),
            refused: Vec::new(),
            unreadable: unreadable.collect(),
        }
    }

    pub(crate) fn add(&mut self, file: &Path, verdict: Verdict) {
        let trouble = |why: &dyn fmt::Display| Trouble {
            path: file.to_owned(),
            why: why.to_string(),
        };
        match verdict {
            Ok(Ok(counts)) => {
                *self.of_crate.entry(self.crates.of(file)).or_default() += counts;
                self.total += counts;
            }
            Ok(Err(Refusal::NotRust(why))) => self.refused.push(trouble(&why)),
            Ok(Err(Refusal::Unreadable(why))) => self.unreadable.push(trouble(&why)),
            Err(error) => self.killed.push(trouble(&error)),
        }
    }

    /// `n_shown` crates have a row of their own.
    pub(crate) fn print(&self, n_shown: usize, elapsed: Duration, crew: &str) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        self.print_table(&mut out, n_shown)?;
        print_troubles(
            &mut out,
            &self.killed,
            "lost with the worker that parsed it",
        )?;
        print_troubles(&mut out, &self.refused, "not parsed")?;
        print_troubles(&mut out, &self.unreadable, "not read")?;

        let n_files = self.total.files
            + (self.killed.len() + self.refused.len() + self.unreadable.len()) as u64;
        let seconds = elapsed.as_secs_f64();
        let rate = n_files as f64 / seconds;
        writeln!(
            out,
            "\n{n_files} files in {seconds:.3} s: {rate:.0} files/s, {crew}"
        )?;
        out.flush()
    }

    fn print_table(&self, out: &mut impl Write, n_shown: usize) -> io::Result<()> {
        let mut crates: Vec<_> = self.of_crate.iter().collect();
        crates.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.lines));
        let (shown, others) = crates.split_at(n_shown.min(crates.len()));
        let head = format!(
            "{:>7} {:>9} {:>8} {:>10} {:>14}",
            "files", "lines", "items", "functions", "unsafe blocks"
        );
        writeln!(out, "{:<28} {head}", "crate")?;
        for (folder, counts) in shown {
            let name = folder.file_name().unwrap_or(folder.as_os_str());
            writeln!(out, "{:<28} {counts}", name.display().to_string())?;
        }
        if !others.is_empty() {
            let mut rest = Counts::default();
            others.iter().for_each(|(_, counts)| rest += **counts);
            writeln!(out, "{:<28} {rest}", format!("{} others", others.len()))?;
        }
        writeln!(out, "{:<28} {}", "total", self.total)
    }
}

fn print_troubles(out: &mut impl Write, troubles: &[Trouble], what: &str) -> io::Result<()> {
    if troubles.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{what}: {}", troubles.len())?;
    for Trouble { path, why } in troubles.iter().take(N_NAMED) {
        writeln!(out, "  {}: {why}", path.display())?;
    }
    if troubles.len() > N_NAMED {
        writeln!(out, "  and {} more", troubles.len() - N_NAMED)?;
    }
    Ok(())
}
