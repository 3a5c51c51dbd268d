//! The main job on real input: parse every Rust file below some folders, count what is in them, crate by crate.
//!
//! Stands for `Pool.map` of section 1.5 of the tutorial, on work where Rust needs processes although it has
//! threads: a parser that meets a hostile file may overflow its stack, and no `catch_unwind` stops that. With
//! processes the file is named in the report and everything else is complete; with `--threads` the same
//! program on `std::thread` dies.
//!
//! ```text
//! cargo run --release -p procession-examples --bin survey -- [FILE or FOLDER]...
//!     --workers N    instead of one for each core
//!     --top N        how many crates the table shows, the largest first (10)
//!     --threads      threads instead of processes
//! ```
//!
//! Without arguments it surveys the sources that cargo has unpacked for this build, and `survey/deep.rs`, a correct
//! Rust file of 5,000 nested parentheses: more than `syn` can parse on the usual stack of 8 MiB. Files that
//! do not parse and files that cannot be read are reported, and the rest goes on. The exit code is 0 when
//! every file has its verdict.

mod count;
mod crates;
mod report;
mod threads;

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Instant;

use procession::{JobError, Pool, job};
use procession_examples::ending;
use procession_examples::input::{self, File, Found};
use procession_examples::progress::Progress;

use count::{Counts, Refusal, count_file};
use report::Report;

const USAGE: &str = "usage: survey [--workers N] [--top N] [--threads] [FILE or FOLDER]...";

/// What kills a recursive parser; see its head.
const DEEP_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/survey/deep.rs");

/// What became of one file.
type Verdict = Result<Result<Counts, Refusal>, JobError>;

fn main() -> ExitCode {
    ending::exit_code("survey", run())
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = Options::from_arguments()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let mut found = Found::default();
    for path in &options.paths {
        found.add(path, |path| {
            path.extension().is_some_and(|extension| extension == "rs")
        });
    }
    if found.files.is_empty() && found.unreadable.is_empty() {
        return Err("no `.rs` file there: name other files or folders".into());
    }

    let begin = Instant::now();
    let (verdicts, crew) = if options.threads {
        survey_in_threads(&found.files, options.workers)?
    } else {
        survey_in_processes(&found.files, options.workers)?
    };
    let mut report = Report::new(found.unreadable);
    for (file, verdict) in found.files.iter().zip(verdicts) {
        report.add(&file.path, verdict);
    }
    report.print(options.n_shown, begin.elapsed(), &crew)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the verdicts in the order of the files, and who has worked.
fn survey_in_processes(
    files: &[File],
    n_workers: Option<usize>,
) -> Result<(Vec<Verdict>, String), procession::Error> {
    let mut builder = Pool::builder().name("survey");
    if let Some(n_workers) = n_workers {
        builder = builder.workers(n_workers);
    }
    let pool = builder.build()?;
    let progress = Progress::new(files.len() as u64);
    let paths = files.iter().map(|file| {
        progress.advance(1);
        &*file.path
    });
    let verdicts = pool.map_each(job!(count_file), paths)?;
    let n_replaced: u32 = pool
        .stats()
        .workers
        .iter()
        .map(|worker| worker.restarts)
        .sum();
    let crew = format!("{} worker processes, {n_replaced} replaced", pool.workers());
    pool.close()?;
    Ok((verdicts, crew))
}

/// As above; here the program dies with the first file that overflows a stack.
fn survey_in_threads(
    files: &[File],
    n_workers: Option<usize>,
) -> io::Result<(Vec<Verdict>, String)> {
    let n_workers = n_workers
        .or_else(|| available_parallelism().ok().map(usize::from))
        .unwrap_or(1)
        .max(1);
    let progress = Progress::new(files.len() as u64);
    let verdicts = threads::map(n_workers, files, |file| {
        progress.advance(1);
        Ok(count_file(&file.path))
    })?;
    Ok((verdicts, format!("{n_workers} threads")))
}

struct Options {
    workers: Option<usize>,
    n_shown: usize,
    threads: bool,
    paths: Vec<PathBuf>,
}

impl Options {
    /// `None`: only help was asked for.
    fn from_arguments() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            workers: None,
            n_shown: 10,
            threads: false,
            paths: Vec::new(),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("workers") => options.workers = Some(arguments.value()?.parse()?),
                Long("top") => options.n_shown = arguments.value()?.parse()?,
                Long("threads") => options.threads = true,
                Short('h') | Long("help") => return Ok(None),
                Value(path) => options.paths.push(path.into()),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        if options.paths.is_empty() {
            options.paths = input::unpacked_crates()?;
            options.paths.push(Path::new(DEEP_FILE).to_owned());
        }
        Ok(Some(options))
    }
}
