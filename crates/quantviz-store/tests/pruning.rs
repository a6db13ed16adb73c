//! A session is kept within a budget: at once, and while it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quantviz_core::{
    Budget, Cursor, Entry, Error, Opening, Pruner, Quantity, Rank, Record, RecordId, RecordKind, Result, Run,
    SessionId, SnapshotStore, Timeline, Writer, bf16,
};
use quantviz_store::{MemoryStore, prune};
use quantviz_testkit::{Behaving, Behaviour, SmallGpt};

fn id() -> SessionId {
    "run".parse().expect("a name")
}

fn at_most(snapshots: u64) -> Budget {
    let mut budget = Budget::ALL;
    budget.snapshots = Some(snapshots);
    budget
}

fn timeline(store: &dyn SnapshotStore) -> Timeline {
    Timeline::of(store.records(&id(), &Cursor::default()).expect("listed"))
}

fn whole(store: &dyn SnapshotStore) -> Vec<Record> {
    let mut records = store.records(&id(), &Cursor::default()).expect("listed");
    records.retain(Record::is_whole_snapshot);
    records
}

#[test]
fn at_once_and_not_twice() {
    let store = MemoryStore::within(Budget::ALL);
    let writer = store.open(&id(), Rank::ONLY, Opening::New).expect("nobody has it");
    for step in 0..5 {
        let entry = Entry::snapshot(step, step + 1, *b"summary and the rest", 7);
        store.append(&writer, &entry).expect("kept");
    }
    let gone = |keep| prune(&store, &id(), &at_most(3), &keep, 0).expect("pruned").thin.len();
    assert_eq!(gone(BTreeSet::from([3])), 2);
    assert!(timeline(&store).snapshot_steps().is_superset(&BTreeSet::from([0, 3, 4])));
    assert_eq!(gone(BTreeSet::from([3])), 0);
}

/// How often a store is asked for what.
#[derive(Default)]
struct Counted {
    calls: AtomicU64,
    thinned: AtomicU64,
    /// Every so manieth time, thinning fails.
    fails: u64,
}

impl Behaviour for Counted {
    fn call<T>(&self, work: &dyn Fn() -> Result<T>) -> Result<T> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        work()
    }

    fn append(&self, _: &Writer, _: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        work()
    }

    fn take_away(&self, which: &[RecordId], work: &dyn Fn() -> Result<()>) -> Result<()> {
        assert!((1..=32).contains(&which.len()), "{} in a turn", which.len());
        let calls = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fails > 0 && calls.is_multiple_of(self.fails) {
            return Err(Error::limit("not now"));
        }
        self.thinned.fetch_add(which.len() as u64, Ordering::SeqCst);
        work()
    }
}

/// Three thousand real snapshots, of which fifty may stay whole.
#[test]
fn a_long_run_stays_within_its_budget_and_its_history_is_whole() {
    const STEPS: u64 = 3_000;
    const INSIGHT: (u64, u64) = (1_000, 1_200);
    let gpt = SmallGpt { steps: STEPS - 1, every: 1, layers: 1, ..SmallGpt::default() };
    let all = MemoryStore::within(Budget::ALL);
    gpt.write(&all, &id()).expect("written");
    let counted = Arc::new(Counted::default());
    let store = Behaving::new(MemoryStore::within(Budget::ALL), counted.clone());
    let writer = store.open(&id(), Rank::ONLY, Opening::New).expect("nobody has it");
    let sage = store.open(&id(), Rank::new(1, 2).expect("one of two"), Opening::New).expect("nobody has it");
    let mut pruner = Pruner::new(id(), Rank::ONLY, at_most(50), [700, 2_503]);
    let (mut around, mut most) = (BTreeSet::new(), 0);
    for record in timeline(&all).records().filter(|it| it.kind != RecordKind::Opened) {
        let bytes = all.read(&id(), &[record.id]).expect("readable").remove(0).expect("there");
        let entry = match record.kind {
            RecordKind::Snapshot => Entry::snapshot(record.step, record.id.seq, bytes, record.summary_bytes),
            kind => Entry::new(kind, record.step, record.id.seq, bytes).from_step(record.first_step),
        };
        let kept = store.append(&writer, &entry).expect("kept");
        if record.kind != RecordKind::Snapshot {
            continue;
        }
        pruner.add(kept);
        pruner.turn(&store, 0).expect("thinned");
        most = most.max(whole(&store).len());
        if record.step == 1_500 {
            let insight = Entry::new(RecordKind::Insight, INSIGHT.1, 1, *b"{}").from_step(INSIGHT.0);
            store.append(&sage, &insight).expect("kept");
            around = timeline(&store).steps_around_insights();
        }
    }
    assert!((50..=55).contains(&most), "{most}");
    let steps = timeline(&store).snapshot_steps();
    assert!((45..=55).contains(&steps.len()), "{steps:?}");
    let pinned = BTreeSet::from([0, 700, 2_503, STEPS - 1]);
    assert!(steps.is_superset(&pinned), "{steps:?}");
    assert!((4..=6).contains(&around.len()) && steps.is_superset(&around), "{around:?} {steps:?}");
    // On a logarithmic scale, fifty between 1 and 3,000 are a factor of 1.2 apart.
    let gaps = steps.iter().zip(steps.iter().skip(1)).map(|(a, b)| (b + 1) as f64 / (a + 1) as f64);
    let widest = gaps.fold(0.0, f64::max);
    assert!(widest <= 2.0, "{widest} {steps:?}");

    // One listing and one request to thin for five snapshots, besides those of this test.
    let (calls, thinned) = (counted.calls.load(Ordering::SeqCst), counted.thinned.load(Ordering::SeqCst));
    assert_eq!(thinned, STEPS - steps.len() as u64, "each once");
    assert!(calls - STEPS < STEPS * 2 / 5 + 100, "{calls} calls for {STEPS} snapshots");

    let run = Run::open(&store, &id()).expect("there");
    let (of, history) = run.histories(&[("lm_head.weight".into(), Quantity::Std)]).expect("readable");
    assert_eq!(of, (0..STEPS).collect::<Vec<u64>>());
    let at = run.plan().expect("one").header().parameter_named("lm_head.weight").expect("recorded");
    let truth = (0..STEPS).map(|step| gpt.value(Quantity::Std, at, step));
    assert!(history[0].values.iter().copied().eq(truth), "of every step, what was recorded");
    assert_eq!(run.scalars().expect("scalars")["loss"].len() as u64, STEPS);
}

/// Writes a run that is resumed again and again, within a budget; tells how often thinning failed.
fn write(
    store: &dyn SnapshotStore,
    rank: Rank,
    runs: &[(u64, u64)],
    budget: Budget,
    mut see: impl FnMut(&Writer, u64),
) -> u64 {
    let mut failures = 0;
    for &(from, to) in runs {
        let writer = store.open(&id(), rank, Opening::Resume { step: from }).expect("takes over");
        let mut pruner = Pruner::new(id(), rank, budget, [40]);
        for (seq, step) in (1..).zip(from..to) {
            let record = store.append(&writer, &Entry::snapshot(step, seq, [0; 100], 10)).expect("kept");
            pruner.add(record);
            failures += u64::from(pruner.turn(store, 1_000 * step).is_err());
            see(&writer, step);
        }
    }
    failures
}

#[test]
fn what_was_there_before_counts_and_what_is_superseded_goes_first() {
    let store = MemoryStore::within(Budget::ALL);
    write(&store, Rank::ONLY, &[(0, 400)], Budget::ALL, |_, _| {});
    assert_eq!(whole(&store).len(), 400);
    // Back to step 100: 300 snapshots are superseded, and 101 alive. Eleven turns bring it down by 32 each.
    let runs = [(100, 140), (130, 300), (90, 95)];
    let mut sizes = Vec::new();
    write(&store, Rank::ONLY, &runs, at_most(120), |writer, step| {
        let all = whole(&store);
        let timeline = timeline(&store);
        let alive = all.iter().filter(|it| timeline.is_alive(it)).count();
        sizes.push((all.len(), alive));
        let steps = timeline.snapshot_steps();
        assert!(steps.contains(&0) && steps.contains(&40) && steps.contains(&step), "{steps:?}");
        if writer.epoch == 2 && step < 108 {
            assert_eq!(alive as u64, step + 1, "what is superseded goes first");
        }
    });
    assert!(sizes[8..].iter().all(|it| it.0 <= 132), "{sizes:?}");
    assert_eq!(timeline(&store).records().count(), 4 + 400 + 40 + 170 + 5, "no record is removed");
    assert_eq!(sizes.last().map(|it| it.1), Some(timeline(&store).snapshot_steps().len()));
}

/// Whatever fails, it is tried again, and in the end as much is kept as was asked for.
#[test]
fn stores_that_do_not_always_thin() {
    let counted = Counted { fails: 3, ..Counted::default() };
    let store = Behaving::new(MemoryStore::within(Budget::ALL), counted);
    let mut most = 0;
    let failures = write(&store, Rank::ONLY, &[(0, 500), (300, 800)], at_most(30), |_, _| {
        most = most.max(whole(&store).len());
    });
    assert!(failures > 10, "{failures}");
    assert!(most <= 36, "{most}");
    let steps = timeline(&store).snapshot_steps();
    assert!((25..=33).contains(&steps.len()) && steps.contains(&0) && steps.contains(&799), "{steps:?}");
}

/// Nobody asks anybody, and yet they keep the same steps.
#[test]
fn ranks_that_write_the_same_steps_keep_the_same_ones() {
    let store = MemoryStore::within(Budget::ALL);
    let ranks = [0, 1, 2].map(|index| Rank::new(index, 3).expect("one of three"));
    std::thread::scope(|scope| {
        for rank in ranks {
            let store = &store;
            scope.spawn(move || write(store, rank, &[(0, 300), (200, 500)], at_most(40), |_, _| {}));
        }
    });
    let mut steps: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for record in timeline(&store).alive().filter(|it| it.is_whole_snapshot()) {
        steps.entry(record.id.rank).or_default().push(record.step);
    }
    assert!((36..=44).contains(&steps[&0].len()), "{steps:?}");
    assert!(steps[&0] == steps[&1] && steps[&1] == steps[&2], "{steps:?}");
}

#[test]
fn bytes_are_shared_among_ranks() {
    let mut budget = Budget::ALL;
    budget.bytes = Some(90 * 40);
    for of in [1, 2, 4u32] {
        let store = MemoryStore::within(Budget::ALL);
        write(&store, Rank::new(0, of).expect("one of some"), &[(0, 200)], budget, |_, _| {});
        let count = whole(&store).len();
        let share = 40 / of as usize;
        assert!((share..=share + share.div_ceil(10)).contains(&count), "rank 0 of {of}: {count}");
    }
}

#[test]
fn what_is_old_goes() {
    let clock = Arc::new(AtomicU64::new(0));
    let time = clock.clone();
    let store = MemoryStore::within(Budget::ALL).with_clock(move || time.load(Ordering::SeqCst));
    let mut budget = Budget::ALL;
    budget.age_ms = Some(20_000);
    write(&store, Rank::ONLY, &[(0, 200)], budget, |_, step| {
        clock.store(1_000 * (step + 1), Ordering::SeqCst)
    });
    let steps = timeline(&store).snapshot_steps();
    let expected = BTreeSet::from([0, 40]);
    assert!(steps.is_superset(&expected) && (21..=25).contains(&steps.len()), "{steps:?}");
    assert!(steps.iter().filter(|it| !expected.contains(it)).all(|&it| it >= 177), "{steps:?}");
}

/// Where nothing can go, it is not tried with every snapshot.
#[test]
fn a_budget_that_cannot_be_kept_to() {
    let counted = Arc::new(Counted::default());
    let store = Behaving::new(MemoryStore::within(Budget::ALL), counted.clone());
    let writer = store.open(&id(), Rank::ONLY, Opening::New).expect("nobody has it");
    let mut pruner = Pruner::new(id(), Rank::ONLY, at_most(10), 0..1_000);
    for step in 0..1_000 {
        let entry = Entry::snapshot(step, step + 1, [0; 100], 10);
        pruner.add(store.append(&writer, &entry).expect("kept"));
        pruner.turn(&store, 0).expect("nothing to do");
    }
    assert_eq!(whole(&store).len(), 1_000);
    let calls = counted.calls.load(Ordering::SeqCst);
    assert!(calls < 80, "{calls}");
}

/// A run that was opened before finds what is left, and the statistics of what is not.
#[test]
fn whoever_has_a_run_open_finds_what_is_left_of_it() {
    let store = MemoryStore::within(Budget::ALL);
    SmallGpt { steps: 1_000, every: 100, ..SmallGpt::default() }.write(&store, &id()).expect("written");
    let run = Run::open(&store, &id()).expect("there");
    let before: Vec<Record> = run.snapshots().into_iter().copied().collect();
    let thin = |is_gone: fn(u64) -> bool| {
        let gone: Vec<RecordId> = before.iter().filter(|it| is_gone(it.step)).map(|it| it.id).collect();
        store.thin(&id(), &gone).expect("thinned");
    };
    thin(|step| (200..=700).contains(&step));
    let nearest = |step| run.nearest(step).expect("readable").map(|(step, ranks)| (step, ranks.len()));
    assert_eq!([400, 500, 700, 900].map(nearest), [100, 800, 800, 900].map(|step| Some((step, 1))));
    let read = run.snapshots_of(&before, true).expect("readable");
    for (taken, record) in read.iter().zip(&before) {
        let is_thinned = (200..=700).contains(&record.step);
        assert_eq!((taken.record.id, taken.record.is_thinned), (record.id, is_thinned));
        assert_eq!(taken.snapshot.row::<bf16>("w.hist", 0).is_none(), is_thinned);
        assert!(taken.snapshot.quantity(Quantity::Std, 0).is_some());
    }
    thin(|_| true);
    assert_eq!(nearest(500), None, "nothing whole is left");
}
