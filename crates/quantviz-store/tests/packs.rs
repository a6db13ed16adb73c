//! Scalars and notes come from packs, and are what they would be without, whatever happened to the session or to its packs.

mod counting;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use counting::Counting;
use object_store::memory::InMemory;
use proptest::prelude::*;
use quantviz_core::{
    Cursor, Entry, ErrorKind, Opening, Rank, Record, RecordId, RecordKind, Run, ScalarBatch, SessionId,
    SnapshotStore,
};
use quantviz_store::SessionStore;

/// The steps of a batch.
const STEPS: u64 = 5;

fn session() -> SessionId {
    "run".parse().expect("a name")
}

fn loss(step: u64) -> f64 {
    4.0 / (1.0 + step as f64 / 300.0)
}

/// The batch in a place: every tenth is a note instead, and every fiftieth a snapshot.
fn entry(seq: u64) -> Entry {
    let first = seq * STEPS;
    let last = first + STEPS - 1;
    match seq {
        _ if seq % 50 == 49 => Entry::snapshot(last, seq, *b"statistics, and the rest", 10),
        _ if seq % 10 == 9 => Entry::new(RecordKind::Note, last, seq, format!("{seq}").into_bytes()),
        _ => {
            let said = |step| (step, vec![("loss".to_owned(), loss(step)), ("lr".to_owned(), 1e-3)]);
            let batch = ScalarBatch::of(&(first..=last).map(said).collect::<Vec<_>>());
            Entry::new(RecordKind::Scalars, last, seq, batch.to_bytes().expect("JSON")).from_step(first)
        }
    }
}

fn write(store: &SessionStore, rank: Rank, opening: Opening, places: std::ops::RangeInclusive<u64>) {
    let writer = store.open(&session(), rank, opening).expect("it may");
    for seq in places {
        store.append(&writer, &entry(seq)).expect("kept");
    }
}

fn ids(store: &SessionStore) -> Vec<RecordId> {
    store.records(&session(), &Cursor::default()).expect("listed").iter().map(|it| it.id).collect()
}

/// What records hold, or why they cannot be read.
type Held = Vec<Result<Arc<[u8]>, String>>;

fn together(store: &SessionStore, which: &[RecordId]) -> Held {
    let read = store.read(&session(), which).expect("readable");
    read.into_iter().map(|it| it.map_err(|error| error.to_string())).collect()
}

/// Single records are not looked for in packs.
fn alone(store: &SessionStore, which: &[RecordId]) -> Held {
    which.iter().flat_map(|id| together(store, &[*id])).collect()
}

fn check(store: &SessionStore, which: &[RecordId]) {
    assert_eq!(together(store, which), alone(store, which));
}

/// Whether the loss of a run is all there.
fn check_loss(store: &SessionStore, places: u64) {
    let run = Run::open(store, &session()).expect("it is there");
    let scalars = run.scalars().expect("readable");
    let of_places = (1..=places).filter(|seq| seq % 10 != 9);
    let expected: Vec<(u64, f64)> =
        of_places.flat_map(|seq| seq * STEPS..(seq + 1) * STEPS).map(|step| (step, loss(step))).collect();
    assert!(scalars["loss"] == expected, "{} of {}", scalars["loss"].len(), expected.len());
}

#[test]
fn a_few_reads_for_twenty_thousand_batches() {
    const PLACES: u64 = 23_000;
    let objects = Arc::new(Counting::of(InMemory::new()));
    let store = SessionStore::on(objects.clone(), "runs", "memory:");
    write(&store, Rank::ONLY, Opening::New, 1..=PLACES);
    store.compact(&session()).expect("writable");
    assert_eq!(store.compact(&session()).expect("writable"), 0, "all is done");
    let batches = store.records(&session(), &Cursor::default()).expect("listed");
    assert!(batches.iter().filter(|it| it.kind == RecordKind::Scalars).count() > 20_000);
    // Somebody who has not written it.
    let store = SessionStore::on(objects.clone(), "runs", "memory:");
    let run = Run::open(&store, &session()).expect("it is there");
    let before = objects.reads();
    assert_eq!(run.scalars().expect("readable")["loss"].len() as u64, 20_700 * STEPS);
    let reads = objects.reads() - before;
    // A thousand in each, and fewer than 64 in none yet.
    assert!(reads <= 22 + 63, "{reads} reads");
    check_loss(&store, PLACES);
}

/// What another place holds, in this one.
fn moved(from: u64, seq: u64) -> Entry {
    let mut entry = entry(from);
    entry.seq = seq;
    entry
}

/// Two ranks; one resumed twice.
fn long() -> (SessionStore, Vec<RecordId>) {
    let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
    let [first, second] = [0, 1].map(|index| Rank::new(index, 2).expect("one of two"));
    write(&store, first, Opening::New, 1..=300);
    write(&store, first, Opening::Resume { step: 900 }, 180..=210);
    write(&store, second, Opening::New, 1..=130);
    write(&store, first, Opening::Resume { step: 1000 }, 200..=300);
    store.compact(&session()).expect("writable");
    let ids = ids(&store);
    (store, ids)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// In any order, twice, some that were never there; some removed meanwhile.
    #[test]
    fn any_of_the_records(picked in prop::collection::vec((any::<prop::sample::Index>(), 0..40u8), 0..200)) {
        let (store, known) = long();
        let mut gone = Vec::new();
        let which: Vec<RecordId> = picked
            .iter()
            .map(|(index, odd)| {
                let id = *index.get(&known);
                if *odd == 1 {
                    gone.push(id);
                }
                RecordId { epoch: if *odd == 0 { id.epoch + 9 } else { id.epoch }, ..id }
            })
            .collect();
        check(&store, &which);
        store.remove(&session(), &gone).expect("removed");
        check(&store, &which);
        store.compact(&session()).expect("writable");
        check(&store, &which);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|it| it.expect("readable").path());
    let mut found: Vec<PathBuf> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    found.sort();
    found
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(&folder.join("run/packs"));
    found.retain(|it| !it.to_string_lossy().contains('#'));
    found
}

fn open(folder: &Path) -> SessionStore {
    SessionStore::at(folder.to_str().expect("UTF-8")).expect("it is there")
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn written_by_whoever_appends_or_reads_and_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    write(&open(folder.path()), Rank::ONLY, Opening::New, 1..=70);
    wait_until("nobody has written one", || packs(folder.path()).len() == 1);
    let store = open(folder.path());
    let writer = store.open(&session(), Rank::ONLY, Opening::Resume { step: 71 * STEPS }).expect("it may");
    for seq in 71..=700 {
        store.append(&writer, &entry(seq)).expect("kept");
    }
    wait_until("there is not one of each epoch", || {
        // What is written in the background meanwhile may be needless, and goes the next time.
        store.compact(&session()).expect("writable");
        packs(folder.path()).len() == 2
    });
    let [first, second] = &packs(folder.path())[..] else { panic!("one of each epoch") };
    assert!(first < second);
    check_loss(&store, 700);
    let known = ids(&store);
    let held = alone(&store, &known);
    let whole = fs::read(second).expect("readable");
    let cut = (0..whole.len()).step_by(whole.len() / 12).map(|len| whole[..len].to_vec());
    let flipped = (0..whole.len()).step_by(whole.len() / 15).map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        flipped
    });
    let lies = [u64::MAX, u64::MAX - 8, 1 << 40, whole.len() as u64].map(|len| {
        let mut lie = whole.clone();
        lie[..8].copy_from_slice(&len.to_le_bytes());
        lie
    });
    let huge = vec![b'{'; 20 << 20];
    for damaged in cut.chain(flipped).chain(lies).chain([huge]) {
        fs::write(second, &damaged).expect("writable");
        assert_eq!(together(&open(folder.path()), &known), held);
    }
    fs::remove_file(second).expect("there");
    check_loss(&open(folder.path()), 700);
    // Whoever has read so many alone keeps them together.
    wait_until("nobody has written it again", || packs(folder.path()).len() == 2);
    assert_eq!(together(&open(folder.path()), &known), held);
    store.remove(&session(), &known[1..]).expect("removed");
    assert!(packs(folder.path()).is_empty());
}

/// A version that knows nothing of packs leaves them when it removes what they hold.
#[test]
fn a_pack_that_was_left_behind_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).with_clock(|| 1000);
    write(&store, Rank::ONLY, Opening::New, 1..=300);
    store.compact(&session()).expect("writable");
    let [pack] = &packs(folder.path())[..] else { panic!("one") };
    let left_behind = fs::read(pack).expect("readable");
    let known = ids(&store);
    store.remove(&session(), &known[100..200]).expect("removed");
    fs::create_dir_all(pack.parent().expect("a folder")).expect("a folder");
    fs::write(pack, &left_behind).expect("writable");
    check(&store, &known);
    let read = store.read(&session(), &known[100..200]).expect("readable");
    assert!(read.iter().all(|it| it.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)));
    // Another run under the same name, which says other things in the same places.
    store.remove_session(&session()).expect("removed");
    assert!(!folder.path().join("run").exists());
    fs::create_dir_all(pack.parent().expect("a folder")).expect("a folder");
    fs::write(pack, &left_behind).expect("writable");
    let store = open(folder.path()).with_clock(|| 2000);
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    for seq in 1..=40 {
        store.append(&writer, &moved(seq + 100, seq)).expect("kept");
    }
    check(&store, &ids(&store));
}

#[test]
fn what_is_sent_again_is_told_apart_after_it_was_packed() {
    let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let kept: Vec<Record> = (1..=200).map(|seq| store.append(&writer, &entry(seq)).expect("kept")).collect();
    store.compact(&session()).expect("writable");
    assert_eq!(store.append(&writer, &entry(7)).expect("it is the same"), kept[6]);
    assert_eq!(store.append(&writer, &moved(8, 7)).expect_err("another").kind(), ErrorKind::Refused);
}

#[test]
fn while_others_write_and_compact() {
    let store = SessionStore::on(Arc::new(InMemory::new()), "runs", "memory:");
    store.open(&session(), Rank::new(1, 2).expect("one of two"), Opening::New).expect("nobody has it");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            write(&store, Rank::new(0, 2).expect("one of two"), Opening::New, 1..=2500);
            is_done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                store.compact(&session()).expect("writable");
            }
        });
        while !is_done.load(Ordering::SeqCst) {
            // Whatever was there when this began is all there.
            let last = ids(&store).last().map_or(0, |it| it.seq);
            let run = Run::open(&store, &session()).expect("it is there");
            let batches = (1..=last).filter(|seq| seq % 10 != 9).count() as u64;
            let series = run.scalars().expect("readable").remove("loss").unwrap_or_default();
            assert!(series.len() as u64 >= batches * STEPS, "{} of {batches}", series.len());
            assert!(series.iter().all(|&(step, value)| value == loss(step)));
        }
    });
    store.compact(&session()).expect("writable");
    check_loss(&store, 2500);
}
