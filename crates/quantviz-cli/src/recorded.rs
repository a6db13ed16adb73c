//! Recorded activations and scales of activations, in the terminal: a line for each.

use quantviz::view::{ActivationScales, RecordedRow};
use unicode_width::UnicodeWidthStr;

use crate::layout::{Align, Columns, shorten, wrap};
use crate::stream::Paint;

/// Names are not cut below this.
const SHORTEST: usize = 12;
const INDENT: &str = "  ";

const TITLES: [&str; 6] = ["activation", "dB", "mean error", "largest", "reference", "quantized"];
const ALIGNS: [Align; 6] = {
    use Align::{Left, Right};
    [Left, Right, Right, Right, Left, Left]
};

pub(crate) fn render(rows: &[RecordedRow], width: usize, paint: Paint) -> String {
    let cells = rows.iter().map(|row| {
        let RecordedRow { tensor, sqnr, mean_error, max_error, reference_range, quantized_range, .. } = row;
        [tensor, sqnr, mean_error, max_error, reference_range, quantized_range].map(String::clone).to_vec()
    });
    let mut lines = table(&TITLES.map(str::to_owned), cells.collect(), &ALIGNS, width, paint).into_iter();
    let mut text = lines.next().unwrap_or_default() + "\n";
    for (row, line) in rows.iter().zip(lines) {
        text.push_str(&format!("{line}\n"));
        if let Some(remark) = &row.remark {
            let remark = wrap(&format!("{INDENT}{remark}"), width, INDENT.len());
            text.push_str(&format!("{}\n", paint.alarm(&remark)));
        }
    }
    text
}

pub(crate) fn render_scales(scales: &ActivationScales, width: usize, paint: Paint) -> String {
    let titles: Vec<String> =
        [&["activation".to_owned()][..], &scales.variants, &["ratio".to_owned()]].concat();
    let cells = scales.rows.iter().map(|row| {
        let ends = [&row.tensor, &row.ratio].map(std::slice::from_ref);
        [ends[0], &row.scales, ends[1]].concat()
    });
    let mut aligns = vec![Align::Left; titles.len() - 1];
    aligns.push(Align::Right);
    let same = if scales.are_same { ": the same in all variants" } else { "" };
    let mut text = format!("{}{}\n", paint.strong("activation scales"), paint.quiet(same));
    for line in table(&titles, cells.collect(), &aligns, width, paint) {
        text.push_str(&format!("{line}\n"));
    }
    if scales.left_out > 0 {
        let more = format!("and {} more that differ less; --json has all of them", scales.left_out);
        text.push_str(&format!("{}\n", paint.quiet(&more)));
    }
    text
}

/// Lines of a table whose first column gives way where there is no room, titles first.
fn table(
    titles: &[String],
    rows: Vec<Vec<String>>,
    aligns: &[Align],
    width: usize,
    paint: Paint,
) -> Vec<String> {
    let mut rows: Vec<Vec<String>> = [titles.to_vec()].into_iter().chain(rows).collect();
    let columns = |rows: &[Vec<String>]| Columns::fitting(aligns, rows.iter().map(|row| &row[..]));
    let excess = columns(&rows).total_width().saturating_sub(width);
    let longest = rows.iter().map(|row| row[0].width()).max().unwrap_or(0);
    let room = longest.saturating_sub(excess).max(SHORTEST);
    rows.iter_mut().for_each(|row| row[0] = shorten(&row[0], room));
    let columns = columns(&rows).within(width);
    let paint_cell = |index: usize, column: usize, cell: &str| match (index, column) {
        (0, _) => paint.quiet(cell),
        (_, 0) => paint.strong(cell),
        _ => cell.to_owned(),
    };
    let lines = rows.iter().enumerate();
    lines
        .map(|(index, row)| columns.painted_line(row, |column, cell| paint_cell(index, column, cell)))
        .collect()
}
