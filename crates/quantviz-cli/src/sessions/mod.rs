//! `quantviz sessions`: training runs that were recorded.

mod chart;
mod export;
mod grid;
mod import;
mod list;
mod prune;
mod remove;
mod show;
mod step;

use std::path::Path;

use clap::Subcommand;
use quantviz::view::duration;
use quantviz::{Error, ErrorKind, Run, RunState, SessionId, SnapshotStore};

use crate::Exit;
use crate::stores::Stores;
use crate::stream::Terminal;
use crate::trouble::Trouble;

/// Show training runs that were recorded, and look after them
///
/// A session is what was recorded of one run: snapshots of its parameters, numbers such as the loss, notes. Sessions are kept in
/// a folder. What is shown of a snapshot is computed when it is recorded: ranges and deviations, how much one step of the
/// optimizer moves a parameter.
///
/// Exit code 0: done. 2: bad input or usage.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SessionsOptions {
    #[command(subcommand)]
    command: SessionsCommand,

    /// Where the sessions are
    #[arg(long, global = true, value_name = "PATH", default_value = "./quantviz-runs")]
    store: String,
}

const EXAMPLES: &str = "\
Examples:
  quantviz sessions list
  quantviz sessions show shakespeare
  quantviz sessions show shakespeare --step 1000
  quantviz sessions show shakespeare --measure std
  quantviz sessions import out/checkpoints --session shakespeare
  quantviz sessions export shakespeare -o run.csv --format csv
  quantviz sessions export shakespeare@1000 -o step.npz --format npz
  quantviz sessions prune shakespeare --snapshots 200 --dry-run
  quantviz sessions rm shakespeare --store /data/runs";

#[derive(Subcommand)]
enum SessionsCommand {
    List(list::ListOptions),
    Show(show::ShowOptions),
    Export(export::ExportOptions),
    Import(import::ImportOptions),
    Rm(remove::RemoveOptions),
    Prune(prune::PruneOptions),
}

/// A store, and what errors about it need.
struct Opened {
    place: String,
    store: Box<dyn SnapshotStore>,
    now_ms: u64,
}

pub(crate) fn run(
    options: &SessionsOptions,
    stores: &dyn Stores,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let place = options.store.clone();
    let is_import = matches!(options.command, SessionsCommand::Import(_));
    let store = if is_import { stores.create(&place) } else { stores.open(&place) };
    let store = store.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => Error::not_found(
                "there are no sessions here; --store names the folder that they were recorded to",
            ),
            _ => error,
        };
        Trouble::with(Path::new(&place), hint)
    })?;
    let opened = Opened { place, store, now_ms: stores.now_ms() };
    match &options.command {
        SessionsCommand::List(options) => list::run(options, &opened, terminal),
        SessionsCommand::Show(options) => show::run(options, &opened, terminal),
        SessionsCommand::Export(options) => export::run(options, &opened, terminal),
        SessionsCommand::Import(options) => import::run(options, opened, terminal),
        SessionsCommand::Rm(options) => remove::run(options, &opened, terminal),
        SessionsCommand::Prune(options) => prune::run(options, &opened, terminal),
    }
}

impl Opened {
    fn trouble(&self, error: Error) -> Trouble {
        Trouble::with(Path::new(&self.place), error)
    }

    /// A session by its name; the error of one that is not there names those that are.
    fn session(&self, name: &str) -> Result<Run<'_>, Trouble> {
        let id: SessionId = name.parse().map_err(|error| self.trouble(error))?;
        Run::open(&*self.store, &id).map_err(|error| {
            let error = if error.kind() == ErrorKind::NotFound { self.unknown(&id) } else { error };
            self.trouble(error)
        })
    }

    /// Refuses to touch a session that is being written, or may be: of which nobody said that it ended, and that was heard
    /// from not long ago.
    fn refuse_while_written(&self, run: &Run<'_>, force: bool, what: &str) -> Result<(), Trouble> {
        // One that is damaged can be touched.
        let Ok(state) = run.state(self.now_ms) else { return Ok(()) };
        let why = match state.state {
            _ if force => return Ok(()),
            RunState::Live => "it is being written",
            RunState::Stalled => "it may still be written, since it did not say that it ended",
            _ => return Ok(()),
        };
        let heard = self.store.heard_ms(run.id()).map_err(|error| self.trouble(error))?;
        let heard = duration(self.now_ms.saturating_sub(heard.unwrap_or(self.now_ms)));
        let message =
            format!("session {}: {why}, and was heard from {heard} ago; --force to {what}", run.id());
        Err(self.trouble(Error::refused(message)))
    }

    fn unknown(&self, id: &SessionId) -> Error {
        const NAMED: usize = 5;
        let known = self.store.sessions().unwrap_or_default();
        let names: Vec<&str> = known.iter().map(|it| it.id.as_str()).collect();
        let there = match names.len() {
            0 => "nothing was recorded here".to_owned(),
            1..=NAMED => format!("there are: {}", names.join(", ")),
            more => format!("there are: {} and {} more", names[..NAMED].join(", "), more - NAMED),
        };
        Error::new(ErrorKind::NotFound, format!("there is no session {id}; {there}"))
    }
}
