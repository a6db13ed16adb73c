//! The table of quantized activations: a line for each.

use quantviz::view::ActivationRow;
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, shorten};
use crate::stream::Paint;

const TITLES: [&str; 5] = ["activation", "made by", "dtype", "scale", "zero-point"];
const ALIGNS: [Align; 5] = [Align::Left, Align::Left, Align::Left, Align::Right, Align::Right];
/// Names are not cut below this.
const SHORTEST: usize = 12;

pub(crate) fn render(activations: &[ActivationRow], width: Option<usize>, paint: Paint) -> String {
    let titles = TITLES.map(str::to_owned);
    let mut rows: Vec<[String; 5]> = [titles].into_iter().chain(activations.iter().map(cells)).collect();
    let columns = |rows: &[[String; 5]]| Columns::fitting(&ALIGNS, rows.iter().map(|row| &row[..]));
    // Where there is no room, first the layer gives way, then the name.
    for column in [1, 0] {
        let excess = width.map_or(0, |width| columns(&rows).total_width().saturating_sub(width));
        let longest = rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let room = longest.saturating_sub(excess).max(SHORTEST);
        rows.iter_mut().for_each(|row| row[column] = shorten(&row[column], room));
    }
    let columns = columns(&rows);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let line = columns.painted_line(row, |column, cell| match (index, column) {
            (0, _) | (_, 1) => paint.quiet(cell),
            (_, 0) => paint.strong(cell),
            (_, 2) => cell.to_owned(),
            _ => paint.badge(cell),
        });
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn cells(row: &ActivationRow) -> [String; 5] {
    let layer = format!("{} {}", row.op, row.layer).trim().to_owned();
    [row.tensor.clone(), layer, row.dtype.clone(), row.scale.clone(), row.zero_point.clone()]
}
