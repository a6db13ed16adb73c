//! The parameters of a run by layer and by kind.

use quantviz_view::{GridCell, GridState, SessionGrid, number};

use crate::escape::escaped;
use crate::picture::{End, Picture, fitted, short};

const LEFT: f64 = 116.0;
const TOP: f64 = 24.0;
const CELL: [f64; 2] = [84.0, 26.0];
const GAP: f64 = 3.0;
/// The step of colour of each level.
const COLOURS: [u8; 5] = [0, 1, 2, 4, 6];
const LEVELS: usize = COLOURS.len();
const FOOT: f64 = 34.0;
const NAMED: usize = 4;

/// A grid: a cell for all parameters of one kind in one layer, in shades from the least to the most, with its number in it.
/// Where somebody points at a cell, it names them.
pub fn run_grid(grid: &SessionGrid, caption: &str) -> Picture {
    let columns = grid.columns.len() as f64;
    let (width, height) = (LEFT + CELL[0] * columns.max(4.0), TOP + CELL[1] * grid.rows.len() as f64);
    let mut picture = Picture::new(width, height + FOOT, format!("Parameters by layer and kind: {caption}"));
    let middle = |at: usize| LEFT + CELL[0] * (at as f64 + 0.5);
    for (at, name) in grid.columns.iter().enumerate() {
        let class = "qv-mid";
        picture.text_explained(class, [middle(at), 14.0], &fitted(name, 12, End::Last), name);
    }
    for (at, row) in grid.rows.iter().enumerate() {
        let y = TOP + CELL[1] * at as f64;
        let name = fitted(&row.label, 16, End::Last);
        picture.text_explained("qv-text", [0.0, y + 17.0], &name, &row.label);
        for (column, it) in row.cells.iter().enumerate().filter(|(_, it)| it.state != GridState::None) {
            cell(
                &mut picture,
                it,
                &format!("{}, {}", row.label, grid.columns[column]),
                [LEFT + CELL[0] * column as f64, y],
            );
        }
    }
    legend(&mut picture, height + 10.0);
    picture
}

fn cell(picture: &mut Picture, cell: &GridCell, place: &str, [x, y]: [f64; 2]) {
    let (colour, ink, text) = match (cell.state, cell.level, cell.value) {
        (GridState::Frozen, ..) => ("qv-empty".to_owned(), "qv-quiet", "frozen".to_owned()),
        (GridState::Measured, Some(level), Some(value)) => {
            let level = usize::from(level).min(LEVELS - 1);
            (format!("qv-m{}", COLOURS[level]), ink(level), number(value.0))
        }
        (GridState::Measured, _, Some(value)) => {
            ("qv-empty".to_owned(), "qv-look", format!("▲ {}", number(value.0)))
        }
        _ => ("qv-empty".to_owned(), "qv-quiet", "–".to_owned()),
    };
    let named = cell.parameters.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match cell.parameters.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let value = if text == "–" { "not measured at this step" } else { &text };
    let title = format!("{place}: {value}. {named}{more}");
    picture.add(format_args!(
        "<g><title>{}</title><rect class=\"{colour}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>\
         <text class=\"{ink}\" text-anchor=\"middle\" style=\"text-anchor:middle\" x=\"{}\" y=\"{}\">{}</text></g>",
        escaped(&title),
        short(x),
        short(y),
        short(CELL[0] - GAP),
        short(CELL[1] - GAP),
        short(x + (CELL[0] - GAP) / 2.0),
        short(y + 16.0),
        escaped(&text)
    ));
}

/// Letters that can be read on a level.
fn ink(level: usize) -> &'static str {
    if level < 3 { "qv-on-faint" } else { "qv-on-full" }
}

fn legend(picture: &mut Picture, y: f64) {
    picture.text("qv-quiet", LEFT, y + 11.0, "least");
    let from = LEFT + 34.0;
    for (at, colour) in COLOURS.iter().enumerate() {
        let x = from + 24.0 * at as f64;
        picture.add(format_args!(
            "<rect class=\"qv-m{colour}\" x=\"{}\" y=\"{}\" width=\"22\" height=\"13\" rx=\"2\"/>",
            short(x),
            short(y)
        ));
    }
    picture.text("qv-quiet", from + 24.0 * LEVELS as f64 + 4.0, y + 11.0, "most · by its logarithm");
}
