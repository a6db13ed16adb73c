//! `quantviz sessions list`: all sessions of a store.

use quantviz::view::{ListedSession, SessionList, bytes, count, date, duration};

use super::Opened;
use crate::Exit;
use crate::layout::{Align, Columns};
use crate::stream::{Terminal, write_json};
use crate::trouble::Trouble;

/// List all sessions, those heard from last before others
#[derive(clap::Args)]
pub(super) struct ListOptions {
    /// Print JSON, for scripts: the schema quantviz.sessions/1
    #[arg(long)]
    json: bool,
}

const TITLES: [&str; 7] = ["session", "state", "step", "snapshots", "size", "begun (UTC)", "heard"];

pub(super) fn run(
    options: &ListOptions,
    opened: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let list = SessionList::of(&*opened.store, &opened.place, opened.now_ms);
    let list = list.map_err(|error| opened.trouble(error))?;
    if options.json {
        write_json(&list, terminal.out)?;
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    if list.sessions.is_empty() {
        writeln!(
            terminal.out,
            "no sessions in {}; recorders write there, --store names another place",
            quantviz::one_line(&opened.place)
        )?;
        return Ok(Exit::Done);
    }
    let paint = terminal.paint();
    let titles = TITLES.map(str::to_owned);
    let rows: Vec<[String; 7]> = list.sessions.iter().map(|it| cells(it, opened.now_ms)).collect();
    let aligns =
        [Align::Left, Align::Left, Align::Right, Align::Right, Align::Right, Align::Left, Align::Right];
    let columns = Columns::fitting(&aligns, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
    let columns = columns.within(terminal.out.columns().unwrap_or(usize::MAX));
    writeln!(terminal.out, "{}", paint.quiet(&columns.line(&titles)))?;
    for (row, session) in rows.iter().zip(&list.sessions) {
        let is_bad = session.error.is_some() || row[1] == "failed";
        let line = columns.painted_line(row, |column, cell| match column {
            0 => paint.strong(cell),
            1 if is_bad => paint.alarm(cell),
            1 if cell == "live" => paint.badge(cell),
            _ => cell.to_owned(),
        });
        writeln!(terminal.out, "{line}")?;
    }
    for session in &list.sessions {
        let why = [("failed", &session.reason), ("cannot be read", &session.error)];
        for (what, why) in why.iter().filter_map(|(what, why)| Some((what, why.as_ref()?))) {
            writeln!(terminal.out, "{}: {what}: {}", session.session, quantviz::one_line(why))?;
        }
    }
    Ok(Exit::Done)
}

fn cells(session: &ListedSession, now_ms: u64) -> [String; 7] {
    [
        session.session.clone(),
        session.state.map_or("unreadable", |state| state.name()).to_owned(),
        count(session.last_step),
        count(session.snapshots),
        bytes(session.bytes),
        date(session.begun_ms),
        format!("{} ago", duration(now_ms.saturating_sub(session.last_ms))),
    ]
}
