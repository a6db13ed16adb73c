//! One step of a run: every parameter with what was recorded of it.

use std::collections::BTreeMap;

use quantviz_core::{PartsRecorded, Quantity, RunNote, Scalar, StepReading, count};
use serde::Serialize;

use crate::session_grid::is_frozen;
use crate::session_words::together;

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
    /// The first of those who recorded it: where several train together, what cannot be put together is what this one has.
    pub rank: u32,
    /// How many of them have recorded this step.
    pub ranks_recorded: u32,
    /// How many there are.
    pub ranks: u32,
    /// How many parameters they share out, each having a part.
    pub in_parts: u64,
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
    /// How many parts it is in, and how many of them were recorded, where ranks share it out; null where it is whole.
    pub parts: Option<PartsRecorded>,
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
        let parts = self.parts.filter(|it| it.recorded < it.of);
        let parts = parts.map(|it| format!("{} of {} parts", it.recorded, it.of));
        let all: Vec<String> = [frozen, parts, sampled, old].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl StepView {
    /// Of a step, and what was written up to it.
    pub fn of(reading: &StepReading, asked: u64, notes: &[RunNote]) -> Self {
        let first = reading.first();
        let cost = reading.cost();
        StepView {
            asked,
            step: reading.step(),
            thinned: first.record.is_thinned,
            time_ms: first.snapshot.header().time_ms,
            rank: first.record.id.rank,
            ranks_recorded: reading.ranks_recorded(),
            ranks: reading.ranks(),
            in_parts: reading.in_parts() as u64,
            scalars: reading.scalars(),
            parameters: parameters(reading),
            notes: notes.iter().filter(|note| note.step <= reading.step()).cloned().collect(),
            cost_ms: cost.map(|it| Scalar(f64::from(it.ms))),
            cost_share: cost.map(|it| Scalar(f64::from(it.share))),
            left_out: reading.left_out(),
        }
    }

    /// What the numbers are of, where several train together.
    pub fn together(&self) -> Option<String> {
        together(self.ranks_recorded, self.ranks, self.in_parts)
    }
}

fn parameters(reading: &StepReading) -> Vec<StepParameter> {
    let all = reading.catalogue().parameters.iter().enumerate();
    let view = all.map(|(at, parameter)| {
        let value = |quantity| reading.statistics().value(quantity, at);
        let values = Quantity::ALL.iter().filter_map(|&it| Some((it.field(), Scalar(value(it)?))));
        StepParameter {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            dtype: parameter.dtype.name(),
            frozen: is_frozen(reading.statistics(), at),
            parts: reading.parts(at),
            values: values.collect(),
        }
    });
    view.collect()
}
