//! A weight beside what was made of it: histograms side by side over one axis.

use quantviz_view::{Axis, CodeHistogram, CountAxis, HistogramBar, HistogramPanel, HistogramSet, Verdict};

use crate::escape::escaped;
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

/// The histograms of a set, drawn in one way.
pub fn histograms(set: &HistogramSet, values: Values, counts: Counts) -> Picture {
    draw(set, &[(values, counts, "")])
}

/// Drawn in every way, of which a page shows one at a time: groups of the classes `qv-real` or `qv-codes`, and in them
/// `qv-even` or `qv-log`. Those of real numbers, evenly, are seen where nobody chooses.
pub fn histograms_in_all_ways(set: &HistogramSet) -> Picture {
    let real = [(Values::Real, Counts::Even, "qv-real"), (Values::Real, Counts::Log, "qv-real")];
    let codes = [(Values::Codes, Counts::Even, "qv-codes"), (Values::Codes, Counts::Log, "qv-codes")];
    let all: Vec<_> = real.into_iter().chain(codes.into_iter().filter(|_| set.has_codes)).collect();
    draw(set, &all)
}

fn draw(set: &HistogramSet, ways: &[(Values, Counts, &str)]) -> Picture {
    let lines = set.panels.len().div_ceil(MOST);
    let columns = set.panels.len().clamp(1, MOST);
    let title = format!("Histograms of {}", set.title);
    let mut picture = Picture::new(WIDTH, HEIGHT * lines as f64, title);
    let each = (WIDTH - GAP * (columns - 1) as f64) / columns as f64;
    for (index, panel) in set.panels.iter().enumerate() {
        let x = (each + GAP) * (index % MOST) as f64;
        let y = HEIGHT * (index / MOST) as f64;
        picture.add(format_args!("<g transform=\"translate({} {y})\">", short(x)));
        heading(&mut picture, set, panel, index, each);
        let frame = Frame { panel, width: each - LEFT - 8.0, is_quantized: index > 0 };
        for &(values, counts, class) in ways {
            frame.draw(&mut picture, set, values, counts, class);
        }
        picture.add(format_args!("</g>"));
    }
    picture
}

fn heading(picture: &mut Picture, set: &HistogramSet, panel: &HistogramPanel, index: usize, each: f64) {
    let letters = (each / 7.0) as usize;
    let sign = match panel.verdict {
        Some(Verdict::Poor) => "▲ ",
        Some(Verdict::Improvable) => "◆ ",
        _ => "",
    };
    let label = format!("{} · {}", panel.label, panel.parameter);
    picture.add(format_args!(
        "<text class=\"qv-strong\" x=\"0\" y=\"14\">{}<title>{}</title></text>",
        escaped(&fitted(&label, letters, End::First)),
        escaped(&format!("{} of {}", panel.parameter, panel.model))
    ));
    let outside = panel.outside.as_ref().map(|it| format!(" · outside: {it}")).unwrap_or_default();
    let caption = format!("{sign}{}{outside}", panel.caption);
    picture.text("qv-quiet", 0.0, 30.0, &fitted(&caption, letters, End::First));
    let further = if index == 0 { set.remark.clone() } else { None };
    picture.text("qv-quiet", 0.0, 46.0, &fitted(&further.unwrap_or_default(), letters, End::First));
}

/// The place of one panel.
struct Frame<'a> {
    panel: &'a HistogramPanel,
    width: f64,
    is_quantized: bool,
}

impl Frame<'_> {
    fn draw(&self, picture: &mut Picture, set: &HistogramSet, values: Values, counts: Counts, class: &str) {
        let codes = self.panel.codes.as_ref().filter(|_| values == Values::Codes);
        let (axis, heights, bars) = match codes {
            Some(CodeHistogram { axis, counts, bars, .. }) => (axis, counts, bars),
            None => (&set.axis, &set.counts, &self.panel.bars),
        };
        if !class.is_empty() {
            let way = if counts == Counts::Log { "qv-log" } else { "qv-even" };
            picture.add(format_args!("<g class=\"{class}\"><g class=\"{way}\">"));
        }
        if let Some(codes) = codes {
            picture.text("qv-quiet", 0.0, 46.0, &format!("codes: {}", codes.caption));
        }
        self.scales(picture, axis, heights, counts);
        let colour = if self.is_quantized { "qv-fill-quantized" } else { "qv-fill" };
        let outline = self.outline(bars, counts);
        picture.add(format_args!("<path class=\"{colour}\" d=\"{outline}\"/>"));
        if !class.is_empty() {
            picture.add(format_args!("</g></g>"));
        }
    }

    fn scales(&self, picture: &mut Picture, axis: &Axis, heights: &CountAxis, counts: Counts) {
        let ticks = if counts == Counts::Log { &heights.log_ticks } else { &heights.ticks };
        let each = ticks.len().div_ceil(6).max(1);
        for tick in ticks.iter().step_by(each) {
            let y = TOP + PLOT * (1.0 - tick.at);
            picture.line("qv-grid", [LEFT, y], [LEFT + self.width, y]);
            picture.text("qv-end", LEFT - 4.0, y + 4.0, &tick.label);
        }
        for tick in &axis.ticks {
            let x = LEFT + tick.at * self.width;
            picture.line("qv-zero", [x, TOP + PLOT], [x, TOP + PLOT + 4.0]);
            picture.text("qv-mid", x, TOP + PLOT + 17.0, &tick.label);
        }
        picture.line("qv-zero", [LEFT, TOP + PLOT], [LEFT + self.width, TOP + PLOT]);
    }

    /// One path for all bars: each begins at the foot, and what is empty is left out.
    fn outline(&self, bars: &[HistogramBar], counts: Counts) -> String {
        let mut path = String::new();
        let foot = TOP + PLOT;
        for bar in bars {
            let height = if counts == Counts::Log { bar.log_height } else { bar.height };
            // The least can be seen too.
            let height = (height * PLOT).max(0.8);
            let (x, width) = (LEFT + bar.from * self.width, (bar.to - bar.from) * self.width);
            let (x, height, width) = (short(x), short(height), short(width.max(0.8)));
            path.push_str(&format!("M{x} {}v-{height}h{width}v{height}z", short(foot)));
        }
        path
    }
}
