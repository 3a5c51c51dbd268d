//! How a command-line program ends.

use std::error::Error;
use std::io;
use std::process::ExitCode;

/// The exit code for what `run` gave; an error is told on stderr in the program's name.
///
/// A reader who has seen enough (`survey | head`) closes the pipe; that is no error.
pub fn exit_code(program: &str, outcome: Result<ExitCode, Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::from(2)
        }
    }
}

fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
