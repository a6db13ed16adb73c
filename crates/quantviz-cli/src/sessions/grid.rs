//! The grid of layers and kinds: a colour and a shade for how much, with the number beside it.

use quantviz::view::{GridCell, GridRow, GridState, SessionGrid};
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, shorten, wrap};
use crate::stream::Paint;

const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
const LETTERS: [char; 5] = ['.', '-', '+', '*', '#'];

pub(super) fn render(grid: &SessionGrid, title: &str, draws: bool, width: usize, paint: Paint) -> String {
    let states = || grid.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.state);
    if states().all(|state| matches!(state, GridState::None | GridState::Missing)) {
        let measure = grid.measure.rsplit('.').next().unwrap_or_default();
        return format!(
            "{}\n{}\n",
            paint.strong(title),
            wrap(&format!("nothing was recorded of {measure}; --measure std shows what was"), width, 0)
        );
    }
    let (shown, labels) = fitting(grid, draws, width);
    let head: Vec<String> =
        [String::new()].into_iter().chain(grid.columns.iter().take(shown).cloned()).collect();
    let row = |row: &GridRow| -> Vec<String> {
        let cells = row.cells.iter().take(shown).map(|it| cell(it, draws));
        [shorten(&row.label, labels)].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = grid.rows.iter().map(row).collect();
    let columns = columns(&head, &rows).within(width);
    let mut text = format!("{}\n{}\n", paint.strong(title), paint.quiet(&columns.line(&head)));
    for (row, cells) in grid.rows.iter().zip(&rows) {
        let line = columns.painted_line(cells, |column, text| {
            let Some(cell) = column.checked_sub(1).and_then(|at| row.cells.get(at)) else {
                return text.to_owned();
            };
            match (cell.state, cell.level) {
                (GridState::Measured, Some(level)) => paint.heat(level, text),
                (GridState::Measured, None) => paint.alarm(text),
                _ => paint.quiet(text),
            }
        });
        text.push_str(&format!("{line}\n"));
    }
    let more = grid.columns.len() - shown;
    if more > 0 {
        let line = format!("and {more} more kinds, for which there is no room; --step lists all parameters");
        text.push_str(&format!("{}\n", paint.quiet(&wrap(&line, width, 0))));
    }
    text
}

/// However many kinds there are, so much of the name of a layer is shown.
const SHORTEST: usize = 16;

/// How many kinds there is room for, and how much for the names of layers, which give way first.
fn fitting(grid: &SessionGrid, draws: bool, width: usize) -> (usize, usize) {
    let longest = grid.rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
    let mut taken = 0;
    let mut shown = 0;
    for (at, title) in grid.columns.iter().enumerate() {
        let cells = grid.rows.iter().filter_map(|row| row.cells.get(at)).map(|it| cell(it, draws).width());
        let wide = cells.max().unwrap_or(0).max(title.width()) + 1;
        if shown > 0 && taken + wide + longest.min(SHORTEST) > width {
            break;
        }
        (taken, shown) = (taken + wide, at + 1);
    }
    // Columns stand two apart where there is room for that.
    let room = width.saturating_sub(taken);
    (shown, if longest > room { room.max(SHORTEST.min(longest)) } else { longest })
}

fn columns(head: &[String], rows: &[Vec<String>]) -> Columns {
    let aligns: Vec<Align> = vec![Align::Left; head.len()];
    Columns::fitting(&aligns, [head].into_iter().chain(rows.iter().map(Vec::as_slice)))
}

fn cell(cell: &GridCell, draws: bool) -> String {
    match cell.state {
        GridState::Measured => {
            let value = cell.value.map_or(f64::NAN, |it| it.0);
            let shades = if draws { SHADES } else { LETTERS };
            let shade = cell.level.map_or('!', |level| shades[usize::from(level.min(4))]);
            format!("{shade} {}", brief(value))
        }
        GridState::Frozen => "frozen".to_owned(),
        GridState::Missing => "?".to_owned(),
        _ => String::new(),
    }
}

/// A number of two digits.
pub(super) fn brief(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".to_owned(),
        _ if !(0.01..10_000.0).contains(&size) => format!("{value:.1e}"),
        _ if size < 10.0 => format!(
            "{value:.*}",
            if size < 0.1 {
                3
            } else if size < 1.0 {
                2
            } else {
                1
            }
        ),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits() {
        let cases = [
            (0.0, "0"),
            (0.001_234, "1.2e-3"),
            (-0.0567, "-0.057"),
            (0.5, "0.50"),
            (3.21, "3.2"),
            (123.4, "123"),
            (1e9, "1.0e9"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(brief(value), text);
        }
    }
}
