//! The table of what rounding would cost: a line for each weight where the terminal is wide enough, else several.

use quantviz::view::{PreviewTable, SqnrCell};
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, shorten};
use crate::stream::Paint;
use crate::table::header;

/// Names are not cut below this.
const SHORTEST: usize = 20;
const INDENT: &str = "  ";
const GAP: usize = 2;

/// The whole table; `width` is that of the terminal, if it goes to one.
pub(crate) fn render(table: &PreviewTable, width: Option<usize>, paint: Paint) -> String {
    let mut text = header(&table.header, paint) + "\n";
    let body =
        one_line_each(table, width, paint).unwrap_or_else(|| by_blocks(table, width.unwrap_or(80), paint));
    text.push_str(&body);
    text.push('\n');
    if let Some(line) = &table.choice {
        text.push_str(&format!("{}\n", paint.strong(line)));
    }
    for note in &table.notes {
        text.push_str(&format!("{}\n", paint.quiet(note)));
    }
    text
}

/// The cells of a line, and how each is painted.
struct Line<'a> {
    name: String,
    shape: String,
    texts: Vec<String>,
    cells: Option<&'a [SqnrCell]>,
}

fn lines(table: &PreviewTable) -> Vec<Line<'_>> {
    let text = |cells: &[SqnrCell]| cells.iter().map(text_of).collect();
    let title = Line {
        name: "weight".to_owned(),
        shape: "shape".to_owned(),
        texts: table.schemes.clone(),
        cells: None,
    };
    let rows = table.rows.iter().map(|row| Line {
        name: row.name.clone(),
        shape: row.shape.clone(),
        texts: text(&row.cells),
        cells: Some(&row.cells),
    });
    let all = Line {
        name: "all".to_owned(),
        shape: String::new(),
        texts: text(&table.all),
        cells: Some(&table.all),
    };
    let bits = Line {
        name: "bits per weight".to_owned(),
        shape: String::new(),
        texts: table.bits.clone(),
        cells: None,
    };
    [title].into_iter().chain(rows).chain([all, bits]).collect()
}

/// A star marks what is chosen where there is no colour.
fn text_of(cell: &SqnrCell) -> String {
    if cell.is_chosen { format!("*{}", cell.text) } else { cell.text.clone() }
}

fn painted(line: &Line<'_>, scheme: usize, text: &str, paint: Paint) -> String {
    match line.cells.and_then(|cells| cells.get(scheme)) {
        None => paint.quiet(text),
        Some(cell) if cell.is_low => paint.alarm(text),
        Some(cell) if cell.is_chosen => paint.badge(text),
        Some(_) => text.to_owned(),
    }
}

/// `None` where the terminal is too narrow. Shapes give way first, then the middles of names.
fn one_line_each(table: &PreviewTable, width: Option<usize>, paint: Paint) -> Option<String> {
    let mut lines = lines(table);
    let aligns: Vec<Align> =
        [Align::Left, Align::Right].into_iter().chain(table.schemes.iter().map(|_| Align::Right)).collect();
    let rows = |lines: &[Line<'_>]| -> Vec<Vec<String>> {
        lines
            .iter()
            .map(|line| [&line.name, &line.shape].into_iter().chain(&line.texts).cloned().collect())
            .collect()
    };
    let columns = |lines: &[Line<'_>]| Columns::fitting(&aligns, rows(lines).iter().map(|row| &row[..]));
    let excess =
        |lines: &[Line<'_>]| columns(lines).total_width().saturating_sub(width.unwrap_or(usize::MAX));
    let longest = lines.iter().map(|line| line.name.width()).max().unwrap_or(0);
    if longest.saturating_sub(excess(&lines)) < SHORTEST.min(longest) {
        lines.iter_mut().for_each(|line| line.shape.clear());
    }
    let room = longest.saturating_sub(excess(&lines));
    if room < SHORTEST.min(longest) {
        return None;
    }
    lines.iter_mut().for_each(|line| line.name = shorten(&line.name, room));
    let columns = columns(&lines);
    let mut text = String::new();
    for (line, row) in lines.iter().zip(rows(&lines)) {
        text.push_str(&columns.painted_line(&row, |column, cell| match column {
            0 if line.cells.is_some() => paint.strong(cell),
            0 | 1 => paint.quiet(cell),
            _ => painted(line, column - 2, cell, paint),
        }));
        text.push('\n');
    }
    Some(text)
}

/// The name on a line of its own, below it as many numbers side by side as fit, each behind its scheme.
fn by_blocks(table: &PreviewTable, width: usize, paint: Paint) -> String {
    let name_width = table.schemes.iter().map(|name| name.width()).max().unwrap_or(0);
    let lines = lines(table);
    let number_width =
        lines[1..].iter().flat_map(|line| &line.texts).map(|text| text.width()).max().unwrap_or(0);
    let cell_width = name_width + 1 + number_width;
    let per_line = ((width.saturating_sub(INDENT.len()) + GAP) / (cell_width + GAP)).max(1);
    let mut text = String::new();
    for line in &lines[1..] {
        text.push_str(&format!("{}\n", paint.strong(&shorten(&line.name, width.max(SHORTEST)))));
        let schemes: Vec<usize> = (0..line.texts.len()).collect();
        for some in schemes.chunks(per_line) {
            let cells = some.iter().map(|&scheme| {
                let name = paint.quiet(&format!("{:<name_width$}", table.schemes[scheme]));
                let number = format!("{:>number_width$}", line.texts[scheme]);
                format!("{name} {}", painted(line, scheme, &number, paint))
            });
            text.push_str(&format!("{INDENT}{}\n", cells.collect::<Vec<_>>().join(&" ".repeat(GAP))));
        }
    }
    text
}
