//! Which snapshots a session keeps when it may not keep all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::entry::{Record, RecordKind};
use super::ids::{Cursor, RecordId, SessionId};
use super::spacing::Spacing;
use super::store::SnapshotStore;
use super::timeline::Timeline;
use crate::Result;

/// How much of a session may be kept whole. Summaries are kept of everything that is still true, unless `light_bytes` says how
/// much they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Budget {
    /// Steps with snapshots.
    pub snapshots: Option<u64>,
    /// The bytes that snapshots take beyond their summaries.
    pub bytes: Option<u64>,
    /// How long ago a snapshot was kept, in milliseconds.
    pub age_ms: Option<u64>,
    /// The bytes of all the rest: summaries, scalars, notes. Every record counts [`RECORD`](Budget::RECORD) bytes more than it
    /// has. Where that is too much, records go: first snapshots of which no more than summaries are left, then scalars, notes
    /// and probes; of either those stay that lie evenly. Plans, beginnings, insights and states stay.
    pub light_bytes: Option<u64>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { snapshots: Some(2_000), bytes: Some(1_000_000_000), age_ms: None, light_bytes: None }
    }
}

/// What is to go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruning {
    /// What is no longer true, in the order in which it can be removed; then what there is no room for.
    pub remove: Vec<RecordId>,
    /// Snapshots of which the summary is enough.
    pub thin: Vec<RecordId>,
}

/// The snapshots of one step.
#[derive(Default)]
struct Step {
    records: Vec<RecordId>,
    bytes: u64,
    time_ms: u64,
}

impl Budget {
    /// No limits: only what is no longer true goes.
    pub const ALL: Budget = Budget { snapshots: None, bytes: None, age_ms: None, light_bytes: None };

    /// Whether no snapshot has to go, whatever there is.
    pub fn keeps_all_snapshots(&self) -> bool {
        (self.snapshots, self.bytes, self.age_ms) == (None, None, None)
    }

    /// What a record takes beside its bytes, wherever it is kept.
    pub const RECORD: u64 = 256;

    /// What has to go so that the rest keeps to the budget. The first and the last snapshot stay, and those of the steps in
    /// `keep`; of the others, those stay that lie evenly on a logarithmic scale of steps, since a network changes most when
    /// it begins. So a session that has no more to give may still be larger than its budget.
    pub fn prune(&self, timeline: &Timeline, keep: &BTreeSet<u64>, now_ms: u64) -> Pruning {
        let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
        for record in timeline.whole_snapshots() {
            let step = steps.entry(record.step).or_default();
            step.records.push(record.id);
            step.bytes = step.bytes.saturating_add(record.heavy_bytes());
            step.time_ms = step.time_ms.max(record.time_ms);
        }
        let mut pruning = Pruning { remove: timeline.superseded(), thin: Vec::new() };
        let ends = [steps.first_key_value(), steps.last_key_value()].map(|end| end.map(|(&step, _)| step));
        let stays = |step: &u64| ends.contains(&Some(*step)) || keep.contains(step);
        if let Some(age) = self.age_ms {
            let is_old = |step: &Step| now_ms.saturating_sub(step.time_ms) > age;
            let old: Vec<u64> =
                steps.iter().filter(|(at, it)| is_old(it) && !stays(at)).map(|(&at, _)| at).collect();
            for at in old {
                pruning.thin.extend(steps.remove(&at).unwrap_or_default().records);
            }
        }
        let mut bytes = steps.values().map(|step| step.bytes).fold(0, u64::saturating_add);
        let mut spacing = Spacing::of(steps.keys().copied(), stays);
        let is_over = |count: usize, bytes: u64| {
            self.snapshots.is_some_and(|most| count as u64 > most)
                || self.bytes.is_some_and(|most| bytes > most)
        };
        while is_over(steps.len(), bytes) {
            let Some(step) = spacing.remove_closest().and_then(|at| steps.remove(&at)) else { break };
            bytes = bytes.saturating_sub(step.bytes);
            pruning.thin.extend(step.records);
        }
        pruning.thin.sort_unstable();
        if let Some(most) = self.light_bytes {
            make_room(timeline, keep, most, &mut pruning);
        }
        pruning
    }
}

/// Brings a session within a budget and tells what went: what is no longer true is removed, what supersedes something after
/// that; of snapshots that are too many, only the summaries stay. The snapshots of the steps in `keep` stay whole. Where it
/// is broken off, it can be done again. For a session that is being written there is [`Pruner`](super::Pruner).
///
/// ```no_run
/// # let store: Box<dyn quantviz_core::SnapshotStore> = unimplemented!();
/// use quantviz_core::{Budget, Run, prune};
///
/// let session = "shakespeare".parse()?;
/// let keep = Run::open(&*store, &session)?.timeline().steps_around_insights();
/// let mut budget = Budget::ALL;
/// budget.snapshots = Some(500);
/// let gone = prune(&*store, &session, &budget, &keep, 0)?;
/// println!("{} snapshots are left with their statistics", gone.thin.len());
/// # Ok::<(), quantviz_core::Error>(())
/// ```
pub fn prune(
    store: &dyn SnapshotStore,
    session: &SessionId,
    budget: &Budget,
    keep: &BTreeSet<u64>,
    now_ms: u64,
) -> Result<Pruning> {
    let timeline = Timeline::of(store.records(session, &Cursor::default())?);
    let pruning = budget.prune(&timeline, keep, now_ms);
    store.remove(session, &pruning.remove)?;
    store.thin(session, &pruning.thin)?;
    Ok(pruning)
}

impl Record {
    /// The bytes that are there when only the summary is left, and [`Budget::RECORD`].
    pub fn light_bytes(&self) -> u64 {
        let bytes = if self.kind == RecordKind::Snapshot { self.summary_bytes } else { self.bytes };
        bytes.saturating_add(Budget::RECORD)
    }
}

/// Removes records until the light ones take no more than that.
fn make_room(timeline: &Timeline, keep: &BTreeSet<u64>, most: u64, pruning: &mut Pruning) {
    let mut bytes = timeline.alive().map(Record::light_bytes).fold(0, u64::saturating_add);
    let is_thin = |it: &Record| it.is_thinned || pruning.thin.binary_search(&it.id).is_ok();
    let summaries = |it: &&Record| it.kind == RecordKind::Snapshot && is_thin(it);
    let others = |it: &&Record| matches!(it.kind, RecordKind::Scalars | RecordKind::Note | RecordKind::Probe);
    let mut removed = Vec::new();
    for is_meant in [&summaries as &dyn Fn(&&Record) -> bool, &others] {
        if bytes <= most {
            break;
        }
        let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
        for record in timeline.alive().filter(|it| is_meant(it)) {
            let step = steps.entry(record.step).or_default();
            step.records.push(record.id);
            step.bytes = step.bytes.saturating_add(record.light_bytes());
        }
        let ends = [steps.first_key_value(), steps.last_key_value()].map(|end| end.map(|(&step, _)| step));
        let stays = |step: &u64| ends.contains(&Some(*step)) || keep.contains(step);
        let mut spacing = Spacing::of(steps.keys().copied(), stays);
        while bytes > most {
            let Some(step) = spacing.remove_closest().and_then(|at| steps.remove(&at)) else { break };
            bytes = bytes.saturating_sub(step.bytes);
            removed.extend(step.records);
        }
    }
    removed.sort_unstable();
    pruning.thin.retain(|id| removed.binary_search(id).is_err());
    pruning.remove.extend(removed);
}

impl Timeline {
    /// The steps with whole snapshots around insights: the nearest to where each begins and ends, and their neighbours, so
    /// that what was noticed can be looked at.
    pub fn steps_around_insights(&self) -> BTreeSet<u64> {
        let steps = self.snapshot_steps();
        let insights = self.alive().filter(|it| it.kind == RecordKind::Insight);
        let ends = insights.flat_map(|it| [it.first_step, it.step]);
        ends.flat_map(|at| {
            let before = steps.range(..at).rev().take(1);
            let there = steps.range(at..).take(2);
            before.chain(there).copied().collect::<Vec<_>>()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Rank};

    #[test]
    fn steps_around_an_insight_stay() {
        let snapshot = |step: u64| Record::of(&Entry::snapshot(step, step + 1, [0; 10], 2), Rank::ONLY, 1, 0);
        let insight = Entry::new(RecordKind::Insight, 42, 1000, *b"{}");
        let records = (0..=100).step_by(10).map(snapshot).chain([Record::of(&insight, Rank::ONLY, 1, 0)]);
        let timeline = Timeline::of(records);
        assert_eq!(timeline.steps_around_insights(), BTreeSet::from([40, 50, 60]));
        let budget = Budget { snapshots: Some(5), ..Budget::ALL };
        let pruning = budget.prune(&timeline, &timeline.steps_around_insights(), 0);
        let thinned: Vec<u64> = pruning.thin.iter().map(|id| id.seq - 1).collect();
        assert_eq!(thinned, [10, 20, 30, 70, 80, 90]);
    }

    /// Summaries go before scalars, evenly; what is needed to read the rest does not.
    #[test]
    fn the_rest_may_be_bounded_too() {
        let of = |entry: Entry| Record::of(&entry, Rank::ONLY, 1, 0);
        let records = (0..1000).flat_map(|step| {
            let snapshot = of(Entry::snapshot(step, 3 * step + 2, [0; 1000], 244));
            let scalars = of(Entry::new(RecordKind::Scalars, step, 3 * step + 3, [0; 44]));
            [Record { is_thinned: step % 100 > 0, ..snapshot }, scalars]
        });
        let timeline = Timeline::of(records.chain([of(Entry::new(RecordKind::Plan, 0, 1, [0; 744]))]));
        let left = |most| {
            let budget = Budget { light_bytes: Some(most), ..Budget::ALL };
            let pruning = budget.prune(&timeline, &BTreeSet::new(), 0);
            let gone: BTreeSet<RecordId> = pruning.remove.into_iter().collect();
            let left: Vec<Record> = timeline.records().filter(|it| !gone.contains(&it.id)).copied().collect();
            let count = |kind| left.iter().filter(|it| it.kind == kind).count();
            (count(RecordKind::Snapshot), count(RecordKind::Scalars), count(RecordKind::Plan))
        };
        assert_eq!(left(801_000), (1000, 1000, 1));
        assert_eq!(left(401_000), (200, 1000, 1));
        // Ten that are whole, and the first and the last of those that are not.
        assert_eq!(left(91_000), (12, 280, 1));
        assert_eq!(left(0), (12, 2, 1));
    }
}
