//! Whose snapshots tell of a step, of several ranks that do not write at the same time.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Record;

/// The snapshots of a session that are still true, rank by rank.
pub(super) struct Ranks<'a> {
    /// In the order of their steps.
    by_rank: BTreeMap<u32, Vec<&'a Record>>,
    /// What is older than so many steps no longer tells of a step.
    patience: u64,
}

/// A rank is waited for so many intervals.
const INTERVALS: u8 = 2;

impl<'a> Ranks<'a> {
    /// Of snapshots in the order of their steps, each rank having one of a step.
    pub(super) fn of(snapshots: Vec<&'a Record>) -> Self {
        let mut by_rank: BTreeMap<u32, Vec<&Record>> = BTreeMap::new();
        snapshots.into_iter().for_each(|it| by_rank.entry(it.id.rank).or_default().push(it));
        let usual = |records: &Vec<&Record>| {
            let mut between: Vec<u64> =
                records.windows(2).map(|pair| pair[1].step.saturating_sub(pair[0].step)).collect();
            between.sort_unstable();
            between.get(between.len() / 2).copied()
        };
        let patience = by_rank.values().filter_map(usual).max().unwrap_or(0).saturating_mul(INTERVALS.into());
        Ranks { by_rank, patience }
    }

    /// All steps.
    pub(super) fn steps(&self) -> BTreeSet<u64> {
        self.by_rank.values().flatten().map(|it| it.step).collect()
    }

    /// The step that is nearest to this one; the earlier of two.
    pub(super) fn nearest(&self, step: u64) -> Option<u64> {
        self.steps().into_iter().min_by_key(|&it| (it.abs_diff(step), it))
    }

    /// The last step: the one of the last three that most ranks have recorded, so that none of them is waited for longer than two
    /// intervals.
    pub(super) fn last(&self) -> Option<u64> {
        let recorded = |step: u64| {
            let has = |records: &&Vec<&Record>| records.binary_search_by_key(&step, |it| it.step).is_ok();
            self.by_rank.values().filter(has).count()
        };
        let last = self.steps().into_iter().rev().take(1 + usize::from(INTERVALS));
        last.max_by_key(|&step| (recorded(step), step))
    }

    /// Of each rank what it recorded of a step, or else last before it; and whether that is too old to tell of the step.
    pub(super) fn at(&self, step: u64) -> Vec<(&'a Record, bool)> {
        let last = |records: &Vec<&'a Record>| {
            let count = records.partition_point(|it| it.step <= step);
            let record = *records.get(count.checked_sub(1)?)?;
            Some((record, step - record.step > self.patience))
        };
        self.by_rank.values().filter_map(last).collect()
    }

    /// What the same rank recorded before a record, the last first.
    pub(super) fn before(&self, record: &Record) -> impl Iterator<Item = &'a Record> {
        let records = self.by_rank.get(&record.id.rank).map(Vec::as_slice).unwrap_or_default();
        let count = records.partition_point(|it| it.step < record.step);
        records.get(..count).unwrap_or_default().iter().rev().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::entry::Entry;
    use crate::session::ids::Rank;

    fn records(of: &[(u32, &[u64])]) -> Vec<Record> {
        let record = |rank: u32, step: u64| {
            let rank = Rank::new(rank, 4).expect("one of four");
            Record::of(&Entry::snapshot(step, step + 1, [0], 1), rank, 1, 0)
        };
        let mut all: Vec<Record> =
            of.iter().flat_map(|(rank, steps)| steps.iter().map(move |&step| record(*rank, step))).collect();
        all.sort_by_key(|it| (it.step, it.id.rank));
        all
    }

    #[test]
    fn a_rank_is_waited_for_and_not_for_ever() {
        let last = |of: &[(u32, &[u64])]| Ranks::of(records(of).iter().collect()).last();
        assert_eq!(last(&[(0, &[0, 10, 20, 30])]), Some(30));
        assert_eq!(last(&[(0, &[0, 10, 20, 30]), (1, &[0, 10, 20])]), Some(20));
        assert_eq!(last(&[(0, &[0, 10, 20, 30]), (1, &[0, 10])]), Some(10));
        assert_eq!(last(&[(0, &[0, 10, 20, 30]), (1, &[0])]), Some(30), "it has gone");
        assert_eq!(last(&[(0, &[0, 10]), (1, &[5, 15]), (2, &[10])]), Some(10));
        assert_eq!(last(&[]), None);
    }

    #[test]
    fn what_is_too_old_is_told() {
        let all = records(&[(0, &[0, 10, 20, 30, 40]), (1, &[0, 10, 20]), (2, &[0]), (3, &[50])]);
        let ranks = Ranks::of(all.iter().collect());
        let at: Vec<(u32, u64, bool)> =
            ranks.at(40).into_iter().map(|(it, is_late)| (it.id.rank, it.step, is_late)).collect();
        assert_eq!(at, [(0, 40, false), (1, 20, false), (2, 0, true)]);
        let before: Vec<u64> = ranks.before(ranks.at(40)[0].0).map(|it| it.step).collect();
        assert_eq!(before, [30, 20, 10, 0]);
    }
}
