//! What a run has step by step: its scalars, and its snapshots, those of which only statistics are left included.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::entry::{Record, RecordKind};
use super::ids::RecordId;
use super::kept::Counted;
use super::plan::Plan;
use super::ranks::Ranks;
use super::run::{Run, Series};
use super::scalars::ScalarBatch;
use super::snapshot::{Snapshot, index_name};
use super::statistics::{Group, Statistics};
use super::together::{Side, StepReading};
use crate::{Error, Result};

/// What one rank recorded of a step: all of it, or the statistics.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RankSnapshot {
    /// The record that holds it.
    pub record: Record,
    /// What was recorded.
    pub snapshot: Snapshot,
    /// What its columns are over.
    pub plan: Arc<Plan>,
}

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
    /// The statistics of the step that is nearest to this one, of every rank that has them. Thinning leaves statistics, so
    /// this may be nearer than what [`nearest`](Run::nearest) finds. `None` where there are no snapshots at all.
    pub fn statistics_near(&self, step: u64) -> Result<Option<(u64, Vec<RankSnapshot>)>> {
        let snapshots = self.snapshots();
        let nearest = snapshots.iter().map(|it| it.step).min_by_key(|&it| (it.abs_diff(step), it));
        let Some(nearest) = nearest else { return Ok(None) };
        let of_step = snapshots.into_iter().filter(|it| it.step == nearest);
        let ranks = of_step.map(|&record| {
            let snapshot = self.summary(record.id)?;
            Ok(RankSnapshot { record, snapshot, plan: self.plan_needed(&record)? })
        });
        Ok(Some((nearest, ranks.collect::<Result<_>>()?)))
    }

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

    /// Looks at the statistics of at most so many steps, evenly chosen, the first and the last among them.
    pub fn each_statistics(&self, most: usize, see: &mut dyn FnMut(&StepReading)) -> Result<()> {
        let ranks = self.ranks();
        let all: Vec<u64> = ranks.steps().into_iter().collect();
        let chosen: Vec<u64> = evenly(all.len(), most).map(|at| all[at]).collect();
        for steps in chosen.chunks((AT_ONCE / ranks.count().max(1)).max(1)) {
            let of_steps = steps.iter().map(|&step| ranks.at(step).into_iter().filter(|(_, late)| !late));
            let of_steps: Vec<Vec<Record>> =
                of_steps.map(|records| records.map(|(record, _)| *record).collect()).collect();
            let mut taken = self.snapshots_of(&of_steps.concat(), false)?.into_iter();
            for (&step, records) in steps.iter().zip(&of_steps) {
                let sides: Vec<Side> =
                    taken.by_ref().take(records.len()).map(|it| Side::of(it, false)).collect();
                StepReading::of(step, self.timeline().ranks(), sides).iter().for_each(&mut *see);
            }
        }
        Ok(())
    }

    /// Everything that was said beside the parameters, by name. Where several ranks say the same, that of the first one
    /// counts; what a resumed run has written again, counts as the last time.
    pub fn scalars(&self) -> Result<BTreeMap<String, Series>> {
        self.scalars_in(0..=u64::MAX)
    }

    /// The same of some steps: for who goes through a long run piece by piece.
    pub fn scalars_in(&self, steps: RangeInclusive<u64>) -> Result<BTreeMap<String, Series>> {
        let is_of_them = |it: &&Record| {
            it.kind == RecordKind::Scalars && it.first_step <= *steps.end() && it.step >= *steps.start()
        };
        let batches: Vec<&Record> = self.timeline().alive().filter(is_of_them).collect();
        let ids: Vec<RecordId> = batches.iter().map(|it| it.id).collect();
        let mut all: BTreeMap<String, BTreeMap<u64, (std::cmp::Reverse<u32>, f64)>> = BTreeMap::new();
        for (record, bytes) in batches.iter().zip(self.read(&ids)?) {
            let batch = ScalarBatch::parse(&bytes?).map_err(|it| self.in_record(it, record.id))?;
            let until = self.timeline().superseded_from(record.id.rank, record.id.epoch).unwrap_or(u64::MAX);
            let rank = std::cmp::Reverse(record.id.rank);
            for (step, name, value) in
                batch.values().filter(|(step, ..)| *step < until && steps.contains(step))
            {
                let series = all.entry(name.to_owned()).or_default();
                let place = series.entry(step).or_insert((rank, value));
                if rank >= place.0 {
                    *place = (rank, value);
                }
            }
        }
        let in_order = |series: BTreeMap<u64, (_, f64)>| series.into_iter().map(|(step, (_, it))| (step, it));
        Ok(all.into_iter().map(|(name, series)| (name, in_order(series).collect())).collect())
    }

    /// What was recorded in some snapshots, all of it where it is kept and `whole` is asked for, else the statistics.
    pub fn snapshots_of(&self, records: &[Record], whole: bool) -> Result<Vec<RankSnapshot>> {
        let is_read = |it: &&Record| whole && !it.is_thinned;
        let ids: Vec<RecordId> = records.iter().filter(is_read).map(|it| it.id).collect();
        let mut read = self.read(&ids)?.into_iter();
        let thinned: Vec<&Record> = records.iter().filter(|it| !is_read(it)).collect();
        let mut summaries = self.summaries(&thinned)?.into_iter();
        let snapshots = records.iter().map(|record| {
            let gone = || Error::not_found(format!("session {}: record {} is gone", self.id(), record.id));
            let snapshot = match is_read(&record) {
                true => Snapshot::parse(read.next().ok_or_else(gone)??)
                    .map_err(|it| self.in_record(it, record.id))?,
                false => summaries.next().ok_or_else(gone)?,
            };
            Ok(RankSnapshot { record: *record, snapshot, plan: self.plan_needed(record)? })
        });
        snapshots.collect()
    }

    fn plan_needed(&self, record: &Record) -> Result<Arc<Plan>> {
        let gone =
            || Error::not_found(format!("session {}: the plan of record {} is gone", self.id(), record.id));
        self.plan_of(record.id).cloned().ok_or_else(gone)
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
