//! What quantization cost, in the terminal: a line for every weight where it is wide enough, else two. Where it can draw,
//! bars show how the numbers of the reference are spread, and those that the codes stand for.

use quantviz::view::{FidelityRow, FidelityTable, RowShapes, Verdict};
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, bars, shorten};
use crate::stream::Paint;

/// Bins of the histograms: so many that a few fewer columns still have the same number each.
pub(crate) const BINS: usize = 24;
/// The columns that bars may take.
const BAR_WIDTHS: [usize; 3] = [24, 12, 8];
/// Bars that stand behind each other in a line have less room than bars above each other.
const BAR_WIDTHS_IN_LINE: [usize; 2] = [12, 8];
/// An error of more words stands below its line where the bars need the room.
const SHORT_ERROR: usize = 10;

/// Where the numbers of a row are below its name.
const NUMBERS: usize = 2;
const INDENT: &str = "  ";
const GAP: usize = 2;
/// The width where no terminal sets one.
const PIPE_WIDTH: usize = 120;
/// However long what stands behind it, so much of a name is shown.
const SHORTEST: usize = 24;

pub(crate) fn render(table: &FidelityTable, reference: &str, width: Option<usize>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&table.title));
    text.push_str(&paint.quiet(&format!("beside {reference}")));
    text.push_str(&format!("\n{}\n\n", table.facts.join(" · ")));
    let room = width.unwrap_or(PIPE_WIDTH);
    let mut notes = table.notes.clone();
    if table.rows.is_empty() {
        text.push_str("no weight of it has a reference\n");
        notes.clear();
    } else {
        let (rows, note) =
            one_line_each(table, room, paint).unwrap_or_else(|| two_lines_each(table, room, paint));
        text.push_str(&rows);
        notes.extend(note.map(str::to_owned));
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
    let gap = if notes.is_empty() { "" } else { "\n" };
    text.push_str(gap);
    notes.iter().for_each(|note| text.push_str(&format!("{}\n", paint.quiet(note))));
    text
}

fn painted(verdict: Verdict, paint: Paint, cell: &str) -> String {
    match verdict {
        Verdict::Fine => cell.to_owned(),
        Verdict::Improvable => paint.badge(cell),
        _ => paint.alarm(cell),
    }
}

/// The lines of a table, and what is to be said of the bars in them.
type Drawn = (String, Option<&'static str>);

const TITLES: [&str; 9] = ["weight", "encoding", "dB", "best", "reference", "", "quantized", "", "error"];
const ALIGNS: [Align; 9] = {
    use Align::{Left, Right};
    [Left, Left, Right, Right, Left, Left, Left, Left, Left]
};

/// `None` where there is no room, neither with bars of any width nor, if there are none, without.
fn one_line_each(table: &FidelityTable, width: usize, paint: Paint) -> Option<Drawn> {
    let has_shapes = table.rows.iter().any(|row| row.shapes.is_some());
    let bar_widths: &[usize] = if has_shapes { &BAR_WIDTHS_IN_LINE } else { &[0] };
    let titles = TITLES.map(str::to_owned);
    let (rows, columns) = bar_widths.iter().find_map(|&bar_width| {
        let rows: Vec<[String; 9]> = table.rows.iter().map(|row| cells(row, bar_width)).collect();
        let columns = Columns::fitting(&ALIGNS, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
        (columns.total_width() <= width).then_some((rows, columns))
    })?;
    let mut text = paint.quiet(&columns.line(&titles)) + "\n";
    for (row, cells) in table.rows.iter().zip(&rows) {
        let line = columns.painted_line(cells, |column, cell| match column {
            0 => paint.strong(cell),
            1 | 5 => paint.quiet(cell),
            2 => painted(row.verdict, paint, cell),
            7 => paint.badge(cell),
            _ => cell.to_owned(),
        });
        text.push_str(&format!("{line}\n{}", remarks(row, None, paint)));
    }
    let note = "bars: how the numbers are spread over the range of the reference";
    Some((text, has_shapes.then_some(note)))
}

fn cells(row: &FidelityRow, bar_width: usize) -> [String; 9] {
    let (reference, quantized) = row.shapes.as_ref().map(|it| both(it, bar_width)).unwrap_or_default();
    [
        row.name.clone(),
        row.encoding.clone(),
        row.sqnr.clone(),
        row.headroom.clone(),
        row.reference_range.clone(),
        reference,
        row.quantized_range.clone(),
        quantized,
        row.error.clone(),
    ]
}

fn both(shapes: &RowShapes, width: usize) -> (String, String) {
    if width == 0 {
        Default::default()
    } else {
        (bars(&shapes.reference, width), bars(&shapes.quantized, width))
    }
}

/// The name on a line of its own and the numbers below it; at the right, the bars of the reference above those of the codes.
fn two_lines_each(table: &FidelityTable, width: usize, paint: Paint) -> Drawn {
    let plain = Numbers::of(table, usize::MAX, width);
    let has_shapes = table.rows.iter().any(|row| row.shapes.is_some());
    let fits = |numbers: &Numbers| {
        let room = width.saturating_sub(numbers.width() + GAP);
        BAR_WIDTHS.into_iter().find(|bars| has_shapes && *bars <= room)
    };
    let short = Numbers::of(table, SHORT_ERROR, width);
    let (numbers, bar_width) = match (fits(&plain), fits(&short)) {
        (Some(bars), _) => (plain, Some(bars)),
        (None, Some(bars)) => (short, Some(bars)),
        _ => (plain, None),
    };
    let left = bar_width.map_or(width, |_| numbers.width());
    let beside = |line: &str, used: usize, bars: String| match bars.trim_end() {
        "" => line.to_owned(),
        bars => format!("{line}{}{bars}", " ".repeat((numbers.width() + GAP).saturating_sub(used))),
    };
    let mut text = paint.quiet(&format!("{INDENT}{}", numbers.columns.line(&numbers.titles))) + "\n";
    for (row, cells) in table.rows.iter().zip(&numbers.rows) {
        let shapes = row.shapes.as_ref().zip(bar_width);
        let (reference, quantized) = shapes.map(|(shapes, width)| both(shapes, width)).unwrap_or_default();
        let least = if bar_width.is_some() { 8 } else { SHORTEST };
        let name = shorten(&row.name, left.saturating_sub(row.encoding.width() + GAP).max(least));
        let head = format!("{}  {}", paint.strong(&name), paint.quiet(&row.encoding));
        let used = name.width() + GAP + row.encoding.width();
        text.push_str(&beside(&head, used, paint.quiet(&reference)));
        let line = numbers.columns.painted_line(cells, |column, cell| match column {
            0 => painted(row.verdict, paint, cell),
            _ => cell.to_owned(),
        });
        let used = INDENT.len() + numbers.columns.line(cells).width();
        text.push_str(&format!("\n{}\n", beside(&format!("{INDENT}{line}"), used, paint.badge(&quantized))));
        let left_out = cells.last().is_some_and(String::is_empty).then_some(&row.error);
        text.push_str(&remarks(row, left_out.filter(|error| !error.is_empty()), paint));
    }
    let note = "bars: the reference above, what the codes stand for below, over the same range";
    (text, bar_width.map(|_| note))
}

/// The numbers of all rows, in columns.
struct Numbers {
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    columns: Columns,
}

impl Numbers {
    /// Errors of more than so many columns are left out.
    fn of(table: &FidelityTable, longest_error: usize, width: usize) -> Self {
        // Without the columns of the bars.
        let without_bars = |row: [String; 9]| {
            let numbered = row.into_iter().enumerate().skip(NUMBERS);
            numbered
                .filter(|(column, _)| !matches!(column, 5 | 7))
                .map(|(_, cell)| cell)
                .collect::<Vec<String>>()
        };
        let titles = without_bars(TITLES.map(str::to_owned));
        let mut rows: Vec<Vec<String>> = table.rows.iter().map(|row| without_bars(cells(row, 0))).collect();
        for error in rows.iter_mut().filter_map(|row| row.last_mut()) {
            if error.width() > longest_error {
                error.clear();
            }
        }
        let aligns: Vec<Align> = [0, 1, 2, 4, 6].map(|column| ALIGNS[column + NUMBERS]).to_vec();
        let all = [&titles].into_iter().chain(&rows).map(|row| &row[..]);
        let columns = Columns::fitting(&aligns, all).within(width.saturating_sub(INDENT.len()));
        Numbers { titles, rows, columns }
    }

    fn width(&self) -> usize {
        INDENT.len() + self.columns.total_width()
    }
}

fn remarks(row: &FidelityRow, error: Option<&String>, paint: Paint) -> String {
    let error = error.map(|error| format!("error: {error}"));
    // Colour alone says nothing to some, and not why.
    let why = (row.verdict != Verdict::Fine).then_some(&row.why);
    let all = why.into_iter().chain(&error).chain(&row.aligned).chain(&row.remarks);
    all.map(|remark| format!("{INDENT}{}\n", paint.quiet(remark))).collect()
}
