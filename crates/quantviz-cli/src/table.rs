//! The table of parameters: one line for each where the terminal is wide enough, else two.

use quantviz::view::{Bars, Header, ParameterTable, Row, SpreadCells};

use crate::activations;
use crate::layout::{Align, Columns, bars, bins_to_a_bar, justify, wrap};
use crate::stream::Paint;

const TITLES: [&str; 12] = [
    "name",
    "layer",
    "dtype",
    "shape",
    "min",
    "max",
    "mean",
    "std",
    "taken",
    "scale",
    "zero-point",
    "offset",
];
const ALIGNS: [Align; 12] = {
    use Align::{Left, Right};
    [Left, Left, Left, Right, Right, Right, Right, Right, Left, Right, Right, Right]
};
/// Where the columns begin that are numbers of the tensor; before them is what it is called.
const NUMBERS: usize = 2;
/// How they were taken, if that is to be told.
const TAKEN: usize = 8;
/// The first column about quantization.
const SCALE: usize = 9;
const INDENT: &str = "  ";
/// The width of histograms where no terminal sets one.
const PIPE_WIDTH: usize = 100;

pub(crate) fn header(header: &Header, paint: Paint) -> String {
    format!("{}\n{}\n", paint.strong(&header.title), paint.quiet(&header.facts.join(" · ")))
}

/// The whole table; `width` is that of the terminal, if it goes to one.
pub(crate) fn render(table: &ParameterTable, width: Option<usize>, paint: Paint) -> String {
    let mut text = header(&table.header, paint) + "\n";
    if table.rows.is_empty() {
        text.push_str("no parameters\n");
    } else {
        let body = one_line_each(table, width, paint)
            .unwrap_or_else(|| two_lines_each(table, width.unwrap_or(PIPE_WIDTH), paint));
        text.push_str(&body);
    }
    if !table.activations.is_empty() {
        text.push_str(&format!("\n{}", activations::render(&table.activations, width, paint)));
    }
    for (index, note) in notes(table, width.unwrap_or(PIPE_WIDTH)).iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text.push_str(&format!("{gap}{}\n", paint.quiet(note)));
    }
    text
}

fn notes(table: &ParameterTable, width: usize) -> Vec<String> {
    let mut notes: Vec<String> = table.notes.iter().map(|note| wrap(note, width, INDENT.len())).collect();
    if table.rows.iter().any(|row| row.scale.is_some()) {
        notes.push("min to std are of the real values: quantized ones are dequantized".to_owned());
    }
    if table.rows.iter().any(|row| row.left_out.is_some()) {
        notes.push("min to std leave out what is not finite".to_owned());
    }
    notes.extend(joined_bins(table, width));
    match table.folded {
        0 => {}
        1 => notes.push("1 scale or zero-point stands with what it belongs to (--all lists it)".to_owned()),
        many => notes
            .push(format!("{many} scales and zero-points stand with what they belong to (--all lists them)")),
    }
    notes
}

/// That bars stand for several bins, where the terminal has no room for one each.
fn joined_bins(table: &ParameterTable, width: usize) -> Option<String> {
    let histograms = || table.rows.iter().filter_map(|row| row.histogram.as_ref());
    let bins = histograms().map(|bars| bars.shares.len()).max()?;
    let to_a_bar = || histograms().map(|bars| bins_to_a_bar(bars.shares.len(), room_for(bars, width)));
    let (least, most) = (to_a_bar().min()?, to_a_bar().max()?);
    let up_to = if least < most { "up to " } else { "" };
    (most > 1).then(|| format!("histograms: {bins} bins, {up_to}{most} to a bar"))
}

/// A line for every parameter; `None` where the terminal is too narrow.
fn one_line_each(table: &ParameterTable, width: Option<usize>, paint: Paint) -> Option<String> {
    let rows: Vec<[String; 12]> = table.rows.iter().map(|row| cells(row, true)).collect();
    let titles = titles(&rows);
    let columns = Columns::fitting(&ALIGNS, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
    if width.is_some_and(|width| columns.total_width() > width) {
        return None;
    }
    let mut text = paint.quiet(&columns.line(&titles)) + "\n";
    for (row, cells) in table.rows.iter().zip(&rows) {
        let line = columns.painted_line(cells, |column, cell| match column {
            0 => paint.strong(cell),
            1 | TAKEN => paint.quiet(cell),
            SCALE.. => paint.badge(cell),
            _ => cell.to_owned(),
        });
        text.push_str(&line);
        text.push('\n');
        text.push_str(&below(row, width.unwrap_or(PIPE_WIDTH), paint));
    }
    Some(text)
}

/// The name on a line of its own, the numbers below it.
fn two_lines_each(table: &ParameterTable, width: usize, paint: Paint) -> String {
    let rows: Vec<[String; 12]> = table.rows.iter().map(|row| cells(row, false)).collect();
    let titles = titles(&rows).map(|title| title.replace("zero-point", "zero"));
    let all_rows = || [&titles].into_iter().chain(&rows);
    let columns = Columns::fitting(&ALIGNS[NUMBERS..], all_rows().map(|row| &row[NUMBERS..]));
    let columns = columns.within(width.saturating_sub(INDENT.len()));
    // The layer stands at the right edge of the table, not of the terminal.
    let heads = Columns::fitting(&ALIGNS[..NUMBERS], all_rows().map(|row| &row[..NUMBERS]));
    let table_width = width.min(heads.total_width().max(columns.total_width() + INDENT.len()));
    let head = |name: &str, layer: &str, name_paint: fn(Paint, &str) -> String| {
        let (name, gap, layer) = justify(name, layer, table_width);
        format!("{}{gap}{}\n", name_paint(paint, &name), paint.quiet(&layer))
    };

    let mut text = head(&titles[0], &titles[1], Paint::quiet);
    text.push_str(&paint.quiet(&format!("{INDENT}{}", columns.line(&titles[NUMBERS..]))));
    text.push('\n');
    for (row, cells) in table.rows.iter().zip(&rows) {
        text.push_str(&head(&cells[0], &cells[1], Paint::strong));
        let numbers = columns.painted_line(&cells[NUMBERS..], |column, cell| match column + NUMBERS {
            TAKEN => paint.quiet(cell),
            SCALE.. => paint.badge(cell),
            _ => cell.to_owned(),
        });
        text.push_str(&format!("{INDENT}{numbers}\n"));
        text.push_str(&many(row, paint));
        text.push_str(&below(row, width, paint));
    }
    text
}

/// Scales, zero-points and offsets that differ, in a line each.
fn many(row: &Row, paint: Paint) -> String {
    let mut text = String::new();
    for (what, spread) in [("scales", &row.scale), ("zero-points", &row.zero_point), ("offsets", &row.offset)]
    {
        if let Some(SpreadCells::Many { min, max, mean }) = spread {
            let spread_out = row.granularity.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
            let line = format!("{INDENT}{what}{spread_out}: {min} … {max}, mean {mean}");
            text.push_str(&paint.badge(&line));
            text.push('\n');
        }
    }
    text
}

/// The titles of the columns that some row has something in.
fn titles(rows: &[[String; 12]]) -> [String; 12] {
    std::array::from_fn(|column| {
        let is_used = rows.iter().any(|row| !row[column].is_empty());
        if is_used { TITLES[column].to_owned() } else { String::new() }
    })
}

/// The cells of a row. Many scales stand in their cell only if it may be wide.
fn cells(row: &Row, may_be_wide: bool) -> [String; 12] {
    let range = row.range.clone();
    let [min, max, mean, std] = range.map_or_else(Default::default, |it| [it.min, it.max, it.mean, it.std]);
    let spread = |cells: &Option<SpreadCells>| match cells {
        Some(SpreadCells::One(value)) => value.clone(),
        Some(SpreadCells::Many { min, max, mean }) if may_be_wide => format!("{min} … {max}, mean {mean}"),
        Some(SpreadCells::Many { .. }) => "many".to_owned(),
        _ => String::new(),
    };
    [
        row.name.clone(),
        format!("{} {}", row.op, row.layer).trim().to_owned(),
        row.dtype.clone(),
        row.shape.clone(),
        min,
        max,
        mean,
        std,
        row.taken.clone().unwrap_or_default(),
        spread(&row.scale),
        spread(&row.zero_point),
        spread(&row.offset),
    ]
}

/// What stands below the numbers of a row: what they leave out, what else is to be known, and the histogram.
fn below(row: &Row, width: usize, paint: Paint) -> String {
    let mut text = String::new();
    if let Some(left_out) = &row.left_out {
        text.push_str(&format!("{INDENT}{}\n", paint.alarm(left_out)));
    }
    for remark in &row.remarks {
        text.push_str(&format!("{INDENT}{}\n", paint.quiet(remark)));
    }
    if let Some(histogram) = &row.histogram {
        let Bars { shares, low, high, .. } = histogram;
        let drawn = paint.badge(&bars(shares, room_for(histogram, width)));
        text.push_str(&format!("{INDENT}{}{low} {drawn} {high}\n", what_of(histogram)));
    }
    text
}

fn what_of(histogram: &Bars) -> &'static str {
    if histogram.codes { "codes " } else { "" }
}

/// The columns that are left for bars between what stands at their ends.
fn room_for(histogram: &Bars, width: usize) -> usize {
    let around = INDENT.len() + what_of(histogram).len() + histogram.low.len() + histogram.high.len() + 2;
    width.saturating_sub(around)
}
