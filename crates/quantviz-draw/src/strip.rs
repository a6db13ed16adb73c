//! What quantization cost each channel of a weight: a strip of cells.

use quantviz_view::{ChannelStrip, Tick};

use crate::picture::{End, Picture, fitted};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 36.0;
const PLOT: f64 = 60.0;

/// A row of numbers below the decibels: its caption, and its plot.
const CAPTION: f64 = 20.0;
const ROW: f64 = 34.0;

/// The decibels of all channels, and below them scales and zero-points where channels have their own.
pub fn strip(strip: &ChannelStrip) -> Picture {
    let title = format!("Channels of {}, {}", strip.parameter, strip.label);
    let foot = TOP + PLOT + (CAPTION + ROW) * strip.rows.len() as f64;
    let mut picture = Picture::new(WIDTH, foot + 24.0, &title);
    let caption = format!("{} · {}", strip.label, strip.caption);
    picture.text("qv-text", 0.0, 14.0, &fitted(&caption, 130, End::First));
    picture.text("qv-end", LEFT - 4.0, TOP - 9.0, "dB");
    picture.group("qv-channels", &told(strip), |picture| {
        plot(picture, &strip.decibels, strip.cells.iter().map(|cell| cell.height), TOP, PLOT);
    });
    let mut top = TOP + PLOT;
    for row in &strip.rows {
        picture.text("qv-quiet", LEFT, top + 14.0, &row.caption);
        top += CAPTION;
        let ends = [row.ticks.first(), row.ticks.last()].into_iter().flatten().cloned().collect::<Vec<_>>();
        plot(&mut picture, &ends, row.heights.iter().copied(), top, ROW);
        top += ROW;
    }
    let width = WIDTH - LEFT - 8.0;
    let each = width / strip.cells.len().max(1) as f64;
    // A cell has a width, and its number stands in the middle.
    let inner = width - each;
    let across = strip.axis.ticks.iter().map(|it| (LEFT + each / 2.0 + it.at * inner, it.label.as_str()));
    picture.labels_across(foot + 15.0, across);
    picture.text("qv-end", LEFT - 4.0, foot + 15.0, "channel");
    picture
}

/// The numbers of all cells, for who points at one: pages read them. What all cells share, captions say.
fn told(strip: &ChannelStrip) -> Vec<(&'static str, String)> {
    let decibels: Vec<&str> = strip.cells.iter().map(|it| it.decibels.trim_end_matches(" dB")).collect();
    let differs = |numbers: &[String]| numbers.windows(2).any(|two| two[0] != two[1]);
    let rows = strip.rows.iter().filter(|row| differs(&row.numbers));
    let rows = rows.map(|row| format!("{}|{}", row.name, row.numbers.join("|")));
    vec![
        ("channels", strip.channels.to_string()),
        ("each", strip.channels_a_cell.to_string()),
        ("decibels", decibels.join("|")),
        ("rows", rows.collect::<Vec<_>>().join(";")),
    ]
}

/// Cells of these heights, with a scale at their left.
fn plot(
    picture: &mut Picture,
    ticks: &[Tick],
    heights: impl ExactSizeIterator<Item = f64> + Clone,
    top: f64,
    high: f64,
) {
    let width = WIDTH - LEFT - 8.0;
    let at = |tick: &Tick| top + high * (1.0 - tick.at);
    picture.lines("qv-grid", ticks.iter().map(|it| ([LEFT, at(it)], [LEFT + width, at(it)])));
    picture.labels_up(LEFT - 4.0, ticks.iter().map(|it| (at(it), it.label.as_str())));
    let cells = heights.len() as f64;
    let share = move |index: usize| index as f64 / cells;
    let bars = heights.enumerate().map(|(index, height)| ([share(index), share(index + 1)], height));
    picture.steps("qv-cells", bars, [LEFT, top + high], [width, high]);
}
