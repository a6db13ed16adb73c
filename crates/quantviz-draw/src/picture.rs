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
    /// What it is made of.
    body: String,
}

impl Picture {
    pub(crate) fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        Picture { width, height, title: title.into(), body: String::new() }
    }

    /// A file of its own: an SVG document with all that it needs.
    pub fn document(&self) -> String {
        let Picture { width, height, title, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}{BACKGROUND}</style>\n\
             <rect class=\"qv-ground\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n",
            escaped(title)
        )
    }

    /// A part of a page that has [`STYLE`]: it takes the width that there is. `role` says what it is to those who do not
    /// see it: `img`; or `group`, where parts of it can be reached.
    pub fn inline(&self, role: &str) -> String {
        let Picture { width, height, title, body } = self;
        format!(
            "<svg class=\"qv-picture\" viewBox=\"0 0 {width} {height}\" role=\"{}\" aria-label=\"{}\">\n{body}</svg>",
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

    pub(crate) fn line(&mut self, class: &str, [x, y]: [f64; 2], [x2, y2]: [f64; 2]) {
        let [x, y, x2, y2] = [x, y, x2, y2].map(short);
        self.add(format_args!("<path class=\"{class}\" d=\"M{x} {y}L{x2} {y2}\"/>"));
    }

    /// Everything of another picture, further down.
    pub(crate) fn below(mut self, other: &Picture) -> Self {
        self.add(format_args!("<g transform=\"translate(0 {})\">\n{}</g>", short(self.height), other.body));
        self.height += other.height;
        self
    }
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
