//! Everything that a snapshot says of its parameters, looked up once.

use super::arrays::Arrays;
use super::plan::PlanHeader;
use super::quantity::Quantity;
use super::snapshot::{Snapshot, index_name};

/// The numbers of one snapshot, by quantity and by parameter of its plan. Counts and steps have all their digits.
///
/// ```
/// use quantviz_core::{ArrayWriter, MemorySource, ParameterSource, PlanHeader, Quantity, Rank};
/// use quantviz_core::{Snapshot, SnapshotHeader, Statistics, Track};
///
/// let source = MemorySource::new().with("weight", ndarray::arr2(&[[1.0f32, 2.0], [3.0, 4.0]]));
/// let model = source.model();
/// let plan = PlanHeader::new("run", model, &model.parameter_ids().collect::<Vec<_>>());
/// let mut arrays = ArrayWriter::default();
/// arrays.push(Track::Light, "w.std", &[1], &[0.5f32]);
/// arrays.push(Track::Light, "f.stable_rank", &[1], &[1.5f32]);
/// let written = SnapshotHeader::new("run", Rank::ONLY, 100, "plan").write(arrays)?;
///
/// let statistics = Statistics::of(&Snapshot::parse(written.bytes)?, &plan);
/// assert_eq!(statistics.value(Quantity::Std, 0), Some(0.5));
/// assert_eq!(statistics.value(Quantity::StableRank, 0), Some(1.5));
/// assert_eq!(statistics.value(Quantity::Mean, 0), None);
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Statistics {
    /// By quantity, in the order of all of them.
    columns: Vec<Vec<Option<f64>>>,
}

impl Statistics {
    /// Of a snapshot, or of its summary, whose plan this is.
    pub fn of(snapshot: &Snapshot, plan: &PlanHeader) -> Self {
        let columns = Quantity::ALL.iter().map(|&quantity| column(snapshot.arrays(), plan, quantity));
        let mut statistics = Statistics { columns: columns.collect() };
        (0..plan.parameters.len()).for_each(|at| statistics.drop_what_is_none(at));
        statistics
    }

    /// A number of the parameter that has this place in the plan; `None` where it was not taken.
    pub fn value(&self, quantity: Quantity, parameter: usize) -> Option<f64> {
        self.columns.get(quantity as usize)?.get(parameter).copied().flatten()
    }

    /// As many parameters, of which nothing is known.
    pub(super) fn nothing(parameters: usize) -> Self {
        Statistics { columns: Quantity::ALL.iter().map(|_| vec![None; parameters]).collect() }
    }

    pub(super) fn set(&mut self, quantity: Quantity, parameter: usize, value: Option<f64>) {
        let column = &mut self.columns[quantity as usize];
        if column.len() <= parameter {
            column.resize(parameter.saturating_add(1), None);
        }
        column[parameter] = value;
    }

    /// Whether there is any number of a parameter.
    pub fn has(&self, parameter: usize) -> bool {
        Quantity::ALL.iter().any(|&quantity| self.value(quantity, parameter).is_some())
    }

    /// Columns have something in every place, which means nothing where nobody has looked yet.
    fn drop_what_is_none(&mut self, at: usize) {
        for [coverage, others @ ..] in Group::ALL.iter().filter_map(|it| it.of_values()) {
            if self.value(coverage, at) == Some(0.0) {
                others.iter().for_each(|&it| self.drop(it, at));
            }
        }
        // These need more than one look, or a longer one. Of weights that are not finite they are no numbers either.
        let is_finite = self.value(Quantity::NonFinite, at).is_none_or(|it| it == 0.0);
        for &it in Quantity::ALL {
            let needs_more = it.is_of_matrices()
                || matches!(it, Quantity::UpdateRatio | Quantity::Change | Quantity::Kurtosis);
            if needs_more && is_finite && self.value(it, at).is_some_and(f64::is_nan) {
                self.drop(it, at);
            }
        }
    }

    /// Whether nothing was recorded of a parameter of what belongs together.
    pub(super) fn lacks(&self, group: Group, parameter: usize) -> bool {
        let coverage = group.coverage().and_then(|it| self.value(it, parameter));
        coverage == Some(0.0) || group.quantities().all(|it| self.value(it, parameter).is_none())
    }

    /// Takes what belongs together of a parameter from those of an earlier step, which is told where it was not.
    pub(super) fn take(&mut self, group: Group, to: usize, earlier: &Statistics, from: usize, step: u64) {
        group.quantities().for_each(|it| self.set(it, to, earlier.value(it, from)));
        #[expect(clippy::cast_precision_loss, reason = "nothing has as many steps")]
        if self.value(group.as_of(), to).is_none() {
            self.set(group.as_of(), to, Some(step as f64));
        }
    }

    fn drop(&mut self, quantity: Quantity, at: usize) {
        if let Some(place) = self.columns[quantity as usize].get_mut(at) {
            *place = None;
        }
    }
}

/// Quantities that are recorded together, of some parameters at a time where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    Weights,
    Gradients,
    Features,
}

impl Group {
    pub(super) const ALL: [Group; 3] = [Group::Weights, Group::Gradients, Group::Features];

    /// What stands before the names of its arrays.
    pub(super) fn name(self) -> &'static str {
        match self {
            Group::Weights => "w",
            Group::Gradients => "g",
            Group::Features => "f",
        }
    }

    /// The quantity that says how much was looked at.
    pub(super) fn coverage(self) -> Option<Quantity> {
        self.of_values().map(|[coverage, ..]| coverage)
    }

    /// How much was looked at and when; what was not finite, what zero; range and moments.
    pub(super) fn of_values(self) -> Option<[Quantity; 8]> {
        use Quantity as Q;
        match self {
            Group::Weights => {
                Some([Q::Coverage, Q::AsOf, Q::NonFinite, Q::Zeros, Q::Min, Q::Max, Q::Mean, Q::Std])
            }
            Group::Gradients => Some([
                Q::GradientCoverage,
                Q::GradientAsOf,
                Q::GradientNonFinite,
                Q::GradientZeros,
                Q::GradientMin,
                Q::GradientMax,
                Q::GradientMean,
                Q::GradientStd,
            ]),
            Group::Features => None,
        }
    }

    /// The quantity that says when.
    pub(super) fn as_of(self) -> Quantity {
        match self {
            Group::Weights => Quantity::AsOf,
            Group::Gradients => Quantity::GradientAsOf,
            Group::Features => Quantity::FeaturesAsOf,
        }
    }

    pub(super) fn quantities(self) -> impl Iterator<Item = Quantity> {
        let is_of_it = move |it: &Quantity| it.name().split('.').next() == Some(self.name());
        Quantity::ALL.iter().copied().filter(is_of_it)
    }
}

fn column(arrays: &Arrays, plan: &PlanHeader, quantity: Quantity) -> Vec<Option<f64>> {
    let Some(numbers) = arrays.wide_numbers(quantity.name()) else { return Vec::new() };
    let places = plan.parameters.iter().enumerate().map(|(at, it)| match quantity.is_of_matrices() {
        true => it.matrix.and_then(|it| usize::try_from(it).ok()),
        false => Some(at),
    });
    let Some(covered) = covered(arrays, quantity.name()) else {
        return places.map(|place| numbers.get(place?).copied()).collect();
    };
    let mut by_place = std::collections::HashMap::new();
    for (place, number) in covered.iter().zip(numbers) {
        by_place.entry(*place as usize).or_insert(number);
    }
    places.map(|place| by_place.get(&place?).copied()).collect()
}

/// The places in the plan that an array covers, where those are not all.
fn covered(arrays: &Arrays, name: &str) -> Option<Vec<u32>> {
    let (group, _) = name.split_once('.')?;
    let of = |name: &str| arrays.get::<u32>(&index_name(name)).map(|it| it.into_owned());
    of(name).or_else(|| of(group))
}
