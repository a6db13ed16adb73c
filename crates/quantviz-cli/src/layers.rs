//! `quantviz layers`: what a model is made of.

use std::io;

use quantviz::Model;
use quantviz::view::{GroupHeading, LayerEntry, LayerList, LayerParameter};
use unicode_width::UnicodeWidthStr;

use crate::Exit;
use crate::args::LayersOptions;
use crate::layout::{Align, Columns, shorten};
use crate::models::{self, Choice};
use crate::outcome::Outcome;
use crate::stream::{Paint, Terminal};
use crate::table::header;
use crate::trouble::Trouble;

pub(crate) fn run(options: &LayersOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let limits = options.limits.limits();
    let groups = match Choice::of(&options.paths)? {
        Choice::One(path) => {
            let source = quantviz::open_with(&path, &limits).map_err(|error| Trouble::with(&path, error))?;
            print_list(source.model(), &path.to_string_lossy(), options, "", terminal)?;
            return Ok(Exit::Done);
        }
        Choice::Several(groups) => groups,
    };
    let mut outcome = Outcome::default();
    let mut gap = "";
    for group in groups {
        let paths: Vec<String> = group.iter().map(|it| it.path.to_string_lossy().into_owned()).collect();
        let variants = paths.iter().map(String::as_str).zip(group.iter().map(|it| &it.place));
        if let Some(heading) = GroupHeading::of(&variants.collect::<Vec<_>>()) {
            write!(terminal.out, "{gap}{}", models::heading(&heading, terminal.paint()))?;
            gap = "\n";
        }
        for (path, name) in group.iter().map(|it| &it.path).zip(&paths) {
            match quantviz::open_with(path, &limits) {
                Ok(source) => {
                    outcome.read();
                    print_list(source.model(), name, options, gap, terminal)?;
                    gap = "\n";
                }
                Err(error) => outcome.tell_unreadable(path, &error, terminal)?,
            }
        }
    }
    Ok(outcome.end(terminal)?)
}

fn print_list(
    model: &Model,
    name: &str,
    options: &LayersOptions,
    gap: &str,
    terminal: &mut Terminal<'_>,
) -> io::Result<()> {
    let list = LayerList::of(model, name, options.all);
    let text = render(&list, terminal.out.columns(), terminal.paint());
    write!(terminal.out, "{gap}{text}")?;
    terminal.out.flush()?;
    terminal.warn(&list.header.title, &list.warnings)
}

/// Marks what has quantization parameters.
const BADGE: &str = "●";

/// Layers and their parameters as a tree of two levels.
fn render(list: &LayerList, width: Option<usize>, paint: Paint) -> String {
    let mut text = header(&list.header, paint);
    text.push('\n');
    let parameters = list.layers.iter().flat_map(|layer| &layer.parameters);
    let mut rows: Vec<[String; 5]> = parameters.map(cells).collect();
    let aligns = [Align::Left, Align::Left, Align::Right, Align::Left, Align::Left];
    let columns = |rows: &[[String; 5]]| Columns::fitting(&aligns, rows.iter().map(|row| &row[..]));
    // Where there is no room, first the badge says it alone, then long names lose their middle.
    let excess = |rows: &[[String; 5]]| {
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(4));
        columns(rows).total_width().saturating_sub(room)
    };
    if excess(&rows) > 0 {
        rows.iter_mut().for_each(|row| row[4].clear());
    }
    let longest = rows.iter().map(|row| row[0].width()).max().unwrap_or(0);
    let room = longest.saturating_sub(excess(&rows)).max(8);
    rows.iter_mut().for_each(|row| row[0] = shorten(&row[0], room));
    let columns = columns(&rows);
    let mut rows = rows.iter();
    for layer in &list.layers {
        text.push_str(&layer_line(layer, width, paint));
        for (parameter, row) in layer.parameters.iter().zip(rows.by_ref()) {
            let line = columns.line(row);
            let badge = if parameter.quantized.is_some() { paint.badge(BADGE) } else { " ".to_owned() };
            text.push_str(format!("  {badge} {line}").trim_end());
            text.push('\n');
        }
    }
    for (index, note) in notes(list).iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}{}\n", paint.quiet(note)));
    }
    text
}

/// The operation and what it makes that is quantized, the first beside it and others below. The names of values give way
/// where there is no room.
fn layer_line(layer: &LayerEntry, width: Option<usize>, paint: Paint) -> String {
    let badge = if layer.quantized { paint.badge(BADGE) } else { " ".to_owned() };
    let op = layer.op.as_deref().unwrap_or_default();
    let name =
        shorten(&layer.name, width.map_or(usize::MAX, |width| width.saturating_sub(op.width() + 3).max(12)));
    let head = format!("{op} {name}");
    let mut text = format!("{badge} {}", format!("{} {name}", paint.strong(op)).trim_start());
    for (index, activation) in layer.activations.iter().enumerate() {
        let before = if index == 0 {
            head.trim_start().width() + 4
        } else {
            text.push('\n');
            2
        };
        let used = before + activation.quantization.width() + 3;
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(used));
        let makes = format!("  → {} {}", shorten(&activation.tensor, room), activation.quantization);
        text.push_str(&paint.quiet(&makes));
    }
    text + "\n"
}

fn cells(parameter: &LayerParameter) -> [String; 5] {
    [
        parameter.name.clone(),
        parameter.dtype.clone(),
        parameter.shape.clone(),
        parameter.role.to_string(),
        parameter.quantized.clone().unwrap_or_default(),
    ]
}

fn notes(list: &LayerList) -> Vec<String> {
    let mut notes = Vec::new();
    if list.layers.iter().any(|layer| layer.quantized) {
        notes.push(format!("{BADGE} has quantization parameters"));
    }
    match list.folded {
        0 => {}
        1 => notes.push("1 scale or zero-point is not listed (--all lists it)".to_owned()),
        many => notes.push(format!("{many} scales and zero-points are not listed (--all lists them)")),
    }
    notes
}
