//! Whatever goes wrong, training goes on, it is told once, and recording recovers.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ndarray::ArrayD;
use quantviz_core::{
    Block, Elements, Entry, Error, MemorySource, Model, ParameterId, ParameterSource, Part, Quantity, Record,
    Result, Run, SessionId, Sink, SnapshotStore, Writer,
};
use quantviz_record::{Recorder, RecorderBuilder};
use quantviz_store::MemoryStore;
use quantviz_testkit::{Behaving, Behaviour};

/// What was said to go wrong.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

fn builder(session: &str, store: impl SnapshotStore + 'static, heard: &Heard) -> RecorderBuilder {
    let lines = heard.0.clone();
    let hear = move |line: &str| lines.lock().expect("nobody panics with it").push(line.to_owned());
    Recorder::builder(session)
        .every_steps(1)
        .share(0.05)
        .to(store)
        .on_trouble(hear)
        .patience(Duration::from_millis(500))
}

fn weight(step: u64) -> MemorySource {
    let value = move |at: ndarray::IxDyn| (at[0] * 16 + at[1]) as f32 * 0.01 + step as f32;
    MemorySource::new().with("w", ArrayD::from_shape_fn(vec![16, 16], value))
}

/// So long that the recorder's own threads keep up, on a busy machine too.
fn step_takes_a_while() {
    std::thread::sleep(Duration::from_millis(30));
}

fn run_of<'a>(store: &'a MemoryStore, session: &str) -> Run<'a> {
    Run::open(store, &session.parse().expect("a name")).expect("a session")
}

/// What a source does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Fails,
    Panics,
    TooFew,
    TooMany,
    Elsewhere,
}

struct Faulty {
    inner: MemorySource,
    fault: Option<Fault>,
}

impl ParameterSource for Faulty {
    fn model(&self) -> &Model {
        self.inner.model()
    }

    fn read(
        &self,
        id: ParameterId,
        part: Part,
        range: Range<u64>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>> {
        let block = |start, values: &[f32], sink: &mut dyn Sink| {
            Ok(sink.block(Block { start, elements: Elements::F32(values) }))
        };
        match self.fault.filter(|_| part == Part::Stored) {
            None => self.inner.read(id, part, range, sink),
            Some(Fault::Fails) => Err(Error::malformed("the device is lost").in_tensor("w")),
            Some(Fault::Panics) => panic!("index out of bounds"),
            Some(Fault::TooFew) => block(range.start, &[1.0; 7], sink),
            Some(Fault::TooMany) => block(range.start, &[1.0; 100_000], sink),
            Some(Fault::Elsewhere) => block(1 << 60, &[1.0; 256], sink),
        }
    }
}

/// For fifty captures a source does the same wrong; then it is as it was.
#[test]
fn sources_that_fail_panic_or_lie_and_recover() {
    for fault in [Fault::Fails, Fault::Panics, Fault::TooFew, Fault::TooMany, Fault::Elsewhere] {
        let (store, heard) = (MemoryStore::new(), Heard::default());
        let mut recorder = builder("run", store.clone(), &heard).start().expect("a store");
        let hook = std::panic::take_hook();
        if fault == Fault::Panics {
            std::panic::set_hook(Box::new(|_| {}));
        }
        for step in 0..70 {
            step_takes_a_while();
            let fault = (10..60).contains(&step).then_some(fault);
            recorder.record(step, &Faulty { inner: weight(step), fault }, &[("loss", 1.0)]);
        }
        std::panic::set_hook(hook);
        let state = recorder.finish();
        let run = run_of(&store, "run");
        assert_eq!(run.scalars().expect("scalars")["loss"].len(), 70, "{fault:?}");
        let (step, snapshots) = run.nearest(69).expect("readable").expect("one");
        let value = snapshots[0].0.quantity(Quantity::Min, 0);
        assert!(step > 62 && value == Some(step as f32), "{fault:?}: {value:?} at step {step}");
        // A block in the wrong place has as many elements as were asked for; nobody can tell.
        if fault != Fault::Elsewhere {
            assert!((15..=50).contains(&state.failures), "{fault:?}: {}", state.failures);
            assert!((1..=4).contains(&heard.lines().len()), "{fault:?}: {:?}", heard.lines());
            assert!(
                heard.lines().iter().all(|line| line.starts_with("session run: ") && !line.contains('\n'))
            );
        }
    }
}

#[test]
fn a_second_recorder_of_a_session_is_refused_by_name_and_the_first_goes_on() {
    let (store, heard) = (MemoryStore::new(), Heard::default());
    let mut first = builder("shakespeare", store.clone(), &heard).start().expect("a store");
    step_takes_a_while();
    first.record(0, &weight(0), &[]);
    wait_for(|| run_of_is_there(&store, "shakespeare"));
    let mut second = builder("shakespeare", store.clone(), &heard).start().expect("a store");
    for step in 0..3 {
        step_takes_a_while();
        second.record(step, &weight(100 + step), &[]);
    }
    second.finish();
    step_takes_a_while();
    first.record(1, &weight(1), &[]);
    first.finish();
    let lines = heard.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("session shakespeare: somebody writes it")
            && lines[0].contains("nothing more is recorded")
    );
    let run = run_of(&store, "shakespeare");
    let (_, snapshots) = run.nearest(1).expect("readable").expect("one");
    assert_eq!(snapshots[0].0.quantity(Quantity::Min, 0), Some(1.0));
}

fn wait_for(is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < until, "it takes too long");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn run_of_is_there(store: &MemoryStore, session: &str) -> bool {
    let id: SessionId = session.parse().expect("a name");
    Run::open(store, &id).is_ok()
}

/// A run that crashed at step 7 begins again at step 5, where its checkpoint was: what it wrote of 5 and 6 before is no longer
/// true, and what it wrote of earlier steps is.
#[test]
fn a_run_that_is_resumed_keeps_what_came_before() {
    let (store, heard) = (MemoryStore::new(), Heard::default());
    let mut recorder = builder("run", store.clone(), &heard).start().expect("a store");
    for step in 0..7 {
        step_takes_a_while();
        recorder.record(step, &weight(step), &[("loss", 1.0)]);
    }
    drop(recorder);
    let mut recorder = builder("run", store.clone(), &heard).resume().start().expect("a store");
    for step in 5..9 {
        step_takes_a_while();
        recorder.record(step, &weight(50 + step), &[("loss", 2.0)]);
    }
    recorder.finish();
    assert_eq!(heard.lines(), Vec::<String>::new());
    let run = run_of(&store, "run");
    let loss: Vec<f64> = run.scalars().expect("scalars")["loss"].iter().map(|it| it.1).collect();
    assert_eq!(loss, [1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    let (steps, histories) = run.histories(&[("w".into(), Quantity::Min)]).expect("readable");
    let at = |step: u64| steps.iter().position(|&it| it == step).map(|at| histories[0].values[at]);
    assert_eq!((at(4), at(5)), (Some(4.0), Some(55.0)));
}

/// A store does what it is told to: fail, or stand still.
#[derive(Default)]
struct Gate {
    is_failing: AtomicBool,
    is_standing: AtomicBool,
    tried: AtomicUsize,
}

impl Behaviour for Gate {
    fn append(&self, _: &Writer, _: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        while self.is_standing.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.is_failing.load(Ordering::SeqCst) {
            return Err(Error::io(std::path::Path::new("runs"), std::io::ErrorKind::StorageFull.into()));
        }
        work()
    }
}

/// Full, and then not any more: scalars are all there, and of snapshots those that could wait.
#[test]
fn a_store_that_is_full_for_a_while() {
    let (inner, heard) = (MemoryStore::new(), Heard::default());
    let gate = Arc::new(Gate { is_failing: true.into(), ..Gate::default() });
    let mut recorder = builder("run", Behaving::new(inner.clone(), gate.clone()), &heard)
        .patience(Duration::from_secs(20))
        .start()
        .expect("a store");
    for step in 0..60 {
        step_takes_a_while();
        recorder.record(step, &weight(step), &[("loss", 1.0)]);
    }
    gate.is_failing.store(false, Ordering::SeqCst);
    let state = recorder.finish();
    let run = run_of(&inner, "run");
    assert_eq!(run.scalars().expect("scalars")["loss"].len(), 60);
    let steps = run.timeline().snapshot_steps();
    assert!(steps.contains(&59) && steps.len() >= 10, "{steps:?}");
    assert_eq!(steps.len() as u64 + state.lost, state.snapshots, "what was lost was counted");
    assert_eq!(heard.lines().len(), 1, "{:?}", heard.lines());
}

/// It stands still for the whole of a run, and afterwards: training is not held up, and the end comes within the patience.
#[test]
fn a_store_that_stands_still() {
    let (inner, heard) = (MemoryStore::new(), Heard::default());
    let gate = Arc::new(Gate { is_standing: true.into(), ..Gate::default() });
    let second = MemoryStore::new();
    let standing = Behaving::new(inner, gate.clone());
    let mut recorder = builder("run", standing, &heard).to(second.clone()).start().expect("a store");
    for step in 0..100 {
        step_takes_a_while();
        recorder.record(step, &weight(step), &[("loss", 1.0)]);
    }
    let begun = Instant::now();
    let state = recorder.finish();
    assert!(begun.elapsed() < Duration::from_secs(10), "the end comes");
    assert_eq!(gate.tried.load(Ordering::SeqCst), 1);
    assert_eq!(state.lost, state.snapshots, "all were lost, those that still waited too: {state:?}");
    assert!(state.lost > 10, "{state:?}");
    // A store that stands still keeps nothing from another one.
    assert_eq!(run_of(&second, "run").scalars().expect("scalars")["loss"].len(), 100);
    assert!(
        heard.lines().iter().any(|line| line.contains("has not taken everything in time")),
        "{:?}",
        heard.lines()
    );
    gate.is_standing.store(false, Ordering::SeqCst);
}

/// Twenty thousand parameters: statistics alone are more than a snapshot may be. They take turns, and every one has its turn.
#[test]
fn twenty_thousand_parameters_take_turns() {
    let (store, heard) = (MemoryStore::new(), Heard::default());
    let mut source = MemorySource::new();
    for at in 0..20_000u32 {
        source = source.with(format!("h.{at}.weight"), ndarray::arr2(&[[at as f32, 1.0], [2.0, 3.0]]));
    }
    let most = 1_000_000;
    let mut recorder = builder("run", store.clone(), &heard).bytes(most).start().expect("a store");
    // A capture takes longer than its share of a few steps, so there are few: as many as all turns need.
    let until = Instant::now() + Duration::from_secs(60);
    let mut step = 0;
    while recorder.state().snapshots < 8 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        recorder.record(step, &source, &[]);
        step += 1;
    }
    let state = recorder.finish();
    assert!(state.share < 0.15, "{state:?}");
    assert_eq!(heard.lines(), Vec::<String>::new());
    let run = run_of(&store, "run");
    let records = run.snapshots();
    assert!(records.len() >= 8, "{state:?}");
    let mut seen = vec![false; 20_000];
    for record in &records {
        assert!(record.bytes <= most as u64, "{}", record.bytes);
        let snapshot = run.summary(record.id).expect("readable");
        for (at, seen) in seen.iter_mut().enumerate() {
            *seen |= snapshot.quantity(Quantity::Std, at).is_some_and(f32::is_finite);
        }
    }
    let missing = seen.iter().filter(|it| !**it).count();
    assert_eq!(missing, 0, "of {} snapshots", records.len());
}

#[test]
fn what_is_no_probe_is_told() {
    let (store, heard) = (MemoryStore::new(), Heard::default());
    let mut recorder = builder("run", store, &heard).start().expect("a store");
    recorder.probe(0, "attention", &[2, 2], &[1.0; 3]);
    recorder.probe(0, "all", &[20_000], &[1.0; 20_000]);
    recorder.probe(0, "odd", &[usize::MAX, 2], &[]);
    assert_eq!((recorder.finish().failures, heard.lines().len()), (3, 3));
}
