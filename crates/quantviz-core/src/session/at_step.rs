//! A model as it was recorded at a step: of every parameter what the snapshot tells, and how it knows.

use std::sync::Arc;

use super::entry::Record;
use super::ids::SessionId;
use super::plan::Plan;
use super::quantity::Quantity;
use super::run::Run;
use super::snapshot::{Snapshot, SnapshotHeader};
use crate::{Model, ParameterId, Result, bf16};

/// The parameters of a model as a snapshot tells of them. There are no values to be read in it but those of a sample:
/// statistics were taken when it was recorded, and what was not taken is not there.
///
/// ```no_run
/// # let store: Box<dyn quantviz_core::SnapshotStore> = unimplemented!();
/// use quantviz_core::{ModelAtStep, Run};
///
/// let run = Run::open(&*store, &"shakespeare".parse()?)?;
/// let model = ModelAtStep::near(&run, Some(1000))?.expect("it has snapshots");
/// let weight = model.model().parameter_named("lm_head.weight").expect("it was recorded");
/// if let Some(summary) = model.summary(weight) {
///     println!("{:?} of {} of {} elements at step {}", summary.max, summary.elements, summary.of, summary.as_of);
/// }
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ModelAtStep {
    session: SessionId,
    asked: Option<u64>,
    record: Record,
    ranks: u32,
    ranks_recorded: u32,
    snapshot: Snapshot,
    plan: Arc<Plan>,
    model: Model,
}

/// Counts, range and moments of a parameter, or of its gradient, as they were recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedSummary {
    /// Elements that were looked at.
    pub elements: u64,
    /// Elements that there are: more where it is of a sample.
    pub of: u64,
    /// The step at which they were looked at.
    pub as_of: u64,
    /// Those of them that are NaN or infinite, where that was counted; what follows is of the others.
    pub non_finite: Option<u64>,
    /// The share of zeros.
    pub zeros: Option<f64>,
    /// The smallest.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The population's standard deviation.
    pub std: Option<f64>,
}

/// How the values of a parameter are spread, on the grid of the plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedHistogram {
    /// The left edge of the first bin; it has smaller values too.
    pub low: f64,
    /// The right edge of the last bin; it has larger values too.
    pub high: f64,
    /// The share of values in each bin, to three digits.
    pub shares: Vec<f64>,
    /// How many elements were counted, where the plan says it.
    pub elements: Option<u64>,
    /// Elements that there are.
    pub of: u64,
    /// The step at which they were looked at.
    pub as_of: u64,
}

/// Some elements of a parameter, the same ones in every snapshot.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecordedSample {
    /// Which ones, in row-major order.
    pub at: Vec<u64>,
    /// Their values, rounded to [`bf16`] when they were recorded; not a number where they could not be read.
    pub values: Vec<f32>,
    /// Elements that there are.
    pub of: u64,
}

impl ModelAtStep {
    /// The model at the step that is nearest to this one, or at the last: with its samples, if they were kept, else with its
    /// statistics. Where several ranks train together, it is what the first of them recorded. `None` where the run has no
    /// snapshots.
    pub fn near(run: &Run<'_>, step: Option<u64>) -> Result<Option<Self>> {
        let Some((nearest, ranks)) = run.statistics_near(step.unwrap_or(u64::MAX))? else { return Ok(None) };
        let ranks_recorded = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
        let Some(first) = ranks.into_iter().next() else { return Ok(None) };
        let (mut snapshot, mut plan) = (first.snapshot, first.plan);
        if !first.record.is_thinned
            && let Some((found, whole)) = run.nearest(nearest)?
            && let Some((read, its_plan)) = whole.into_iter().next().filter(|_| found == nearest)
        {
            (snapshot, plan) = (read, its_plan);
        }
        Ok(Some(ModelAtStep::of(run, step, first.record, ranks_recorded, snapshot, plan)))
    }

    /// The same at the nearest step whose samples were kept.
    pub fn with_samples_near(run: &Run<'_>, step: Option<u64>) -> Result<Option<Self>> {
        let Some((nearest, ranks)) = run.nearest(step.unwrap_or(u64::MAX))? else { return Ok(None) };
        let records = run.timeline().snapshots_at(nearest);
        let ranks_recorded = u32::try_from(ranks.len()).unwrap_or(u32::MAX);
        let first = records.first().zip(ranks.into_iter().next());
        let Some((&&record, (snapshot, plan))) = first else { return Ok(None) };
        Ok(Some(ModelAtStep::of(run, step, record, ranks_recorded, snapshot, plan)))
    }

    fn of(
        run: &Run<'_>,
        asked: Option<u64>,
        record: Record,
        ranks_recorded: u32,
        snapshot: Snapshot,
        plan: Arc<Plan>,
    ) -> Self {
        ModelAtStep {
            session: run.id().clone(),
            asked,
            record,
            ranks: run.timeline().ranks(),
            ranks_recorded,
            snapshot,
            model: plan.header().model(),
            plan,
        }
    }

    /// The session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// The step that was asked for, if one was.
    pub fn asked(&self) -> Option<u64> {
        self.asked
    }

    /// The step that this is.
    pub fn step(&self) -> u64 {
        self.record.step
    }

    /// The record that holds it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// How many ranks there are.
    pub fn ranks(&self) -> u32 {
        self.ranks
    }

    /// How many of them have recorded this step.
    pub fn ranks_recorded(&self) -> u32 {
        self.ranks_recorded
    }

    /// What the snapshot says beside its parameters.
    pub fn header(&self) -> &SnapshotHeader {
        self.snapshot.header()
    }

    /// The parameters, in the order of the plan, and a layer for each module.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The parameter of a name; the other names of tied weights count too.
    pub fn parameter_named(&self, name: &str) -> Option<ParameterId> {
        self.plan.header().parameter_named(name).and_then(ParameterId::new)
    }

    /// A number that was recorded of a parameter; `None` where it was not.
    pub fn quantity(&self, quantity: Quantity, id: ParameterId) -> Option<f64> {
        let at = self.place(quantity, id)?;
        #[expect(clippy::cast_precision_loss, reason = "counts and steps of at most 32 bits")]
        let whole = || self.snapshot.whole(quantity, at).map(|value| value as f64);
        let value = || self.snapshot.quantity(quantity, at).map(f64::from);
        if quantity.is_count() { whole() } else { value() }
    }

    fn place(&self, quantity: Quantity, id: ParameterId) -> Option<usize> {
        let planned = self.plan.header().parameters.get(id.index())?;
        if quantity.is_of_matrices() { Some(planned.matrix? as usize) } else { Some(id.index()) }
    }

    /// The statistics of a parameter; `None` where it was not looked at, or takes turns with others and this is not its turn.
    pub fn summary(&self, id: ParameterId) -> Option<RecordedSummary> {
        use Quantity::{AsOf, Coverage, Max, Mean, Min, NonFinite, Std, Zeros};
        self.summary_of(id, [Coverage, AsOf, NonFinite, Zeros, Min, Max, Mean, Std])
    }

    /// The same of its gradient.
    pub fn gradient(&self, id: ParameterId) -> Option<RecordedSummary> {
        use Quantity::{
            GradientAsOf, GradientCoverage, GradientMax, GradientMean, GradientMin, GradientNonFinite,
            GradientStd, GradientZeros,
        };
        self.summary_of(
            id,
            [
                GradientCoverage,
                GradientAsOf,
                GradientNonFinite,
                GradientZeros,
                GradientMin,
                GradientMax,
                GradientMean,
                GradientStd,
            ],
        )
    }

    fn summary_of(
        &self,
        id: ParameterId,
        [coverage, as_of, non_finite, zeros, min, max, mean, std]: [Quantity; 8],
    ) -> Option<RecordedSummary> {
        let coverage = self.quantity(coverage, id).filter(|&it| it > 0.0)?;
        let elements = self.plan.header().parameters.get(id.index())?.elements();
        let number = |quantity| self.quantity(quantity, id).filter(|it| it.is_finite());
        Some(RecordedSummary {
            elements: self.looked_at(id, coverage),
            of: elements,
            as_of: self.snapshot.whole(as_of, id.index()).unwrap_or_else(|| self.step()),
            non_finite: self.snapshot.whole(non_finite, id.index()),
            zeros: number(zeros),
            min: number(min),
            max: number(max),
            mean: number(mean),
            std: number(std),
        })
    }

    /// How many elements a share is. Of matrices whole rows are looked at.
    fn looked_at(&self, id: ParameterId, coverage: f64) -> u64 {
        let Some(planned) = self.plan.header().parameters.get(id.index()) else { return 0 };
        let (all, (rows, columns)) = (planned.elements(), planned.rows_and_columns());
        if coverage >= 1.0 {
            return all;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let share_of = |count: u64| (coverage * count as f64).round() as u64;
        if planned.matrix.is_some() { share_of(rows).max(1).saturating_mul(columns) } else { share_of(all) }
    }

    /// How the values of a parameter are spread; `None` where that was not recorded, or thinned since.
    pub fn histogram(&self, id: ParameterId) -> Option<RecordedHistogram> {
        let (low, width) = self.plan.grid(id.index())?;
        let shares: Vec<bf16> = self.snapshot.row("w.hist", id.index())?;
        let shares: Vec<f64> = shares.into_iter().map(|it| f64::from(it.to_f32())).collect();
        let is_usable = low.is_finite() && width.is_finite() && width > 0.0 && !shares.is_empty();
        let summary = self.summary(id).filter(|_| is_usable && shares.iter().all(|it| it.is_finite()))?;
        #[expect(clippy::cast_precision_loss, reason = "a few bins")]
        let high = f64::from(low) + f64::from(width) * shares.len() as f64;
        let counted = self.plan.header().counted;
        Some(RecordedHistogram {
            low: f64::from(low),
            high,
            shares,
            elements: counted.map(|it| it.min(summary.of)),
            of: summary.of,
            as_of: summary.as_of,
        })
    }

    /// The elements of a parameter that were sampled at this step; `None` where none were, or they were thinned since.
    pub fn sample(&self, id: ParameterId) -> Option<RecordedSample> {
        let of = self.plan.header().parameters.get(id.index())?.elements();
        let arrays = self.plan.arrays();
        let (index, starts) = (arrays.get::<u64>("s.index")?, arrays.get::<u32>("s.start")?);
        let begin = *starts.get(id.index())? as usize;
        let end = *starts.get(id.index().checked_add(1)?)? as usize;
        let planned = index.get(begin..end)?;
        let values = self.snapshot.arrays().get::<bf16>("s.value")?;
        let every = every(index.len(), values.len())?;
        let kept = (begin..end).zip(planned).filter(|(place, _)| place.is_multiple_of(every));
        let mut sample = RecordedSample { at: Vec::new(), values: Vec::new(), of };
        for (place, &at) in kept.filter(|&(_, &at)| at < of) {
            sample.at.push(at);
            sample.values.push(values.get(place / every)?.to_f32());
        }
        (!sample.at.is_empty()).then_some(sample)
    }
}

/// Where there was no room for the whole sample, every second or fourth element of it is there. Which, their number tells:
/// where two answers are possible, only the first element is there, and both say so.
fn every(planned: usize, kept: usize) -> Option<usize> {
    [1, 2, 4, 8].into_iter().find(|&every| planned.div_ceil(every) == kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_had_no_room() {
        assert_eq!((every(100, 100), every(101, 51), every(101, 26)), (Some(1), Some(2), Some(4)));
        assert_eq!((every(5, 2), every(100, 33), every(0, 0)), (Some(4), None, Some(1)));
    }
}
