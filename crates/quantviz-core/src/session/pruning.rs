//! Which snapshots a session keeps when it may not keep all.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use serde::{Deserialize, Serialize};

use super::entry::{Record, RecordKind};
use super::ids::RecordId;
use super::timeline::Timeline;

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

/// Steps on a logarithmic scale, of which those go first that leave the smallest gap.
struct Spacing {
    steps: Vec<Spaced>,
    by_gap: BinaryHeap<Candidate>,
}

struct Spaced {
    step: u64,
    place: f64,
    before: Option<usize>,
    after: Option<usize>,
    is_gone: bool,
    stays: bool,
}

/// The smallest gap comes first; of equal ones, the latest step.
#[derive(PartialEq)]
struct Candidate {
    gap: f64,
    index: usize,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.gap.total_cmp(&self.gap).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Spacing {
    fn of(steps: impl Iterator<Item = u64>, stays: impl Fn(&u64) -> bool) -> Self {
        let steps: Vec<u64> = steps.collect();
        let first = steps.first().copied().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "a place on a scale")]
        let place = |step: u64| ((step - first) as f64).ln_1p();
        let len = steps.len();
        let spaced = |(index, step): (usize, u64)| Spaced {
            step,
            place: place(step),
            before: index.checked_sub(1),
            after: Some(index + 1).filter(|&after| after < len),
            is_gone: false,
            stays: stays(&step),
        };
        let steps = steps.into_iter().enumerate().map(spaced).collect();
        let mut spacing = Spacing { steps, by_gap: BinaryHeap::new() };
        (0..len).for_each(|index| spacing.put(index));
        spacing
    }

    /// The gap that a step would leave.
    fn gap(&self, index: usize) -> Option<f64> {
        let step = self.steps.get(index).filter(|step| !step.is_gone && !step.stays)?;
        Some(self.steps[step.after?].place - self.steps[step.before?].place)
    }

    fn put(&mut self, index: usize) {
        if let Some(gap) = self.gap(index) {
            self.by_gap.push(Candidate { gap, index });
        }
    }

    fn remove_closest(&mut self) -> Option<u64> {
        loop {
            let Candidate { gap, index } = self.by_gap.pop()?;
            // Neighbours that went since have made the gap wider: then it stands further down as well.
            if self.gap(index) != Some(gap) {
                continue;
            }
            let Spaced { step, before, after, .. } = self.steps[index];
            self.steps[index].is_gone = true;
            for (here, is_before) in [(before, true), (after, false)] {
                let Some(here) = here else { continue };
                let link = if is_before { &mut self.steps[here].after } else { &mut self.steps[here].before };
                *link = if is_before { after } else { before };
                self.put(here);
            }
            return Some(step);
        }
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
