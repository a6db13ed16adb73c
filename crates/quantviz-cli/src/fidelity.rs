//! What quantization cost, in the terminal: a line for every weight where it is wide enough, else two.

use quantviz::view::{FidelityRow, FidelityTable, Verdict};

use crate::layout::{Align, Columns, shorten, wrap};
use crate::recorded;
use crate::stream::Paint;

/// A column: its title, how it is set, and what it shows of a weight.
type Column = (&'static str, Align, fn(&FidelityRow) -> String);

const COLUMNS: [Column; 8] = [
    ("weight", Align::Left, |row| row.name.clone()),
    ("encoding", Align::Left, |row| row.encoding.clone()),
    ("dB", Align::Right, |row| row.sqnr.clone()),
    ("imp.", Align::Right, |row| row.by_importance.clone().unwrap_or_default()),
    ("best", Align::Right, |row| row.headroom.clone()),
    ("reference", Align::Left, |row| row.reference_range.clone()),
    ("quantized", Align::Left, |row| row.quantized_range.clone()),
    ("error", Align::Left, |row| row.error.clone()),
];
/// Which of them only has something where importance was given.
const BY_IMPORTANCE: usize = 3;
/// Where the numbers of a row are below its name.
const NUMBERS: usize = 2;
const INDENT: &str = "  ";
/// The width where no terminal sets one.
pub(crate) const PIPE_WIDTH: usize = 120;

pub(crate) fn render(table: &FidelityTable, reference: &str, width: Option<usize>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&table.title));
    text.push_str(&paint.quiet(&format!("beside {reference}")));
    let room = width.unwrap_or(PIPE_WIDTH);
    text.push_str(&format!("\n{}\n\n", wrap(&table.facts.join(" · "), room, 0)));
    if table.rows.is_empty() {
        text.push_str("no weight of it has a reference\n");
    } else {
        text.push_str(
            &one_line_each(table, room, paint).unwrap_or_else(|| two_lines_each(table, room, paint)),
        );
    }
    if let Some(biases) = &table.biases {
        text.push_str(&format!("{}\n", paint.quiet(&shorten(biases, room))));
    }
    if !table.recorded.is_empty() {
        text.push_str(&format!("\n{}", recorded::render(&table.recorded, room, paint)));
    }
    if !table.unmatched.is_empty() {
        text.push_str(&format!("\n{}\n", paint.strong("without a counterpart")));
        for line in &table.unmatched {
            text.push_str(&format!("{INDENT}{}\n", paint.alarm(line)));
        }
    }
    if !table.rows.is_empty() {
        text.push('\n');
        for note in &table.notes {
            text.push_str(&format!("{}\n", paint.quiet(note)));
        }
    }
    text
}

/// How columns are set, their titles, and what they show of every weight.
fn cells(table: &FidelityTable) -> (Vec<Align>, Vec<Vec<String>>) {
    let is_weighted = table.rows.iter().any(|row| row.by_importance.is_some());
    let shown = COLUMNS.iter().enumerate().filter(|(index, _)| is_weighted || *index != BY_IMPORTANCE);
    let shown: Vec<&Column> = shown.map(|(_, column)| column).collect();
    let titles = shown.iter().map(|(title, ..)| (*title).to_owned()).collect();
    let of_row = |row: &FidelityRow| shown.iter().map(|(.., cell)| cell(row)).collect();
    let lines = [titles].into_iter().chain(table.rows.iter().map(of_row)).collect();
    (shown.iter().map(|(_, align, _)| *align).collect(), lines)
}

fn painted(verdict: Verdict, paint: Paint, cell: &str) -> String {
    match verdict {
        Verdict::Fine => cell.to_owned(),
        Verdict::Improvable => paint.badge(cell),
        _ => paint.alarm(cell),
    }
}

fn one_line_each(table: &FidelityTable, width: usize, paint: Paint) -> Option<String> {
    let (aligns, lines) = cells(table);
    let columns = Columns::fitting(&aligns, lines.iter().map(|row| &row[..]));
    if columns.total_width() > width {
        return None;
    }
    let mut text = paint.quiet(&columns.line(&lines[0])) + "\n";
    for (row, cells) in table.rows.iter().zip(&lines[1..]) {
        let line = columns.painted_line(cells, |column, cell| match column {
            0 => paint.strong(cell),
            1 => paint.quiet(cell),
            2 => painted(row.verdict, paint, cell),
            _ => cell.to_owned(),
        });
        text.push_str(&format!("{line}\n{}", remarks(row, paint)));
    }
    Some(text)
}

fn two_lines_each(table: &FidelityTable, width: usize, paint: Paint) -> String {
    let (aligns, lines) = cells(table);
    let all: Vec<Vec<String>> = lines.iter().map(|row| row[NUMBERS..].to_vec()).collect();
    let columns = Columns::fitting(&aligns[NUMBERS..], all.iter().map(|row| &row[..]));
    let columns = columns.within(width.saturating_sub(INDENT.len()));
    let head = |name: &str, encoding: &str| {
        let name = shorten(name, width.saturating_sub(encoding.len() + INDENT.len()).max(24));
        (name, encoding.to_owned())
    };
    let mut text = paint.quiet(&format!("{INDENT}{}", columns.line(&all[0]))) + "\n";
    for (row, cells) in table.rows.iter().zip(&all[1..]) {
        let (name, encoding) = head(&row.name, &row.encoding);
        text.push_str(&format!("{}  {}\n", paint.strong(&name), paint.quiet(&encoding)));
        let line = columns.painted_line(cells, |column, cell| match column {
            0 => painted(row.verdict, paint, cell),
            _ => cell.to_owned(),
        });
        text.push_str(&format!("{INDENT}{line}\n{}", remarks(row, paint)));
    }
    text
}

fn remarks(row: &FidelityRow, paint: Paint) -> String {
    row.remarks.iter().map(|remark| format!("{INDENT}{}\n", paint.quiet(remark))).collect()
}
