//! `quantviz layers`: what a model is made of.

use quantviz::view::{GroupHeading, LayerEntry, LayerList, LayerParameter};
use unicode_width::UnicodeWidthStr;

use crate::Exit;
use crate::args::LayersOptions;
use crate::layout::{Align, Columns, shorten};
use crate::models::{self, chosen, exit_after};
use crate::stream::{Paint, Terminal};
use crate::table::header;
use crate::trouble::Trouble;

pub(crate) fn run(options: &LayersOptions, terminal: &mut Terminal<'_>) -> Result<Exit, Trouble> {
    let limits = options.limits.limits().map_err(|error| Trouble::with(&options.path, error))?;
    let is_folder = options.path.is_dir();
    let mut exit = Exit::Done;
    let mut readable = 0;
    let mut gap = "";
    for group in chosen(&options.path)? {
        let paths: Vec<String> = group.iter().map(|it| it.path.to_string_lossy().into_owned()).collect();
        let variants = paths.iter().map(String::as_str).zip(group.iter().map(|it| &it.place));
        if let Some(heading) = GroupHeading::of(&variants.collect::<Vec<_>>()) {
            write!(terminal.out, "{gap}{}", models::heading(&heading, terminal.paint()))?;
            gap = "\n";
        }
        for (path, name) in group.iter().map(|it| &it.path).zip(&paths) {
            match quantviz::open_with(path, &limits) {
                Ok(source) => {
                    let list = LayerList::of(source.model(), name, options.all);
                    readable += 1;
                    let text = render(&list, terminal.out.columns(), terminal.paint());
                    write!(terminal.out, "{gap}{text}")?;
                    gap = "\n";
                    terminal.out.flush()?;
                    terminal.warn(&list.header.title, &list.warnings)?;
                }
                Err(error) if is_folder => {
                    exit = exit.worse(exit_after(&error));
                    terminal.warn(name, &[error.message().to_owned()])?;
                }
                Err(error) => return Err(Trouble::with(path, error)),
            }
        }
    }
    Ok(if readable == 0 { Exit::Trouble } else { exit })
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
    for note in notes(list) {
        text.push_str(&format!("\n{}", paint.quiet(&note)));
    }
    text.push('\n');
    text
}

/// The operation, and the first of the quantized values that it makes; its name gives way where there is no room.
fn layer_line(layer: &LayerEntry, width: Option<usize>, paint: Paint) -> String {
    let badge = if layer.quantized { paint.badge(BADGE) } else { " ".to_owned() };
    let op = layer.op.as_deref().unwrap_or_default();
    let head = format!("{op} {}", layer.name);
    let makes = layer.activations.first().map(|activation| {
        let used = head.width() + activation.quantization.width() + 8;
        let room = width.map_or(usize::MAX, |width| width.saturating_sub(used));
        let more = if layer.activations.len() > 1 { " …" } else { "" };
        format!("  → {} {}{more}", shorten(&activation.tensor, room), activation.quantization)
    });
    let name = format!("{} {}", paint.strong(op), layer.name);
    format!("{badge} {}{}\n", name.trim_start(), paint.quiet(&makes.unwrap_or_default()))
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
    if list.folded > 0 {
        notes.push(format!("{} scales and zero-points are not listed (--all lists them)", list.folded));
    }
    notes
}
