//! The statistics of a run, snapshot by snapshot, those of thinned ones included.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Record;
use super::plan::Plan;
use super::run::Run;
use super::snapshot::Snapshot;
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

/// So that a long history is not in memory at once.
const AT_ONCE: usize = 64;

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

    /// Looks at the statistics of at most so many steps, evenly chosen, the first and the last among them; of each those of
    /// the first rank that has some.
    pub fn each_statistics(&self, most: usize, see: &mut dyn FnMut(u64, &Snapshot, &Plan)) -> Result<()> {
        let mut by_step: BTreeMap<u64, &Record> = BTreeMap::new();
        for record in self.snapshots() {
            by_step.entry(record.step).or_insert(record);
        }
        let all: Vec<&Record> = by_step.into_values().collect();
        let chosen: Vec<&Record> = evenly(all.len(), most).map(|at| all[at]).collect();
        for some in chosen.chunks(AT_ONCE) {
            for (record, snapshot) in some.iter().zip(self.summaries(some)?) {
                see(record.step, &snapshot, &*self.plan_needed(record)?);
            }
        }
        Ok(())
    }

    fn plan_needed(&self, record: &Record) -> Result<Arc<Plan>> {
        let gone =
            || Error::not_found(format!("session {}: the plan of record {} is gone", self.id(), record.id));
        self.plan_of(record.id).cloned().ok_or_else(gone)
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
