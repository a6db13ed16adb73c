//! Text in columns.

use unicode_width::UnicodeWidthStr;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The widths that hold every cell of some rows.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    aligns: Vec<Align>,
    widths: Vec<usize>,
    gap: usize,
}

/// Between columns, where there is room.
const GAP: usize = 2;

impl Columns {
    pub(crate) fn fitting<'a>(aligns: &[Align], rows: impl Iterator<Item = &'a [String]>) -> Self {
        let mut widths = vec![0; aligns.len()];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        Columns { aligns: aligns.to_vec(), widths, gap: GAP }
    }

    /// Moves columns together where they would not fit `width`.
    pub(crate) fn within(self, width: usize) -> Self {
        let gap = if self.total_width() > width { 1 } else { GAP };
        Columns { gap, ..self }
    }

    pub(crate) fn total_width(&self) -> usize {
        let used = self.widths.iter().filter(|width| **width > 0);
        used.clone().sum::<usize>() + self.gap * used.count().saturating_sub(1)
    }

    /// The cells of a row, in their places; columns that are empty in every row take no room.
    pub(crate) fn line(&self, row: &[String]) -> String {
        self.painted_line(row, |_, cell| cell.to_owned())
    }

    /// The same, each cell painted once it has its width.
    pub(crate) fn painted_line(&self, row: &[String], paint: impl Fn(usize, &str) -> String) -> String {
        let mut line = String::new();
        let mut pending = 0;
        for (column, cell) in row.iter().enumerate().filter(|(column, _)| self.widths[*column] > 0) {
            let padding = self.widths[column].saturating_sub(cell.width());
            let (before, after) = match self.aligns[column] {
                Align::Left => (0, padding),
                Align::Right => (padding, 0),
            };
            // Blanks at the end of a line are never written.
            if cell.is_empty() {
                pending += before + after + self.gap;
                continue;
            }
            line.push_str(&" ".repeat(pending + before));
            line.push_str(&paint(column, cell));
            pending = after + self.gap;
        }
        line
    }
}

/// `left` at the left edge, `right` at the right one, and the blanks between them. Where there is no room, `right` gives
/// way first, then `left`, both in their middle.
pub(crate) fn justify(left: &str, right: &str, width: usize) -> (String, String, String) {
    let left = shorten(left, width.max(SHORTEST));
    let right = shorten(right, width.saturating_sub(left.width() + GAP));
    let space = if right.is_empty() { 0 } else { width.saturating_sub(left.width() + right.width()) };
    (left, " ".repeat(space), right)
}

/// However narrow the terminal, so much of a name is shown.
const SHORTEST: usize = 24;

/// A text of at most `width` columns, with an ellipsis for its middle where it is longer.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    if width < 5 {
        return String::new();
    }
    let (head, tail) = ((width - 1) / 2, width - 1 - (width - 1) / 2);
    let front: String = take_width(text.chars(), head);
    let back: String = take_width(text.chars().rev(), tail).chars().rev().collect();
    format!("{front}…{back}")
}

/// A text in lines of at most `width` columns, broken between words, all but the first of them indented. A longer word has
/// a line of its own, and narrow terminals break lines themselves.
pub(crate) fn wrap(text: &str, width: usize, indent: usize) -> String {
    const NARROW: usize = 30;
    if width < NARROW {
        return text.to_owned();
    }
    let mut wrapped = String::new();
    let mut used = 0;
    for (index, word) in text.split(' ').enumerate() {
        let room = width.saturating_sub(used + 1);
        if used > indent && word.width() > room {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            used = indent;
        } else if index > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += word.width();
    }
    wrapped
}

fn take_width(chars: impl Iterator<Item = char>, width: usize) -> String {
    let mut taken = String::new();
    for c in chars {
        taken.push(c);
        if taken.width() > width {
            taken.pop();
            break;
        }
    }
    taken
}

/// How many of so many bins a bar has to stand for, in a row of `width` columns.
pub(crate) fn bins_to_a_bar(bins: usize, width: usize) -> usize {
    bins.div_ceil(width.max(1)).max(1)
}

/// Shares between 0 and 1 as a row of bars, in at most `width` columns.
pub(crate) fn bars(shares: &[f64], width: usize) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let columns = shares
        .chunks(bins_to_a_bar(shares.len(), width))
        .map(|chunk| chunk.iter().copied().fold(0.0, f64::max));
    let level = |share: f64| LEVELS[((share * 8.0).ceil() as usize).min(8)];
    columns.map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_middle() {
        assert_eq!(shorten("node_Conv_105", 20), "node_Conv_105");
        assert_eq!(shorten("/transformer/h.0/attn/c_attn/MatMul", 15), "/transf…/MatMul");
        assert_eq!(shorten("abcdefgh", 3), "");
    }

    #[test]
    fn both_ends_of_a_line() {
        let joined = |left, right, width| {
            let (left, gap, right) = justify(left, right, width);
            left + &gap + &right
        };
        assert_eq!(joined("name", "layer", 12), "name   layer");
        assert_eq!(joined("a.long.name", "layer", 14), "a.long.name");
        assert_eq!(joined("a.very.long.name.indeed.bias", "layer", 25), "a.very.long.….indeed.bias");
        assert_eq!(joined("a.long.name", "layer", 2), "a.long.name");
        assert_eq!(joined("name", "/a/very/long/layer", 20), "name  /a/ver…g/layer");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let text = "warning: a/model.onnx: one two three four five";
        assert_eq!(wrap(text, 46, 9), text);
        assert_eq!(wrap(text, 45, 9), "warning: a/model.onnx: one two three four\n         five");
        let narrow = "warning: a/model.onnx: one two\n         three four five";
        assert_eq!(wrap(text, 30, 9), narrow);
        assert_eq!(wrap(text, 29, 9), text);
        let long = format!("warning: {}: one", "x".repeat(40));
        assert_eq!(wrap(&long, 30, 9), format!("warning: {}:\n         one", "x".repeat(40)));
        assert_eq!(wrap("  a=1: one", 30, 6), "  a=1: one");
        assert_eq!(wrap("", 30, 9), "");
    }

    #[test]
    fn bars_show_every_bin_that_is_not_empty() {
        assert_eq!(bars(&[0.0, 0.001, 0.5, 1.0], 10), " ▁▄█");
        assert_eq!(bars(&[0.0, 1.0, 0.5, 0.0], 2), "█▄");
    }
}
