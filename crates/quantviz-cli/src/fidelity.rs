//! What quantization cost, in the terminal: a line for every weight where it is wide enough, else two. Where it can draw,
//! bars show how the numbers of the reference are spread, and those that the codes stand for.

use quantviz::view::{FidelityRow, FidelityTable, RowShapes, Verdict};
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, bars, shorten, wrap};
use crate::recorded;
use crate::stream::Paint;

/// Bins of the histograms: so many that a few fewer columns still have the same number each.
pub(crate) const BINS: usize = 24;
/// The columns that bars may take.
const BAR_WIDTHS: [usize; 3] = [24, 12, 8];
/// Bars that stand behind each other in a line have less room than bars above each other.
const BAR_WIDTHS_IN_LINE: [usize; 2] = [12, 8];
/// An error of more words stands below its line where the bars need the room.
const SHORT_ERROR: usize = 13;
const ERROR: &str = "error";

/// The first of the columns that are below the name, where they are.
const NUMBERS: usize = 2;
const INDENT: &str = "  ";
const GAP: usize = 2;
/// The width where no terminal sets one.
pub(crate) const PIPE_WIDTH: usize = 120;
/// However long what stands behind it, so much of a name is shown.
const SHORTEST: usize = 24;
const SHORTEST_BESIDE_BARS: usize = 8;

pub(crate) fn render(table: &FidelityTable, reference: &str, width: Option<usize>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(&table.title));
    text.push_str(&paint.quiet(&format!("beside {reference}")));
    let room = width.unwrap_or(PIPE_WIDTH);
    text.push_str(&format!("\n{}\n\n", wrap(&table.facts.join(" · "), room, 0)));
    without_counterpart(&table.lost, room, "\n", paint, &mut text);
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
        text.push_str(&format!("{}\n", paint.quiet(&wrap(biases, room, INDENT.len()))));
    }
    if !table.recorded.is_empty() {
        text.push_str(&format!("\n{}", recorded::render(&table.recorded, room, paint)));
    }
    if !table.unmatched.is_empty() {
        text.push('\n');
        without_counterpart(&table.unmatched, room, "", paint, &mut text);
    }
    let gap = if notes.is_empty() { "" } else { "\n" };
    text.push_str(gap);
    notes.iter().for_each(|note| text.push_str(&format!("{}\n", paint.quiet(&wrap(note, room, 0)))));
    text
}

fn without_counterpart(lines: &[String], room: usize, gap: &str, paint: Paint, text: &mut String) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("{}\n", paint.strong("without a counterpart")));
    lines.iter().for_each(|line| text.push_str(&format!("{}\n", paint.alarm(&below(line, room)))));
    text.push_str(gap);
}

/// A column: its title, how it is set and painted, and what it shows of a weight; bars as wide as they may be.
struct Column {
    title: &'static str,
    align: Align,
    ink: Ink,
    cell: fn(&FidelityRow, usize) -> String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Strong,
    Quiet,
    Plain,
    /// Of how the weight is to be taken.
    Verdict,
    /// The bars of the reference, and of the codes.
    ReferenceBars,
    QuantizedBars,
}

const fn column(
    title: &'static str,
    align: Align,
    ink: Ink,
    cell: fn(&FidelityRow, usize) -> String,
) -> Column {
    Column { title, align, ink, cell }
}

/// Those that are empty in every row are left out.
const COLUMNS: [Column; 10] = [
    column("weight", Align::Left, Ink::Strong, |row, _| row.name.clone()),
    column("encoding", Align::Left, Ink::Quiet, |row, _| row.encoding.clone()),
    column("dB", Align::Right, Ink::Verdict, |row, _| row.sqnr.clone()),
    column("imp.", Align::Right, Ink::Plain, |row, _| row.by_importance.clone().unwrap_or_default()),
    column("best", Align::Right, Ink::Plain, |row, _| row.headroom.clone()),
    column("reference", Align::Left, Ink::Plain, |row, _| row.reference_range.clone()),
    column("", Align::Left, Ink::ReferenceBars, |row, width| drawn(row, width, |shapes| &shapes.reference)),
    column("quantized", Align::Left, Ink::Plain, |row, _| row.quantized_range.clone()),
    column("", Align::Left, Ink::QuantizedBars, |row, width| drawn(row, width, |shapes| &shapes.quantized)),
    column(ERROR, Align::Left, Ink::Plain, |row, _| row.error.clone()),
];

fn drawn(row: &FidelityRow, width: usize, heights: fn(&RowShapes) -> &[f64]) -> String {
    let heights = row.shapes.as_ref().filter(|_| width > 0).map(heights);
    bars(heights.unwrap_or_default(), width)
}

impl Ink {
    fn paint(self, row: &FidelityRow, cell: &str, paint: Paint) -> String {
        match (self, row.verdict) {
            (Ink::Strong, _) => paint.strong(cell),
            (Ink::Quiet | Ink::ReferenceBars, _) => paint.quiet(cell),
            (Ink::QuantizedBars, _) | (Ink::Verdict, Verdict::Improvable) => paint.badge(cell),
            (Ink::Plain, _) | (Ink::Verdict, Verdict::Fine) => cell.to_owned(),
            (Ink::Verdict, _) => paint.alarm(cell),
        }
    }
}

/// Some columns of all rows, the titles first.
struct Grid<'a> {
    shown: Vec<&'a Column>,
    titles: Vec<String>,
    rows: Vec<Vec<String>>,
    columns: Columns,
}

impl<'a> Grid<'a> {
    fn of(
        table: &FidelityTable,
        columns: impl Iterator<Item = &'a Column>,
        cell: impl Fn(&Column, &FidelityRow) -> String,
    ) -> Self {
        let mut shown: Vec<(&Column, Vec<String>)> = columns
            .map(|column| (column, table.rows.iter().map(|row| cell(column, row)).collect()))
            .collect();
        shown.retain(|(_, cells)| cells.iter().any(|cell| !cell.is_empty()));
        let titles: Vec<String> = shown.iter().map(|(column, _)| column.title.to_owned()).collect();
        let row = |index: usize| shown.iter().map(|(_, cells)| cells[index].clone()).collect();
        let rows: Vec<Vec<String>> = (0..table.rows.len()).map(row).collect();
        let aligns: Vec<Align> = shown.iter().map(|(column, _)| column.align).collect();
        let columns = Columns::fitting(&aligns, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
        Grid { shown: shown.into_iter().map(|(column, _)| column).collect(), titles, rows, columns }
    }

    fn head(&self, paint: Paint) -> String {
        paint.quiet(&self.columns.line(&self.titles))
    }

    /// A row with the columns that it takes.
    fn line(&self, index: usize, row: &FidelityRow, paint: Paint) -> (String, usize) {
        let cells = &self.rows[index];
        let painted =
            self.columns.painted_line(cells, |column, cell| self.shown[column].ink.paint(row, cell, paint));
        (painted, self.columns.line(cells).width())
    }
}

/// The lines of a table, and what is to be said of the bars in them.
type Drawn = (String, Option<&'static str>);

fn has_shapes(table: &FidelityTable) -> bool {
    table.rows.iter().any(|row| row.shapes.is_some())
}

/// `None` where there is no room, neither with bars of any width nor, if there are none, without.
fn one_line_each(table: &FidelityTable, width: usize, paint: Paint) -> Option<Drawn> {
    let bar_widths: &[usize] = if has_shapes(table) { &BAR_WIDTHS_IN_LINE } else { &[0] };
    let mut grids = bar_widths
        .iter()
        .map(|&bars| Grid::of(table, COLUMNS.iter(), |column, row| (column.cell)(row, bars)));
    let grid = grids.find(|grid| grid.columns.total_width() <= width)?;
    let mut text = grid.head(paint) + "\n";
    for (index, row) in table.rows.iter().enumerate() {
        let (line, _) = grid.line(index, row, paint);
        text.push_str(&format!("{line}\n{}", remarks(row, None, width, paint)));
    }
    let note = "bars: how the numbers are spread over the range of the reference";
    Some((text, has_shapes(table).then_some(note)))
}

/// The name on a line of its own and the numbers below it; at the right, the bars of the reference above those of the codes.
fn two_lines_each(table: &FidelityTable, width: usize, paint: Paint) -> Drawn {
    let room_below = width.saturating_sub(INDENT.len());
    let is_short = |row: &FidelityRow, longest: usize| row.error.width() <= longest;
    let numbers = |longest_error: usize| {
        let mut grid = Grid::of(table, COLUMNS[NUMBERS..].iter(), |column, row| match column.title {
            ERROR if !is_short(row, longest_error) => String::new(),
            _ => (column.cell)(row, 0),
        });
        grid.columns = grid.columns.within(room_below);
        grid
    };
    let bars_beside = |grid: &Grid<'_>| {
        let room = room_below.saturating_sub(grid.columns.total_width() + GAP);
        BAR_WIDTHS.into_iter().find(|bars| has_shapes(table) && *bars <= room)
    };
    let longest_errors = [usize::MAX, SHORT_ERROR];
    let with_bars = longest_errors.into_iter().find_map(|longest| {
        let grid = numbers(longest);
        let bars = bars_beside(&grid)?;
        Some((grid, longest, Some(bars)))
    });
    let (grid, longest, bar_width) = with_bars.unwrap_or_else(|| (numbers(usize::MAX), usize::MAX, None));
    let left = INDENT.len() + grid.columns.total_width();
    let head_room = if bar_width.is_some() { left } else { width };
    let beside = |line: &str, used: usize, bars: &str| match bars.trim_end() {
        "" => line.to_owned(),
        bars => format!("{line}{}{bars}", " ".repeat((left + GAP).saturating_sub(used).max(1))),
    };
    let mut text = format!("{INDENT}{}\n", grid.head(paint));
    for (index, row) in table.rows.iter().enumerate() {
        let bars = |ink: Ink| {
            let column = COLUMNS.iter().find(|column| column.ink == ink);
            let bars = column.map(|column| (column.cell)(row, bar_width.unwrap_or(0)));
            ink.paint(row, &bars.unwrap_or_default(), paint)
        };
        let least = if bar_width.is_some() { SHORTEST_BESIDE_BARS } else { SHORTEST };
        let name = shorten(&row.name, head_room.saturating_sub(row.encoding.width() + GAP).max(least));
        let head = format!("{}  {}", paint.strong(&name), paint.quiet(&row.encoding));
        let used = name.width() + GAP + row.encoding.width();
        text.push_str(&beside(&head, used, &bars(Ink::ReferenceBars)));
        let (line, used) = grid.line(index, row, paint);
        let line = beside(&format!("{INDENT}{line}"), INDENT.len() + used, &bars(Ink::QuantizedBars));
        let error = (!is_short(row, longest)).then_some(&row.error);
        text.push_str(&format!("\n{line}\n{}", remarks(row, error, width, paint)));
    }
    let note = "bars: the reference above, what the codes stand for below, over the same range";
    (text, bar_width.map(|_| note))
}

/// What is to be said of a row below it, and its error, where that has no room in the row.
fn remarks(row: &FidelityRow, error: Option<&String>, width: usize, paint: Paint) -> String {
    let error = error.map(|error| format!("error: {error}"));
    // Colour alone says nothing to some, and not why.
    let why = (row.verdict != Verdict::Fine).then_some(&row.why);
    let all = why.into_iter().chain(&error).chain(&row.aligned).chain(&row.remarks);
    all.map(|remark| format!("{}\n", paint.quiet(&below(remark, width)))).collect()
}

/// A text set in, and further where it takes more than a line.
fn below(text: &str, width: usize) -> String {
    wrap(&format!("{INDENT}{text}"), width, 2 * INDENT.len())
}
