//! How weights are spread, step by step.

use quantviz_view::HistogramStrip;

use crate::escape::escaped;
use crate::picture::{End, Picture, fitted, short};
use crate::style::{STEPS, step};

const WIDTH: f64 = 960.0;
/// What half of the last step's number takes.
const RIGHT: f64 = 22.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 34.0;
const PLOT: f64 = 160.0;
const FOOT: f64 = 24.0;
/// The most columns that are drawn as wide as they get; fewer are wider.
const WIDEST: f64 = 40.0;

/// Histograms side by side, one for each step: the darker a cell, the more weights have values like these.
pub fn heat_strip(strip: &HistogramStrip) -> Picture {
    let title = format!("How the values of {} are spread, step by step", strip.parameter);
    let mut picture = Picture::new(WIDTH, TOP + PLOT + FOOT, title);
    picture.text_explained(
        "qv-strong",
        [0.0, 14.0],
        &fitted(&strip.parameter, 70, End::Last),
        &strip.parameter,
    );
    if let Some(remark) = &strip.remark {
        picture.text("qv-end", WIDTH - 4.0, 14.0, &fitted(remark, 90, End::First));
    }
    let count = strip.columns.len().max(1) as f64;
    let each = ((WIDTH - LEFT - RIGHT) / count).min(WIDEST);
    let (wide, foot) = (each * count, TOP + PLOT);
    let ticks = &strip.axis.ticks;
    picture.labels_up(LEFT - 6.0, ticks.iter().map(|it| (foot - PLOT * it.at, it.label.as_str())));
    picture.lines(
        "qv-grid",
        ticks.iter().map(|it| ([LEFT - 4.0, foot - PLOT * it.at], [LEFT, foot - PLOT * it.at])),
    );
    cells(&mut picture, strip, each);
    for (at, column) in strip.columns.iter().enumerate() {
        let x = LEFT + each * at as f64;
        let gone = if column.shares.is_empty() { ": not taken" } else { "" };
        let class = if column.shares.is_empty() { "qv-none" } else { "qv-hit" };
        picture.add(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{PLOT}\"><title>{}</title></rect>",
            short(x),
            short(each),
            escaped(&format!("step {}{gone}", quantviz_view::count(column.step)))
        ));
    }
    let steps = strip.steps.iter().map(|it| (LEFT + each / 2.0 + (wide - each) * it.at, it.label.as_str()));
    picture.labels_across(foot + 15.0, steps);
    picture.text("qv-end", LEFT - 6.0, foot + 15.0, "step");
    picture
}

/// Cells of one shade are one outline: thousands of them fit into a page. A share has the shade of its root, so that what is
/// rare is seen beside what is common.
fn cells(picture: &mut Picture, strip: &HistogramStrip, each: f64) {
    let mut shades: Vec<String> = vec![String::new(); usize::from(STEPS)];
    for (x, column) in strip.columns.iter().enumerate() {
        let high = PLOT / column.shares.len().max(1) as f64;
        for (y, share) in column.shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let shade = step(f64::from(share.max(0.0)).sqrt());
            let top = TOP + PLOT - high * (y + 1) as f64;
            let left = LEFT + each * x as f64;
            let rect =
                format!("M{} {}h{}v{}h-{}z", short(left), short(top), short(each), short(high), short(each));
            shades[usize::from(shade)].push_str(&rect);
        }
    }
    for (shade, path) in shades.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        picture.add(format_args!("<path class=\"qv-m{shade} qv-bare\" d=\"{path}\"/>"));
    }
}
