//! A process that records and thins is killed, again and again: what was acknowledged is there, whole or thinned by rule, and
//! nothing by halves.
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use ndarray::ArrayD;
use quantviz_core::{
    Budget, Cursor, Entry, MemorySource, Quantity, Record, RecordId, RecordKind, Result, Run, SessionId,
    Snapshot, SnapshotStore, Timeline, Writer,
};
use quantviz_record::Recorder;
use quantviz_store::SessionStore;
use quantviz_testkit::{Behaving, Behaviour};

const KILLS: u64 = 40;
const MOST: u64 = 6;
/// Set for the process that records: where, and from which step on.
const PLACE: &str = "QUANTVIZ_RECORDS_UNTIL_KILLED";
const FROM: &str = "QUANTVIZ_RECORDS_FROM";

fn id() -> SessionId {
    "killed".parse().expect("a name")
}

/// Says what is kept.
struct Telling;

impl Behaviour for Telling {
    fn append(&self, _: &Writer, _: &Entry, work: &dyn Fn() -> Result<Record>) -> Result<Record> {
        let record = work()?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "kept {}", record.id).and_then(|()| out.flush()).expect("somebody listens");
        Ok(record)
    }
}

/// Runs as a process of its own, and hardly ever ends by itself.
#[test]
#[ignore = "the other test runs it, to kill it"]
fn record_until_killed() {
    let (Ok(place), Ok(from)) = (std::env::var(PLACE), std::env::var(FROM)) else { return };
    let from: u64 = from.parse().expect("a step");
    let mut budget = Budget::ALL;
    budget.snapshots = Some(MOST);
    let mut recorder = Recorder::builder("killed")
        .every_steps(1)
        .share(0.05)
        .keep(budget)
        .resume()
        .to(Behaving::new(SessionStore::at(&place).expect("it is there"), Telling))
        .start()
        .expect("a store");
    for step in from..from + 3_000 {
        std::thread::sleep(Duration::from_millis(11));
        let value = move |at: ndarray::IxDyn| (at[0] * 16 + at[1]) as f32 * 0.01 + step as f32;
        let source = MemorySource::new().with("w", ArrayD::from_shape_fn(vec![16, 16], value));
        recorder.record(step, &source, &[("loss", 1.0)]);
    }
}

/// What was acknowledged until the kill.
fn kill_after(place: &str, from: u64, delay: Duration) -> Vec<RecordId> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "record_until_killed", "--ignored", "--nocapture"])
        .env(PLACE, place)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let reader = std::thread::spawn(move || {
        // A pipe takes a line whole or not at all.
        let kept = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
        kept.collect::<Vec<RecordId>>()
    });
    std::thread::sleep(delay);
    child.kill().expect("it was running");
    child.wait().expect("killed");
    reader.join().expect("read")
}

#[test]
fn what_was_acknowledged_is_there_or_was_thinned_by_rule() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    SessionStore::create(place).expect("a folder");
    let (mut acknowledged, mut from, mut most) = (Vec::new(), 0, 0);
    for kill in 0..KILLS {
        // Most are killed while they write and thin, some before.
        let delay = Duration::from_millis(40 + kill * 7919 % 500);
        acknowledged.extend(kill_after(place, from, delay));
        let store = SessionStore::at(place).expect("it is there");
        let records = store.records(&id(), &Cursor::default()).expect("listed");
        let by_id: BTreeMap<RecordId, Record> = records.iter().map(|it| (it.id, *it)).collect();
        for id in &acknowledged {
            assert!(by_id.contains_key(id), "kill {kill}: {id} was acknowledged and is gone");
        }
        check_snapshots(&store, &records);
        let timeline = Timeline::of(records.iter().copied());
        let all: Vec<&Record> = timeline.alive().filter(|it| it.kind == RecordKind::Snapshot).collect();
        let (first, last) = (all.iter().min_by_key(|it| it.step), all.iter().max_by_key(|it| it.step));
        assert!(first.is_none_or(|it| it.is_whole_snapshot()), "kill {kill}: the first stays");
        let last_epoch = records.iter().map(|it| it.id.epoch).max();
        let is_last = last.is_none_or(|it| it.is_whole_snapshot() || Some(it.id.epoch) < last_epoch);
        assert!(is_last, "kill {kill}: the last stays");
        most = most.max(records.iter().filter(|it| it.is_whole_snapshot()).count());
        // Now and then a run goes on from an earlier step.
        let next = last.map_or(0, |it| it.step + 1);
        from = if kill % 4 == 3 { next.saturating_sub(5) } else { next };
    }
    let store = SessionStore::at(place).expect("it is there");
    let run = Run::open(&store, &id()).expect("a session");
    let (steps, histories) =
        run.histories(&[("w".into(), Quantity::Min), ("w".into(), Quantity::AsOf)]).expect("readable");
    assert!(histories[0].values.iter().all(|it| it.is_finite()));
    assert_eq!(histories[0].values, histories[1].values, "of every step, what was recorded");
    let thinned = run.timeline().records().filter(|it| it.is_thinned).count();
    println!(
        "{KILLS} kills: {} records acknowledged and there, {} steps, {thinned} snapshots thinned, {most} whole at most",
        acknowledged.len(),
        steps.len()
    );
    assert!(steps.len() > 40 && thinned > 30, "hardly anything was recorded");
    // One that was not thinned yet when it was killed, and perhaps another before that was again.
    assert!(most as u64 <= MOST + 5, "{most}");
}

fn check_snapshots(store: &dyn SnapshotStore, records: &[Record]) {
    let snapshots: Vec<&Record> = records.iter().filter(|it| it.kind == RecordKind::Snapshot).collect();
    let ids: Vec<RecordId> = snapshots.iter().map(|it| it.id).collect();
    let read = |summaries: bool| match summaries {
        true => store.summaries(&id(), &ids).expect("readable"),
        false => store.read(&id(), &ids).expect("readable"),
    };
    for ((record, whole), summary) in snapshots.iter().zip(read(false)).zip(read(true)) {
        let summary = Snapshot::parse(summary.expect("every summary is there")).expect("a whole one");
        assert_eq!(summary.header().step, record.step);
        match whole {
            Ok(bytes) => drop(Snapshot::parse(bytes).expect("a whole one")),
            Err(error) => assert!(record.is_thinned, "{error}"),
        }
    }
}
