//! `quantviz sessions show`: what a run has learnt, and what its parameters do.

use quantviz::view::{Measure, SessionView, Trend, bytes, count, date, number};
use quantviz::{Quantity, RunState, one_line};

use super::chart::{Room, chart};
use super::{Opened, grid, step};
use crate::Exit;
use crate::claims::usage;
use crate::layout::{Align, Columns, shorten, wrap};
use crate::stream::{Paint, Terminal, write_json};
use crate::trouble::Trouble;

/// Show a session: whether it learns, how its parameters grow, where it changes
///
/// 'update' is how much one step of the optimizer changes a parameter, by its size: both as root mean squares. About 1e-3 is
/// usual; far more is a step too large, far less a parameter that hardly learns. The grid has all of them, by layer and by kind,
/// in shades from the least to the most; --measure shows something else in it. Snapshots of checkpoints are too far apart to tell
/// what one step changes: of those the grid has the change since the snapshot before, by size.
///
/// With --step, all parameters at that step are listed, or at the nearest step that was recorded.
#[derive(clap::Args)]
pub(super) struct ShowOptions {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,

    /// Show the parameters at this step, or at the nearest that was recorded
    #[arg(long, value_name = "N")]
    step: Option<u64>,

    /// What the grid shows: update_rms, relative_change, std, mean, min, max, zeros, grad_std, stable_rank …; if nothing is said, the
    /// first of these that was recorded
    #[arg(long, value_name = "NAME")]
    measure: Option<String>,

    /// Print JSON, for scripts: the schema quantviz.session/1
    #[arg(long)]
    json: bool,
}

/// The width of what is not shown in a terminal.
const PIPE_WIDTH: usize = 80;
const LOSS_HEIGHT: usize = 8;
const NORM_HEIGHT: usize = 4;
/// Parameters that are listed because they move.
const MOVED: usize = 6;

pub(super) fn run(
    options: &ShowOptions,
    opened: &Opened,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Trouble> {
    let measure = options.measure.as_deref().map(measure).transpose()?;
    let run = opened.session(&options.session)?;
    let view = SessionView::of(&run, options.step, measure, opened.now_ms);
    let view = view.map_err(|error| opened.trouble(error))?;
    if let (Some(_), None) = (options.step, &view.at) {
        let message = format!("session {}: it has no snapshots, so there is no step to show", view.session);
        return Err(opened.trouble(quantviz::Error::not_found(message)));
    }
    if options.json {
        write_json(&view, terminal.out)?;
        terminal.out.write_all(b"\n")?;
        return Ok(Exit::Done);
    }
    let page = Page {
        width: terminal.out.columns().unwrap_or(PIPE_WIDTH),
        draws: terminal.out.draws(),
        paint: terminal.paint(),
        now_ms: opened.now_ms,
    };
    terminal.out.write_all(page.render(&view).as_bytes())?;
    Ok(Exit::Done)
}

fn measure(name: &str) -> Result<Measure, Trouble> {
    Measure::named(name).ok_or_else(|| {
        let names: Vec<String> = Measure::all().into_iter().map(Measure::field).collect();
        usage(&format!("--measure: there is no {name:?}; there are {}", names.join(", ")))
    })
}

struct Page {
    width: usize,
    draws: bool,
    paint: Paint,
    now_ms: u64,
}

impl Page {
    fn render(&self, view: &SessionView) -> String {
        let mut text = self.head(view);
        match &view.at {
            Some(at) => text.push_str(&format!("\n{}", step::render(at, self.width, self.paint))),
            None => {
                text.push_str(&self.curves(view));
                text.push_str(&self.moved(view));
            }
        }
        text.push_str(&self.grid(view));
        if view.at.is_none()
            && let Some(last) = view.notes.last()
        {
            text.push_str(&format!("\n{}\n", step::note(last, self.width, self.paint)));
        }
        text.push_str(&self.cost(view));
        text
    }

    fn head(&self, view: &SessionView) -> String {
        let Page { paint, width, .. } = self;
        let named = if view.name.is_empty() || view.name == view.session {
            String::new()
        } else {
            format!(" · {}", one_line(&view.name))
        };
        let title = format!("{}{named}", view.session);
        let state = match view.state {
            RunState::Failed => paint.alarm("failed"),
            RunState::Live => paint.badge("live"),
            other => other.name().to_owned(),
        };
        let heard = view.heard(self.now_ms);
        let mut text = format!("{}\n", paint.strong(&shorten(&title, *width)));
        text.push_str(&format!("{state} · step {} · {heard}\n", count(view.last_step)));
        if let Some(reason) = &view.reason {
            text.push_str(&format!("{}\n", paint.alarm(&wrap(&one_line(reason), *width, 2))));
        }
        let thinned = match view.thinned {
            0 => String::new(),
            some => format!(", {} of them statistics only", count(some)),
        };
        let mut facts = vec![
            format!("{} parameters with {} numbers", count(view.parameters), count(view.elements)),
            format!("{} snapshots{thinned}", count(view.snapshots)),
            bytes(view.bytes),
            format!("begun {} UTC", date(view.begun_ms)),
        ];
        facts.extend(view.together());
        facts.extend(view.tags.iter().map(|(key, value)| format!("{}={}", one_line(key), one_line(value))));
        text.push_str(&format!("{}\n", paint.quiet(&wrap(&facts.join(" · "), *width, 0))));
        match &view.learning {
            Some(learning) => {
                let sentence = wrap(&format!("{}.", capital(&one_line(&learning.text))), *width, 0);
                let is_bad = matches!(learning.trend, Trend::NotFinite | Trend::Rising);
                let sentence = if is_bad { paint.alarm(&sentence) } else { paint.strong(&sentence) };
                text.push_str(&format!("\n{sentence}\n"));
            }
            None => text.push_str("\nNo loss was recorded.\n"),
        }
        text
    }

    fn curves(&self, view: &SessionView) -> String {
        let room = |height| Room { width: self.width, height, draws: self.draws };
        let loss =
            view.learning.as_ref().and_then(|it| view.scalars.iter().find(|one| one.name == it.scalar));
        let mut text = String::new();
        if let Some(loss) = loss {
            let drawn = chart(&one_line(&loss.name), &loss.points(), room(LOSS_HEIGHT), self.paint);
            text.push_str(&format!("\n{drawn}"));
        }
        for norm in &view.norms {
            let title = match &*norm.name {
                "weight_rms" => "size of all weights (root mean square)",
                _ => "size of all gradients (root mean square)",
            };
            text.push_str(&format!("\n{}", chart(title, &norm.points(), room(NORM_HEIGHT), self.paint)));
        }
        let others = view.scalars.iter().filter(|it| loss.is_none_or(|loss| loss.name != it.name));
        let last = |it: &quantviz::view::SeriesView| {
            Some(format!("{} {}", one_line(&it.name), number(it.values.last()?.0)))
        };
        let others: Vec<String> = others.filter_map(last).collect();
        if !others.is_empty() {
            text.push_str(&format!("\n{}\n", wrap(&format!("last: {}", others.join(" · ")), self.width, 2)));
        }
        text
    }

    fn moved(&self, view: &SessionView) -> String {
        if view.moved.is_empty() {
            return String::new();
        }
        let is_of_steps = view.moved.iter().any(|it| it.update_ratio.is_some());
        let titles = match is_of_steps {
            true => ["what moves most", "update", "change since"],
            false => ["what changed most", "by size", "change since"],
        };
        let titles = titles.map(str::to_owned);
        let rows: Vec<[String; 3]> = view
            .moved
            .iter()
            .take(MOVED)
            .map(|it| {
                let change = it.change.map(|it| number(it.0)).unwrap_or_default();
                let name = shorten(&one_line(&it.parameter), self.width.saturating_sub(30).max(20));
                let moved = if is_of_steps { it.update_ratio } else { it.relative_change };
                [name, moved.map(|it| number(it.0)).unwrap_or_default(), change]
            })
            .collect();
        let aligns = [Align::Left, Align::Right, Align::Right];
        let columns = Columns::fitting(&aligns, [&titles].into_iter().chain(&rows).map(|row| &row[..]));
        let mut text = format!("\n{}\n", self.paint.strong(&columns.line(&titles)));
        rows.iter().for_each(|row| text.push_str(&format!("{}\n", columns.line(row))));
        let frozen = view.moved.iter().filter(|it| it.frozen).count();
        let rest = view.moved.len().saturating_sub(MOVED);
        if rest > 0 {
            let frozen = if frozen > 0 { format!("; {frozen} frozen") } else { String::new() };
            text.push_str(&format!("{}\n", self.paint.quiet(&format!("and {rest} more{frozen}"))));
        }
        text
    }

    fn grid(&self, view: &SessionView) -> String {
        let Some(grid) = &view.grid else { return "\nNo snapshots yet.\n".to_owned() };
        let step = match view.shown_step.filter(|_| view.at.is_some() || view.ranks > 1) {
            Some(step) => format!("at step {}", count(step)),
            None => "at the last snapshot".to_owned(),
        };
        let what = match Measure::named(&grid.measure) {
            Some(it @ Measure::Recorded(Quantity::UpdateRatio)) => {
                format!("where it changes: {}", it.words())
            }
            Some(Measure::RelativeChange) => {
                "where it changes: since the snapshot before, by size".to_owned()
            }
            Some(other) => other.words(),
            None => grid.measure.clone(),
        };
        let title = wrap(&format!("{what}, {step}"), self.width, 0);
        format!("\n{}", grid::render(grid, &title, self.draws, self.width, self.paint))
    }

    fn cost(&self, view: &SessionView) -> String {
        let mut text = String::new();
        if let Some(ms) = view.cost_ms {
            let share = view.cost_share.map_or(0.0, |it| it.0) * 100.0;
            let line =
                format!("recording costs {} ms a capture, {} % of the time", number(ms.0), number(share));
            text.push_str(&format!("\n{}\n", self.paint.quiet(&line)));
        }
        let left_out = view.at.as_ref().map_or(&view.left_out, |at| &at.left_out);
        if !left_out.is_empty() {
            let line = format!("left out: {}", one_line(&left_out.join("; ")));
            text.push_str(&format!("{}\n", self.paint.quiet(&wrap(&line, self.width, 2))));
        }
        text
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
