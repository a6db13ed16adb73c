//! What of a session is still true, and what is nearest to a step: pure functions over its records.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Record, RecordKind};
use super::ids::RecordId;

/// The records of a session, in whatever order they came.
///
/// A run that is resumed, or begun again under its old name, writes steps a second time: what the same rank had written of
/// these before is superseded. Other ranks are not touched by that.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    records: BTreeMap<RecordId, Record>,
    /// By rank and epoch, the step from which on it supersedes everything older.
    starts: BTreeMap<u32, BTreeMap<u32, u64>>,
}

impl Timeline {
    /// Of these records.
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut timeline = Timeline::default();
        records.into_iter().for_each(|record| timeline.add(record));
        timeline
    }

    /// Adds a record, or replaces what was known of it.
    pub fn add(&mut self, record: Record) {
        if record.kind == RecordKind::Opened {
            self.starts.entry(record.id.rank).or_default().insert(record.id.epoch, record.step);
        }
        self.records.insert(record.id, record);
    }

    /// All records, by rank and then in their order.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// What is known of a record.
    pub fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// The step from which on what an epoch of a rank has written is no longer true.
    pub fn superseded_from(&self, rank: u32, epoch: u32) -> Option<u64> {
        let later = self.starts.get(&rank)?.range(epoch.checked_add(1)?..);
        later.map(|(_, &step)| step).min()
    }

    /// Whether something of what a record says is still true. What an epoch needs to be understood, its beginning and its
    /// plans, is true as long as anything else of it is, and while it is the last of its rank.
    pub fn is_alive(&self, record: &Record) -> bool {
        let Some(from) = self.superseded_from(record.id.rank, record.id.epoch) else { return true };
        match record.kind {
            RecordKind::Opened | RecordKind::Plan => {
                let first = RecordId { seq: 0, ..record.id };
                let last = RecordId { seq: u64::MAX, ..record.id };
                let mut others = self.records.range(first..=last).map(|(_, other)| other);
                others.any(|it| {
                    !matches!(it.kind, RecordKind::Opened | RecordKind::Plan) && it.first_step < from
                })
            }
            _ => record.first_step < from,
        }
    }

    /// The records that are still true.
    pub fn alive(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter(|record| self.is_alive(record))
    }

    /// The records that are not, in the order in which they can be removed: at any moment what is left says the same.
    pub fn superseded(&self) -> Vec<RecordId> {
        let dead = self.records.values().filter(|record| !self.is_alive(record));
        let mut dead: Vec<RecordId> = dead.map(|record| record.id).collect();
        // The beginning of an epoch, which comes first in it, supersedes what is older: it goes when all of that is gone.
        dead.sort_by_key(|id| (id.rank, id.epoch, std::cmp::Reverse(id.seq)));
        dead
    }

    /// The steps of which there is a snapshot to be looked at whole.
    pub fn snapshot_steps(&self) -> BTreeSet<u64> {
        self.whole_snapshots().map(|record| record.step).collect()
    }

    /// The step with a snapshot that is nearest to this one; the earlier of two.
    pub fn nearest_step(&self, step: u64) -> Option<u64> {
        self.snapshot_steps().into_iter().min_by_key(|&it| (it.abs_diff(step), it))
    }

    /// The snapshots of a step, one for each rank that has one, by rank.
    pub fn snapshots_at(&self, step: u64) -> Vec<&Record> {
        let mut by_rank: BTreeMap<u32, &Record> = BTreeMap::new();
        for record in self.whole_snapshots().filter(|record| record.step == step) {
            // The last one: whoever writes a step twice means the second.
            by_rank.insert(record.id.rank, record);
        }
        by_rank.into_values().collect()
    }

    /// How many ranks the session has had.
    pub fn ranks(&self) -> u32 {
        self.records
            .values()
            .map(|record| record.ranks.max(record.id.rank.saturating_add(1)))
            .max()
            .unwrap_or(0)
    }

    pub(super) fn whole_snapshots(&self) -> impl Iterator<Item = &Record> {
        self.alive().filter(|record| record.is_whole_snapshot())
    }
}
