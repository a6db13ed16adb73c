//! Columns that come from segments are those that come from summaries, whatever happened to the session or to its segments.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use object_store::memory::InMemory;
use proptest::prelude::*;
use quantviz_core::{
    ArrayWriter, Cell, Cursor, Entry, Opening, Rank, Record, RecordId, RecordKind, Result, SessionId,
    SessionInfo, SnapshotHeader, SnapshotStore, Track, Writer, bf16,
};
use quantviz_store::SessionStore;

/// A store that keeps no columns.
struct Plain<'a>(&'a SessionStore);

impl SnapshotStore for Plain<'_> {
    fn sessions(&self) -> Result<Vec<SessionInfo>> {
        self.0.sessions()
    }
    fn open(&self, session: &SessionId, rank: Rank, opening: Opening) -> Result<Writer> {
        self.0.open(session, rank, opening)
    }
    fn append(&self, writer: &Writer, entry: &Entry) -> Result<Record> {
        self.0.append(writer, entry)
    }
    fn beat(&self, writer: &Writer) -> Result<()> {
        self.0.beat(writer)
    }
    fn records(&self, session: &SessionId, after: &Cursor) -> Result<Vec<Record>> {
        self.0.records(session, after)
    }
    fn read(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.0.read(session, which)
    }
    fn summaries(&self, session: &SessionId, which: &[RecordId]) -> Result<Vec<Result<Arc<[u8]>>>> {
        self.0.summaries(session, which)
    }
    fn thin(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.0.thin(session, which)
    }
    fn remove(&self, session: &SessionId, which: &[RecordId]) -> Result<()> {
        self.0.remove(session, which)
    }
    fn remove_session(&self, session: &SessionId) -> Result<()> {
        self.0.remove_session(session)
    }
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn session() -> SessionId {
    "run".parse().expect("a name")
}

/// A snapshot of five parameters: of all, of some in turn, of some only now and then, of more from the 400th step on.
fn snapshot(step: u64, seq: u64) -> Entry {
    let number = |at: u64| (step * 8 + at) as f32;
    let column: Vec<f32> = (0..5).map(number).collect();
    let mut arrays = ArrayWriter::default();
    arrays.push(Track::Light, "w.std", &[5], &column);
    arrays.push(Track::Light, "w.zeros", &[5], &[step as u32; 5]);
    arrays.push(
        Track::Light,
        "w.rms",
        &[5],
        &column.iter().map(|&it| bf16::from_f32(it)).collect::<Vec<_>>(),
    );
    arrays.push(Track::Light, "exact", &[5], &[(step % 2) as u8; 5]);
    let turn = (step % 4) as u32;
    arrays.push(Track::Light, "g.of", &[2], &[turn, turn + 1]);
    arrays.push(Track::Light, "g.std", &[2], &column[..2]);
    if step.is_multiple_of(3) {
        arrays.push(Track::Light, "f.rank", &[3], &column[..3]);
    }
    let len = if step < 400 { 2 } else { 4 };
    arrays.push(Track::Light, "f.grows", &[len], &column[..len]);
    arrays.push(Track::Heavy, "s.value", &[300], &[7u8; 300]);
    let written = SnapshotHeader::new("run", Rank::ONLY, step, "plan").write(arrays).expect("writable");
    Entry::snapshot(step, seq, written.bytes, written.summary_len)
}

fn cells() -> Vec<Cell> {
    let names =
        ["w.std", "w.zeros", "w.rms", "exact", "g.std", "g.of", "f.rank", "f.grows", "s.value", "nothing"];
    names.into_iter().flat_map(|name| [0, 1, 2, 4, 5, u32::MAX].map(|at| Cell::new(name, at))).collect()
}

/// Appends so many snapshots, every tenth place being that of a note.
fn write(store: &SessionStore, rank: Rank, from: u64, count: u64) {
    let opening = if from == 0 { Opening::New } else { Opening::Resume { step: from } };
    let writer = store.open(&session(), rank, opening).expect("it may");
    for seq in 1..=count {
        let entry = match seq % 10 {
            0 => Entry::new(RecordKind::Note, from + seq, seq, *b"{}"),
            _ => snapshot(from + seq, seq),
        };
        store.append(&writer, &entry).expect("kept");
    }
}

fn ids(store: &SessionStore) -> Vec<RecordId> {
    store.records(&session(), &Cursor::default()).expect("listed").iter().map(|it| it.id).collect()
}

fn bits(columns: &[Vec<f32>]) -> Vec<Vec<u32>> {
    columns.iter().map(|column| column.iter().map(|it| it.to_bits()).collect()).collect()
}

fn check(store: &SessionStore, which: &[RecordId], cells: &[Cell]) {
    let expected = Plain(store).columns(&session(), which, cells).expect("readable");
    let columns = store.columns(&session(), which, cells).expect("readable");
    for (cell, pair) in cells.iter().zip(columns.iter().zip(&expected)) {
        let (found, expected) = (bits(std::slice::from_ref(pair.0)), bits(std::slice::from_ref(pair.1)));
        assert_eq!(found, expected, "{cell:?}");
    }
    assert_eq!(columns.len(), cells.len());
}

/// Two ranks; one resumed twice.
fn long() -> &'static (SessionStore, Vec<RecordId>) {
    static LONG: OnceLock<(SessionStore, Vec<RecordId>)> = OnceLock::new();
    LONG.get_or_init(|| {
        let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
        let [first, second] = [0, 1].map(|index| Rank::new(index, 2).expect("one of two"));
        write(&store, first, 0, 300);
        write(&store, first, 200, 40);
        write(&store, second, 0, 330);
        write(&store, first, 230, 610);
        store.compact(&session()).expect("writable");
        assert_eq!(store.compact(&session()).expect("writable"), 0, "all is done");
        let ids = ids(&store);
        (store, ids)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In any order, twice, some that were never there.
    #[test]
    fn any_cells_of_any_records(seed in any::<u64>(), count in 0..900usize, of_cells in 0..12usize) {
        let (store, known) = long();
        let mut random = Random::new(seed);
        let which: Vec<RecordId> = (0..count)
            .map(|_| {
                let id = known[random.below(known.len() as u64) as usize];
                let is_there = random.below(50) > 0;
                RecordId { epoch: if is_there { id.epoch } else { id.epoch + 9 }, ..id }
            })
            .collect();
        let all = cells();
        let some: Vec<Cell> = (0..of_cells).map(|_| all[random.below(all.len() as u64) as usize].clone()).collect();
        check(store, &which, &some);
    }
}

#[test]
fn all_cells_of_all_records() {
    let (store, known) = long();
    check(store, known, &cells());
}

#[test]
fn after_thinning_and_removing() {
    let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
    write(&store, Rank::ONLY, 0, 320);
    write(&store, Rank::ONLY, 250, 320);
    let mut random = Random::new(7);
    for round in 0..6 {
        store.compact(&session()).expect("writable");
        let known = ids(&store);
        let some: Vec<RecordId> = known.iter().copied().filter(|_| random.below(30) == 0).collect();
        store.thin(&session(), &some).expect("thinned");
        check(&store, &known, &cells());
        let which: Vec<RecordId> =
            known.iter().copied().filter(|it| it.seq > 0 && random.below(60) < round).collect();
        store.remove(&session(), &which).expect("removed");
        // What was removed is asked for too: no segment may still tell of it.
        check(&store, &known, &cells());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|it| it.expect("readable").path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(&folder.join("run/segments"));
    found.retain(|it| !it.to_string_lossy().contains('#'));
    found
}

fn open(folder: &Path) -> SessionStore {
    SessionStore::at(folder.to_str().expect("UTF-8")).expect("it is there")
}

fn wait_for_a_segment(folder: &Path) {
    let begun = Instant::now();
    while segments(folder).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody has written one");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn written_by_whoever_appends_or_reads_and_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&open(folder.path()), Rank::ONLY, 0, 300);
    wait_for_a_segment(folder.path());
    let known = ids(&open(folder.path()));
    let [segment] = &segments(folder.path())[..] else { panic!("one of 256") };
    let whole = fs::read(segment).expect("readable");
    let lens = (0..whole.len()).step_by(whole.len() / 12);
    let cut = lens.map(|len| whole[..len].to_vec());
    let mut random = Random::new(3);
    let garbage = (0..6).map(|_| (0..5000).map(|_| random.below(256) as u8).collect());
    let lies = [u64::MAX, u64::MAX - 8, 1 << 40, whole.len() as u64].map(|len| {
        let mut lie = whole.clone();
        lie[..8].copy_from_slice(&len.to_le_bytes());
        lie
    });
    for damaged in cut.chain(garbage).chain(lies) {
        fs::write(segment, &damaged).expect("writable");
        check(&open(folder.path()), &known, &cells());
    }
    // Damaged behind the back of one who has read its header.
    fs::write(segment, &whole).expect("writable");
    let store = open(folder.path());
    check(&store, &known, &cells());
    fs::write(segment, &whole[..whole.len() / 2]).expect("writable");
    check(&store, &known, &cells());
    fs::remove_file(segment).expect("there");
    check(&store, &known, &cells());
    // Whoever has read so many summaries keeps them as columns.
    wait_for_a_segment(folder.path());
    assert_eq!(fs::read(&segments(folder.path())[0]).expect("readable"), whole);
    store.remove(&session(), &known[1..]).expect("removed");
    assert!(segments(folder.path()).is_empty());
}

#[test]
fn a_session_that_is_removed_leaves_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    write(&store, Rank::ONLY, 0, 40);
    write(&store, Rank::ONLY, 30, 5);
    assert_eq!(store.compact(&session()).expect("writable"), 1, "the epoch is over: no more will come");
    assert_eq!(segments(folder.path()).len(), 1);
    store.remove_session(&session()).expect("removed");
    assert!(!folder.path().join("run").exists());
    assert_eq!(store.compact(&session()).expect("there is none"), 0);
}

#[test]
fn while_others_write_and_compact() {
    let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
    store.open(&session(), Rank::new(1, 2).expect("one of two"), Opening::New).expect("nobody has it");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write(&store, Rank::new(0, 2).expect("one of two"), 0, 700);
            is_done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                store.compact(&session()).expect("writable");
            }
        });
        while !is_done.load(Ordering::SeqCst) {
            check(&store, &ids(&store), &cells()[..8]);
        }
    });
    store.compact(&session()).expect("writable");
    check(&store, &ids(&store), &cells());
}
