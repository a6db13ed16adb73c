//! The table of parameters: one line for each where the terminal is wide enough, else two.

use quantviz::view::{Header, ParameterTable, Row, SpreadCells};

use crate::layout::{Align, Columns, bars, justify};
use crate::stream::Paint;

const TITLES: [&str; 10] =
    ["name", "layer", "dtype", "shape", "min", "max", "mean", "std", "scale", "zero-point"];
const ALIGNS: [Align; 10] = {
    use Align::{Left, Right};
    [Left, Left, Left, Right, Right, Right, Right, Right, Right, Right]
};
/// Where the columns begin that are numbers of the tensor; before them is what it is called.
const NUMBERS: usize = 2;
const INDENT: &str = "  ";
/// The width of histograms where no terminal sets one.
const PIPE_WIDTH: usize = 100;

pub(crate) fn header(header: &Header, paint: Paint) -> String {
    format!("{}\n{}\n", paint.strong(&header.title), paint.quiet(&header.facts.join(" · ")))
}

/// The whole table; `width` is that of the terminal, if it goes to one.
pub(crate) fn render(table: &ParameterTable, width: Option<usize>, paint: Paint) -> String {
    let mut text = header(&table.header, paint);
    if table.rows.is_empty() {
        return text;
    }
    let one_line = Lines::one_each(table);
    let body = match width {
        Some(width) if one_line.columns.total_width() > width => two_lines_each(table, width, paint),
        _ => one_line.render(table, width.unwrap_or(PIPE_WIDTH), paint),
    };
    text.push('\n');
    text.push_str(&body);
    for note in notes(table) {
        text.push_str(&format!("\n{}", paint.quiet(&note)));
    }
    text.push('\n');
    text
}

fn notes(table: &ParameterTable) -> Vec<String> {
    let mut notes = Vec::new();
    if table.rows.iter().any(|row| row.scale.is_some()) {
        notes.push("min to std are of the real values: quantized ones are dequantized".to_owned());
    }
    if table.folded > 0 {
        notes.push(format!(
            "{} scales and zero-points are with their tensors (--all lists them)",
            table.folded
        ));
    }
    notes
}

struct Lines {
    columns: Columns,
    rows: Vec<[String; 10]>,
}

impl Lines {
    fn one_each(table: &ParameterTable) -> Self {
        let titles = TITLES.map(str::to_owned);
        let rows: Vec<[String; 10]> =
            [titles].into_iter().chain(table.rows.iter().map(|row| cells(row, true))).collect();
        Lines { columns: Columns::fitting(&ALIGNS, rows.iter().map(|row| &row[..])), rows }
    }

    fn render(&self, table: &ParameterTable, width: usize, paint: Paint) -> String {
        let mut text = paint.quiet(&self.columns.line(&self.rows[0])) + "\n";
        for (row, cells) in table.rows.iter().zip(&self.rows[1..]) {
            text.push_str(&self.columns.line(cells));
            text.push('\n');
            text.push_str(&histogram(row, width, paint));
        }
        text
    }
}

/// The name on a line of its own, the numbers below it.
fn two_lines_each(table: &ParameterTable, width: usize, paint: Paint) -> String {
    let titles = TITLES.map(|title| title.replace("zero-point", "zero"));
    let rows: Vec<[String; 10]> = table.rows.iter().map(|row| cells(row, false)).collect();
    let all_numbers = [&titles].into_iter().chain(&rows).map(|row| &row[NUMBERS..]);
    let columns = Columns::fitting(&ALIGNS[NUMBERS..], all_numbers).within(width - INDENT.len());
    let head = |name: &str, layer: &str, name_paint: fn(Paint, &str) -> String| {
        let (name, layer) = justify(name, layer, width);
        format!("{}{}\n", name_paint(paint, &name), paint.quiet(&layer))
    };
    let numbers = |row: &[String; 10]| format!("{INDENT}{}", columns.line(&row[NUMBERS..]));

    let mut text = head(TITLES[0], TITLES[1], Paint::quiet) + &paint.quiet(&numbers(&titles)) + "\n";
    for (row, cells) in table.rows.iter().zip(&rows) {
        text.push_str(&head(&cells[0], &cells[1], Paint::strong));
        text.push_str(&numbers(cells));
        text.push('\n');
        text.push_str(&many(row, paint));
        text.push_str(&histogram(row, width, paint));
    }
    text
}

/// Scales and zero-points that differ, in a line each.
fn many(row: &Row, paint: Paint) -> String {
    let mut text = String::new();
    for (what, spread) in [("scales", &row.scale), ("zero-points", &row.zero_point)] {
        if let Some(SpreadCells::Many { min, max, mean }) = spread {
            let along = row.granularity.as_deref().unwrap_or_default();
            let line = format!("{INDENT}{what} along {along}: min {min}, max {max}, mean {mean}");
            text.push_str(&paint.badge(&line));
            text.push('\n');
        }
    }
    text
}

/// The cells of a row. Many scales stand in their cell only if it may be wide.
fn cells(row: &Row, may_be_wide: bool) -> [String; 10] {
    let layer = [row.op.as_str(), row.layer.as_str()].into_iter().filter(|it| !it.is_empty());
    let range = row.range.clone();
    let [min, max, mean, std] = range.map_or_else(Default::default, |it| [it.min, it.max, it.mean, it.std]);
    let spread = |cells: &Option<SpreadCells>| match cells {
        None => String::new(),
        Some(SpreadCells::One(value)) => value.clone(),
        Some(SpreadCells::Many { min, max, mean }) if may_be_wide => format!("{min} … {max}, mean {mean}"),
        Some(SpreadCells::Many { .. }) => "many".to_owned(),
    };
    [
        row.name.clone(),
        layer.collect::<Vec<_>>().join(" "),
        row.dtype.clone(),
        row.shape.clone(),
        min,
        max,
        mean,
        std,
        spread(&row.scale),
        spread(&row.zero_point),
    ]
}

fn histogram(row: &Row, width: usize, paint: Paint) -> String {
    let Some((shares, low, high)) = &row.histogram else { return String::new() };
    let room = width.saturating_sub(INDENT.len() + low.len() + high.len() + 2);
    format!("{INDENT}{low} {} {high}\n", paint.badge(&bars(shares, room)))
}
