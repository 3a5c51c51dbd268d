//! What the user asked for, and what is printed in answer.

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::{Long, Short, Value, ValueExt};

use crate::harness::{
    Bound, CALM, Problem, Result, Row, Settings, to_json, to_svg, to_table, used_by_others,
};
use crate::works::{self, Work};

const USAGE: &str = "\
Measures `procession` and its peers, alternating in one run.

usage: procession-bench [options] all | WORK...

    WORK          by name or by number; `list` shows them
    --rounds N    rounds that count (default 7; 3 with --quick)
    --quick       smaller works, to see that everything runs: no numbers to quote
    --json        prints JSON and no table
    --svg FILE    writes a chart
    --procspawn   builds and measures the procspawn peer too
    --only-ours   leaves the peers out: for a profile
    --any-cores   measures CPU works even while the two cores are one
";

struct Asked {
    works: Vec<&'static Work>,
    settings: Settings,
    json: bool,
    svg: Option<PathBuf>,
}

enum Command {
    Measure(Asked),
    Print(String),
    /// One piece of work in this process alone, for whoever started it to read.
    Stream(u64),
    /// Works on request, see `peers`.
    Answer,
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let done = match read() {
        Ok(Command::Measure(asked)) => measure(&asked),
        Ok(Command::Print(text)) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Ok(Command::Stream(n_bytes)) => works::stream(n_bytes).map(|()| ExitCode::SUCCESS),
        Ok(Command::Answer) => works::answer().map(|()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|problem| {
        eprintln!("{problem:?}");
        ExitCode::FAILURE
    })
}

fn read() -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut works, mut rounds, mut json, mut svg) = (Vec::new(), None, false, None);
    let (mut quick, mut any_cores, mut procspawn, mut only_ours) = (false, false, false, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Long("quick") => quick = true,
            Long("json") => json = true,
            Long("svg") => svg = Some(PathBuf::from(parser.value()?)),
            Long("procspawn") => procspawn = true,
            Long("only-ours") => only_ours = true,
            Long("any-cores") => any_cores = true,
            Long("stream") => return Ok(Command::Stream(parser.value()?.parse()?)),
            Long("answer") => return Ok(Command::Answer),
            Short('h') | Long("help") => return Ok(Command::Print(USAGE.to_owned())),
            Value(name) if name == "list" => return Ok(Command::Print(works::list())),
            Value(name) if name == "all" => works.extend(works::ALL),
            Value(name) => {
                let name = name.string()?;
                let work = works::find(&name);
                works.push(work.ok_or_else(|| format!("there is no work `{name}`"))?);
            }
            other => return Err(other.unexpected()),
        }
    }
    if works.is_empty() {
        return Err("which works? `all`, or some by name or number".into());
    }
    let settings = Settings {
        rounds: rounds.unwrap_or(if quick { 3 } else { 7 }).max(1),
        quick,
        any_cores,
        procspawn,
        only_ours,
    };
    Ok(Command::Measure(Asked {
        works,
        settings,
        json,
        svg,
    }))
}

fn measure(asked: &Asked) -> Result<ExitCode> {
    // Its start is no work's affair.
    procession::start()?;
    let others = used_by_others();
    let is_calm = others.is_none_or(|share| share <= CALM);
    let mut rows: Vec<Row> = Vec::new();
    for work in &asked.works {
        eprintln!("{} {} …", work.number, work.name);
        rows.extend((work.run)(&asked.settings).unwrap_or_else(|problem| {
            let row = Row::new(work.number, work.name, "-", Bound::None);
            vec![row.without(problem)]
        }));
    }
    if asked.json {
        println!("{}", to_json(&rows, &asked.settings, others)?);
    } else {
        print!("{}", to_table(&rows));
        if asked.settings.quick {
            println!("A quick run: it shows that everything works, and nothing to quote.");
        }
        if let Some(share) = others.filter(|_| !is_calm) {
            println!(
                "Other programs had {:.0} % of the machine before the start: nothing to quote.",
                share * 100.0
            );
        }
    }
    if let Some(path) = &asked.svg {
        std::fs::write(path, to_svg(&rows))
            .map_err(|error| Problem::failed(format!("{}: {error}", path.display())))?;
    }
    let failed = rows.iter().any(|row| row.verdict.is_failure());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
