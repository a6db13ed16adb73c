//! The grid of layers and kinds: a colour and a shade for how much, with the number beside it.

use quantviz::view::{GridCell, GridState, SessionGrid};

use crate::layout::{Align, Columns};
use crate::stream::Paint;

const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
const LETTERS: [char; 5] = ['.', '-', '+', '*', '#'];

pub(super) fn render(grid: &SessionGrid, title: &str, draws: bool, width: usize, paint: Paint) -> String {
    let head: Vec<String> = [String::new()].into_iter().chain(grid.columns.iter().cloned()).collect();
    let rows: Vec<Vec<String>> = grid
        .rows
        .iter()
        .map(|row| {
            [row.label.clone()].into_iter().chain(row.cells.iter().map(|it| cell(it, draws))).collect()
        })
        .collect();
    let aligns: Vec<Align> = vec![Align::Left; head.len()];
    let columns =
        Columns::fitting(&aligns, [&head].into_iter().chain(&rows).map(|row| &row[..])).within(width);
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
    text
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
