//! How fast training runs are written and read: `cargo bench -p quantviz-benches --bench sessions`.
//!
//! Snapshots have the shape of a GPT-2-small: 148 parameters, 50 matrices, 15 KB of statistics. Beside every figure stands
//! what it has to be.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::Criterion;
use quantviz::store::SessionStore;
use quantviz_core::{
    ArrayWriter, Cell, Cursor, Entry, Opening, Rank, RecordId, RecordKind, SessionId, SnapshotHeader,
    SnapshotStore, Track,
};

const PARAMETERS: usize = 148;
const MATRICES: usize = 50;
/// One less than 40 segments: so many are in none as there can be.
const SNAPSHOTS: u64 = 40 * 256 - 1;
const APPENDED: usize = 200;
const HEAVY: usize = 240 << 10;

/// What a recorder writes, with so many bytes beside the statistics.
fn snapshot(step: u64, heavy: usize) -> Entry {
    let value = |at: usize| (step as usize * 31 + at * 17) as f32 / 1e3;
    let column = |len: usize| (0..len).map(value).collect::<Vec<f32>>();
    let mut arrays = ArrayWriter::default();
    for name in ["min", "max", "mean", "std", "kurtosis", "update_rms", "delta_rms"] {
        arrays.push(Track::Light, format!("w.{name}"), &[PARAMETERS], &column(PARAMETERS));
    }
    for name in ["min", "max", "mean", "std"] {
        arrays.push(Track::Light, format!("g.{name}"), &[PARAMETERS], &column(PARAMETERS));
    }
    for name in ["w.zeros", "g.zeros", "w.non_finite", "g.non_finite", "w.as_of"] {
        arrays.push(Track::Light, name, &[PARAMETERS], &[step as u32; PARAMETERS]);
    }
    for at in 0..13 {
        arrays.push(Track::Light, format!("f.feature{at}"), &[MATRICES], &column(MATRICES));
    }
    arrays.push(Track::Light, "exact", &[PARAMETERS], &[1u8; PARAMETERS]);
    arrays.push(Track::Heavy, "t.rms", &[heavy], &vec![step as u8; heavy]);
    let written = SnapshotHeader::new("bench", Rank::ONLY, step, "plan").write(arrays).expect("writable");
    Entry::snapshot(step, step + 1, written.bytes, written.summary_len)
}

fn session() -> SessionId {
    "bench".parse().expect("a name")
}

fn open(folder: &Path) -> SessionStore {
    SessionStore::create(folder.to_str().expect("UTF-8")).expect("a folder")
}

fn folder(name: &str) -> PathBuf {
    // Not where temporary files are: that may be no disk.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-files/sessions").join(name)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn middle_and_worst(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    (ms(times[times.len() / 2]), ms(times[times.len() - 1]))
}

/// Alternating with a plain write, a sync of the file and one of its folder: what the disk can do.
fn appending() {
    let [kept, plain] = ["appended", "plain"].map(folder);
    for folder in [&kept, &plain] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder");
    }
    let store = open(&kept);
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for step in 0..APPENDED as u64 {
        let entry = snapshot(step, HEAVY);
        let begun = Instant::now();
        store.append(&writer, &entry).expect("kept");
        ours.push(begun.elapsed());
        let begun = Instant::now();
        let mut file = File::create(plain.join(step.to_string())).expect("writable");
        file.write_all(&entry.bytes).and_then(|()| file.sync_all()).expect("written");
        File::open(&plain).and_then(|it| it.sync_all()).expect("synced");
        theirs.push(begun.elapsed());
    }
    let megabytes = snapshot(0, HEAVY).bytes.len() as f64 / 1e6;
    let rate =
        |times: &[Duration]| megabytes * times.len() as f64 / times.iter().sum::<Duration>().as_secs_f64();
    println!(
        "append {:.0} KB: {:.0} MB/s; write, fsync and fsync of the folder: {:.0} MB/s (that, or 200 MB/s)",
        megabytes * 1e3,
        rate(&ours),
        rate(&theirs)
    );
    let ((middle, worst), (their_middle, their_worst)) = (middle_and_worst(ours), middle_and_worst(theirs));
    println!(
        "  each: {middle:.2} ms, at worst {worst:.1}; plain {their_middle:.2} ms, at worst {their_worst:.1}"
    );
    let _ = fs::remove_dir_all(kept);
    let _ = fs::remove_dir_all(plain);
}

/// The session of 10,000; made once, without syncing every file: what is written is what `append` would.
fn long_run() -> SessionStore {
    let place = folder("long");
    let last = RecordId { rank: 0, epoch: 1, seq: SNAPSHOTS };
    let store = open(&place);
    let records = store.records(&session(), &Cursor::default()).expect("listed");
    if records.last().map(|it| it.id) != Some(last) {
        let _ = fs::remove_dir_all(&place);
        let store = open(&place);
        store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
        for step in 0..SNAPSHOTS {
            let entry = snapshot(step, 64);
            let (id, len, summary) = (entry.seq, entry.bytes.len(), entry.summary_len);
            let name =
                format!("{id:020}.snapshot.from{step}.step{step}.time{step}.bytes{len}.summary{summary}.of1");
            let folder = place.join(format!("bench/log/00000/0000000001/{:017}", id / 1000));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), &entry.bytes).expect("written");
        }
    }
    open(&place)
}

fn reading(criterion: &mut Criterion) {
    let store = long_run();
    let begun = Instant::now();
    let records = store.records(&session(), &Cursor::default()).expect("listed");
    let ids: Vec<RecordId> =
        records.iter().filter(|it| it.kind == RecordKind::Snapshot).map(|it| it.id).collect();
    println!("listing {} records: {:.0} ms", records.len(), ms(begun.elapsed()));

    let seek = |at: usize| {
        let read = store.read(&session(), &[ids[at * 7919 % ids.len()]]).expect("readable");
        assert!(read[0].is_ok());
    };
    let seeks = (0..200).map(|at| {
        let begun = Instant::now();
        seek(at);
        begun.elapsed()
    });
    let (middle, worst) = middle_and_worst(seeks.collect());
    println!("seek to any of {}: {middle:.1} ms, at worst {worst:.1} (under 20 ms)", ids.len());

    let history = |store: &SessionStore, at: u32| {
        let begun = Instant::now();
        let cell = Cell::new("w.std", at);
        let columns = store.columns(&session(), &ids, &[cell]).expect("readable");
        let time = begun.elapsed();
        assert!(
            columns[0]
                .iter()
                .enumerate()
                .all(|(step, &it)| it == (step * 31 + at as usize * 17) as f32 / 1e3)
        );
        time
    };
    let segments = folder("long").join("bench/segments");
    if !segments.exists() {
        println!("history from {} summaries alone: {:.0} ms", ids.len(), ms(history(&store, 0)));
    }
    let begun = Instant::now();
    let written = store.compact(&session()).expect("writable");
    println!("compacting: {written} segments in {:.0} ms", ms(begun.elapsed()));
    let new = || open(&folder("long"));
    let (first, first_worst) = middle_and_worst((0..20).map(|at| history(&new(), at)).collect());
    let (again, again_worst) = middle_and_worst((0..100).map(|at| history(&store, at)).collect());
    println!(
        "history over {}: {again:.1} ms, at worst {again_worst:.1}; of a store just opened {first:.1}, at worst {first_worst:.1} (under 50 ms)",
        ids.len()
    );
    let mut group = criterion.benchmark_group("sessions");
    let mut at = 0;
    group.bench_function("seek", |bencher| {
        bencher.iter(|| {
            at += 1;
            seek(at);
        });
    });
    group.bench_function("history", |bencher| bencher.iter(|| history(&store, 7)));
    group.finish();
}

fn main() {
    println!("cargo bench -p quantviz-benches --bench sessions");
    appending();
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    reading(&mut criterion);
    criterion.final_summary();
}
