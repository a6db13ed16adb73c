//! `quantviz compare` where a training run is one of both: told by the elements that were sampled.

use std::path::{Path, PathBuf};

use quantviz::view::{ChangeRow, ChangedModel, ChangedView, ChangesTable, ChangesView, Request};
use quantviz::{BoxedSource, Limits, Model, ModelAtStep, ParameterSource, SampledChanges, SampledSide};

use crate::Exit;
use crate::args::CompareOptions;
use crate::claims::usage;
use crate::layout::{Align, Columns, shorten, wrap};
use crate::named::{Found, FoundSession};
use crate::stream::{Paint, Terminal, write_json};
use crate::trouble::Trouble;

/// The width where no terminal sets one.
const PIPE_WIDTH: usize = 100;
/// However long what stands behind it, so much of a name is shown.
const SHORTEST: usize = 16;
/// What could not be compared is listed as far as that.
const UNMATCHED: usize = 12;
const INDENT: &str = "  ";

/// A model to be compared.
enum Side {
    Recorded(FoundSession, Box<ModelAtStep>),
    File(PathBuf, BoxedSource),
}

/// Compares what is named; the first of it is the reference.
pub(crate) fn run(
    found: Vec<Found>,
    options: &CompareOptions,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    if options.target.is_some() || options.channels.is_some() || options.claims.are_any() {
        return Err(usage(
            "--target, --channels, --importance, --activations and --axis need whole models, and of a session there are samples",
        ));
    }
    let limits = options.limits.limits();
    let sides: Vec<Side> = found.into_iter().map(|it| Side::open(it, &limits)).collect::<Result<_, _>>()?;
    let Some((reference, others)) = sides.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err(usage(
            "there is nothing to compare it with: name another step, another session or a file behind it",
        ));
    };
    let request = Request {
        parameters: options.parameters.clone(),
        layers: options.layers.clone(),
        ..Request::default()
    };
    let is_part = !request.parameters.is_empty() || !request.layers.is_empty();
    let mut views = Vec::new();
    for other in others {
        if let (Side::File(..), Side::File(path, _)) = (reference, other) {
            let message = "name a session first, or compare files with files only";
            return Err(Trouble::with(path, quantviz::Error::unsupported(message)));
        }
        let changes = SampledChanges::between(reference.sampled(), other.sampled());
        let mut view = ChangedView::of(other.named(), &changes.map_err(|error| other.trouble(error))?);
        if is_part {
            view.only(reference.model(), &request).map_err(|error| reference.trouble(error))?;
        }
        views.push(view);
    }
    let view = ChangesView::of(reference.named(), views);
    if options.json {
        write_json(&view, terminal.out)?;
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    for (index, other) in view.others.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let width = terminal.out.columns().unwrap_or(PIPE_WIDTH);
        let text = render(&ChangesTable::of(other), &view.reference.title(), width, terminal.paint());
        write!(terminal.out, "{gap}{text}")?;
    }
    Ok(Exit::Done)
}

impl Side {
    fn open(found: Found, limits: &Limits) -> Result<Self, Trouble> {
        Ok(match found {
            Found::Session(session) => {
                let model = session.sampled_model()?;
                Side::Recorded(session, Box::new(model))
            }
            Found::Path(path) => {
                let source =
                    quantviz::open_with(&path, limits).map_err(|error| Trouble::with(&path, error))?;
                Side::File(path, source)
            }
        })
    }

    fn sampled(&self) -> SampledSide<'_> {
        match self {
            Side::Recorded(_, model) => SampledSide::Recorded(model),
            Side::File(_, source) => SampledSide::Source(&**source),
        }
    }

    fn model(&self) -> &Model {
        match self {
            Side::Recorded(_, model) => model.model(),
            Side::File(_, source) => source.model(),
        }
    }

    fn named(&self) -> ChangedModel {
        match self {
            Side::Recorded(session, model) => ChangedModel::snapshot(&session.given, model),
            Side::File(path, _) => ChangedModel::file(path.to_string_lossy()),
        }
    }

    fn trouble(&self, error: quantviz::Error) -> Trouble {
        match self {
            Side::Recorded(session, _) => session.trouble(error),
            Side::File(path, _) => Trouble::with(Path::new(path), error),
        }
    }
}

fn render(table: &ChangesTable, reference: &str, width: usize, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&shorten(&table.title, width)));
    text.push_str(&format!("{}\n", paint.quiet(&shorten(&format!("beside {reference}"), width))));
    text.push_str(&format!("{}\n\n", wrap(&table.facts.join(" · "), width, 0)));
    let aligns = [Align::Left, Align::Left, Align::Right, Align::Right, Align::Left];
    let titles = ["parameter", "dB", "moved", "largest", "compared"].map(str::to_owned);
    let cells = |row: &ChangeRow, name: usize| {
        let ChangeRow { decibels, moved, largest, compared, .. } = row;
        [&shorten(&row.name, name), decibels, moved, largest, compared].map(String::clone)
    };
    let fitted = |name: usize| {
        let rows: Vec<[String; 5]> = table.rows.iter().map(|row| cells(row, name)).collect();
        let columns = Columns::fitting(&aligns, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
        (rows, columns)
    };
    let (whole, columns) = fitted(usize::MAX);
    let longest = whole.iter().map(|row| unicode_width::UnicodeWidthStr::width(&*row[0])).max().unwrap_or(0);
    let excess = columns.total_width().saturating_sub(width);
    let (rows, columns) = fitted(longest.saturating_sub(excess).max(SHORTEST));
    let columns = columns.within(width);
    text.push_str(&format!("{}\n", paint.quiet(&columns.line(&titles))));
    for (row, cells) in table.rows.iter().zip(&rows) {
        let line = columns.painted_line(cells, |column, cell| match column {
            0 => paint.strong(cell),
            4 => paint.quiet(cell),
            _ => cell.to_owned(),
        });
        text.push_str(&format!("{line}\n"));
        for remark in &row.remarks {
            text.push_str(&format!("{INDENT}{}\n", paint.quiet(remark)));
        }
    }
    if !table.unmatched.is_empty() {
        text.push_str("\nnot compared\n");
        for line in table.unmatched.iter().take(UNMATCHED) {
            text.push_str(&format!("{}\n", wrap(&format!("{INDENT}{line}"), width, 2 * INDENT.len())));
        }
        let more = table.unmatched.len().saturating_sub(UNMATCHED);
        if more > 0 {
            text.push_str(&format!("{INDENT}and {more} more; --json has all of them\n"));
        }
    }
    text.push('\n');
    table
        .notes
        .iter()
        .for_each(|note| text.push_str(&format!("{}\n", paint.quiet(&wrap(note, width, INDENT.len())))));
    text
}
