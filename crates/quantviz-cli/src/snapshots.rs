//! `quantviz inspect` of training runs at a step.

use quantviz::view::{ParameterTable, Request, SnapshotView};

use crate::Exit;
use crate::args::InspectOptions;
use crate::named::FoundSession;
use crate::stream::{Terminal, write_json};
use crate::table;
use crate::trouble::Trouble;

/// What there is to be shown of each of these.
pub(crate) fn views(sessions: &[FoundSession], request: &Request) -> Result<Vec<SnapshotView>, Trouble> {
    let view = |session: &FoundSession| {
        SnapshotView::of(&session.model()?, request).map_err(|error| session.trouble(error))
    };
    sessions.iter().map(view).collect()
}

/// Shows each of these; as JSON one object, or an array of several.
pub(crate) fn show(
    views: &[SnapshotView],
    request: &Request,
    options: &InspectOptions,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    if options.json {
        match views {
            [one] => write_json(one, terminal.out)?,
            several => write_json(&several, terminal.out)?,
        }
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    print(views, request, "", terminal)?;
    Ok(Exit::Done)
}

/// The tables of each, below what stands above the first `gap`.
pub(crate) fn print(
    views: &[SnapshotView],
    request: &Request,
    gap: &str,
    terminal: &mut Terminal<'_>,
) -> Result<(), Trouble> {
    for (index, view) in views.iter().enumerate() {
        let gap = if index == 0 { gap } else { "\n" };
        let table = ParameterTable::of_snapshot(view, request.bins.is_some());
        let text = table::render(&table, terminal.out.columns(), terminal.paint());
        write!(terminal.out, "{gap}{text}")?;
    }
    Ok(())
}
