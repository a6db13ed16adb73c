//! Where a command writes to: a terminal of some width, a file, a test.

use std::io::{self, BufWriter, IsTerminal, Stderr, Stdout, Write};

use anstyle::{AnsiColor, Style};
use quantviz::one_line;
use serde::Serialize;

use crate::args::Color;
use crate::layout::wrap;

/// A stream that may be a terminal. Threads take turns to show on it how far they have come.
pub trait Stream: Write + Send {
    /// The width, if it is a terminal.
    fn columns(&self) -> Option<usize> {
        None
    }

    /// Whether it can draw: it is a terminal that has more than letters.
    fn draws(&self) -> bool {
        false
    }
}

impl Stream for Vec<u8> {}

/// Written as it is made: the text of a model of many tensors takes more memory than all that is known of it.
pub(crate) fn write_json(value: &impl Serialize, out: &mut dyn Stream) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    out.flush()
}

impl Stream for Stdout {
    fn columns(&self) -> Option<usize> {
        self.is_terminal().then(|| width(terminal_size::terminal_size_of(self)))
    }

    fn draws(&self) -> bool {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(std::env::var_os);
        let locale = locale.filter(|it| !it.is_empty()).map(|it| it.to_string_lossy().into_owned()).next();
        self.is_terminal() && !is_dumb() && has_blocks(locale.as_deref())
    }
}

impl Stream for Stderr {
    fn columns(&self) -> Option<usize> {
        self.is_terminal().then(|| width(terminal_size::terminal_size_of(self)))
    }
}

/// Terminals that nobody told a size say that it is zero.
fn width(size: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    size.map(|(width, _)| usize::from(width.0)).filter(|&width| width > 0).unwrap_or(80)
}

/// Whether to colour what goes to a stream: in doubt, if it is a terminal that shows colour, and whoever sits there
/// wants it.
pub(crate) fn wants_color(stream: &dyn Stream, color: Color) -> bool {
    match color {
        Color::Always => return true,
        Color::Never => return false,
        Color::Auto => {}
    }
    let refused = std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty());
    stream.columns().is_some() && !refused && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|it| it == "dumb")
}

/// Whether a locale has the characters that bars are made of. One that nobody named says nothing.
fn has_blocks(locale: Option<&str>) -> bool {
    locale.is_none_or(|name| name.to_lowercase().replace('-', "").contains("utf8"))
}

/// The two streams of a command, and whether to colour them.
pub(crate) struct Terminal<'a> {
    pub(crate) out: &'a mut dyn Stream,
    pub(crate) err: &'a mut dyn Stream,
    pub(crate) color: Color,
}

impl Terminal<'_> {
    /// How to paint what goes to `out`.
    pub(crate) fn paint(&self) -> Paint {
        Paint { on: wants_color(self.out, self.color) }
    }
}

/// Warnings that are shown of one model; a broken one can have thousands.
const WARNINGS_SHOWN: usize = 20;

/// What a line tells of: trouble, or something odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    Error,
    Warning,
}

impl Terminal<'_> {
    /// Tells what was odd about a model, a line each.
    pub(crate) fn warn(&mut self, model: &str, warnings: &[String]) -> io::Result<()> {
        for warning in warnings.iter().take(WARNINGS_SHOWN) {
            self.tell(Label::Warning, model, warning)?;
        }
        match warnings.len().saturating_sub(WARNINGS_SHOWN) {
            0 => Ok(()),
            more => self.tell(
                Label::Warning,
                model,
                &format!("and {more} more; 'inspect --json' has all of them"),
            ),
        }
    }

    /// Tells something of a model: in one line, which a terminal shows as several where it is too narrow.
    pub(crate) fn tell(&mut self, label: Label, model: &str, what: &str) -> io::Result<()> {
        let label = match label {
            Label::Error => "error",
            Label::Warning => "warning",
        };
        let line = format!("{label}: {}: {}", one_line(model), one_line(what));
        let text = self.err.columns().map_or(line.clone(), |width| wrap(&line, width, label.len() + 2));
        writeln!(self.err, "{text}")
    }
}

/// The few styles there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    pub(crate) fn quiet(self, text: &str) -> String {
        self.with(Style::new().dimmed(), text)
    }

    /// For what is quantized.
    pub(crate) fn badge(self, text: &str) -> String {
        self.with(AnsiColor::Cyan.on_default(), text)
    }

    /// For what is wrong.
    pub(crate) fn alarm(self, text: &str) -> String {
        self.with(AnsiColor::Red.on_default(), text)
    }

    /// For what is more or less, from 0 to 4.
    pub(crate) fn heat(self, level: u8, text: &str) -> String {
        let style = match level {
            0 => AnsiColor::Blue.on_default(),
            1 => AnsiColor::Cyan.on_default(),
            2 => AnsiColor::Green.on_default(),
            3 => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::BrightYellow.on_default().bold(),
        };
        self.with(style, text)
    }

    fn with(self, style: Style, text: &str) -> String {
        if self.on && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_need_more_than_letters() {
        for drawn in [None, Some("en_US.UTF-8"), Some("C.utf8"), Some("de_DE.utf-8@euro")] {
            assert!(has_blocks(drawn), "{drawn:?}");
        }
        for plain in ["C", "POSIX", "en_US.ISO-8859-1", "de_DE"] {
            assert!(!has_blocks(Some(plain)), "{plain}");
        }
    }
}
