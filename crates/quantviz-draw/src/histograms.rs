//! A weight beside what was made of it: histograms side by side over one axis.

use quantviz_view::{
    Axis, CodeHistogram, CountAxis, HistogramBar, HistogramPanel, HistogramSet, Tick, Verdict,
};

use crate::picture::{End, Picture, fitted, short};

/// How high bars are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counts {
    /// By how many there are.
    Even,
    /// By the logarithm, which shows what is rare.
    Log,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// The real numbers.
    Real,
    /// The codes, where there are such; real numbers else.
    Codes,
}

const WIDTH: f64 = 960.0;
const TOP: f64 = 66.0;
const PLOT: f64 = 120.0;
const HEIGHT: f64 = TOP + PLOT + 40.0;
/// What the counts take on the left of each panel.
const LEFT: f64 = 48.0;
const GAP: f64 = 14.0;
/// Panels in a row; further ones stand below.
const MOST: usize = 3;
/// Counts that are written at an axis.
const MOST_COUNTS: usize = 4;

/// The histograms of a set, drawn in one way.
pub fn histograms(set: &HistogramSet, values: Values, counts: Counts) -> Picture {
    let one = Way { values, counts, class: "" };
    draw(set, &[one])
}

/// Drawn in up to three ways, of which a page shows one at a time: groups of the classes `qv-even` and `qv-log`, of real
/// numbers, and `qv-codes`, evenly. The first is seen where nobody chooses. There is no logarithm of counts below ten.
pub fn histograms_in_all_ways(set: &HistogramSet) -> Picture {
    let ways = [
        Way { values: Values::Real, counts: Counts::Even, class: "qv-even" },
        Way { values: Values::Real, counts: Counts::Log, class: "qv-log" },
        Way { values: Values::Codes, counts: Counts::Even, class: "qv-codes" },
    ];
    let is_wanted = |way: &Way| match way {
        Way { values: Values::Codes, .. } => set.has_codes,
        Way { counts: Counts::Log, .. } => set.counts.log_ticks.len() > 1,
        _ => true,
    };
    let ways: Vec<Way> = ways.into_iter().filter(is_wanted).collect();
    draw(set, &ways)
}

/// One way to draw it, and the class of what is drawn so.
struct Way {
    values: Values,
    counts: Counts,
    class: &'static str,
}

fn draw(set: &HistogramSet, ways: &[Way]) -> Picture {
    let lines = set.panels.len().div_ceil(MOST);
    let columns = set.panels.len().clamp(1, MOST);
    let title = format!("Histograms of {}: {}", set.title, set.height);
    let mut picture = Picture::new(WIDTH, HEIGHT * lines as f64, title);
    let each = (WIDTH - GAP * (columns - 1) as f64) / columns as f64;
    for (index, panel) in set.panels.iter().enumerate() {
        let x = (each + GAP) * (index % MOST) as f64;
        let y = HEIGHT * (index / MOST) as f64;
        picture.add(format_args!("<g transform=\"translate({} {y})\">", short(x)));
        heading(&mut picture, set, panel, index, each);
        let frame = Frame { set, panel, width: each - LEFT - 8.0, is_first: index % MOST == 0 };
        // What several ways have in common is drawn once.
        let axis_of = |way: &Way| way.values == Values::Codes && panel.codes.is_some();
        for alike in ways.chunk_by(|one, other| axis_of(one) == axis_of(other)) {
            let class = if axis_of(&alike[0]) { alike[0].class } else { "qv-real" };
            picture.add(format_args!("<g class=\"{}\">", if ways.len() > 1 { class } else { "" }));
            frame.draw(&mut picture, alike, index > 0);
            picture.add(format_args!("</g>"));
        }
        picture.add(format_args!("</g>"));
    }
    picture.from_files(set.panels.iter().map(|panel| panel.model.as_str()))
}

fn heading(picture: &mut Picture, set: &HistogramSet, panel: &HistogramPanel, index: usize, each: f64) {
    let letters = (each / 7.0) as usize;
    let sign = match panel.verdict {
        Some(Verdict::Poor) => "▲ ",
        Some(Verdict::Improvable) => "◆ ",
        _ => "",
    };
    let label = format!("{} · {}", panel.label, panel.parameter);
    picture.text_explained("qv-strong", [0.0, 14.0], &fitted(&label, letters, End::First), &label);
    picture.text("qv-quiet", 0.0, 30.0, &fitted(&format!("{sign}{}", panel.caption), letters, End::First));
    let outside = panel.outside.as_ref().map(|it| format!("beyond the axis: {it}"));
    let further = if index == 0 { set.remark.clone() } else { outside };
    picture.text("qv-quiet", 0.0, 46.0, &fitted(&further.unwrap_or_default(), letters, End::First));
}

/// The place of one panel.
struct Frame<'a> {
    set: &'a HistogramSet,
    panel: &'a HistogramPanel,
    width: f64,
    /// Whether it stands at the left, where the counts of all are told.
    is_first: bool,
}

impl Frame<'_> {
    /// Over one axis, in one way or several.
    fn draw(&self, picture: &mut Picture, ways: &[Way], is_quantized: bool) {
        let codes = self.panel.codes.as_ref().filter(|_| ways[0].values == Values::Codes);
        let (axis, heights, bars) = match codes {
            Some(CodeHistogram { axis, counts, bars, .. }) => (axis, counts, bars),
            None => (&self.set.axis, &self.set.counts, &self.panel.bars),
        };
        if let Some(codes) = codes {
            picture.text("qv-quiet", 0.0, TOP - 4.0, &codes.caption);
        }
        self.across(picture, axis);
        for way in ways {
            if ways.len() > 1 {
                picture.add(format_args!("<g class=\"{}\">", way.class));
            }
            self.up(picture, heights, way.counts, self.is_first || codes.is_some());
            let colour = if is_quantized { "qv-fill-quantized" } else { "qv-fill" };
            let height = |bar: &HistogramBar| match way.counts {
                Counts::Log => bar.log_height,
                Counts::Even => bar.height,
            };
            let bars = bars.iter().map(|bar| ([bar.from, bar.to], height(bar)));
            picture.steps(colour, bars, [LEFT, TOP + PLOT], [self.width, PLOT]);
            if ways.len() > 1 {
                picture.add(format_args!("</g>"));
            }
        }
    }

    /// The axis of the numbers.
    fn across(&self, picture: &mut Picture, axis: &Axis) {
        let foot = TOP + PLOT;
        let at = |tick: &Tick| LEFT + tick.at * self.width;
        let ticks = axis.ticks.iter().map(|tick| ([at(tick), foot], [at(tick), foot + 4.0]));
        picture.lines("qv-zero", ticks.chain([([LEFT, foot], [LEFT + self.width, foot])]));
        picture.labels_across(foot + 17.0, axis.ticks.iter().map(|tick| (at(tick), tick.label.as_str())));
    }

    /// The axis of the counts.
    fn up(&self, picture: &mut Picture, heights: &CountAxis, counts: Counts, is_told: bool) {
        let ticks = if counts == Counts::Log { &heights.log_ticks } else { &heights.ticks };
        let ticks: Vec<&Tick> = ticks.iter().step_by(ticks.len().div_ceil(MOST_COUNTS).max(1)).collect();
        let at = |tick: &Tick| TOP + PLOT * (1.0 - tick.at);
        picture.lines("qv-grid", ticks.iter().map(|it| ([LEFT, at(it)], [LEFT + self.width, at(it)])));
        if is_told {
            picture.labels_up(LEFT - 4.0, ticks.iter().map(|tick| (at(tick), tick.label.as_str())));
        }
    }
}
