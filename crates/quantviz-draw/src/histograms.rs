//! A weight beside what was made of it: histograms side by side over one axis.

use quantviz_view::{
    Axis, CodeHistogram, CountAxis, HistogramBar, HistogramPanel, HistogramSet, Tick, Verdict, number,
};

use crate::escape::escaped;
use crate::picture::{End, MOST_BARS, Picture, fitted, short};

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
    let draw_panel = |picture: &mut Picture, frame: &Frame<'_>| {
        let codes = frame.panel.codes.as_ref().filter(|_| values == Values::Codes);
        Plot::of(frame, codes).draw(picture, counts);
    };
    draw(set, draw_panel)
}

/// Drawn for a page with a script, which shows real numbers or codes, evenly or by the logarithm: in groups of the classes
/// `qv-real` and `qv-codes`, in each `qv-even` and `qv-log`. What is seen without a script is real numbers, evenly.
///
/// Bars that stand evenly are as high as what they count: the script reads it from them, with what `data-few` says of those
/// that would be too low to be seen, draws the bars by the logarithm, and tells the numbers of one. Of the axis, `data-axis`
/// has both ends; of codes, `data-first` has that of the first bar, or `data-codes` has all.
pub fn histograms_in_all_ways(set: &HistogramSet) -> Picture {
    let draw_panel = |picture: &mut Picture, frame: &Frame<'_>| {
        picture.add(format_args!("<g class=\"qv-panel\" data-label=\"{}\">", escaped(&frame.panel.label)));
        picture.add(format_args!("<g class=\"qv-real\" data-axis=\"{} {}\">", set.axis.low, set.axis.high));
        Plot::of(frame, None).draw_all(picture);
        if let Some(codes) = &frame.panel.codes {
            picture.add(format_args!("</g><g class=\"qv-codes\" {}>", named(codes)));
            Plot::of(frame, Some(codes)).draw_all(picture);
        }
        picture.add(format_args!("</g></g>"));
    };
    draw(set, draw_panel)
}

/// Which code each bar is of.
fn named(codes: &CodeHistogram) -> String {
    match codes.values.iter().all(|code| code.fract() == 0.0) {
        true => format!("data-first=\"{}\"", codes.axis.low + 0.5),
        false => {
            let all: Vec<String> = codes.values.iter().map(|code| number(*code)).collect();
            format!("data-codes=\"{}\"", all.join(" "))
        }
    }
}

fn draw(set: &HistogramSet, draw_panel: impl Fn(&mut Picture, &Frame<'_>)) -> Picture {
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
        let (is_first, is_quantized) = (index % MOST == 0, index > 0);
        draw_panel(&mut picture, &Frame { set, panel, width: each - LEFT - 8.0, is_first, is_quantized });
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
    is_quantized: bool,
}

/// What is drawn in a panel: real numbers or codes.
struct Plot<'a> {
    axis: &'a Axis,
    heights: &'a CountAxis,
    bars: &'a [HistogramBar],
    caption: &'a str,
    width: f64,
    /// Whether the counts are told.
    is_told: bool,
    class: &'static str,
}

impl<'a> Plot<'a> {
    fn of(frame: &Frame<'a>, codes: Option<&'a CodeHistogram>) -> Self {
        let class = if frame.is_quantized { "qv-fill-quantized" } else { "qv-fill" };
        let Frame { set, panel, width, is_first, .. } = *frame;
        match codes {
            Some(CodeHistogram { axis, counts, bars, caption, .. }) => {
                Plot { axis, heights: counts, bars, caption, width, is_told: true, class }
            }
            None => Plot {
                axis: &set.axis,
                heights: &set.counts,
                bars: &panel.bars,
                caption: "",
                width,
                is_told: is_first,
                class,
            },
        }
    }

    fn draw(&self, picture: &mut Picture, counts: Counts) {
        self.across(picture);
        self.up(picture, counts);
        match counts {
            Counts::Even => self.counted(picture),
            Counts::Log => {
                let bars = self.bars.iter().map(|bar| ([bar.from, bar.to], bar.log_height));
                picture.steps(self.class, bars, [LEFT, TOP + PLOT], [self.width, PLOT]);
            }
        }
    }

    /// Evenly, and the place of what a script draws by the logarithm. There is none of counts below ten.
    fn draw_all(&self, picture: &mut Picture) {
        self.across(picture);
        let has_log = self.heights.log_ticks.len() > 1;
        picture.add(format_args!("<g class=\"{}\">", if has_log { "qv-even" } else { "" }));
        self.up(picture, Counts::Even);
        self.counted(picture);
        picture.add(format_args!("</g>"));
        if has_log {
            picture.add(format_args!("<g class=\"qv-log\">"));
            self.up(picture, Counts::Log);
            picture.add(format_args!("</g>"));
        }
    }

    fn counted(&self, picture: &mut Picture) {
        let Some(HistogramBar { from, to, .. }) = self.bars.first() else { return };
        let places = (1.0 / (to - from)).round().clamp(1.0, MOST_BARS);
        let mut counts = vec![0; places as usize];
        for bar in self.bars {
            let place = ((bar.from * places).round() as usize).min(counts.len() - 1);
            counts[place] = bar.count;
        }
        picture.counted(self.class, counts, self.heights.tallest(), [LEFT, TOP + PLOT], [self.width, PLOT]);
    }

    /// The axis of the numbers.
    fn across(&self, picture: &mut Picture) {
        picture.text("qv-quiet", 0.0, TOP - 4.0, self.caption);
        let foot = TOP + PLOT;
        let ticks = &self.axis.ticks;
        let at = |tick: &Tick| LEFT + tick.at * self.width;
        let marks = ticks.iter().map(|tick| ([at(tick), foot], [at(tick), foot + 4.0]));
        picture.lines("qv-zero", marks.chain([([LEFT, foot], [LEFT + self.width, foot])]));
        picture.labels_across(foot + 17.0, ticks.iter().map(|tick| (at(tick), tick.label.as_str())));
    }

    /// The axis of the counts.
    fn up(&self, picture: &mut Picture, counts: Counts) {
        let ticks = if counts == Counts::Log { &self.heights.log_ticks } else { &self.heights.ticks };
        let ticks: Vec<&Tick> = ticks.iter().step_by(ticks.len().div_ceil(MOST_COUNTS).max(1)).collect();
        let at = |tick: &Tick| TOP + PLOT * (1.0 - tick.at);
        picture.lines("qv-grid", ticks.iter().map(|it| ([LEFT, at(it)], [LEFT + self.width, at(it)])));
        if self.is_told {
            picture.labels_up(LEFT - 4.0, ticks.iter().map(|tick| (at(tick), tick.label.as_str())));
        }
    }
}
