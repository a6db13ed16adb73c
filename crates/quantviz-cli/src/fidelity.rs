//! What quantization cost, in the terminal: a line for every weight where it is wide enough, else two.

use quantviz::view::{FidelityRow, FidelityTable, Verdict};

use crate::layout::{Align, Columns, shorten};
use crate::stream::Paint;

const TITLES: [&str; 7] = ["weight", "encoding", "dB", "best", "reference", "quantized", "error"];
const ALIGNS: [Align; 7] = {
    use Align::{Left, Right};
    [Left, Left, Right, Right, Left, Left, Left]
};
/// Where the numbers of a row are below its name.
const NUMBERS: usize = 2;
const INDENT: &str = "  ";
/// The width where no terminal sets one.
const PIPE_WIDTH: usize = 120;

pub(crate) fn render(table: &FidelityTable, reference: &str, width: Option<usize>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&table.title));
    text.push_str(&paint.quiet(&format!("beside {reference}")));
    text.push_str(&format!("\n{}\n\n", table.facts.join(" · ")));
    let room = width.unwrap_or(PIPE_WIDTH);
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

fn cells(row: &FidelityRow) -> [String; 7] {
    [
        row.name.clone(),
        row.encoding.clone(),
        row.sqnr.clone(),
        row.headroom.clone(),
        row.reference_range.clone(),
        row.quantized_range.clone(),
        row.error.clone(),
    ]
}

fn painted(verdict: Verdict, paint: Paint, cell: &str) -> String {
    match verdict {
        Verdict::Fine => cell.to_owned(),
        Verdict::Improvable => paint.badge(cell),
        _ => paint.alarm(cell),
    }
}

fn one_line_each(table: &FidelityTable, width: usize, paint: Paint) -> Option<String> {
    let rows: Vec<[String; 7]> = table.rows.iter().map(cells).collect();
    let titles = TITLES.map(str::to_owned);
    let columns = Columns::fitting(&ALIGNS, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
    if columns.total_width() > width {
        return None;
    }
    let mut text = paint.quiet(&columns.line(&titles)) + "\n";
    for (row, cells) in table.rows.iter().zip(&rows) {
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
    let rows: Vec<[String; 7]> = table.rows.iter().map(cells).collect();
    let titles = TITLES.map(str::to_owned);
    let numbers = |row: &[String; 7]| row[NUMBERS..].to_vec();
    let all: Vec<Vec<String>> = [&titles].into_iter().chain(&rows).map(numbers).collect();
    let columns = Columns::fitting(&ALIGNS[NUMBERS..], all.iter().map(|row| &row[..]));
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
