//! A line to a service breaks while a run is recorded: training goes on, and so does recording. `cargo xtask test` starts the
//! service and says where it is.
#![expect(clippy::print_stdout, reason = "how it went is worth knowing")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ndarray::Array2;
use quantviz_core::{
    Budget, Entry, MemorySource, Record, RecordId, RecordKind, Result, Run, SessionId, SnapshotStore, Writer,
};
use quantviz_record::Recorder;
use quantviz_store::SessionStore;
use quantviz_testkit::{Behaving, Behaviour, Proxy};

/// Snapshots that may stay whole: so few that some go all the time.
const MOST: u64 = 20;

/// Takes down what the store says it has kept.
#[derive(Default)]
struct Acknowledged(Mutex<Vec<Record>>);

impl Behaviour for Acknowledged {
    fn append(&self, _: &Writer, _: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        let record = work()?;
        self.0.lock().expect("nobody panics with it").push(record);
        Ok(record)
    }
}

impl Acknowledged {
    fn all(&self) -> Vec<Record> {
        self.0.lock().expect("nobody panics with it").clone()
    }
}

/// A run that is trained and recorded.
struct Training {
    recorder: Recorder,
    acknowledged: Arc<Acknowledged>,
    heard: Arc<Mutex<Vec<String>>>,
    step: u64,
    /// Calls in which parameters were looked at.
    captures: u64,
}

impl Training {
    fn one_step(&mut self) {
        std::thread::sleep(Duration::from_millis(11));
        let step = self.step;
        let value = move |(row, column)| (row * 64 + column) as f32 * 0.01 + step as f32;
        let source = MemorySource::new().with("w", Array2::from_shape_fn((64, 64), value));
        self.recorder.record(step, &source, &[("loss", 1.0)]);
        self.captures += u64::from(self.recorder.state().budget.is_some());
        self.step += 1;
    }

    fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + Duration::from_secs(90);
        while !is_so(self) {
            assert!(Instant::now() < until, "{what}: it takes too long; {:?}", self.recorder.state());
            self.one_step();
        }
    }

    /// Some more snapshots get to the store.
    fn recovers(&mut self) {
        let snapshots =
            |it: &Self| it.acknowledged.all().iter().filter(|it| it.kind == RecordKind::Snapshot).count();
        let before = snapshots(self);
        self.until("nothing gets through", |it| snapshots(it) >= before + 10);
    }

    /// Trains while nothing gets through. What is looked at, and what snapshots are made of it, is the same as ever.
    fn goes_on(&mut self) {
        let (captures, made) = (self.captures, self.recorder.state().snapshots);
        self.until("it is not looked at", |it| it.captures >= captures + 60);
        self.until("no snapshots are made", |it| it.recorder.state().snapshots >= made + 50);
    }

    /// What was told of snapshots that do not get through; of those that stay, though they are too many, apart.
    fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("nobody panics with it");
        heard.iter().filter(|line| !line.contains("that are too many stay")).cloned().collect()
    }
}

fn address(name: &str) -> Option<SocketAddr> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[ignore = "needs a service behind a line: QUANTVIZ_CLOUD_STORE, QUANTVIZ_CLOUD_LINE, QUANTVIZ_CLOUD_SERVER"]
fn recording_goes_on_over_a_line_that_breaks() {
    let place = std::env::var("QUANTVIZ_CLOUD_STORE").expect("QUANTVIZ_CLOUD_STORE is a URL");
    let Some((line, server)) = address("QUANTVIZ_CLOUD_LINE").zip(address("QUANTVIZ_CLOUD_SERVER")) else {
        return println!("skipped: there is no line to it");
    };
    let line = Proxy::new(line, server).expect("nobody listens there");
    let store = SessionStore::at(&format!("{place}/recorded")).expect("it can be reached");
    let acknowledged = Arc::new(Acknowledged::default());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let lines = heard.clone();
    let mut budget = Budget::ALL;
    budget.snapshots = Some(MOST);
    let recorder = Recorder::builder("run")
        .every_steps(1)
        .share(0.05)
        .keep(budget)
        .to(Behaving::new(store.clone(), acknowledged.clone()))
        .on_trouble(move |line| lines.lock().expect("nobody panics with it").push(line.to_owned()))
        .patience(Duration::from_secs(60))
        .start()
        .expect("a store");
    let mut training = Training { recorder, acknowledged, heard, step: 0, captures: 0 };
    // The session itself is opened over a line whose answers are lost.
    line.cut_the_answer();
    training.until("nothing is answered", |_| line.is_cut());
    line.restore();
    training.recovers();
    println!("opened: {:?}", training.recorder.state());

    let breaks: [(&str, &dyn Fn()); 4] = [
        ("between requests", &|| line.cut()),
        ("in the middle of a body", &|| line.cut_after(3_000)),
        ("before the answer", &|| line.cut_the_answer()),
        ("silence", &|| line.swallow()),
    ];
    for (what, cut) in breaks {
        cut();
        training.until("the line holds", |it| what == "silence" || line.is_cut() || it.step > 100_000);
        // What was on its way may have arrived.
        (0..3).for_each(|_| training.one_step());
        let before = training.acknowledged.all().len();
        let lost = training.recorder.state().lost;
        training.goes_on();
        let state = training.recorder.state();
        assert_eq!(training.acknowledged.all().len(), before, "{what}: nothing can have arrived");
        assert!(state.lost > lost, "{what}: what does not fit is dropped, and counted: {state:?}");
        line.restore();
        training.recovers();
        println!("{what}: {:?}; told: {:?}", training.recorder.state(), training.lines());
    }

    // So long that the service is given up for a while, several times.
    let told = training.lines().len();
    line.cut();
    training.until("it is never given up", |it| it.lines().len() > told);
    let until = Instant::now() + Duration::from_secs(3);
    training.until("", |_| Instant::now() > until);
    assert_eq!(training.lines().len(), told + 1, "told once: {:?}", training.lines());
    line.restore();
    training.recovers();
    assert_eq!(training.lines().len(), told + 1, "told once: {:?}", training.lines());

    let Training { recorder, acknowledged, heard, captures, step, .. } = training;
    let state = recorder.finish();
    let lines = heard.lock().expect("nobody panics with it").clone();
    println!("finished: {state:?}, {captures} captures, {step} steps; told: {lines:#?}");
    assert_eq!(state.failures, 0, "nothing went wrong in the training loop");
    assert!(
        lines.len() <= 12,
        "once each time at most, of what is written and of what is thinned: {lines:#?}"
    );
    for told in &lines {
        assert!(told.starts_with("session run: ") && !told.contains('\n') && told.len() < 400, "{told}");
    }
    let session: SessionId = "run".parse().expect("a name");
    // A turn of thinning that had begun goes on for a while: what it takes is gone from under whoever listed it before.
    let (mut run, mut halves) = (Run::open(&store, &session).expect("a session"), Vec::new());
    for _ in 0..20 {
        let records = || run.timeline().records();
        let there: Vec<RecordId> = records().map(|it| it.id).collect();
        let whole: Vec<RecordId> = records().filter(|it| !it.is_thinned).map(|it| it.id).collect();
        let read = store.read(&session, &whole).expect("read");
        let summaries = store.summaries(&session, &there).expect("read");
        halves = read
            .iter()
            .chain(&summaries)
            .filter_map(|it| it.as_ref().err().map(ToString::to_string))
            .collect();
        if halves.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
        run = Run::open(&store, &session).expect("a session");
    }
    assert_eq!(halves, Vec::<String>::new(), "nothing is there by halves");
    let there: Vec<RecordId> = run.timeline().records().map(|it| it.id).collect();
    for id in acknowledged.all().iter().map(|it| it.id) {
        assert!(there.contains(&id), "{id} was acknowledged and is gone");
    }
    let (all, left) = (run.snapshots().len(), run.timeline().snapshot_steps().len());
    println!("{left} of {all} snapshots are whole");
    assert!(left as u64 <= MOST + 2 && left < all, "{left} of {all} snapshots are whole");
    assert_eq!(run.scalars().expect("scalars")["loss"].len() as u64, step, "scalars are never dropped");
    let kept = run.timeline().records().filter(|it| it.kind == RecordKind::Snapshot).count() as u64;
    // Captures that were dropped before they became snapshots are lost too, and no snapshots.
    assert_eq!(kept + state.lost, captures, "every one is there or was counted: {state:?}");
}
