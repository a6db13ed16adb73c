//! A recording keeps itself within its budget while it goes on, whatever becomes of the store.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ndarray::ArrayD;
use quantviz_core::{
    Budget, Cursor, Entry, Error, MemorySource, ModelAtStep, Opening, Quantity, Rank, Record, RecordId,
    RecordKind, Result, Run, SessionId, SnapshotStore, Timeline, Writer,
};
use quantviz_record::{Recorder, RecorderBuilder, RecorderState};
use quantviz_store::{MemoryStore, SessionStore};
use quantviz_testkit::{Behaving, Behaviour};

fn id() -> SessionId {
    "run".parse().expect("a name")
}

fn at_most(snapshots: u64) -> Budget {
    let mut budget = Budget::ALL;
    budget.snapshots = Some(snapshots);
    budget
}

fn unbounded() -> MemoryStore {
    MemoryStore::within(Budget::ALL)
}

fn timeline(store: &dyn SnapshotStore) -> Timeline {
    Timeline::of(store.records(&id(), &Cursor::default()).expect("listed"))
}

fn whole(store: &dyn SnapshotStore) -> usize {
    let records = store.records(&id(), &Cursor::default()).expect("listed");
    records.iter().filter(|it| it.is_whole_snapshot()).count()
}

fn builder(store: impl SnapshotStore + 'static) -> RecorderBuilder {
    Recorder::builder("run").every_steps(1).share(0.05).to(store).patience(Duration::from_secs(30))
}

fn weight(step: u64) -> MemorySource {
    let value = move |at: ndarray::IxDyn| (at[0] * 16 + at[1]) as f32 * 0.01 + step as f32;
    MemorySource::new().with("w", ArrayD::from_shape_fn(vec![16, 16], value))
}

/// Trains until so many more snapshots were made, on a machine that may be busy; tells the step after the last.
fn train(recorder: &mut Recorder, from: u64, snapshots: u64) -> u64 {
    let (until, before) = (Instant::now() + Duration::from_secs(120), recorder.state().snapshots);
    let mut step = from;
    while recorder.state().snapshots < before + snapshots {
        assert!(Instant::now() < until, "it takes too long: {:?}", recorder.state());
        // Long enough that something of every step can be looked at.
        std::thread::sleep(Duration::from_millis(11));
        recorder.record(step, &weight(step), &[("loss", 1.0)]);
        step += 1;
    }
    step
}

/// Trains until no more than that is whole; tells the step after the last.
fn train_until_thin(recorder: &mut Recorder, from: u64, store: &dyn SnapshotStore, most: usize) -> u64 {
    let until = Instant::now() + Duration::from_secs(120);
    let mut step = from;
    while whole(store) > most {
        assert!(Instant::now() < until, "it does not catch up: {}", whole(store));
        step = train(recorder, step, 1);
    }
    step
}

/// Everything that was recorded has its statistics. A capture may have lost its turn, and then they are of a step before.
fn assert_history(store: &dyn SnapshotStore, state: RecorderState) {
    let run = Run::open(store, &id()).expect("a session");
    let steps = assert_values(&run);
    let lost = state.snapshots.saturating_sub(steps);
    assert!(steps > 0 && lost <= state.lost, "{steps} steps: {state:?}");
}

fn assert_values(run: &Run<'_>) -> u64 {
    let wanted = [Quantity::Min, Quantity::AsOf].map(|it| ("w".to_owned(), it));
    let (steps, histories) = run.histories(&wanted).expect("readable");
    let [values, as_of] = [0, 1].map(|at| &histories[at].values);
    assert!(values.iter().all(|it| it.is_finite()) && values == as_of, "{values:?} {as_of:?}");
    steps.len() as u64
}

/// Looks at the store after everything that is kept; what is seen there was seen by no recorder.
struct Watched {
    inner: MemoryStore,
    most: AtomicUsize,
    /// The steps around an insight that somebody else had at a step.
    around: Mutex<BTreeSet<u64>>,
}

const INSIGHT: u64 = 300;

impl Behaviour for Watched {
    fn append(&self, _: &Writer, entry: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        let record = work()?;
        self.most.fetch_max(whole(&self.inner), Ordering::SeqCst);
        let mut around = self.around.lock().expect("nobody panics with it");
        if entry.kind == RecordKind::Snapshot && entry.step >= INSIGHT && around.is_empty() {
            let sage = Rank::new(1, 2).expect("one of two");
            let sage = self.inner.open(&id(), sage, Opening::New).expect("nobody has it");
            let insight = Entry::new(RecordKind::Insight, 200, 1, *b"{}").from_step(150);
            self.inner.append(&sage, &insight).expect("kept");
            *around = timeline(&self.inner).steps_around_insights();
        }
        Ok(record)
    }
}

#[test]
fn a_recording_stays_within_its_budget_at_every_moment() {
    let inner = unbounded();
    let watched =
        Arc::new(Watched { inner: inner.clone(), most: AtomicUsize::new(0), around: Mutex::default() });
    let mut recorder = builder(Behaving::new(inner.clone(), watched.clone()))
        .keep(at_most(50))
        .pin([77, 410])
        .on_trouble(|line| panic!("{line}"))
        .start()
        .expect("a store");
    let trained = train(&mut recorder, 0, 800);
    let state = recorder.finish();
    assert_eq!((state.failures, state.not_thinned), (0, 0));
    let most = watched.most.load(Ordering::SeqCst);
    assert!((50..=55).contains(&most), "{most}");

    let (timeline, run) = (timeline(&inner), Run::open(&inner, &id()).expect("a session"));
    let (steps, all) = (timeline.snapshot_steps(), run.snapshots());
    let recorded = |step: u64| all.iter().map(|it| it.step).min_by_key(|&it| (it.abs_diff(step), it));
    let stay = [0, 77, 410, u64::MAX].map(|step| recorded(step).expect("recorded"));
    assert!(stay.iter().all(|step| steps.contains(step)), "{stay:?} {steps:?}");
    let around = watched.around.lock().expect("nobody panics with it").clone();
    assert!((4..=6).contains(&around.len()) && steps.is_superset(&around), "{around:?} {steps:?}");
    assert_eq!(run.scalars().expect("scalars")["loss"].len() as u64, trained);
    assert_history(&inner, state);
}

#[test]
fn everything_is_kept_where_that_is_asked_for() {
    let store = unbounded();
    let mut recorder = builder(store.clone()).keep(Budget::ALL).start().expect("a store");
    train(&mut recorder, 0, 100);
    let state = recorder.finish();
    assert!(whole(&store) > 50 && whole(&store) as u64 + state.lost >= state.snapshots, "{state:?}");
}

/// Thins nothing, or does not come back, when it is told to.
#[derive(Default)]
struct Stubborn {
    fails: AtomicBool,
    stands: AtomicBool,
    asked: AtomicUsize,
}

impl Behaviour for Stubborn {
    fn take_away(&self, _: &[RecordId], work: &dyn Fn() -> Result<()>) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        while self.stands.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.fails.load(Ordering::SeqCst) {
            let kind = std::io::ErrorKind::ReadOnlyFilesystem;
            return Err(Error::io(std::path::Path::new("quantviz-runs"), kind.into()));
        }
        work()
    }
}

fn stubborn(behaviour: Stubborn) -> (MemoryStore, Arc<Stubborn>, Recorder, Arc<Mutex<Vec<String>>>) {
    let (inner, behaviour, heard) = (unbounded(), Arc::new(behaviour), Arc::<Mutex<Vec<String>>>::default());
    let lines = heard.clone();
    let recorder = builder(Behaving::new(inner.clone(), behaviour.clone()))
        .keep(at_most(20))
        .on_trouble(move |line| lines.lock().expect("nobody panics with it").push(line.to_owned()))
        .start()
        .expect("a store");
    (inner, behaviour, recorder, heard)
}

#[test]
fn a_store_that_cannot_thin_is_told_of_once_and_recording_goes_on() {
    let (inner, behaviour, mut recorder, heard) =
        stubborn(Stubborn { fails: true.into(), ..Stubborn::default() });
    let step = train(&mut recorder, 0, 150);
    let (asked, before) = (behaviour.asked.load(Ordering::SeqCst), whole(&inner));
    assert!((2..=20).contains(&asked), "it is left alone for longer each time: {asked}");
    assert!(before > 60, "{before}");
    let lines = heard.lock().expect("nobody panics with it").clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("session run: quantviz-runs: ")
            && lines[0].ends_with("; snapshots that are too many stay until that goes well"),
        "{lines:?}"
    );
    behaviour.fails.store(false, Ordering::SeqCst);
    train_until_thin(&mut recorder, step, &inner, 22);
    let state = recorder.finish();
    assert_eq!(state.failures, 0);
    assert!((2..=20).contains(&state.not_thinned), "{state:?}");
    assert_eq!(heard.lock().expect("nobody panics with it").len(), 1);
    assert_history(&inner, state);
}

/// One turn is waited for, for a moment; then nothing is held up by it.
#[test]
fn a_store_that_stands_still_when_it_thins_holds_nothing_up() {
    let (inner, behaviour, mut recorder, heard) =
        stubborn(Stubborn { stands: true.into(), ..Stubborn::default() });
    let step = train(&mut recorder, 0, 400);
    assert_eq!(behaviour.asked.load(Ordering::SeqCst), 1);
    let before = whole(&inner);
    // Two seconds of snapshots may have been lost while it was waited for.
    assert!(before > 60, "{before}");
    behaviour.stands.store(false, Ordering::SeqCst);
    train_until_thin(&mut recorder, step, &inner, 22);
    let state = recorder.finish();
    assert_eq!((state.failures, state.not_thinned), (0, 0));
    assert_eq!(heard.lock().expect("nobody panics with it").len(), 0);
    assert_history(&inner, state);
}

/// What was there before counts: a run of which too much was kept is brought down after it was resumed.
#[test]
fn a_run_that_is_resumed_counts_what_was_there() {
    let store = unbounded();
    let mut recorder = builder(store.clone()).keep(Budget::ALL).start().expect("a store");
    let step = train(&mut recorder, 0, 120);
    recorder.finish();
    assert!(whole(&store) > 60);
    let mut recorder = builder(store.clone()).keep(at_most(30)).resume().start().expect("a store");
    train(&mut recorder, step - 20, 20);
    recorder.finish();
    let steps = timeline(&store).snapshot_steps();
    assert!(whole(&store) <= 33, "{}", whole(&store));
    assert!((20..=33).contains(&steps.len()) && steps.contains(&0), "{steps:?}");
}

/// Two processes train together: each thins its own, and neither what the other has.
#[test]
fn ranks_thin_what_they_wrote_themselves() {
    let store = unbounded();
    std::thread::scope(|scope| {
        for index in 0..2 {
            let store = store.clone();
            scope.spawn(move || {
                let rank = Rank::new(index, 2).expect("one of two");
                let budget = at_most(if index == 0 { 20 } else { 40 });
                let mut recorder = builder(store).rank(rank).keep(budget).start().expect("a store");
                train(&mut recorder, 0, 150);
                let state = recorder.finish();
                assert_eq!((state.failures, state.not_thinned), (0, 0));
            });
        }
    });
    let timeline = timeline(&store);
    for (rank, budget) in [(0, 20), (1, 40)] {
        let of_rank = timeline.alive().filter(|it| it.id.rank == rank && it.kind == RecordKind::Snapshot);
        let (whole, all): (Vec<u64>, Vec<u64>) =
            of_rank.fold(Default::default(), |(mut whole, mut all), it| {
                all.push(it.step);
                whole.extend(it.is_whole_snapshot().then_some(it.step));
                (whole, all)
            });
        assert!(all.len() > 60, "{all:?}");
        assert!((budget - 5..=budget + budget / 10).contains(&whole.len()), "rank {rank}: {whole:?}");
        assert_eq!((whole.first(), whole.last()), (all.first(), all.last()));
    }
}

/// Whoever follows a run in a folder finds everything they ask for, though much of it goes while they do.
#[test]
fn a_reader_sees_no_error_while_it_is_thinned() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let store = SessionStore::create(place).expect("a folder");
    let is_over = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let is_over = &is_over;
        let follower = scope.spawn(move || {
            let store = SessionStore::at(place).expect("it is there");
            let mut follower: Option<Run<'_>> = None;
            let mut looks = 0;
            while !is_over.load(Ordering::SeqCst) {
                match &mut follower {
                    Some(run) => run.refresh().expect("refreshed"),
                    None => follower = Run::open(&store, &id()).ok(),
                }
                let Some(run) = &follower else { continue };
                let Some(last) = run.snapshots().last().map(|it| it.step) else { continue };
                for step in [0, last / 3, last / 2, last.saturating_sub(3), last] {
                    run.nearest(step).expect("readable").expect("one");
                    run.statistics_near(step).expect("readable").expect("one");
                    ModelAtStep::near(run, Some(step)).expect("readable").expect("one");
                }
                let all: Vec<Record> = run.snapshots().into_iter().copied().collect();
                run.snapshots_of(&all, true).expect("readable");
                assert_values(run);
                looks += 1;
            }
            looks
        });
        let mut recorder = builder(store.clone())
            .keep(at_most(12))
            .on_trouble(|line| panic!("{line}"))
            .start()
            .expect("a store");
        train(&mut recorder, 0, 400);
        let state = recorder.finish();
        is_over.store(true, Ordering::SeqCst);
        assert_history(&store, state);
        follower.join().expect("nothing was missing")
    });
    assert!(looks >= 3, "{looks}");
    assert!(whole(&store) <= 14, "{}", whole(&store));
}
