//! A training run on one page: what it has learnt, where it changes, how its weights and its embeddings went.

use quantviz_core::{Error, ErrorKind, Result, Run, RunNote, RunState, Scalar, SnapshotStore, count, number};

use crate::axis::{Axis, Tick};
use crate::curve::Curve;
use crate::learning::Trend;
use crate::measure::Measure;
use crate::nearest::nearest;
use crate::run_histograms::HistogramStrip;
use crate::run_places::EmbeddingView;
use crate::session_grid::SessionGrid;
use crate::session_view::{SeriesView, SessionView};
use crate::session_words::date;

/// A run, as a page shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunPage {
    /// The name of the session, and what people call the run.
    pub title: String,
    /// How it fares, in a word or two.
    pub verdict: String,
    /// Whether that is good news, bad news or neither.
    pub mood: Mood,
    /// What was seen, and what recording it cost: sentences.
    pub sentences: Vec<String>,
    /// Why it failed.
    pub reason: Option<String>,
    /// How big, how long, how often: in a few words each.
    pub facts: Vec<String>,
    /// The loss first, then everything else that was said, then the size of weights and of gradients.
    pub curves: Vec<RunCurve>,
    /// The parameters by layer and by kind; `None` without snapshots.
    pub grid: Option<RunGrid>,
    /// Those that move most.
    pub moved: Vec<RunMoved>,
    /// What is said of how much these move.
    pub moved_by: &'static str,
    /// How the weights of some of these are spread, from the first snapshot to the last.
    pub strips: Vec<HistogramStrip>,
    /// Rows of embeddings at the first, a middle and the last snapshot.
    pub embeddings: Vec<EmbeddingView>,
    /// What was written on the way; of many the first ones and the last.
    pub notes: Vec<RunNote>,
    /// How many further notes there are.
    pub notes_left_out: usize,
    /// What does not speak for all of the run: what was sampled, what is older than it looks, what there was no room for.
    pub caveats: Vec<String>,
}

/// What kind of news a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mood {
    /// All is well.
    Good,
    /// Nothing to worry about, or too early to tell.
    Plain,
    /// Somebody should look.
    Bad,
}

/// A number over steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunCurve {
    /// What it is.
    pub name: String,
    /// Where it began and where it is.
    pub caption: String,
    /// The curve; `None` where no value is finite.
    pub curve: Option<Curve>,
    /// Steps, from the first to the last.
    pub across: Vec<Tick>,
    /// Values, from the lowest to the highest.
    pub up: Vec<Tick>,
    /// The first step at which it is not a number, and how often it is not.
    pub not_finite: Option<(u64, usize)>,
}

/// The grid, and what its cells say.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunGrid {
    /// What is measured, at which step.
    pub caption: String,
    /// What that means, for those who do not know.
    pub meaning: &'static str,
    /// The cells.
    pub grid: SessionGrid,
}

/// A parameter that moves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunMoved {
    /// Its name.
    pub parameter: String,
    /// What one step changes by what there is; where that was not taken, the change since the snapshot before by what there is.
    pub update: String,
    /// The change since the snapshot before.
    pub change: String,
    /// How that was measured, where it was not all of it, at this step.
    pub caveat: String,
}

/// Columns of a curve: as many as can be told apart.
const COLUMNS: usize = 300;
/// Curves beside the loss: a run that says a thousand things is not drawn a thousand times.
const CURVES: usize = 12;
/// Parameters that are listed because they move.
const MOVED: usize = 8;
const NOTES: usize = 12;
/// Caveats about single parameters.
const CAVEATS: usize = 6;

impl RunPage {
    /// Of a run at this time. The grid is that of the step nearest to the one that is asked for, or of the last.
    ///
    /// # Errors
    /// What the store says, and what is damaged in what it has.
    pub fn of(run: &Run<'_>, step: Option<u64>, now_ms: u64) -> Result<Self> {
        let view = SessionView::with_step(run, step, now_ms)?;
        let (verdict, mood) = verdict(&view);
        let moving = of_each_kind(&view);
        let (notes, notes_left_out) = notes(&view.notes);
        Ok(RunPage {
            title: match &view.name {
                name if name.is_empty() || *name == view.session => view.session.clone(),
                name => format!("{} · {name}", view.session),
            },
            verdict,
            mood,
            sentences: sentences(&view),
            reason: view.reason.clone(),
            facts: facts(&view, now_ms),
            curves: curves(&view),
            grid: view.grid.clone().map(|grid| grid_of(&view, grid)),
            moved: moved(&view),
            moved_by: match view.moved.iter().any(|it| it.update_ratio.is_some()) {
                true => "update by size",
                false => "change by size",
            },
            strips: HistogramStrip::of(run, &moving)?,
            embeddings: EmbeddingView::of(run)?,
            notes,
            notes_left_out,
            caveats: caveats(&view),
        }
        .inert())
    }

    /// Of a session of a store.
    ///
    /// # Errors
    /// [`NotFound`](quantviz_core::ErrorKind::NotFound) where the store has no such session.
    pub fn of_session(store: &dyn SnapshotStore, session: &str, now_ms: u64) -> Result<Self> {
        match Run::open(store, &session.parse()?) {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(meant(store, session).unwrap_or(error)),
            run => RunPage::of(&run?, None, now_ms),
        }
    }
}

/// That there is no such session, and which was probably meant. A store that cannot tell which there are does not hide that.
fn meant(store: &dyn SnapshotStore, session: &str) -> Option<Error> {
    let sessions = store.sessions().ok()?;
    let names = || sessions.iter().map(|it| it.id.as_str());
    let there = match (nearest(session, names()), names().next()) {
        (Some(near), _) => format!("the nearest is {near:?}"),
        (None, Some(first)) if sessions.len() == 1 => format!("there is {first:?}"),
        (None, Some(first)) => {
            format!("there are {} others, such as {first:?}", count(sessions.len() as u64))
        }
        (None, None) => "nothing was recorded here".to_owned(),
    };
    Some(Error::not_found(format!("no session is named {session:?}; {there}")))
}

fn grid_of(view: &SessionView, grid: SessionGrid) -> RunGrid {
    let step = count(view.shown_step.unwrap_or(view.last_step));
    let measure = Measure::named(&grid.measure);
    let words = measure.map(|it| capital(&it.words())).unwrap_or_default();
    let meaning = measure.map(Measure::meaning).unwrap_or_default();
    RunGrid { caption: format!("{words}, at step {step}"), meaning, grid }
}

/// What moves most of each kind, names that differ in numbers only being of one kind; matrices first.
fn of_each_kind(view: &SessionView) -> Vec<&str> {
    let is_matrix = |name: &str| {
        let at = view.at.as_ref().and_then(|at| at.parameters.iter().find(|it| it.name == name));
        at.is_some_and(|it| it.shape.len() > 1)
    };
    let mut kinds = std::collections::BTreeSet::new();
    let moving = view.moved.iter().filter(|it| !it.frozen).map(|it| it.parameter.as_str());
    let is_first = |name: &&str| kinds.insert(name.replace(|c: char| c.is_ascii_digit(), ""));
    let (matrices, others): (Vec<&str>, Vec<&str>) =
        moving.filter(is_first).partition(|name| is_matrix(name));
    [matrices, others].concat()
}

fn verdict(view: &SessionView) -> (String, Mood) {
    let told = match (view.state, view.learning.as_ref().map(|it| it.trend)) {
        (RunState::Failed, _) => ("It failed", Mood::Bad),
        (_, Some(Trend::NotFinite)) => ("Broken: the loss is not a number", Mood::Bad),
        (RunState::Lost, _) => ("Nothing is heard of it any more", Mood::Bad),
        (_, Some(Trend::Rising)) => ("Getting worse", Mood::Bad),
        (RunState::Stalled, _) => ("Nothing was heard for a while", Mood::Bad),
        (_, Some(Trend::Falling)) => ("Learning well", Mood::Good),
        (_, Some(Trend::FallingSlowly)) => ("Still learning, slowly", Mood::Good),
        (_, Some(Trend::Flat)) => ("It has settled", Mood::Plain),
        (_, Some(Trend::TooEarly)) => ("Too early to tell", Mood::Plain),
        (_, None) => ("No loss was recorded", Mood::Plain),
    };
    (told.0.to_owned(), told.1)
}

fn sentences(view: &SessionView) -> Vec<String> {
    let mut all = Vec::new();
    if let Some(learning) = &view.learning {
        all.push(format!("{}.", capital(&learning.text)));
    }
    if let (Some(ms), Some(share)) = (view.cost_ms, view.cost_share) {
        all.push(format!(
            "Recording costs {} % of the time, {} ms a snapshot.",
            rough(share.0 * 100.0),
            rough(ms.0)
        ));
    }
    all
}

/// Text that begins a sentence.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", letters.as_str())
}

/// A number of which nobody needs to know more than the first digits.
fn rough(value: f64) -> String {
    match value.abs() {
        at_least if at_least >= 10.0 => format!("{value:.0}"),
        at_least if at_least >= 1.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn facts(view: &SessionView, now_ms: u64) -> Vec<String> {
    let thinned = match view.thinned {
        0 => String::new(),
        some => format!(", {} of them statistics only", count(some)),
    };
    let mut facts =
        vec![format!("{} · step {}", view.state.name(), count(view.last_step)), view.heard(now_ms)];
    facts.push(format!("{} parameters with {} numbers", count(view.parameters), count(view.elements)));
    facts.push(match &*view.every {
        "" => format!("{} snapshots{thinned}", count(view.snapshots)),
        every => format!("{} snapshots, {every}{thinned}", count(view.snapshots)),
    });
    facts.push(quantviz_core::bytes(view.bytes));
    facts.push(format!("begun {} UTC", date(view.begun_ms)));
    facts.extend(view.together());
    facts.extend(view.tags.iter().map(|(key, value)| format!("{key}={value}")));
    facts
}

fn curves(view: &SessionView) -> Vec<RunCurve> {
    let loss = view.learning.as_ref().map(|it| it.scalar.as_str());
    let first = view.scalars.iter().filter(|it| Some(it.name.as_str()) == loss);
    let others = view.scalars.iter().filter(|it| Some(it.name.as_str()) != loss);
    let named = |series: &SeriesView| RunCurve::of(&series.name, &series.points());
    let norms = view.norms.iter().map(|it| match &*it.name {
        "weight_rms" => RunCurve::of("size of all weights (root mean square)", &it.points()),
        "gradient_rms" => RunCurve::of("size of all gradients (root mean square)", &it.points()),
        _ => named(it),
    });
    first.map(named).chain(norms).chain(others.map(named)).take(CURVES).collect()
}

impl RunCurve {
    /// Of values at ascending steps.
    pub fn of(name: &str, series: &[(u64, f64)]) -> Self {
        let curve = Curve::of(series, COLUMNS);
        let odd = || series.iter().filter(|(_, value)| !value.is_finite());
        let ends = series.first().zip(series.last());
        let caption = match ends {
            Some(((_, first), (_, last))) if series.len() > 1 => {
                format!("from {} to {}", number(*first), number(*last))
            }
            Some(((_, only), _)) => number(*only),
            None => String::new(),
        };
        let across = ends.map(|(first, last)| steps_between(first.0, last.0));
        let up = curve.as_ref().map(|it| match it.range {
            (low, high) if low < high => Axis::between(low, high).ticks,
            (only, _) => vec![Tick { at: 0.5, label: number(only) }],
        });
        RunCurve {
            name: name.to_owned(),
            caption,
            across: across.unwrap_or_default(),
            up: up.unwrap_or_default(),
            not_finite: odd().next().map(|(step, _)| (*step, odd().count())),
            curve,
        }
    }
}

/// Round steps. They are whole: what lies between two of them is no step.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "on a picture"
)]
fn steps_between(first: u64, last: u64) -> Vec<Tick> {
    if first == last {
        return vec![Tick { at: 0.5, label: count(first) }];
    }
    let axis = Axis::between(first as f64, last as f64);
    let whole = axis.round_numbers().filter(|step| step.fract() == 0.0);
    whole.map(|step| Tick { at: axis.place(step), label: count(step as u64) }).collect()
}

fn moved(view: &SessionView) -> Vec<RunMoved> {
    let caveat = |name: &str| {
        let at = view.at.as_ref()?;
        at.parameters.iter().find(|it| it.name == name)?.caveat(at.step)
    };
    let row = |it: &crate::MovedView| RunMoved {
        parameter: it.parameter.clone(),
        update: it.update_ratio.or(it.relative_change).map(|Scalar(it)| number(it)).unwrap_or_default(),
        change: it.change.map(|Scalar(it)| number(it)).unwrap_or_default(),
        caveat: caveat(&it.parameter).unwrap_or_default(),
    };
    view.moved.iter().take(MOVED).map(row).collect()
}

/// The first notes and the last, and how many are between them.
fn notes(all: &[RunNote]) -> (Vec<RunNote>, usize) {
    let left_out = all.len().saturating_sub(NOTES);
    if left_out == 0 {
        return (all.to_vec(), 0);
    }
    let (first, last) = (&all[..NOTES / 2], &all[all.len() - NOTES / 2..]);
    ([first, last].concat(), left_out)
}

fn caveats(view: &SessionView) -> Vec<String> {
    let Some(at) = &view.at else { return Vec::new() };
    let of_parameters = at.parameters.iter().filter_map(|it| Some((it, it.caveat(at.step)?)));
    let all: Vec<String> = of_parameters.map(|(it, caveat)| format!("{}: {caveat}", it.name)).collect();
    let more = all.len().saturating_sub(CAVEATS);
    let mut caveats: Vec<String> =
        at.together().filter(|_| at.in_parts > 0 || at.ranks_recorded < at.ranks).into_iter().collect();
    caveats.extend(all.into_iter().take(CAVEATS));
    if more > 0 {
        caveats.push(format!("and {} more parameters like these", count(more as u64)));
    }
    caveats.extend(at.left_out.iter().map(|it| format!("no room for {it}")));
    caveats
}
