//! What quantization cost each channel of a weight: a strip of cells.

use quantviz_view::{ChannelStrip, Tick};

use crate::picture::{End, Picture, fitted};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 26.0;
const PLOT: f64 = 60.0;

/// The decibels of all channels.
pub fn strip(strip: &ChannelStrip) -> Picture {
    let title = format!("Channels of {}, {}", strip.parameter, strip.label);
    let mut picture = Picture::new(WIDTH, TOP + PLOT + 24.0, &title);
    let caption = format!("{} · {}", strip.label, strip.caption);
    picture.text("qv-text", 0.0, 14.0, &fitted(&caption, 130, End::First));
    let width = WIDTH - LEFT - 8.0;
    let at = |tick: &Tick| TOP + PLOT * (1.0 - tick.at);
    picture.lines("qv-grid", strip.decibels.iter().map(|it| ([LEFT, at(it)], [LEFT + width, at(it)])));
    picture.labels_up(LEFT - 4.0, strip.decibels.iter().map(|it| (at(it), it.label.as_str())));
    let each = width / strip.cells.len().max(1) as f64;
    let share = |index: usize| index as f64 / strip.cells.len() as f64;
    let cells = strip.cells.iter().enumerate();
    let cells = cells.map(|(index, cell)| ([share(index), share(index + 1)], cell.height));
    picture.steps("qv-fill-quantized", cells, [LEFT, TOP + PLOT], [width, PLOT]);
    // A cell has a width, and its number stands in the middle.
    let inner = width - each;
    let across = strip.axis.ticks.iter().map(|it| (LEFT + each / 2.0 + it.at * inner, it.label.as_str()));
    picture.labels_across(TOP + PLOT + 15.0, across);
    picture.text("qv-end", LEFT - 4.0, TOP + PLOT + 15.0, "dB");
    picture
}
