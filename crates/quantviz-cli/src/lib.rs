//! The `quantviz` command as a library: [`run`] with arguments and two streams, so that tests and other programs can
//! call it.
//!
//! ```
//! let (mut out, mut err) = (Vec::new(), Vec::new());
//! let exit = quantviz_cli::run(["quantviz", "inspect", "no-such.onnx"], &mut out, &mut err);
//! assert_eq!(exit, quantviz_cli::Exit::Trouble);
//! ```

mod activations;
mod args;
mod changes;
mod check;
mod claims;
mod compare;
mod config;
mod fidelity;
mod gathered;
mod inspect;
mod layers;
mod layout;
mod limits;
mod lint;
mod manual;
mod models;
mod named;
mod outcome;
mod plot;
mod preview;
mod preview_table;
mod progress;
mod recorded;
mod report;
mod reports;
mod sessions;
mod snapshots;
mod stores;
mod stream;
mod table;
mod threads;
mod trouble;
mod written;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
pub use stores::{LocalStores, Stores};
pub use stream::Stream;
use stream::Terminal;
use trouble::Trouble;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Exit {
    /// It did what was asked: exit code 0.
    Done,
    /// It did, and a model falls short of what was asked of it: exit code 1.
    FallsShort,
    /// Bad input or bad usage: exit code 2.
    Trouble,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::FallsShort => ExitCode::from(1),
            Exit::Trouble => ExitCode::from(2),
        }
    }
}

/// Runs a command line, its program name included.
pub fn run<I>(args: I, out: &mut dyn Stream, err: &mut dyn Stream) -> Exit
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    run_with(args, out, err, &LocalStores)
}

/// The same with stores of training runs that somebody else opens.
pub fn run_with<I>(args: I, out: &mut dyn Stream, err: &mut dyn Stream, stores: &dyn Stores) -> Exit
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let color = args::color_in(&args);
    let outcome = match Args::try_parse_from(args) {
        Ok(args) => {
            let terminal = Terminal { out, err, color: args.color };
            dispatch(args.command, terminal, stores)
        }
        Err(usage) => Err(Trouble::Usage(args::with_owner(usage))),
    };
    match outcome {
        Ok(exit) => exit,
        Err(trouble) => trouble.tell(out, err, color),
    }
}

fn dispatch(command: Command, mut terminal: Terminal<'_>, stores: &dyn Stores) -> Result<Exit, Trouble> {
    match command {
        Command::Inspect(options) => inspect::run(&options, stores, &mut terminal),
        Command::Layers(options) => layers::run(&options, &mut terminal),
        Command::Compare(options) => compare::run(&options, stores, &mut terminal),
        Command::Check(options) => check::run(&options, &mut terminal),
        Command::Lint(options) => lint::run(&options, &mut terminal),
        Command::Plot(options) => plot::run(&options, &mut terminal),
        Command::Report(options) => report::run(&options, stores, &mut terminal),
        Command::Preview(options) => preview::run(&options, &mut terminal),
        Command::Sessions(options) => sessions::run(&options, stores, &mut terminal),
        Command::Limits => {
            writeln!(terminal.out, "{}", limits::list())?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "quantviz", &mut script);
            terminal.out.write_all(&script)?;
            Ok(Exit::Done)
        }
        Command::Man { command } => {
            terminal.out.write_all(&manual::page(command)?)?;
            Ok(Exit::Done)
        }
    }
}
