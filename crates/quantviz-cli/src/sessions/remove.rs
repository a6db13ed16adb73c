//! `quantviz sessions rm`: removes a session.

use std::io::{IsTerminal, stdin};

use quantviz::Error;
use quantviz::view::{bytes, count};

use super::Opened;
use crate::Exit;
use crate::stream::{Terminal, write_json};
use crate::trouble::Trouble;

/// Remove a session and everything in it
///
/// A terminal asks first; elsewhere --yes is needed. A session that is being written is not removed, nor one that may be,
/// since it was heard from within the last hour and did not say that it ended: --force removes it all the same.
#[derive(clap::Args)]
pub(super) struct RemoveOptions {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Remove it though somebody is writing it
    #[arg(long)]
    force: bool,

    /// Print JSON, for scripts: the schema quantviz.removed/1
    #[arg(long)]
    json: bool,
}

pub(super) fn run(
    options: &RemoveOptions,
    opened: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let run = opened.session(&options.session)?;
    opened.refuse_while_written(&run, options.force, "remove it all the same")?;
    let id = run.id().clone();
    let taken =
        run.timeline().records().map(|it| if it.is_thinned { it.summary_bytes } else { it.bytes }).sum();
    let size = bytes(taken);
    if !options.yes {
        if terminal.err.columns().is_none() || !stdin().is_terminal() {
            let message = format!("session {id}: --yes removes it, {size} for ever");
            return Err(opened.trouble(Error::refused(message)));
        }
        let steps = count(run.timeline().alive().map(|it| it.step).max().unwrap_or(0));
        write!(terminal.err, "Remove session {id}, {steps} steps, {size}, for ever? [y/N] ")?;
        terminal.err.flush()?;
        let mut answer = String::new();
        stdin().read_line(&mut answer)?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            writeln!(terminal.out, "nothing was removed")?;
            return Ok(Exit::Done);
        }
    }
    opened.store.remove_session(&id).map_err(|error| opened.trouble(error))?;
    if options.json {
        let removed = serde_json::json!({
            "schema": "quantviz.removed/1", "session": id.as_str(), "bytes": taken
        });
        write_json(&removed, terminal.out)?;
        terminal.out.write_all(b"\n")?;
    } else {
        writeln!(terminal.out, "removed session {id}, {size}")?;
    }
    Ok(Exit::Done)
}
