//! Steps as all ranks together recorded them: the nearest, or one after the other.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use super::entry::Record;
use super::kept::Counted;
use super::plan::Plan;
use super::ranks::Ranks;
use super::reading::RankSnapshot;
use super::run::Run;
use super::snapshot::index_name;
use super::statistics::{Group, Statistics};
use super::together::{Side, StepReading};
use crate::{Error, Result};

/// What of a step is read.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// All of it, where it is kept.
    pub(super) whole: bool,
    /// Statistics that take turns, of earlier steps where it was not their turn.
    pub(super) filled: bool,
}

impl Look {
    pub(super) const FILLED: Look = Look { whole: false, filled: true };
}

/// So that a long history is not in memory at once.
const AT_ONCE: usize = 64;
/// Statistics that take turns are looked for in so many earlier snapshots.
const LOOKED_BACK: usize = 64;

impl Run<'_> {
    /// The statistics of the step that is nearest to this one, of all ranks together. Without a step it is the last: of the last
    /// three that the most ranks have recorded. Those that take turns and had none here are of the last step at which they
    /// had, which [`AsOf`](crate::Quantity::AsOf) tells. `None` where there are no snapshots at all.
    pub fn step_near(&self, step: Option<u64>) -> Result<Option<StepReading>> {
        let ranks = self.ranks();
        let nearest = match step {
            Some(step) => ranks.nearest(step),
            None => ranks.last(),
        };
        nearest.map_or(Ok(None), |step| self.read_step(&ranks, step, Look::FILLED))
    }

    pub(super) fn ranks(&self) -> Ranks<'_> {
        Ranks::of(self.snapshots())
    }

    /// What was recorded of a step.
    pub(super) fn read_step(&self, ranks: &Ranks<'_>, step: u64, look: Look) -> Result<Option<StepReading>> {
        let records = ranks.at(step);
        let taken: Vec<Record> = records.iter().map(|(record, _)| **record).collect();
        let mut sides = Vec::new();
        for (taken, (_, is_late)) in self.snapshots_of(&taken, look.whole)?.into_iter().zip(records) {
            let mut side = Side::of(taken, is_late);
            if look.filled {
                self.fill(ranks, &mut side)?;
            }
            if look.filled && look.whole {
                self.fill_histograms(ranks, &mut side)?;
            }
            sides.push(side);
        }
        // Whoever recorded this step speaks first.
        sides.sort_by_key(|side| side.taken.record.step != step);
        Ok(StepReading::of(step, self.timeline().ranks(), sides))
    }

    /// Looks in earlier snapshots for statistics whose turn it was not.
    fn fill(&self, ranks: &Ranks<'_>, side: &mut Side) -> Result<()> {
        let plan = side.taken.plan.clone();
        let parameters = &plan.header().parameters;
        let takes_turns =
            |group: &Group| side.taken.snapshot.arrays().slot(&index_name(group.name())).is_some();
        let filled = Group::ALL.into_iter().filter(|it| *it == Group::Weights || takes_turns(it));
        let mut lacking: Vec<(Group, usize)> = filled
            .flat_map(|group| {
                let of_group = (0..parameters.len())
                    .filter(move |&at| group != Group::Features || parameters[at].matrix.is_some());
                of_group.map(move |at| (group, at))
            })
            .filter(|&(group, at)| side.statistics.lacks(group, at))
            .collect();
        let earlier: Vec<Record> = ranks.before(&side.taken.record).take(LOOKED_BACK).copied().collect();
        // The nearest ones tell the most, and often all.
        for some in earlier.chunks(LOOKED_BACK / 8) {
            if lacking.is_empty() {
                break;
            }
            for RankSnapshot { record, snapshot, plan: earlier_plan } in self.snapshots_of(some, false)? {
                let earlier = Statistics::of(&snapshot, earlier_plan.header());
                let place = places(&plan, &earlier_plan);
                lacking.retain(|&(group, at)| match place(at).filter(|&it| !earlier.lacks(group, it)) {
                    Some(there) => {
                        side.statistics.take(group, at, &earlier, there, record.step);
                        if group == Group::Weights {
                            side.filled.insert(at);
                        }
                        false
                    }
                    None => true,
                });
            }
        }
        Ok(())
    }

    /// The same of histograms, which are in snapshots that are there whole.
    fn fill_histograms(&self, ranks: &Ranks<'_>, side: &mut Side) -> Result<()> {
        let Side { taken, statistics, .. } = &*side;
        if taken.snapshot.arrays().slot(&index_name("w.hist")).is_none() {
            return Ok(());
        }
        let mut lacking: Vec<usize> = (0..taken.plan.header().parameters.len()).collect();
        lacking.retain(|&at| Counted::of(taken, statistics, at).is_none());
        let mut found = BTreeMap::new();
        let whole = ranks.before(&taken.record).filter(|it| !it.is_thinned);
        for record in whole.take(LOOKED_BACK) {
            if lacking.is_empty() {
                break;
            }
            for earlier in self.snapshots_of(&[*record], true)? {
                let statistics = Statistics::of(&earlier.snapshot, earlier.plan.header());
                let place = places(&taken.plan, &earlier.plan);
                lacking.retain(|&at| {
                    let counted = place(at).and_then(|there| Counted::of(&earlier, &statistics, there));
                    counted.map(|it| found.insert(at, it)).is_none()
                });
            }
        }
        side.earlier = found;
        Ok(())
    }

    /// Looks at the statistics of at most so many steps, evenly chosen, the first and the last among them. Of ranks that do not
    /// write at the same steps, what each said last counts, unless that is too old.
    pub fn each_statistics(&self, most: usize, see: &mut dyn FnMut(&StepReading)) -> Result<()> {
        let ranks = self.ranks();
        let all: Vec<u64> = ranks.steps().into_iter().collect();
        let fresh = |step| ranks.at(step).into_iter().filter(|(_, is_late)| !is_late).map(|(it, _)| *it);
        let chosen = evenly(all.len(), most).map(|at| (all[at], fresh(all[at]).collect()));
        self.each_reading(&chosen.collect::<Vec<_>>(), &mut |reading| {
            see(reading);
            Ok(())
        })
    }

    /// Looks at the statistics of each of some steps, and at what was recorded at these steps only: for who goes through a long
    /// run piece by piece.
    pub fn each_step_in<E: From<Error>>(
        &self,
        steps: RangeInclusive<u64>,
        see: &mut dyn FnMut(&StepReading) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut by_step: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
        for record in self.snapshots().into_iter().filter(|it| steps.contains(&it.step)) {
            by_step.entry(record.step).or_default().push(*record);
        }
        self.each_reading(&by_step.into_iter().collect::<Vec<_>>(), see)
    }

    fn each_reading<E: From<Error>>(
        &self,
        steps: &[(u64, Vec<Record>)],
        see: &mut dyn FnMut(&StepReading) -> Result<(), E>,
    ) -> Result<(), E> {
        let most = steps.iter().map(|(_, records)| records.len()).max().unwrap_or(0).max(1);
        for some in steps.chunks((AT_ONCE / most).max(1)) {
            let records: Vec<Record> = some.iter().flat_map(|(_, records)| records).copied().collect();
            let mut taken = self.snapshots_of(&records, false)?.into_iter();
            for (step, records) in some {
                let sides = taken.by_ref().take(records.len()).map(|it| Side::of(it, false)).collect();
                if let Some(reading) = StepReading::of(*step, self.timeline().ranks(), sides) {
                    see(&reading)?;
                }
            }
        }
        Ok(())
    }
}

/// Where another plan has a parameter of this one: in the same place, unless the model was changed.
fn places<'a>(plan: &'a Plan, other: &'a Plan) -> impl Fn(usize) -> Option<usize> + 'a {
    let (these, others) = (&plan.header().parameters, &other.header().parameters);
    let by_name: Option<HashMap<&str, usize>> =
        (these != others).then(|| others.iter().map(|it| &*it.name).zip(0..).collect());
    move |at| match &by_name {
        Some(by_name) => by_name.get(&*these.get(at)?.name).copied(),
        None => Some(at),
    }
}

/// At most so many of `len` places, from the first to the last.
fn evenly(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = len.min(most);
    let last = len.saturating_sub(1) as u128;
    let gaps = count.saturating_sub(1).max(1) as u128;
    (0..count as u128).filter_map(move |at| usize::try_from(at * last / gaps).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_from_the_first_to_the_last() {
        let places = |len, most| evenly(len, most).collect::<Vec<_>>();
        assert_eq!(places(0, 5), [0usize; 0]);
        assert_eq!(places(1, 5), [0]);
        assert_eq!(places(3, 5), [0, 1, 2]);
        assert_eq!(places(101, 5), [0, 25, 50, 75, 100]);
        assert_eq!(places(10, 1), [0]);
        assert_eq!(places(10, 0), [0usize; 0]);
    }
}
