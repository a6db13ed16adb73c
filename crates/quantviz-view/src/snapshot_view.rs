//! The parameters of a run at a step: what `quantviz inspect SESSION@STEP --json` prints.

use std::collections::BTreeMap;

use quantviz_core::{
    DType, ModelAtStep, ParameterId, PartsRecorded, Quantity, RecordedHistogram, RecordedSummary, Result,
    Role, Scalar, Shape, count, one_line,
};
use serde::Serialize;

use crate::request::{Request, Selection};
use crate::session_grid::is_frozen;
use crate::session_words::together;

/// A model as it was recorded at a step: the schema `quantviz.snapshot/1`. What was not recorded is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SnapshotView {
    /// The name and the version of this shape of data.
    pub schema: &'static str,
    /// Which snapshot this is.
    #[serde(flatten)]
    pub at: StepName,
    /// The loss and the like at this step.
    pub scalars: BTreeMap<String, Scalar>,
    /// The modules that own parameters, in order.
    pub layers: Vec<SnapshotLayer>,
    /// The parameters, in the order of the plan.
    pub parameters: Vec<SnapshotParameter>,
    /// What there was no room for.
    pub left_out: Vec<String>,
}

/// Which snapshot of which session.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StepName {
    /// The session.
    pub session: String,
    /// The step that was asked for; without one it is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    /// The step that this is.
    pub step: u64,
    /// Whether samples and histograms were thinned, and only statistics are left.
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
}

/// A module, by its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SnapshotLayer {
    /// Its path.
    pub name: String,
    /// The names of its parameters.
    pub parameters: Vec<String>,
}

/// What was recorded of a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SnapshotParameter {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its shape.
    pub shape: Shape,
    /// The module that it belongs to.
    pub layer: Option<String>,
    /// What it is for.
    pub role: Role,
    /// Whether it is not trained.
    pub frozen: bool,
    /// How many parts it is in, and how many of them were recorded, where ranks share it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsRecorded>,
    /// Its elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<SnapshotSummary>,
    /// Its gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient: Option<SnapshotSummary>,
    /// How its elements are spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<SnapshotHistogram>,
    /// How many of its elements were kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleSize>,
    /// What else was computed of it, by name.
    pub features: BTreeMap<String, f64>,
}

/// Counts, range and moments, and what they are of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the numbers are those of quantviz_core::RecordedSummary, by their names")]
pub struct SnapshotSummary {
    /// Elements that were looked at.
    pub count: u64,
    /// Elements that there are.
    pub of: u64,
    /// Whether these are fewer than all.
    pub sampled: bool,
    /// The step at which they were looked at.
    pub as_of: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub non_finite: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<f64>,
}

/// Shares of elements in bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SnapshotHistogram {
    /// The left edge of the first bin.
    pub low: f64,
    /// The right edge of the last bin.
    pub high: f64,
    /// The share of elements in each bin, to three digits; the first and the last have what lies beyond them too.
    pub shares: Vec<f64>,
    /// Elements that were counted, where that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Elements that there are.
    pub of: u64,
    /// Whether fewer than all were counted, where that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampled: Option<bool>,
    /// The step at which they were counted.
    pub as_of: u64,
    /// How many parts it is of, where ranks share the parameter out: of the first alone, where those were not counted on grids that
    /// fit each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<PartsRecorded>,
}

/// How many elements were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SampleSize {
    /// So many, each as a bf16.
    pub count: u64,
    /// Of so many.
    pub of: u64,
}

/// What stands in summaries, or says how they were taken; everything else is a feature.
const OF_SUMMARIES: [Quantity; 18] = {
    use Quantity as Q;
    [
        Q::Min,
        Q::Max,
        Q::Mean,
        Q::Std,
        Q::Zeros,
        Q::NonFinite,
        Q::Coverage,
        Q::AsOf,
        Q::GradientMin,
        Q::GradientMax,
        Q::GradientMean,
        Q::GradientStd,
        Q::GradientZeros,
        Q::GradientNonFinite,
        Q::GradientCoverage,
        Q::GradientAsOf,
        Q::GradientState,
        Q::FeaturesAsOf,
    ]
};

impl SnapshotView {
    /// The version of the data that this serializes to.
    pub const SCHEMA: &str = "quantviz.snapshot/1";

    /// Of a model at a step, as far as it is asked for.
    ///
    /// # Errors
    /// Where `request` names a parameter or a layer that is not there, or asks for bins that those which were recorded cannot be
    /// made into.
    pub fn of(recorded: &ModelAtStep, request: &Request) -> Result<Self> {
        let model = recorded.model();
        let selection = Selection::of(model, request)?;
        let name = |&id: &ParameterId| model.parameter(id).name.clone();
        let layers = selection.layers.iter().map(|&id| model.layer(id)).map(|layer| SnapshotLayer {
            name: layer.name.clone(),
            parameters: layer.parameters.iter().map(name).collect(),
        });
        let of_each = |&id: &ParameterId| SnapshotParameter::of(recorded, id, request.bins);
        let parameters = selection.parameters.iter().map(of_each).collect::<Result<_>>()?;
        Ok(SnapshotView {
            schema: Self::SCHEMA,
            at: StepName::of(recorded),
            scalars: recorded.reading().scalars(),
            layers: layers.collect(),
            parameters,
            left_out: recorded.reading().left_out(),
        })
    }
}

impl StepName {
    /// That of a model at a step.
    pub fn of(recorded: &ModelAtStep) -> Self {
        StepName {
            session: recorded.session().as_str().to_owned(),
            asked: recorded.asked(),
            step: recorded.step(),
            thinned: recorded.record().is_thinned,
            time_ms: recorded.header().time_ms,
            rank: recorded.record().id.rank,
            ranks_recorded: recorded.ranks_recorded(),
            ranks: recorded.ranks(),
            in_parts: recorded.reading().in_parts() as u64,
        }
    }

    /// `run@400`; `run@400, the nearest to step 403 that was kept`.
    pub fn title(&self) -> String {
        let name = format!("{}@{}", one_line(&self.session), self.step);
        match self.asked.filter(|asked| *asked != self.step) {
            Some(asked) => format!("{name}, the nearest to step {} that was kept", count(asked)),
            None => name,
        }
    }

    /// What the numbers are of, where several train together.
    pub fn together(&self) -> Option<String> {
        together(self.ranks_recorded, self.ranks, self.in_parts)
    }
}

impl SnapshotParameter {
    fn of(recorded: &ModelAtStep, id: ParameterId, bins: Option<usize>) -> Result<Self> {
        let model = recorded.model();
        let parameter = model.parameter(id);
        let features = Quantity::ALL.iter().filter(|it| !OF_SUMMARIES.contains(it)).filter_map(|&quantity| {
            let value = recorded.quantity(quantity, id).filter(|value| value.is_finite())?;
            Some((quantity.field(), value))
        });
        let histogram = recorded.histogram(id).map(|it| match bins {
            Some(bins) => it.in_bins(bins),
            None => Ok(it),
        });
        Ok(SnapshotParameter {
            name: parameter.name.clone(),
            dtype: parameter.dtype,
            shape: parameter.shape.clone(),
            layer: parameter.layer.map(|layer| model.layer(layer).name.clone()),
            role: parameter.role,
            frozen: is_frozen(recorded.reading().statistics(), id.index()),
            parts: recorded.parts(id),
            summary: recorded.summary(id).as_ref().map(SnapshotSummary::of),
            gradient: recorded.gradient(id).as_ref().map(SnapshotSummary::of),
            histogram: histogram.transpose()?.map(SnapshotHistogram::of),
            sample: recorded.sample(id).map(|it| SampleSize { count: it.at.len() as u64, of: it.of }),
            features: features.collect(),
        })
    }
}

impl SnapshotSummary {
    fn of(summary: &RecordedSummary) -> Self {
        SnapshotSummary {
            count: summary.elements,
            of: summary.of,
            sampled: summary.elements < summary.of,
            as_of: summary.as_of,
            non_finite: summary.non_finite,
            zero_share: summary.zeros,
            min: summary.min,
            max: summary.max,
            mean: summary.mean,
            std: summary.std,
        }
    }

    /// How it was taken, where that is not of all elements at this step: `sampled 1,234, as of step 400`.
    pub fn caveat(&self, step: u64) -> Option<String> {
        let sampled = self.sampled.then(|| format!("sampled {}", count(self.count)));
        let old = (self.as_of < step).then(|| format!("as of step {}", count(self.as_of)));
        let all: Vec<String> = [sampled, old].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

impl SnapshotHistogram {
    fn of(histogram: RecordedHistogram) -> Self {
        SnapshotHistogram {
            low: histogram.low,
            high: histogram.high,
            shares: histogram.shares,
            count: histogram.elements,
            of: histogram.of,
            sampled: histogram.elements.map(|it| it < histogram.of),
            as_of: histogram.as_of,
            parts: histogram.parts,
        }
    }
}
