//! A step of a run as all its ranks together recorded it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::kept::Counted;
use super::plan::{Plan, PlanHeader, PlannedParameter};
use super::pooled::{Told, pool};
use super::reading::RankSnapshot;
use super::scalars::Scalar;
use super::shards::{Held, Known, Place, held};
use super::snapshot::CaptureCost;
use super::statistics::{Group, Statistics};

/// What a run has of a step: one catalogue of all that its ranks hold, and one number for each quantity of each parameter.
///
/// What several ranks have whole counts once, and the rank tells of it that has looked at the most of it, and last. What they share
/// out is put together: counts and ranges, moments by how many elements each part has, changes by their squares. Kurtosis and
/// features cannot be: those are of the first part, and so [`parts`](StepReading::parts) should be told beside them.
///
/// ```no_run
/// # let store: Box<dyn quantviz_core::SnapshotStore> = unimplemented!();
/// use quantviz_core::{Quantity, Run};
///
/// let run = Run::open(&*store, &"shakespeare".parse()?)?;
/// let reading = run.step_near(Some(1000))?.expect("it has snapshots");
/// println!("{} of {} ranks recorded step {}", reading.ranks_recorded(), reading.ranks(), reading.step());
/// for (at, parameter) in reading.catalogue().parameters.iter().enumerate() {
///     println!("{} {:?}", parameter.name, reading.statistics().value(Quantity::Std, at));
/// }
/// # Ok::<(), quantviz_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StepReading {
    step: u64,
    ranks: u32,
    sides: Vec<Side>,
    catalogue: Catalogue,
    /// Who holds each parameter; empty, where the first rank holds all, and nobody else.
    held: Vec<Held>,
    statistics: Statistics,
}

/// What one rank recorded of a step, or last before it.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub(super) taken: RankSnapshot,
    pub(super) statistics: Statistics,
    /// Whether it is so old that it counts only where nobody else knows anything.
    pub(super) is_late: bool,
    /// The parameters whose weights' statistics are of an earlier step, since it was not their turn.
    pub(super) filled: BTreeSet<usize>,
    /// Histograms of earlier steps, by parameter, where it was not their turn.
    pub(super) earlier: BTreeMap<usize, Counted>,
}

#[derive(Clone, Debug)]
enum Catalogue {
    Of(Arc<Plan>),
    Merged(Box<PlanHeader>),
}

/// How many parts of a parameter there are, and how many of them were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartsRecorded {
    /// Those that were recorded.
    pub recorded: u32,
    /// Those that there are.
    pub of: u32,
}

impl PartsRecorded {
    pub(super) fn new(recorded: usize, of: u32) -> Self {
        PartsRecorded { recorded: u32::try_from(recorded).unwrap_or(u32::MAX), of }
    }
}

impl Side {
    pub(super) fn of(taken: RankSnapshot, is_late: bool) -> Self {
        let statistics = Statistics::of(&taken.snapshot, taken.plan.header());
        Side { taken, statistics, is_late, filled: BTreeSet::new(), earlier: BTreeMap::new() }
    }

    fn known(&self) -> Known<'_> {
        Known { plan: self.taken.plan.header(), statistics: &self.statistics, step: self.taken.record.step }
    }
}

impl StepReading {
    /// Of what ranks recorded of a step, those that are counted first coming first; `None` of none.
    pub(super) fn of(step: u64, ranks: u32, sides: Vec<Side>) -> Option<Self> {
        let first = sides.first()?;
        let is_alone =
            sides.len() == 1 && first.taken.plan.header().parameters.iter().all(|it| it.shard.is_none());
        if is_alone {
            let (catalogue, statistics) = (Catalogue::Of(first.taken.plan.clone()), first.statistics.clone());
            return Some(StepReading { step, ranks, sides, catalogue, held: Vec::new(), statistics });
        }
        let known: Vec<Known<'_>> = sides.iter().map(Side::known).collect();
        let held = held(&known);
        let catalogue = Catalogue::Merged(Box::new(merged(first.taken.plan.header(), &known, &held)));
        drop(known);
        let mut reading =
            StepReading { step, ranks, sides, catalogue, held, statistics: Statistics::nothing(0) };
        reading.statistics = reading.pooled();
        Some(reading)
    }

    /// The step.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How many ranks there are.
    pub fn ranks(&self) -> u32 {
        self.ranks
    }

    /// How many of them have recorded this step.
    pub fn ranks_recorded(&self) -> u32 {
        let count = self.sides.iter().filter(|side| side.taken.record.step == self.step).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What the first of them recorded, where nothing can be put together: who it is, when, and where embeddings lie.
    pub fn first(&self) -> &RankSnapshot {
        // There is one: see `of`.
        &self.sides[0].taken
    }

    /// All parameters, as they are as a whole.
    pub fn catalogue(&self) -> &PlanHeader {
        match &self.catalogue {
            Catalogue::Of(plan) => plan.header(),
            Catalogue::Merged(header) => header,
        }
    }

    /// The numbers of all parameters of the [catalogue](StepReading::catalogue).
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// How many parts a parameter is in; `None` where it is whole.
    pub fn parts(&self, parameter: usize) -> Option<PartsRecorded> {
        let held = self.held.get(parameter).filter(|it| it.is_in_parts())?;
        let told = held.parts.iter().filter(|part| self.best(held, part, Group::Weights).is_some());
        Some(PartsRecorded::new(told.count(), held.of))
    }

    /// How many parameters are in parts.
    pub fn in_parts(&self) -> usize {
        self.held.iter().filter(|it| it.is_in_parts()).count()
    }

    /// The loss and the like. Where several ranks say the same, that of the first one counts.
    pub fn scalars(&self) -> BTreeMap<String, Scalar> {
        let mut all = BTreeMap::new();
        for side in self.fresh() {
            for (name, value) in &side.taken.snapshot.header().scalars {
                all.entry(name.clone()).or_insert(*value);
            }
        }
        all
    }

    /// What taking it cost the training: ranks wait for each other, so the one that took longest counts. `None` where a checkpoint
    /// was imported, which keeps no training waiting.
    pub fn cost(&self) -> Option<CaptureCost> {
        let timed =
            self.fresh().map(|side| side.taken.snapshot.header().cost).filter(|it| it.budget_ms > 0.0);
        timed.max_by(|a, b| a.ms.total_cmp(&b.ms))
    }

    /// What there was no room for.
    pub fn left_out(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let all = self.fresh().flat_map(|side| &side.taken.snapshot.header().left_out);
        all.filter(|it| seen.insert(it.as_str())).cloned().collect()
    }

    fn fresh(&self) -> impl Iterator<Item = &Side> {
        self.sides.iter().filter(|side| !side.is_late)
    }

    /// Who holds a parameter, part by part; with the part's place among those that there are, where that was said.
    pub(super) fn places(&self, parameter: usize) -> Vec<Vec<(&Side, usize)>> {
        let Some(held) = self.held.get(parameter) else {
            return vec![vec![(&self.sides[0], parameter)]];
        };
        let side = |it: &Place| (&self.sides[it.side], it.at);
        held.parts.iter().map(|part| part.iter().map(side).collect()).collect()
    }

    /// Of those who hold a part, the one who knows most of it.
    fn best(&self, held: &Held, part: &[Place], group: Group) -> Option<Place> {
        let knows = |it: &&Place| !self.sides[it.side].statistics.lacks(group, it.at);
        let is_fresh = |it: &&Place| !self.sides[it.side].is_late;
        let anyone_fresh = held.parts.iter().flatten().any(|it| is_fresh(&it) && knows(&it));
        let counted = part.iter().filter(|it| knows(it) && (!anyone_fresh || is_fresh(it)));
        let value =
            |quantity, it: &Place| self.sides[it.side].statistics.value(quantity, it.at).unwrap_or(0.0);
        counted.copied().max_by(|a, b| {
            let [coverage, as_of] = [group.coverage(), Some(group.as_of())].map(|quantity| {
                quantity.map_or(std::cmp::Ordering::Equal, |it| value(it, a).total_cmp(&value(it, b)))
            });
            // Of equals the first.
            coverage.then(as_of).then(Reverse(a.side).cmp(&Reverse(b.side)))
        })
    }

    fn pooled(&self) -> Statistics {
        let mut all = Statistics::nothing(self.held.len());
        for (at, held) in self.held.iter().enumerate() {
            for group in Group::ALL {
                match held.is_in_parts() {
                    true => self.pool_parts(held, group, at, &mut all),
                    false => self.take_best(held, group, at, &mut all),
                }
            }
        }
        all
    }

    /// Of a parameter that is whole: what the rank has that knows most of it, and else what another has.
    fn take_best(&self, held: &Held, group: Group, at: usize, all: &mut Statistics) {
        let Some(part) = held.parts.first() else { return };
        let best = self.best(held, part, group);
        let others = part.iter().copied().filter(|it| Some(*it) != best && !self.sides[it.side].is_late);
        let ordered: Vec<Place> = best.into_iter().chain(others).collect();
        for quantity in group.quantities() {
            let value = ordered.iter().find_map(|it| self.sides[it.side].statistics.value(quantity, it.at));
            all.set(quantity, at, value);
        }
    }

    fn pool_parts(&self, held: &Held, group: Group, at: usize, all: &mut Statistics) {
        let elements = |it: Place| {
            let planned = self.sides[it.side].taken.plan.header().parameters.get(it.at);
            #[expect(clippy::cast_precision_loss, reason = "a weight")]
            planned.map_or(0.0, |it| it.elements() as f64)
        };
        let told: Vec<Told<'_>> = held
            .parts
            .iter()
            .filter_map(|part| self.best(held, part, group))
            .map(|it| Told { elements: elements(it), statistics: &self.sides[it.side].statistics, at: it.at })
            .collect();
        if told.is_empty() {
            return self.take_best(held, group, at, all);
        }
        // What cannot be put together is that of the first part.
        for quantity in group.quantities() {
            all.set(quantity, at, told.iter().find_map(|it| it.value(quantity)));
        }
        #[expect(clippy::cast_precision_loss, reason = "a weight")]
        let whole = self.catalogue().parameters.get(at).map_or(0.0, |it| it.elements() as f64);
        for (quantity, value) in pool(&told, group, whole) {
            all.set(quantity, at, value);
        }
    }
}

/// One catalogue of all. What else is said of the run, the first plan says.
fn merged(first: &PlanHeader, sides: &[Known<'_>], held: &[Held]) -> PlanHeader {
    let mut header = PlanHeader { parameters: Vec::new(), embeddings: Vec::new(), ..first.clone() };
    let mut matrices = 0;
    for it in held {
        let place = it.parts.first().and_then(|part| part.first());
        let planned = place.and_then(|place| sides.get(place.side)?.plan.parameters.get(place.at));
        let Some(planned) = planned else { continue };
        // Whether it is a matrix, whoever recorded it has said; which of all, follows from the others here.
        let matrix = planned.matrix.map(|_| matrices);
        matrices += u32::from(matrix.is_some());
        header.parameters.push(PlannedParameter {
            shape: it.shape(sides),
            shard: None,
            matrix,
            ..planned.clone()
        });
    }
    header
}
