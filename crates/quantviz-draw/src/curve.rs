//! A number over the steps of a run.

use std::fmt::Write;

use quantviz_view::{RunCurve, count};

use crate::picture::{End, Picture, fitted, short};

const LEFT: f64 = 56.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 30.0;
const FOOT: f64 = 22.0;

/// A curve, so wide and so high: however many steps there are, none that is high or low is lost. Where it is not a number,
/// that is marked.
pub fn curve(curve: &RunCurve, width: f64, height: f64) -> Picture {
    let title = format!("{}, {}", curve.name, curve.caption);
    let mut picture = Picture::new(width, height, title);
    let letters = ((width - 8.0) / 6.6) as usize;
    let name = fitted(&curve.name, letters * 2 / 3, End::First);
    picture.text_explained("qv-strong", [0.0, 14.0], &name, &curve.name);
    let room = letters.saturating_sub(name.chars().count() + 2);
    picture.text("qv-end", width - RIGHT, 14.0, &fitted(&curve.caption, room, End::First));
    let (wide, high) = (width - LEFT - RIGHT, height - TOP - FOOT);
    let foot = TOP + high;
    let up = |share: f64| foot - high * share;
    picture.lines("qv-grid", curve.up.iter().map(|it| ([LEFT, up(it.at)], [LEFT + wide, up(it.at)])));
    picture.labels_up(LEFT - 6.0, curve.up.iter().map(|it| (up(it.at), it.label.as_str())));
    picture.line("qv-zero", [LEFT, foot], [LEFT + wide, foot]);
    let across = curve.across.iter().map(|it| (LEFT + wide * it.at, it.label.as_str()));
    picture.labels_across(foot + 15.0, across);
    picture.text("qv-end", LEFT - 14.0, foot + 15.0, "step");
    match &curve.curve {
        Some(it) => {
            let each = wide / it.columns.len().max(1) as f64;
            let mut path = String::new();
            let mut odd = String::new();
            let mut pen = 'M';
            for (at, column) in it.columns.iter().enumerate() {
                let x = LEFT + each * (at as f64 + 0.5);
                if column.not_finite > 0 {
                    let _ = write!(odd, "M{} {}V{}", short(x), short(TOP), short(foot));
                    pen = 'M';
                }
                let (Some((low, most)), Some((first, last))) = (column.span, column.ends) else { continue };
                let _ = write!(path, "{pen}{} {}", short(x), short(up(first)));
                if low < most {
                    let _ = write!(path, "V{}V{}V{}", short(up(most)), short(up(low)), short(up(last)));
                } else if pen == 'M' {
                    // One value between two that are none is seen too.
                    path.push_str("h.1");
                }
                pen = 'L';
            }
            if !odd.is_empty() {
                picture.add(format_args!(
                    "<path class=\"qv-odd\" stroke-width=\"{}\" d=\"{odd}\"/>",
                    short(each + 0.5)
                ));
            }
            picture.add(format_args!("<path class=\"qv-curve\" d=\"{path}\"/>"));
        }
        None => picture.text("qv-none-text", LEFT + 8.0, TOP + high / 2.0, "no number in it is finite"),
    }
    if let Some((step, times)) = curve.not_finite {
        let times = if times == 1 { "once".to_owned() } else { format!("{} times", count(times as u64)) };
        let text = format!("▲ not a number, {times}, first at step {}", count(step));
        picture.text("qv-poor", width - RIGHT - 4.0, TOP + 14.0, &text);
    }
    picture
}
