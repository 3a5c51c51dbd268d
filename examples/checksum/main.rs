//! SHA-256 of files, hashed in worker processes; a worker that is killed costs nothing but its time.
//!
//! Stands for `Pool.map` over file names (section 1.5 of the tutorial), where the path travels to the worker and
//! the bytes never do. Prints what `sha256sum` prints, in its order and with its escapes, and the rate on
//! stderr. Python's `Pool.map` hangs for ever when a worker is killed; here `--chaos N` kills N of them while
//! they work, each file that was lost with its worker is hashed again, and the sums are the same.
//!
//! ```text
//! cargo run --release -p procession-examples --bin checksum -- [FILE or FOLDER]...
//!     --workers N    instead of one for each core
//!     --chaos N      kill N workers at random places of the run (SIGKILL), which is repeated until all have died
//!     --retries N    how often one file is tried again; by default as often as workers are killed
//! ```
//!
//! Without arguments it hashes the sources that cargo has unpacked for this build. The exit code is that of
//! `sha256sum`: 1 where a file could not be hashed. Try `--chaos 20 --retries 0` to see which files were lost.

mod chaos;
mod rounds;
mod sum;

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use procession::Pool;
use procession_examples::ending;
use procession_examples::input::{self, Found};

const USAGE: &str = "usage: checksum [--workers N] [--chaos N] [--retries N] [FILE or FOLDER]...";

fn main() -> ExitCode {
    ending::exit_code("checksum", run())
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = Options::from_arguments()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let mut found = Found::default();
    for path in &options.paths {
        found.add(path, |_| true);
    }
    let mut builder = Pool::builder()
        .retries(options.retries.unwrap_or(options.chaos))
        .name("checksum");
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    let pool = builder.build()?;

    let begin = Instant::now();
    let outcome = rounds::hash_all(&pool, &found, options.chaos)?;
    let seconds = begin.elapsed().as_secs_f64();

    let mut n_failed = found.unreadable.len() + outcome.changed.len();
    for (path, error) in &found.unreadable {
        complain(path, error);
    }
    for index in outcome.changed {
        complain(
            &found.files[index].path,
            &"its sum was another in another round: does somebody write to it?",
        );
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut n_bytes = 0;
    for (file, verdict) in found.files.iter().zip(outcome.verdicts) {
        match verdict {
            Ok(Ok(sum)) => {
                n_bytes += sum.n_bytes;
                write_line(&mut out, &sum.hash, &file.path)?;
                continue;
            }
            Ok(Err(error)) => complain(&file.path, &error),
            Err(error) => complain(&file.path, &error),
        }
        n_failed += 1;
    }
    out.flush()?;

    let (n_files, n_workers) = (found.files.len(), pool.workers());
    let megabytes = (n_bytes * outcome.n_rounds) as f64 / 1e6;
    let rate = megabytes / seconds;
    eprintln!(
        "{n_files} files, {megabytes:.1} MB in {seconds:.3} s: {rate:.1} MB/s, {n_workers} workers"
    );
    if options.chaos > 0 {
        let (n_killed, n_rounds) = (outcome.n_killed, outcome.n_rounds);
        eprintln!(
            "chaos: {n_killed} of {} kills delivered in {n_rounds} rounds over the files",
            options.chaos
        );
    }
    pool.close()?;
    Ok(if n_failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Options {
    workers: Option<usize>,
    chaos: u32,
    retries: Option<u32>,
    paths: Vec<PathBuf>,
}

impl Options {
    /// `None`: only help was asked for.
    fn from_arguments() -> Result<Option<Self>, Box<dyn Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            workers: None,
            chaos: 0,
            retries: None,
            paths: Vec::new(),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("workers") => options.workers = Some(arguments.value()?.parse()?),
                Long("chaos") => options.chaos = arguments.value()?.parse()?,
                Long("retries") => options.retries = Some(arguments.value()?.parse()?),
                Short('h') | Long("help") => return Ok(None),
                Value(path) => options.paths.push(path.into()),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        if options.paths.is_empty() {
            options.paths = input::unpacked_crates()?;
        }
        Ok(Some(options))
    }
}

fn complain(path: &Path, why: &dyn fmt::Display) {
    eprintln!("checksum: {}: {why}", path.display());
}

/// As `sha256sum` does it: a name with a backslash or the end of a line in it is escaped, and the line then
/// begins with a backslash to say so.
fn write_line(out: &mut impl Write, hash: &[u8], path: &Path) -> io::Result<()> {
    let name = path.as_os_str().as_bytes();
    if name.iter().any(|byte| b"\\\n\r".contains(byte)) {
        out.write_all(b"\\")?;
    }
    for byte in hash {
        write!(out, "{byte:02x}")?;
    }
    out.write_all(b"  ")?;
    for byte in name {
        match byte {
            b'\\' => out.write_all(b"\\\\")?,
            b'\n' => out.write_all(b"\\n")?,
            b'\r' => out.write_all(b"\\r")?,
            other => out.write_all(&[*other])?,
        }
    }
    out.write_all(b"\n")
}
