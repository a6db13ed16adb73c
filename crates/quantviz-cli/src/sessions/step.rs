//! One step of a session: every parameter in a line.

use quantviz::view::{StepView, count, date, number};
use quantviz::{Quantity, one_line};

use super::grid::brief;
use crate::layout::{Align, Columns, shorten, wrap};
use crate::stream::Paint;

const COLUMNS: [(&str, Quantity); 5] = [
    ("min", Quantity::Min),
    ("max", Quantity::Max),
    ("mean", Quantity::Mean),
    ("std", Quantity::Std),
    ("update", Quantity::UpdateRatio),
];
const LONGEST_NAME: usize = 36;
/// Notes that are shown, the last ones.
const NOTES: usize = 3;

pub(super) fn render(step: &StepView, width: usize, paint: Paint) -> String {
    let mut text =
        format!("{}\n", paint.strong(&format!("Step {} · {} UTC", count(step.step), date(step.time_ms))));
    if step.asked != step.step {
        let line =
            format!("nothing was kept of step {}: this is the nearest step that was", count(step.asked));
        text.push_str(&format!("{}\n", paint.badge(&line)));
    }
    if step.thinned {
        text.push_str("its samples were pruned; its statistics are here\n");
    }
    if let Some(line) = step.together() {
        text.push_str(&format!("{}\n", wrap(&line, width, 0)));
    }
    let scalars: Vec<String> =
        step.scalars.iter().map(|(name, value)| format!("{} {}", one_line(name), number(value.0))).collect();
    if !scalars.is_empty() {
        text.push_str(&format!("{}\n", wrap(&scalars.join(" · "), width, 0)));
    }
    text.push('\n');
    text.push_str(&table(step, width, paint));
    for note in step.notes.iter().skip(step.notes.len().saturating_sub(NOTES)) {
        text.push_str(&format!("\n{}", self::note(note, width, paint)));
    }
    if !step.notes.is_empty() {
        text.push('\n');
    }
    text
}

pub(super) fn note(note: &quantviz::RunNote, width: usize, paint: Paint) -> String {
    let head = format!("step {}, {}: ", count(note.step), one_line(&note.name));
    let whole = wrap(&format!("{head}{}", one_line(&note.text)), width, 2);
    match whole.strip_prefix(&head) {
        Some(rest) => format!("{}{rest}", paint.quiet(&head)),
        None => whole,
    }
}

fn table(step: &StepView, width: usize, paint: Paint) -> String {
    let titles: Vec<String> =
        ["parameter"].into_iter().chain(COLUMNS.map(|it| it.0)).chain([""]).map(str::to_owned).collect();
    let rows: Vec<Vec<String>> = step
        .parameters
        .iter()
        .map(|parameter| {
            let value = |quantity| parameter.value(quantity).map(brief).unwrap_or_default();
            let name = shorten(&one_line(&parameter.name), LONGEST_NAME);
            let caveat = parameter.caveat(step.step).unwrap_or_default();
            [name].into_iter().chain(COLUMNS.map(|it| value(it.1))).chain([caveat]).collect()
        })
        .collect();
    let mut aligns = vec![Align::Right; titles.len()];
    (aligns[0], aligns[titles.len() - 1]) = (Align::Left, Align::Left);
    let last = titles.len() - 1;
    // What there is no room for beside a row stands below it.
    let numbers =
        Columns::fitting(&aligns[..last], [&titles].into_iter().chain(&rows).map(|row| &row[..last]));
    let numbers = numbers.within(width);
    let mut text = format!("{}\n", paint.quiet(&numbers.line(&titles[..last])));
    for row in &rows {
        let line = numbers.painted_line(&row[..last], |column, cell| match column {
            0 => paint.strong(cell),
            _ if cell == "NaN" || cell.ends_with("inf") => paint.alarm(cell),
            _ => cell.to_owned(),
        });
        text.push_str(&line);
        let caveat = &row[last];
        if !caveat.is_empty() {
            let beside = numbers.total_width() + 2 + caveat.len() <= width;
            let before = if beside { "  " } else { "\n  " };
            text.push_str(&format!("{before}{}", paint.quiet(caveat)));
        }
        text.push('\n');
    }
    text
}
