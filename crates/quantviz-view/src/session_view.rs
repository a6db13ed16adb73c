//! A whole run: what it has learnt, how its parameters grew, which of them move, what recording them costs.

use std::collections::BTreeMap;

use quantviz_core::{Quantity, Result, Run, RunNote, RunState, Scalar, Series, StepReading, count};
use serde::Serialize;

use crate::learning::{Learning, median};
use crate::measure::Measure;
use crate::session_grid::{SessionGrid, is_frozen};
use crate::session_list::snapshots;
use crate::session_step::StepView;
use crate::session_words::{date, duration};

/// A run: what `quantviz sessions show --json` prints.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SessionView {
    /// The version of this document.
    pub schema: &'static str,
    /// The name of the session.
    pub session: String,
    /// What people call the run.
    pub name: String,
    /// What else they say of it.
    pub tags: BTreeMap<String, String>,
    /// How it is doing.
    pub state: RunState,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub begun_ms: u64,
    /// When it was heard from last.
    pub last_ms: u64,
    /// The last step that anything tells of.
    pub last_step: u64,
    /// How many processes train together.
    pub ranks: u32,
    /// The step that is shown: the one that was asked for, or the last, of the last three the one that most ranks have recorded; null
    /// without snapshots.
    pub shown_step: Option<u64>,
    /// How many ranks have recorded it.
    pub ranks_recorded: Option<u32>,
    /// How many parameters they share out, each having a part.
    pub in_parts: u64,
    /// Steps with snapshots, thinned ones included.
    pub snapshots: u64,
    /// Of those, how many have statistics only.
    pub thinned: u64,
    /// How often it takes a snapshot, as it was asked for.
    pub every: String,
    /// What the session takes.
    pub bytes: u64,
    /// How many parameters are recorded, and how many numbers they have.
    pub parameters: u64,
    /// See `parameters`.
    pub elements: u64,
    /// What the loss does; null where none was told.
    pub learning: Option<Learning>,
    /// Everything that was said beside the parameters.
    pub scalars: Vec<SeriesView>,
    /// The root mean square of all weights, and of all gradients where there are such, at up to 200 steps.
    pub norms: Vec<SeriesView>,
    /// Parameters by how much one step moves them, those that move most first; where that was not taken of any, by how much they
    /// have changed since the snapshot before.
    pub moved: Vec<MovedView>,
    /// The parameters by layer and by kind at the step that is shown; null without snapshots.
    pub grid: Option<SessionGrid>,
    /// What the step has that was asked for; null where none was.
    pub at: Option<StepView>,
    /// The median time that a capture has taken of the training, in milliseconds, over those that were looked at;
    /// null where checkpoints were imported.
    pub cost_ms: Option<Scalar>,
    /// The share of time that recording takes, at the last capture; null where checkpoints were imported.
    pub cost_share: Option<Scalar>,
    /// What there was no room for in the last snapshot.
    pub left_out: Vec<String>,
    /// What was written on the way.
    pub notes: Vec<RunNote>,
}

/// Numbers over steps.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SeriesView {
    /// What they are called.
    pub name: String,
    /// The steps.
    pub steps: Vec<u64>,
    /// A value for each.
    pub values: Vec<Scalar>,
}

/// How much a parameter moves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MovedView {
    /// Its name.
    pub parameter: String,
    /// What one step of the optimizer changes by what there is, both as root mean squares; null where it was not taken.
    pub update_ratio: Option<Scalar>,
    /// The change since the snapshot before by what there is; null where it was not taken.
    pub relative_change: Option<Scalar>,
    /// The change since the snapshot before, as a root mean square; null where it was not taken.
    pub change: Option<Scalar>,
    /// Whether it is not trained.
    pub frozen: bool,
}

/// Norms are computed at so many steps: a curve has no more columns.
const NORM_STEPS: usize = 200;

impl SeriesView {
    fn of(name: impl Into<String>, series: &[(u64, f64)]) -> Self {
        let steps = series.iter().map(|(step, _)| *step).collect();
        SeriesView { name: name.into(), steps, values: series.iter().map(|(_, it)| Scalar(*it)).collect() }
    }

    /// Steps and values together.
    pub fn points(&self) -> Series {
        self.steps.iter().zip(&self.values).map(|(&step, value)| (step, value.0)).collect()
    }
}

impl SessionView {
    /// When it was heard from last: how long ago that is while it may go on, otherwise the date.
    pub fn heard(&self, now_ms: u64) -> String {
        match self.state {
            RunState::Finished | RunState::Failed => format!("ended {} UTC", date(self.last_ms)),
            _ => format!("heard from {} ago", duration(now_ms.saturating_sub(self.last_ms))),
        }
    }

    /// How many train together, whether some of them are missing, and what they share out; `None` where one trains alone.
    pub fn together(&self) -> Option<String> {
        let ranks = match self.ranks_recorded.zip(self.shown_step).filter(|it| it.0 < self.ranks) {
            Some((recorded, step)) => format!("{recorded} of {} ranks at step {}", self.ranks, count(step)),
            None => format!("{} ranks together", self.ranks),
        };
        let shared = match self.in_parts {
            0 => String::new(),
            some => format!(", {} parameters in parts", count(some)),
        };
        (self.ranks > 1).then(|| format!("{ranks}{shared}"))
    }

    /// The version that is written.
    pub const SCHEMA: &'static str = "quantviz.session/1";

    /// Of a run at this time; with the step that is nearest to one, if one is asked for. Cells of the grid say what is
    /// measured, or what [fits](Measure::fitting) what was recorded.
    pub fn of(run: &Run<'_>, step: Option<u64>, measure: Option<Measure>, now_ms: u64) -> Result<Self> {
        let reading = run.step_near(step)?;
        let mut view = SessionView::around(run, reading.as_ref(), measure, now_ms)?;
        let asked = step.zip(reading.as_ref());
        view.at = asked.map(|(asked, reading)| StepView::of(reading, asked, &view.notes));
        Ok(view)
    }

    /// The same, with the step that is nearest to one, or the last.
    pub(crate) fn with_step(run: &Run<'_>, step: Option<u64>, now_ms: u64) -> Result<Self> {
        let reading = run.step_near(step)?;
        let mut view = SessionView::around(run, reading.as_ref(), None, now_ms)?;
        view.at = reading.map(|it| StepView::of(&it, step.unwrap_or(it.step()), &view.notes));
        Ok(view)
    }

    fn around(
        run: &Run<'_>,
        reading: Option<&StepReading>,
        measure: Option<Measure>,
        now_ms: u64,
    ) -> Result<Self> {
        let state = run.state(now_ms)?;
        let scalars = run.scalars()?;
        let notes = run.notes()?;
        let records = || run.timeline().records();
        let header = run.plan().map(|plan| plan.header());
        let mut walk = Walk::default();
        run.each_statistics(NORM_STEPS, &mut |reading| walk.see(reading))?;
        let catalogue = reading.map(|it| it.catalogue()).or(header);
        let (snapshots, thinned) = snapshots(run);
        Ok(SessionView {
            schema: SessionView::SCHEMA,
            session: run.id().as_str().to_owned(),
            name: header.map(|it| it.name.clone()).unwrap_or_default(),
            tags: header.map(|it| it.tags.clone()).unwrap_or_default(),
            state: state.state,
            reason: state.reason,
            begun_ms: records().map(|it| it.time_ms).min().unwrap_or(0),
            last_ms: records().map(|it| it.time_ms).max().unwrap_or(0),
            last_step: run.timeline().alive().map(|it| it.step).max().unwrap_or(0),
            ranks: run.timeline().ranks(),
            shown_step: reading.map(StepReading::step),
            ranks_recorded: reading.map(StepReading::ranks_recorded),
            in_parts: reading.map_or(0, StepReading::in_parts) as u64,
            snapshots,
            thinned,
            every: header.map(|it| it.every.clone()).unwrap_or_default(),
            bytes: records().map(|it| if it.is_thinned { it.summary_bytes } else { it.bytes }).sum(),
            parameters: catalogue.map_or(0, |it| it.parameters.len() as u64),
            elements: catalogue
                .map_or(0, |it| it.parameters.iter().map(|it| it.elements()).fold(0, u64::saturating_add)),
            learning: Learning::of(&scalars),
            scalars: scalars.iter().map(|(name, series)| SeriesView::of(name, series)).collect(),
            norms: walk.norms(),
            moved: reading.map(moved).unwrap_or_default(),
            grid: reading.map(|it| {
                let measure = measure.unwrap_or_else(|| Measure::fitting(it));
                SessionGrid::of(it.catalogue(), it.statistics(), measure)
            }),
            at: None,
            cost_ms: (!walk.costs.is_empty()).then(|| Scalar(median(&walk.costs))),
            cost_share: walk.share.map(Scalar),
            left_out: walk.left_out,
            notes,
        })
    }
}

/// What is gathered from snapshot to snapshot.
#[derive(Default)]
struct Walk {
    weights: Series,
    gradients: Series,
    costs: Vec<f64>,
    share: Option<f64>,
    left_out: Vec<String>,
}

impl Walk {
    fn see(&mut self, reading: &StepReading) {
        let rms = |mean, std| Some((reading.step(), overall_rms(reading, mean, std)?));
        self.weights.extend(rms(Quantity::Mean, Quantity::Std));
        self.gradients.extend(rms(Quantity::GradientMean, Quantity::GradientStd));
        if let Some(cost) = reading.cost() {
            self.costs.push(f64::from(cost.ms));
            self.share = Some(f64::from(cost.share));
        }
        self.left_out = reading.left_out();
    }

    fn norms(&self) -> Vec<SeriesView> {
        let all = [("weight_rms", &self.weights), ("gradient_rms", &self.gradients)];
        let taken = all.into_iter().filter(|(_, series)| !series.is_empty());
        taken.map(|(name, series)| SeriesView::of(name, series)).collect()
    }
}

/// The root mean square of all elements of all parameters, of which a step has the mean and the deviation.
fn overall_rms(reading: &StepReading, mean: Quantity, std: Quantity) -> Option<f64> {
    let (mut squares, mut elements) = (0.0, 0.0);
    for (at, parameter) in reading.catalogue().parameters.iter().enumerate() {
        let value = |quantity| reading.statistics().value(quantity, at);
        let (Some(mean), Some(std)) = (value(mean), value(std)) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "a weight")]
        let count = parameter.elements() as f64;
        squares += count * (mean.powi(2) + std.powi(2));
        elements += count;
    }
    (elements > 0.0).then(|| (squares / elements).sqrt())
}

fn moved(reading: &StepReading) -> Vec<MovedView> {
    let statistics = reading.statistics();
    let by = match Measure::fitting(reading) {
        Measure::Recorded(Quantity::UpdateRatio) => Measure::Recorded(Quantity::UpdateRatio),
        _ => Measure::RelativeChange,
    };
    let all = reading.catalogue().parameters.iter().enumerate().filter_map(|(at, parameter)| {
        let moved = by.of(statistics, at)?.abs();
        let value = |measure: Measure| measure.of(statistics, at).map(Scalar);
        let view = MovedView {
            parameter: parameter.name.clone(),
            update_ratio: value(Measure::Recorded(Quantity::UpdateRatio)),
            relative_change: value(Measure::RelativeChange),
            change: value(Measure::Recorded(Quantity::Change)),
            frozen: is_frozen(statistics, at),
        };
        Some((moved, view))
    });
    let mut all: Vec<(f64, MovedView)> = all.collect();
    // What is not a number comes first: that is worth a look.
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, view)| view).collect()
}
