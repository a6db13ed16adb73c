//! A curve in characters: dots of braille, eight to a character, or stars where there are only letters.

use quantviz::view::{Curve, count, number};

use crate::stream::Paint;

/// What a chart may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) draws: bool,
}

/// Dots of braille, by column and row.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BLANK: u32 = 0x2800;

/// The title, the curve with its highest and lowest value at the left, and the steps below.
pub(super) fn chart(title: &str, series: &[(u64, f64)], room: Room, paint: Paint) -> String {
    let (across, down) = if room.draws { (2, 4) } else { (1, 1) };
    let Some(measured) = Curve::of(series, 1) else {
        return format!("{}\n  no finite value\n", paint.strong(title));
    };
    let (low, high) = measured.range;
    if let [(step, value)] = series {
        return format!("{}\n  {} at step {}\n", paint.strong(title), number(*value), count(*step));
    }
    let labels = [number(high), number(low)];
    let margin = labels.iter().map(String::len).max().unwrap_or(0) + 1;
    let width = room.width.saturating_sub(margin + 1).clamp(10, 200);
    let Some(curve) = Curve::of(series, width * across) else { return String::new() };
    let dots = dots(&curve, room.height * down);
    let mut text = format!("{}\n", paint.strong(title));
    for line in 0..room.height {
        let label = match line {
            0 => &labels[0][..],
            line if line + 1 == room.height => &labels[1][..],
            _ => "",
        };
        let cells: String = (0..width).map(|at| character(&dots, at, line, room.draws)).collect();
        let edge = if room.draws { '│' } else { '|' };
        let cells = cells.trim_end_matches([' ', '\u{2800}']);
        text.push_str(&format!("{label:>0$} {edge}{1}\n", margin - 1, paint.badge(cells)));
    }
    let is_broken =
        |at: usize| curve.columns[at * across..(at + 1) * across].iter().any(|it| it.not_finite > 0);
    let broken: usize = curve.columns.iter().map(|it| it.not_finite as usize).sum();
    let steps = (format!("step {}", count(curve.steps.0)), count(curve.steps.1));
    if broken > 0 {
        let marks: String = (0..width).map(|at| if is_broken(at) { 'x' } else { ' ' }).collect();
        let line = format!("{:margin$} {}", "", marks.trim_end());
        text.push_str(&format!("{}\n", paint.alarm(&line)));
        text.push_str(&format!("{:margin$} x: {broken} of {} values are not finite\n", "", series.len()));
    }
    let gap = width.saturating_sub(steps.0.len() + steps.1.len()).max(1);
    text.push_str(&format!(
        "{:margin$} {}\n",
        "",
        paint.quiet(&format!("{}{}{}", steps.0, " ".repeat(gap), steps.1))
    ));
    text
}

/// Whether there is a dot, by column from the left and row from the top.
fn dots(curve: &Curve, height: usize) -> Vec<Vec<bool>> {
    let top = height.saturating_sub(1) as f64;
    let row = |share: f64| ((1.0 - share) * top).round() as usize;
    let mut dots = vec![vec![false; height]; curve.columns.len()];
    let mut before: Option<(usize, f64)> = None;
    for (at, column) in curve.columns.iter().enumerate() {
        if column.not_finite > 0 && column.span.is_none() {
            before = None;
        }
        let (Some((low, high)), Some((first, last))) = (column.span, column.ends) else { continue };
        let mut fill = |at: usize, a: f64, b: f64| {
            let (from, to) = (row(a.max(b)), row(a.min(b)));
            dots[at][from..=to].fill(true);
        };
        // Between two columns, and over those that no value falls into, the curve is a straight line.
        if let Some((left, value)) = before {
            let between = |it: usize| value + (first - value) * (it - left) as f64 / (at - left) as f64;
            (left + 1..at).for_each(|it| fill(it, between(it), between(it)));
            if at == left + 1 {
                let half = f64::midpoint(value, first);
                fill(left, value, half);
                fill(at, half, first);
            }
        }
        fill(at, low, high);
        before = Some((at, last));
    }
    dots
}

fn character(dots: &[Vec<bool>], at: usize, line: usize, draws: bool) -> char {
    if !draws {
        return if dots[at][line] { '*' } else { ' ' };
    }
    let is_set = |x: usize, y: usize| dots[at * 2 + x][line * 4 + y];
    let all = (0..2).flat_map(|x| (0..4).map(move |y| (x, y)));
    let bits: u32 = all.filter(|&(x, y)| is_set(x, y)).map(|(x, y)| DOTS[x][y]).sum();
    if bits == 0 { ' ' } else { char::from_u32(BLANK + bits).unwrap_or(' ') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Paint;

    #[test]
    fn a_line_from_corner_to_corner() {
        let series = [(0, 0.0), (100, 1.0)];
        let room = Room { width: 13, height: 3, draws: false };
        let text = chart("loss", &series, room, Paint::default());
        assert_eq!(text, "loss\n1 |       ***\n  |   ****\n0 |***\n   step 0 100\n");
        let room = Room { draws: true, ..room };
        let text = chart("loss", &series, room, Paint::default());
        assert_eq!(text, "loss\n1 │      ⢀⡠⠔⠊\n  │   ⢀⠤⠒⠁\n0 │⡠⠔⠊⠁\n   step 0 100\n");
    }

    #[test]
    fn what_is_not_finite_is_marked() {
        let series: Vec<(u64, f64)> =
            (0..20).map(|step| (step, if step < 10 { 1.0 } else { f64::NAN })).collect();
        let text = chart("loss", &series, Room { width: 13, height: 3, draws: false }, Paint::default());
        assert!(
            text.contains("\n        xxxxx\n") && text.contains("x: 10 of 20 values are not finite"),
            "{text}"
        );
        let text =
            chart("loss", &[(0, f64::NAN)], Room { width: 13, height: 3, draws: true }, Paint::default());
        assert_eq!(text, "loss\n  no finite value\n");
    }
}
