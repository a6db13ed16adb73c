//! One step of a run: every parameter with what was recorded of it.

use std::collections::BTreeMap;

use quantviz_core::{Quantity, RankSnapshot, Result, Run, RunNote, Scalar, count};
use serde::Serialize;

use crate::session_grid::FROZEN;

/// What was recorded of a step.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepView {
    /// The step that was asked for.
    pub asked: u64,
    /// The step that this is, the nearest there is.
    pub step: u64,
    /// Whether only statistics are left of it.
    pub thinned: bool,
    /// When it was taken, in milliseconds since 1970.
    pub time_ms: u64,
    /// Whose numbers these are, of those who train together.
    pub rank: u32,
    /// How many of them have recorded this step.
    pub ranks_recorded: u32,
    /// How many there are.
    pub ranks: u32,
    /// The loss and the like at this step.
    pub scalars: BTreeMap<String, Scalar>,
    /// Every parameter, in the order of the plan.
    pub parameters: Vec<StepParameter>,
    /// What was written up to this step.
    pub notes: Vec<RunNote>,
    /// Milliseconds that recording it has taken of the training; null where a checkpoint was imported.
    pub cost_ms: Option<Scalar>,
    /// Of the time since the captures before, the share that they took; null where a checkpoint was imported.
    pub cost_share: Option<Scalar>,
    /// What there was no room for.
    pub left_out: Vec<String>,
}

/// What was recorded of a parameter.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StepParameter {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// The type of its elements.
    pub dtype: &'static str,
    /// Whether it is not trained.
    pub frozen: bool,
    /// Its numbers, by name; those that were not taken are left out.
    pub values: BTreeMap<String, Scalar>,
}

impl StepParameter {
    /// One of its numbers.
    pub fn value(&self, quantity: Quantity) -> Option<f64> {
        self.values.get(&quantity.field()).map(|it| it.0)
    }

    /// How its statistics were taken, where that is not the whole of it at this step: `sampled 3 %`, `as of step 400`.
    pub fn caveat(&self, step: u64) -> Option<String> {
        let coverage = self.value(Quantity::Coverage).filter(|&share| share < 1.0);
        let sampled = coverage.map(|share| match share * 100.0 {
            percent if percent >= 1.0 => format!("sampled {percent:.0} %"),
            _ => "sampled under 1 %".to_owned(),
        });
        #[expect(clippy::cast_precision_loss, reason = "as it is kept")]
        let old = self.value(Quantity::AsOf).filter(|&it| it < step as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a step")]
        let old = old.map(|it| format!("as of step {}", count(it as u64)));
        let frozen = self.frozen.then(|| "frozen".to_owned());
        let all: Vec<String> = [frozen, sampled, old].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl StepView {
    /// Of the step that is nearest to this one; `None` where the run has no snapshots.
    pub fn of(run: &Run<'_>, asked: u64, notes: &[RunNote]) -> Result<Option<Self>> {
        let Some((step, ranks)) = run.statistics_near(asked)? else { return Ok(None) };
        let Some(first) = ranks.first() else { return Ok(None) };
        let header = first.snapshot.header();
        let is_timed = header.cost.budget_ms > 0.0;
        let cost = |value: f32| is_timed.then(|| Scalar(f64::from(value)));
        Ok(Some(StepView {
            asked,
            step,
            thinned: first.record.is_thinned,
            time_ms: header.time_ms,
            rank: first.record.id.rank,
            ranks_recorded: u32::try_from(ranks.len()).unwrap_or(u32::MAX),
            ranks: run.timeline().ranks(),
            scalars: header.scalars.clone(),
            parameters: parameters(first),
            notes: notes.iter().filter(|note| note.step <= step).cloned().collect(),
            cost_ms: cost(header.cost.ms),
            cost_share: cost(header.cost.share),
            left_out: header.left_out.clone(),
        }))
    }
}

fn parameters(of: &RankSnapshot) -> Vec<StepParameter> {
    let all = of.plan.header().parameters.iter().enumerate();
    let view = all.map(|(at, parameter)| {
        let values = Quantity::ALL.iter().filter_map(|&quantity| {
            let place = if quantity.is_of_matrices() { parameter.matrix? as usize } else { at };
            #[expect(clippy::cast_precision_loss, reason = "counts and steps of at most 32 bits")]
            let value = match quantity.is_count() {
                true => of.snapshot.whole(quantity, place)? as f64,
                false => f64::from(of.snapshot.quantity(quantity, place)?),
            };
            Some((quantity.field(), Scalar(value)))
        });
        StepParameter {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            dtype: parameter.dtype.name(),
            frozen: of.snapshot.quantity(Quantity::GradientState, at) == Some(FROZEN),
            values: values.collect(),
        }
    });
    view.collect()
}
