//! A model as it was recorded at a step: of every parameter what the snapshot tells, and how it knows.

use super::entry::Record;
use super::ids::SessionId;
use super::quantity::Quantity;
use super::run::Run;
use super::snapshot::SnapshotHeader;
use super::statistics::Group;
use super::steps::Look;
use super::together::{PartsRecorded, StepReading};
use crate::{Model, ParameterId, Result};

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
    reading: StepReading,
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

impl ModelAtStep {
    /// The model at the step that is nearest to this one, or at the last: with its samples, if they were kept, else with its
    /// statistics. Where several ranks train together, it is what all of them recorded: see [`StepReading`]. `None` where the
    /// run has no snapshots.
    pub fn near(run: &Run<'_>, step: Option<u64>) -> Result<Option<Self>> {
        let ranks = run.ranks();
        let nearest = match step {
            Some(step) => ranks.nearest(step),
            None => ranks.last(),
        };
        let Some(nearest) = nearest else { return Ok(None) };
        let look = Look { whole: true, ..Look::FILLED };
        Ok(run.read_step(&ranks, nearest, look)?.map(|reading| ModelAtStep::of(run, step, reading)))
    }

    /// The same at the nearest step whose samples were kept, with the statistics only that were taken at that step.
    pub fn with_samples_near(run: &Run<'_>, step: Option<u64>) -> Result<Option<Self>> {
        let Some(nearest) = run.timeline().nearest_step(step.unwrap_or(u64::MAX)) else { return Ok(None) };
        let reading = run.read_step(&run.ranks(), nearest, Look { whole: true, filled: false })?;
        Ok(reading.map(|reading| ModelAtStep::of(run, step, reading)))
    }

    fn of(run: &Run<'_>, asked: Option<u64>, reading: StepReading) -> Self {
        let (session, model) = (run.id().clone(), reading.catalogue().model());
        ModelAtStep { session, asked, reading, model }
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
        self.reading.step()
    }

    /// What all ranks recorded of it.
    pub fn reading(&self) -> &StepReading {
        &self.reading
    }

    /// The record that holds it, or the part of the first rank.
    pub fn record(&self) -> &Record {
        &self.reading.first().record
    }

    /// How many ranks there are.
    pub fn ranks(&self) -> u32 {
        self.reading.ranks()
    }

    /// How many of them have recorded this step.
    pub fn ranks_recorded(&self) -> u32 {
        self.reading.ranks_recorded()
    }

    /// What the snapshot of the first of them says beside its parameters.
    pub fn header(&self) -> &SnapshotHeader {
        self.reading.first().snapshot.header()
    }

    /// The parameters, in the order of the plan, and a layer for each module.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The parameter of a name; the other names of tied weights count too.
    pub fn parameter_named(&self, name: &str) -> Option<ParameterId> {
        self.reading.catalogue().parameter_named(name).and_then(ParameterId::new)
    }

    /// A number that was recorded of a parameter; `None` where it was not.
    pub fn quantity(&self, quantity: Quantity, id: ParameterId) -> Option<f64> {
        self.reading.statistics().value(quantity, id.index())
    }

    /// How many parts a parameter is in, where ranks share it out; `None` where it is whole.
    pub fn parts(&self, id: ParameterId) -> Option<PartsRecorded> {
        self.reading.parts(id.index())
    }

    /// The statistics of a parameter; `None` where it was not looked at. What takes turns with others is of the last step at
    /// which it was its turn.
    pub fn summary(&self, id: ParameterId) -> Option<RecordedSummary> {
        self.summary_of(id, Group::Weights)
    }

    /// The same of its gradient.
    pub fn gradient(&self, id: ParameterId) -> Option<RecordedSummary> {
        self.summary_of(id, Group::Gradients)
    }

    fn summary_of(&self, id: ParameterId, group: Group) -> Option<RecordedSummary> {
        let [coverage, as_of, non_finite, zeros, min, max, mean, std] = group.of_values()?;
        let coverage = self.quantity(coverage, id).filter(|&it| it > 0.0)?;
        let elements = self.reading.catalogue().parameters.get(id.index())?.elements();
        let number = |quantity| self.quantity(quantity, id).filter(|it| it.is_finite());
        Some(RecordedSummary {
            elements: self.looked_at(id, coverage),
            of: elements,
            as_of: self.quantity(as_of, id).map_or(self.step(), whole),
            non_finite: self.quantity(non_finite, id).map(whole),
            zeros: number(zeros),
            min: number(min),
            max: number(max),
            mean: number(mean),
            std: number(std),
        })
    }

    /// How many elements a share is. Of matrices whole rows are looked at.
    fn looked_at(&self, id: ParameterId, coverage: f64) -> u64 {
        let Some(planned) = self.reading.catalogue().parameters.get(id.index()) else { return 0 };
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
}

/// A count or a step, which are kept with all their digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number of at most 32 bits, or a sum of such"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
