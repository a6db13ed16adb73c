//! What of a session is still true, and what goes when it gets too much, against runs that are replayed step by step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use quantviz_core::{Budget, Entry, Rank, Record, RecordId, RecordKind, Timeline};

/// A run that begins at a step, and writes so many snapshots from there on, so many steps apart.
#[derive(Clone, Debug)]
struct Run {
    rank: u32,
    start: u64,
    snapshots: u64,
    every: u64,
}

const RANKS: u32 = 2;

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let run = (0..RANKS, 0..60u64, 0..12u64, 1..9u64).prop_map(|(rank, start, snapshots, every)| Run {
        rank,
        start,
        snapshots,
        every,
    });
    vec(run, 1..7)
}

fn record(rank: u32, epoch: u32, entry: &Entry) -> Record {
    Record::of(entry, Rank::new(rank, RANKS).expect("one of two"), epoch, 1000 + entry.step)
}

/// The records of some runs, one after the other, and which snapshot of each step and rank is true in the end.
fn replay(runs: &[Run]) -> (Vec<Record>, BTreeMap<(u32, u64), RecordId>) {
    let (mut records, mut truth) = (Vec::new(), BTreeMap::new());
    let mut epochs = [0; RANKS as usize];
    for run in runs {
        let epoch = &mut epochs[run.rank as usize];
        *epoch += 1;
        records.push(record(run.rank, *epoch, &Entry::new(RecordKind::Opened, run.start, 0, [])));
        records.push(record(run.rank, *epoch, &Entry::new(RecordKind::Plan, run.start, 1, [0])));
        truth.retain(|(rank, step), _| *rank != run.rank || *step < run.start);
        for index in 0..run.snapshots {
            let step = run.start + index * run.every;
            let snapshot = record(run.rank, *epoch, &Entry::snapshot(step, index + 2, [0; 10], 3));
            truth.insert((run.rank, step), snapshot.id);
            records.push(snapshot);
        }
    }
    (records, truth)
}

fn truth_of(timeline: &Timeline) -> BTreeMap<(u32, u64), RecordId> {
    let snapshots = timeline.alive().filter(|record| record.kind == RecordKind::Snapshot);
    snapshots.map(|record| ((record.id.rank, record.step), record.id)).collect()
}

proptest! {
    /// In whatever order records come, what is true is what the last run of each rank left standing.
    #[test]
    fn what_is_true_is_what_was_written_last(runs in runs(), turn in any::<prop::sample::Index>()) {
        let (mut records, truth) = replay(&runs);
        let turn = turn.index(records.len());
        records.rotate_left(turn);
        let timeline = Timeline::of(records);
        prop_assert_eq!(truth_of(&timeline), truth.clone());
        let steps: BTreeSet<u64> = truth.keys().map(|(_, step)| *step).collect();
        prop_assert_eq!(timeline.snapshot_steps(), steps.clone());
        for step in 0..130 {
            let ids: Vec<RecordId> = timeline.snapshots_at(step).iter().map(|record| record.id).collect();
            let expected: Vec<RecordId> = (0..RANKS).filter_map(|rank| truth.get(&(rank, step)).copied()).collect();
            prop_assert_eq!(ids, expected);
            let nearest = timeline.nearest_step(step);
            prop_assert_eq!(nearest, steps.iter().copied().min_by_key(|it| (it.abs_diff(step), *it)));
        }
    }

    /// Whenever removing stops, what is left says the same as before.
    #[test]
    fn removing_can_stop_anywhere(runs in runs()) {
        let (records, truth) = replay(&runs);
        let all = Timeline::of(records.clone());
        let superseded = all.superseded();
        prop_assert!(superseded.iter().all(|id| !truth.values().any(|it| it == id)));
        for count in 0..=superseded.len() {
            let left = records.iter().filter(|record| !superseded[..count].contains(&record.id));
            prop_assert_eq!(truth_of(&Timeline::of(left.copied())), truth.clone());
        }
        // Snapshots can be read by what was written of their epoch before them.
        let left: BTreeSet<RecordId> = all.alive().map(|record| record.id).collect();
        for id in truth.values() {
            for seq in [0, 1] {
                prop_assert!(left.contains(&RecordId { seq, ..*id }), "{}", id);
            }
        }
    }

    #[test]
    fn what_stays_is_within_the_budget_and_evenly_spread(
        steps in btree_set(0..5000u64, 1..200),
        pinned in btree_set(0..5000u64, 0..4),
        most in 2..60u64,
        bytes in prop::option::of(0..1500u64),
    ) {
        let snapshot = |(seq, &step): (u64, &u64)| record(0, 1, &Entry::snapshot(step, seq, [0; 10], 3));
        let records: Vec<Record> = (1..).zip(&steps).map(snapshot).collect();
        let timeline = Timeline::of(records.clone());
        let mut budget = Budget::ALL;
        (budget.snapshots, budget.bytes) = (Some(most), bytes);
        let pruning = budget.prune(&timeline, &pinned, 0);
        prop_assert!(pruning.remove.is_empty());
        let is_left = |record: &&Record| !pruning.thin.contains(&record.id);
        let left: BTreeSet<u64> = records.iter().filter(is_left).map(|record| record.step).collect();
        prop_assert_eq!(left.len() + pruning.thin.len(), steps.len());
        let has_to_stay: BTreeSet<u64> = [steps.first(), steps.last()]
            .into_iter()
            .flatten()
            .chain(steps.intersection(&pinned))
            .copied()
            .collect();
        prop_assert!(left.is_superset(&has_to_stay));
        let is_within = left.len() as u64 <= most && bytes.is_none_or(|bytes| 7 * left.len() as u64 <= bytes);
        prop_assert!(is_within || left == has_to_stay, "{} of {} left", left.len(), steps.len());
        // Nothing goes without need: one more would have been too much.
        let one_more = left.len() as u64 + 1;
        let had_to_go = one_more > most || bytes.is_some_and(|bytes| 7 * one_more > bytes);
        prop_assert!(pruning.thin.is_empty() || had_to_go);
        // Asked again, the same.
        prop_assert_eq!(budget.prune(&timeline, &pinned, 0), pruning);
    }
}

/// A long run of equal steps keeps as much of its first tenth as a logarithmic scale gives it.
#[test]
fn the_beginning_is_kept_more_closely_than_the_end() {
    let records =
        (1..).zip(0..10_000u64).map(|(seq, step)| record(0, 1, &Entry::snapshot(step, seq, [0; 10], 3)));
    let timeline = Timeline::of(records);
    let mut budget = Budget::ALL;
    budget.snapshots = Some(100);
    let gone: BTreeSet<RecordId> = budget.prune(&timeline, &BTreeSet::new(), 0).thin.into_iter().collect();
    let left: Vec<u64> = timeline.records().filter(|it| !gone.contains(&it.id)).map(|it| it.step).collect();
    assert_eq!(left.len(), 100);
    let below = |step: u64| left.iter().filter(|it| **it < step).count();
    let shares = [below(10), below(100), below(1000)];
    assert!(shares[0] >= 8 && (35..65).contains(&shares[1]) && (60..85).contains(&shares[2]), "{shares:?}");
    let gaps = left.windows(2).map(|pair| ((pair[1] + 1) as f64 / (pair[0] + 1) as f64).ln());
    let widest = gaps.fold(0.0, f64::max);
    assert!(widest < 0.7, "two neighbours are a factor of {} apart", widest.exp());
}

#[test]
fn what_is_old_goes() {
    let snapshot = |step| record(0, 1, &Entry::snapshot(step, step + 1, [0; 10], 3));
    let timeline = Timeline::of((0..10).map(snapshot));
    let mut budget = Budget::ALL;
    budget.age_ms = Some(4);
    // Each was kept at 1000 milliseconds and its step.
    let gone = budget.prune(&timeline, &BTreeSet::from([2]), 1010).thin;
    assert_eq!(gone.iter().map(|id| id.seq - 1).collect::<Vec<_>>(), [1, 3, 4, 5]);
}
