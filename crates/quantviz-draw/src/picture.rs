//! What is drawn, before it is known where it goes.

use std::fmt::{self, Display, Write};

use crate::escape::escaped;
use crate::style::{BACKGROUND, STYLE};

/// A picture of some size.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Picture {
    /// How wide it is, in units of which letters are twelve high.
    pub width: f64,
    /// How high it is.
    pub height: f64,
    /// What is to be seen on it, in a line, for those who do not see it.
    pub title: String,
    /// The files that it is of, where it says so.
    pub source: String,
    /// What it is made of.
    body: String,
}

/// Around a picture that stands alone.
const MARGIN: f64 = 14.0;
/// What its title and its source take.
const LINE: f64 = 24.0;

impl Picture {
    pub(crate) fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        Picture { width, height, title: title.into(), source: String::new(), body: String::new() }
    }

    /// The same, saying which files it is of.
    #[must_use]
    pub fn from_files<'a>(self, files: impl IntoIterator<Item = &'a str>) -> Self {
        let files: Vec<&str> = files.into_iter().filter(|file| !file.is_empty()).collect();
        Picture { source: files.join(" · "), ..self }
    }

    /// A file of its own: an SVG document with all that it needs, with its title above and its source below.
    pub fn document(&self) -> String {
        let letters = (self.width / 6.4) as usize;
        let mut all = Picture::new(self.width, LINE, &self.title);
        all.text("qv-strong", 0.0, 12.0, &fitted(&self.title, letters, End::First));
        all = all.below(self);
        if !self.source.is_empty() {
            let foot = all.height + 16.0;
            all.text("qv-quiet", 0.0, foot, &fitted(&self.source, letters, End::Last));
            all.height += LINE;
        }
        let (width, height) = (all.width + 2.0 * MARGIN, all.height + 2.0 * MARGIN);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} -{MARGIN} {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}{BACKGROUND}</style>\n\
             <rect class=\"qv-ground\" x=\"-{MARGIN}\" y=\"-{MARGIN}\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            escaped(&self.title),
            all.body
        )
    }

    /// A part of a page that has [`STYLE`]: it takes the width that there is. `role` says what it is to those who do not
    /// see it: `img`; or `group`, where parts of it can be reached.
    pub fn inline(&self, role: &str) -> String {
        let Picture { width, height, title, body, .. } = self;
        // Where lines end says nothing, and there are thousands of them.
        let body = body.replace('\n', "");
        format!(
            "<svg class=\"qv-picture\" viewBox=\"0 0 {width} {height}\" role=\"{}\" aria-label=\"{}\">{body}</svg>",
            escaped(role),
            escaped(title)
        )
    }

    /// Adds markup, whose texts are escaped.
    pub(crate) fn add(&mut self, markup: fmt::Arguments<'_>) {
        // A string takes all that it is given.
        let _ = self.body.write_fmt(markup);
        self.body.push('\n');
    }

    /// A line of text with its foot at this height.
    pub(crate) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        if !text.is_empty() {
            self.add(format_args!(
                "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}</text>",
                short(x),
                short(y),
                escaped(text)
            ));
        }
    }

    /// A line of text, with more of it where somebody points at it.
    pub(crate) fn text_explained(&mut self, class: &str, [x, y]: [f64; 2], text: &str, more: &str) {
        if text == more {
            return self.text(class, x, y, text);
        }
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\">{}<title>{}</title></text>",
            short(x),
            short(y),
            escaped(text),
            escaped(more)
        ));
    }

    /// The labels of an axis that lies at this height.
    pub(crate) fn labels_across<'a>(&mut self, y: f64, labels: impl Iterator<Item = (f64, &'a str)>) {
        self.add(format_args!("<g class=\"qv-mid\" transform=\"translate(0 {})\">", short(y)));
        labels.for_each(|(x, label)| {
            self.add(format_args!("<text x=\"{}\">{}</text>", short(x), escaped(label)));
        });
        self.add(format_args!("</g>"));
    }

    /// The labels of an axis that is upright: they end here, and stand beside these heights.
    pub(crate) fn labels_up<'a>(&mut self, x: f64, labels: impl Iterator<Item = (f64, &'a str)>) {
        self.add(format_args!("<g class=\"qv-end\" transform=\"translate({} 4)\">", short(x)));
        labels.for_each(|(y, label)| {
            self.add(format_args!("<text y=\"{}\">{}</text>", short(y), escaped(label)));
        });
        self.add(format_args!("</g>"));
    }

    pub(crate) fn line(&mut self, class: &str, from: [f64; 2], to: [f64; 2]) {
        self.lines(class, [(from, to)]);
    }

    /// Lines that look alike, each across or upright, and sharp: at whole places.
    pub(crate) fn lines(&mut self, class: &str, lines: impl IntoIterator<Item = ([f64; 2], [f64; 2])>) {
        let mut path = String::new();
        for ([x, y], [x2, y2]) in lines {
            let _ = write!(path, "M{} {}", x.round(), y.round());
            let _ = if y == y2 {
                write!(path, "h{}", (x2 - x).round())
            } else {
                write!(path, "v{}", (y2 - y).round())
            };
        }
        if !path.is_empty() {
            self.add(format_args!("<path class=\"{class}\" d=\"{path}\"/>"));
        }
    }

    /// Bars that are equally wide, and may be missing, as one outline above a foot: thousands of them fit into a page. Each
    /// has its ends and its height as shares of `size`.
    pub(crate) fn steps(
        &mut self,
        class: &str,
        bars: impl Iterator<Item = ([f64; 2], f64)> + Clone,
        [x, foot]: [f64; 2],
        [width, height]: [f64; 2],
    ) {
        let Some(([from, to], _)) = bars.clone().next() else { return };
        let places = (1.0 / (to - from)).round().clamp(1.0, MOST_BARS);
        let mut levels = vec![0; places as usize];
        for ([from, _], share) in bars {
            let place = ((from * places).round() as usize).min(levels.len() - 1);
            // The least can be seen too.
            levels[place] = ((share * LEVELS).round() as u32).max(1);
        }
        self.add(format_args!(
            "<path class=\"{class}\" transform=\"matrix({} 0 0 {} {} {})\" d=\"{}\"/>",
            fine(width / places),
            fine(-height / LEVELS),
            short(x),
            short(foot),
            outline(&levels)
        ));
    }

    /// What is drawn together, with data for pages that read it. What is empty is left out.
    pub(crate) fn group(
        &mut self,
        class: &str,
        data: &[(&'static str, String)],
        draw: impl FnOnce(&mut Self),
    ) {
        self.add(format_args!("<g class=\"{class}\""));
        for (name, value) in data.iter().filter(|(_, value)| !value.is_empty()) {
            self.add(format_args!(" data-{name}=\"{}\"", escaped(value)));
        }
        self.add(format_args!(">"));
        draw(self);
        self.add(format_args!("</g>"));
    }

    /// Bars of the classes of `class`, one for each of these counts, as one outline whose heights are the counts: who reads
    /// the outline has them. Those too low to be seen are drawn as high as can be seen, and told beside it.
    pub(crate) fn counted(
        &mut self,
        class: &str,
        mut counts: Vec<u64>,
        tallest: u64,
        [x, foot]: [f64; 2],
        [width, height]: [f64; 2],
    ) {
        let least = tallest.div_ceil(LEVELS as u64);
        let mut few = String::new();
        for (place, count) in counts.iter_mut().enumerate().filter(|(_, count)| (1..least).contains(*count)) {
            let _ = write!(few, "{}{place}:{count}", if few.is_empty() { " data-few=\"" } else { " " });
            *count = least;
        }
        self.add(format_args!(
            "<path class=\"{class}\" transform=\"matrix({} 0 0 {} {} {})\"{few}{} d=\"{}\"/>",
            fine(width / counts.len().max(1) as f64),
            significant(-height / tallest.max(1) as f64),
            short(x),
            short(foot),
            if few.is_empty() { "" } else { "\"" },
            outline(&counts)
        ));
    }

    /// Both, one above the other.
    #[must_use]
    pub fn above(self, other: Picture) -> Self {
        self.below(&other)
    }

    /// Everything of another picture, further down.
    pub(crate) fn below(mut self, other: &Picture) -> Self {
        self.add(format_args!("<g transform=\"translate(0 {})\">\n{}</g>", short(self.height), other.body));
        self.height += other.height;
        self
    }
}

/// The outline of bars of these heights, each one wide.
fn outline<T: PartialEq + Display>(heights: &[T]) -> String {
    let mut path = "M0 0".to_owned();
    for run in heights.chunk_by(|one, other| one == other) {
        let _ = write!(path, "V{}h{}", run[0], run.len());
    }
    path + "V0"
}

/// More bars than this are not told apart.
pub(crate) const MOST_BARS: f64 = 4096.0;

/// So many heights of bars are told apart, in two digits.
const LEVELS: f64 = 99.0;

/// Five digits, however small it is.
fn significant(value: f64) -> impl Display {
    format!("{value:.4e}").parse::<f64>().unwrap_or(value)
}

fn fine(value: f64) -> impl Display {
    (value * 10_000.0).round() / 10_000.0
}

/// A place with as many digits as can be seen.
pub(crate) fn short(value: f64) -> impl Display {
    (value * 10.0).round() / 10.0 + 0.0
}

/// Text within so many letters; what is cut off is its beginning or its end.
pub(crate) fn fitted(text: &str, letters: usize, end: End) -> String {
    let all = text.chars().count();
    if all <= letters {
        return text.to_owned();
    }
    let kept = letters.saturating_sub(1);
    match end {
        End::Last => std::iter::once('…').chain(text.chars().skip(all - kept)).collect(),
        End::First => text.chars().take(kept).chain(['…']).collect(),
    }
}

/// Which end of a text says most.
#[derive(Clone, Copy)]
pub(crate) enum End {
    First,
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_where_they_say_least() {
        assert_eq!(fitted("layer3.conv2", 8, End::Last), "…3.conv2");
        assert_eq!(fitted("Convolution", 5, End::First), "Conv…");
        assert_eq!(fitted("größe", 5, End::Last), "größe");
        assert_eq!(short(-0.04).to_string(), "0");
    }
}
