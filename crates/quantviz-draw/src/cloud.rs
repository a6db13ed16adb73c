//! Rows of an embedding in space, seen along the third of three directions.

use quantviz_view::{EmbeddingMoment, EmbeddingView, count};

use crate::escape::escaped;
use crate::picture::{End, Picture, fitted, short};

const SIZE: f64 = 310.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 20.0;
const MARGIN: f64 = 14.0;
/// With more rows, names would hide each other.
const NAMED: usize = 100;
/// What letters take, so that no name is written over another.
const LETTER: [f64; 2] = [7.0, 11.0];
const LONGEST: usize = 12;

/// An embedding at one of its steps. What is nearer is larger and stronger; up to a hundred rows have their names written
/// where there is room, and all have them where somebody points.
pub fn cloud(embedding: &EmbeddingView, moment: &EmbeddingMoment) -> Picture {
    let step = count(moment.step);
    let title = format!("Rows of {} at step {step}, {}", embedding.parameter, moment.caption);
    let mut picture = Picture::new(SIZE, TOP + SIZE + FOOT, title);
    picture.text("qv-strong", 0.0, 14.0, &format!("step {step}"));
    picture.text_explained(
        "qv-quiet",
        [0.0, 30.0],
        &fitted(&moment.caption, 54, End::First),
        &moment.caption,
    );
    let (middle, reach) = (SIZE / 2.0, SIZE / 2.0 - MARGIN);
    picture.add(format_args!(
        "<rect class=\"qv-grid\" x=\".5\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"4\"/>",
        TOP + 0.5,
        SIZE - 1.0,
        SIZE - 1.0
    ));
    picture.lines(
        "qv-grid",
        [
            ([MARGIN, TOP + middle], [SIZE - MARGIN, TOP + middle]),
            ([middle, TOP + MARGIN], [middle, TOP + SIZE - MARGIN]),
        ],
    );
    let is_named = moment.rows.len() <= NAMED;
    let mut order: Vec<usize> = (0..moment.rows.len()).collect();
    // The nearest come last, over the others; they have their names first.
    order.sort_by(|&a, &b| moment.rows[a].at[2].total_cmp(&moment.rows[b].at[2]));
    let place = |at: [f32; 3]| [middle + reach * f64::from(at[0]), TOP + middle - reach * f64::from(at[1])];
    let mut taken: Vec<[f64; 4]> = Vec::new();
    let mut names: Vec<Option<[f64; 2]>> = vec![None; moment.rows.len()];
    for &at in order.iter().rev().filter(|_| is_named) {
        let row = &moment.rows[at];
        let [x, y] = place(row.at);
        let wide = LETTER[0] * row.name.chars().count().min(LONGEST) as f64;
        let x = x.clamp(wide / 2.0 + 2.0, SIZE - wide / 2.0 - 2.0);
        let here = [x - wide / 2.0, y - LETTER[1] / 2.0, x + wide / 2.0, y + LETTER[1] / 2.0];
        let is_free =
            |it: &[f64; 4]| here[2] <= it[0] || it[2] <= here[0] || here[3] <= it[1] || it[3] <= here[1];
        if !row.name.trim().is_empty() && taken.iter().all(is_free) {
            taken.push(here);
            names[at] = Some([x, y + 4.0]);
        }
    }
    for at in order {
        let row = &moment.rows[at];
        let [x, y] = place(row.at);
        let near = (f64::from(row.at[2]).clamp(-1.0, 1.0) + 1.0) / 2.0;
        let strong = short(0.45 + 0.55 * near);
        match names[at] {
            Some([x, y]) => picture.add(format_args!(
                "<text class=\"qv-row-name\" opacity=\"{}\" style=\"font-size:{}px\" x=\"{}\" y=\"{}\">{}<title>{}</title></text>",
                short(0.6 + 0.4 * near),
                short(10.0 + 3.0 * near),
                short(x),
                short(y),
                escaped(&fitted(&row.name, LONGEST, End::First)),
                escaped(&row.name)
            )),
            None => picture.add(format_args!(
                "<circle class=\"qv-dot\" opacity=\"{strong}\" cx=\"{}\" cy=\"{}\" r=\"{}\"><title>{}</title></circle>",
                short(x),
                short(y),
                short(1.2 + 1.6 * near),
                escaped(&row.name)
            )),
        }
    }
    picture.text("qv-end", SIZE, TOP + SIZE + 14.0, "direction 1 →");
    picture.text("qv-quiet", 0.0, TOP + SIZE + 14.0, "↑ direction 2 · larger is nearer");
    picture
}
