//! What can go wrong, told in one line, with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use quantviz::{Error, ErrorKind, one_line};

use crate::args::Color;
use crate::limits;
use crate::stream::wants_color;
use crate::{Exit, Stream};

/// Why a command could not do what was asked.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The command line is off, or it asked for help.
    Usage(clap::Error),
    /// A model cannot be read.
    Model { path: PathBuf, error: Error },
    /// The output cannot be written.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Output(error)
    }
}

impl Trouble {
    pub(crate) fn with(path: &Path, error: Error) -> Self {
        Trouble::Model { path: path.to_owned(), error }
    }

    /// The error, where it is one of this model's file; any other is trouble for the whole.
    pub(crate) fn of_model(self, model: &Path) -> Result<Error, Trouble> {
        match self {
            Trouble::Model { path, error } if path == model && error.kind() != ErrorKind::Cancelled => {
                Ok(error)
            }
            other => Err(other),
        }
    }

    pub(crate) fn tell(self, out: &mut dyn Stream, err: &mut dyn Stream, color: Color) -> Exit {
        let told = match &self {
            Trouble::Usage(usage) if usage.use_stderr() => return tell_usage(usage, err, color),
            Trouble::Usage(help) => {
                return match out.write_all(rendered(help, out, color).as_bytes()) {
                    Ok(()) => Exit::Done,
                    Err(_) => Exit::Trouble,
                };
            }
            Trouble::Model { path, error } => writeln!(err, "error: {}", describe(path, error)),
            // Whoever reads our output has seen enough.
            Trouble::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            Trouble::Output(error) => writeln!(err, "error: the output cannot be written: {error}"),
        };
        // When not even the error can be told, the exit code remains.
        let _ = told;
        Exit::Trouble
    }
}

fn tell_usage(usage: &clap::Error, err: &mut dyn Stream, color: Color) -> Exit {
    let _ = err.write_all(rendered(usage, err, color).as_bytes());
    Exit::Trouble
}

fn rendered(usage: &clap::Error, stream: &dyn Stream, color: Color) -> String {
    let text = usage.render();
    if wants_color(stream, color) { text.ansi().to_string() } else { text.to_string() }
}

/// The error in one line: with the absolute path that was tried, and with the option that helps.
fn describe(path: &Path, error: &Error) -> String {
    let file = error.file().unwrap_or(path);
    let is_url = file.to_string_lossy().contains("://");
    let absolute = if is_url { None } else { std::path::absolute(file).ok() };
    let absolute = absolute.unwrap_or_else(|| file.to_owned());
    let hint = match error.kind() {
        ErrorKind::UnknownName => "; 'quantviz layers' lists all of them".to_owned(),
        _ => limits::hint(error),
    };
    let what = error.line_within(Some(file), None);
    format!("{}: {what}{hint}", one_line(&absolute.display().to_string()))
}
