//! How fast training runs are written and read: `cargo bench -p quantviz-benches --bench sessions`.
//!
//! Snapshots have the shape of a GPT-2-small: 148 parameters, 50 matrices, 15 KB of statistics. Beside every figure stands
//! what it has to be, and below it what the same bytes take without us, in turns: so that a busy machine can be told from a
//! slow store.
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::Criterion;
use quantviz::store::SessionStore;
use quantviz_core::{
    ArrayWriter, Cell, Cursor, Entry, Opening, Rank, RecordId, RecordKind, Run, ScalarBatch, SessionId,
    SnapshotHeader, SnapshotStore, Track,
};

const PARAMETERS: usize = 148;
const MATRICES: usize = 50;
/// One less than 40 segments: so many are in none as there can be.
const SNAPSHOTS: u64 = 40 * 256 - 1;
const APPENDED: u64 = 400;
const SECONDS: u64 = 20_000;
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

/// What something took, every time.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.0.push(begun.elapsed());
        done
    }

    fn megabytes_per_second(&self, bytes_each: usize) -> f64 {
        bytes_each as f64 / 1e6 * self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }
}

/// The median, 99 of 100, and the worst.
impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |share: f64| ms(sorted[((sorted.len() - 1) as f64 * share).round() as usize]);
        write!(f, "{:6.2} ms, p99 {:6.2}, worst {:6.2}", at(0.5), at(0.99), at(1.0))
    }
}

fn tell(what: &str, times: &Times, has_to_be: &str) {
    println!("  {what:<58} {times}   {has_to_be}");
}

/// Writes a file and syncs it, under its name at once or, so that it is never there by halves, under another first; then
/// syncs the folder.
fn write_plainly(folder: &Path, name: &str, bytes: &[u8], is_whole_or_not_at_all: bool) {
    let at = folder.join(name);
    let first = if is_whole_or_not_at_all { folder.join(format!("{name}#1")) } else { at.clone() };
    let mut file = File::create(&first).expect("writable");
    file.write_all(bytes).and_then(|()| file.sync_all()).expect("written");
    if is_whole_or_not_at_all {
        fs::rename(first, at).expect("renamed");
    }
    File::open(folder).and_then(|it| it.sync_all()).expect("synced");
}

/// In turns with what the disk can do.
fn appending() {
    let [kept, plain] = ["appended", "plain"].map(folder);
    for folder in [&kept, &plain] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder");
    }
    let store = open(&kept);
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let [mut ours, mut whole, mut bare] = [(); 3].map(|()| Times::default());
    for step in 0..APPENDED {
        let entry = snapshot(step, HEAVY);
        for turn in 0..3 {
            match (step + turn) % 3 {
                0 => drop(ours.of(|| store.append(&writer, &entry).expect("kept"))),
                1 => whole.of(|| write_plainly(&plain, &format!("whole{step}"), &entry.bytes, true)),
                _ => bare.of(|| write_plainly(&plain, &format!("bare{step}"), &entry.bytes, false)),
            }
        }
    }
    let bytes = snapshot(0, HEAVY).bytes.len();
    println!("append {} KB (at the rate of the disk, or 200 MB/s)", bytes / 1000);
    for (what, times) in [
        ("append", &ours),
        ("write, fsync, rename, fsync of the folder", &whole),
        ("write, fsync, fsync of the folder: may be there by halves", &bare),
    ] {
        tell(what, times, &format!("{:.0} MB/s", times.megabytes_per_second(bytes)));
    }
    let _ = fs::remove_dir_all(kept);
    let _ = fs::remove_dir_all(plain);
}

/// Where a record is.
fn file_of(place: &Path, seq: u64, is_it: impl Fn(&str) -> bool) -> PathBuf {
    let folder = place.join(format!("bench/log/00000/0000000001/{:017}", seq / 1000));
    let names = fs::read_dir(folder).expect("there").map(|it| it.expect("readable").path());
    names.into_iter().find(|it| is_it(&it.to_string_lossy())).expect("it is there")
}

/// A session of so many records; made once, without syncing every file: what is written is what `append` would.
fn long_run(name: &str, count: u64, entry: impl Fn(u64) -> Entry) -> PathBuf {
    let place = folder(name);
    let last = RecordId { rank: 0, epoch: 1, seq: count };
    let store = open(&place);
    let records = store.records(&session(), &Cursor::default()).expect("listed");
    if records.last().map(|it| it.id) != Some(last) {
        let _ = fs::remove_dir_all(&place);
        let store = open(&place);
        store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
        for at in 0..count {
            let Entry { kind, step, first_step, seq, bytes, summary_len, .. } = entry(at);
            let len = bytes.len();
            let name = format!(
                "{seq:020}.{kind}.from{first_step}.step{step}.time{step}.bytes{len}.summary{summary_len}.of1"
            );
            let folder = place.join(format!("bench/log/00000/0000000001/{:017}", seq / 1000));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(folder.join(name), &bytes).expect("written");
        }
    }
    place
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|it| it.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn reading(criterion: &mut Criterion) {
    let place = long_run("long", SNAPSHOTS, |step| snapshot(step, 64));
    let new = || open(&place);
    let store = new();
    let mut listing = Times::default();
    let records = listing.of(|| store.records(&session(), &Cursor::default()).expect("listed"));
    (0..10).for_each(|_| drop(listing.of(|| store.records(&session(), &Cursor::default()))));
    let ids: Vec<RecordId> =
        records.iter().filter(|it| it.kind == RecordKind::Snapshot).map(|it| it.id).collect();
    println!("{} snapshots", ids.len());
    tell("listing all of them", &listing, "");

    let any = |at: usize| ids[at * 7919 % ids.len()];
    let seek = |store: &SessionStore, at: usize| {
        assert!(store.read(&session(), &[any(at)]).expect("readable")[0].is_ok());
    };
    let [mut seeks, mut first, mut plain] = [(); 3].map(|()| Times::default());
    for at in 0..1000 {
        let name = format!("/{:020}.", any(at).seq);
        let file = file_of(&place, any(at).seq, |it| it.contains(&name));
        // Whoever comes first waits for the disk.
        let read_plainly = |plain: &mut Times| drop(plain.of(|| fs::read(&file).expect("readable")));
        if at % 2 == 0 {
            read_plainly(&mut plain);
        }
        seeks.of(|| seek(&store, at));
        if at % 2 == 1 {
            read_plainly(&mut plain);
        }
        if at % 20 == 0 {
            let new = new();
            first.of(|| seek(&new, at + 1));
        }
    }
    tell("seek", &seeks, "(under 20 ms)");
    tell("seek of a store just opened", &first, "(under 20 ms)");
    tell("reading the same file", &plain, "");

    let history = |store: &SessionStore, at: u32| {
        let columns = store.columns(&session(), &ids, &[Cell::new("w.std", at)]).expect("readable");
        let value = |step: usize| (step * 31 + at as usize * 17) as f32 / 1e3;
        assert!(columns[0].iter().enumerate().all(|(step, &it)| it == value(step)));
    };
    let segments = place.join("bench/segments");
    if !segments.exists() {
        let mut alone = Times::default();
        alone.of(|| history(&store, 0));
        tell("history from summaries alone", &alone, "");
    }
    let begun = Instant::now();
    let written = store.compact(&session()).expect("writable");
    println!("  compacting: {written} segments in {:.0} ms", ms(begun.elapsed()));
    let segments = files(&segments);
    let loose: Vec<PathBuf> = ids[ids.len() - ids.len() % 256..]
        .iter()
        .map(|id| file_of(&place, id.seq, |it| it.contains(&format!("/{:020}.", id.seq))))
        .collect();
    let read_plainly = || {
        for file in &segments {
            let mut column = [0; 1024];
            File::open(file).and_then(|mut it| it.read_exact(&mut column)).expect("readable");
        }
        loose.iter().for_each(|file| drop(fs::read(file).expect("readable")));
    };
    let [mut again, mut first, mut plain] = [(); 3].map(|()| Times::default());
    for at in 0..200 {
        again.of(|| history(&store, at % 148));
        plain.of(read_plainly);
        if at % 4 == 0 {
            let new = new();
            first.of(|| history(&new, at % 148));
        }
    }
    tell("history", &again, "(under 50 ms)");
    tell("history of a store just opened", &first, "(under 50 ms)");
    let what = format!("reading {} columns and {} files", segments.len(), loose.len());
    tell(&what, &plain, "");
    let mut group = criterion.benchmark_group("sessions");
    let mut at = 0;
    group.bench_function("seek", |bencher| {
        bencher.iter(|| {
            at += 1;
            seek(&store, at);
        });
    });
    group.bench_function("history", |bencher| bencher.iter(|| history(&store, 7)));
    group.finish();
}

/// What a recorder writes every second beside snapshots: three numbers of ten steps.
fn scalars(second: u64) -> Entry {
    let steps = second * 10..second * 10 + 10;
    let value = |step: u64, of: f64| of / (1.0 + step as f64 / 300.0);
    let row = |step| {
        let said = [("loss", 4.0), ("lr", 1e-3), ("grad_norm", 2.0)];
        (step, said.map(|(name, of)| (name.to_owned(), value(step, of))).to_vec())
    };
    let batch = ScalarBatch::of(&steps.map(row).collect::<Vec<_>>()).to_bytes().expect("JSON");
    Entry::new(RecordKind::Scalars, second * 10 + 9, second + 1, batch).from_step(second * 10)
}

/// The loss of 20,000 seconds.
fn reading_scalars() {
    let place = long_run("scalars", SECONDS, scalars);
    let packs = place.join("bench/packs");
    println!("scalars of {SECONDS} batches");
    let loss = |times: &mut [Times; 2]| {
        let store = open(&place);
        let run = times[0].of(|| Run::open(&store, &session()).expect("there"));
        let scalars = times[1].of(|| run.scalars().expect("readable"));
        assert_eq!(scalars["loss"].len() as u64, SECONDS * 10);
    };
    if !packs.exists() {
        let mut alone = [(); 2].map(|()| Times::default());
        loss(&mut alone);
        tell("all scalars, each batch alone", &alone[1], "");
    }
    let begun = Instant::now();
    let written = open(&place).compact(&session()).expect("writable");
    println!("  compacting: {written} packs in {:.0} ms", ms(begun.elapsed()));
    let packs = files(&packs);
    let mut times = [(); 2].map(|()| Times::default());
    let mut plain = Times::default();
    for _ in 0..20 {
        loss(&mut times);
        plain.of(|| packs.iter().for_each(|file| drop(fs::read(file).expect("readable"))));
    }
    tell("opening the run, which lists it", &times[0], "");
    tell("all scalars", &times[1], "");
    tell(&format!("reading {} packs", packs.len()), &plain, "");
}

fn main() {
    println!("cargo bench -p quantviz-benches --bench sessions");
    appending();
    reading_scalars();
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    reading(&mut criterion);
    criterion.final_summary();
}
