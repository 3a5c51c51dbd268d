//! A judge of programs by strangers: runs each Lua script of a folder under a limit of time and one of memory, and
//! says of each what became of it.
//!
//! The scripts are answers to one question (see `script.rs`). Those in `judge/scripts` show what strangers send: two are right,
//! one is wrong, one is no Lua. The others never end, eat memory, end the process by way of a C library's `abort` or by `exit`,
//! and none of them costs another script its verdict.
//!
//! Threads cannot do this. A thread that hangs cannot be stopped by anyone. `abort` and `exit` end the program, whichever
//! thread calls them. Memory belongs to a process, so nobody can tell which thread has eaten it. And what an
//! interpreter offers instead, a hook between two instructions of the script, is not called while the script is inside one
//! call into C, where `endless_match.lua` spends its time.
//!
//! Each script has a worker of its own, so that nothing one leaves behind in the process is there for the next. A sandbox it
//! is not: a script may read and write what the program may.
//!
//! ```text
//! cargo run --release -p procession-examples --bin judge -- [FOLDER]
//!     --workers N            instead of one for each core
//!     --time-limit SECONDS   for all questions to one script (1)
//!     --memory-limit MIB     for the process that runs it (64)
//! ```
//!
//! The exit code is 0 when every script has its verdict, whatever that is.

mod script;
mod table;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use procession::{JobError, Pool, job};
use procession_examples::ending;
use procession_examples::input::{File, Found};

use script::{Outcome, run_script};
use table::Table;

const USAGE: &str =
    "usage: judge [--workers N] [--time-limit SECONDS] [--memory-limit MIB] [FOLDER]";

/// One script for each way in which a program may end.
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/judge/scripts");

/// What became of one script: what it came to, or what became of the worker that ran it.
type Verdict = Result<Outcome, JobError>;

fn main() -> ExitCode {
    ending::exit_code("judge", run())
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = Options::from_arguments()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let mut found = Found::default();
    found.add(&options.folder, |path| {
        path.extension().is_some_and(|extension| extension == "lua")
    });
    if found.files.is_empty() && found.unreadable.is_empty() {
        return Err("no `.lua` file there: name another folder".into());
    }

    let verdicts = judge(&found.files, &options)?;
    let mut table = Table::new(&options.folder);
    for (file, verdict) in found.files.iter().zip(verdicts) {
        table.add_verdict(&file.path, verdict);
    }
    for (path, error) in &found.unreadable {
        table.add_unreadable(path, error);
    }
    table.print()?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the verdicts in the order of the scripts.
fn judge(scripts: &[File], options: &Options) -> Result<Vec<Verdict>, procession::Error> {
    let mut builder = Pool::builder()
        .name("judge")
        .max_jobs_per_worker(1)
        .timeout(options.time_limit)
        .memory_limit(options.memory_limit);
    if let Some(n_workers) = options.workers {
        builder = builder.workers(n_workers);
    }
    let pool = builder.build()?;
    let verdicts = pool.map_each(job!(run_script), scripts.iter().map(|file| &*file.path))?;
    pool.close()?;
    Ok(verdicts)
}

struct Options {
    workers: Option<usize>,
    time_limit: Duration,
    /// In bytes.
    memory_limit: u64,
    folder: PathBuf,
}

impl Options {
    /// `None`: only help was asked for.
    fn from_arguments() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            workers: None,
            time_limit: Duration::from_secs(1),
            memory_limit: 64 << 20,
            folder: Path::new(SCRIPTS).to_owned(),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("workers") => options.workers = Some(arguments.value()?.parse()?),
                Long("time-limit") => {
                    options.time_limit = Duration::try_from_secs_f64(arguments.value()?.parse()?)?;
                }
                Long("memory-limit") => {
                    let mebibytes: u64 = arguments.value()?.parse()?;
                    options.memory_limit = mebibytes.saturating_mul(1 << 20);
                }
                Short('h') | Long("help") => return Ok(None),
                Value(folder) => options.folder = folder.into(),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        Ok(Some(options))
    }
}
