//! Places that cannot be written: one clear line, nothing by halves, and on with it when there is room again. And a reader
//! beside a writer.
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use quantviz_core::{Cursor, Entry, ErrorKind, Opening, Rank, RecordId, SessionId, SnapshotStore};
use quantviz_store::SessionStore;

fn session() -> SessionId {
    "run".parse().expect("a name")
}

fn open(folder: &Path) -> SessionStore {
    SessionStore::at(folder.to_str().expect("UTF-8")).expect("it is there")
}

fn snapshot(seq: u64, len: usize) -> Entry {
    Entry::snapshot(seq, seq, vec![seq.to_le_bytes()[0]; len], 10)
}

/// A file system in memory at a folder, until it is dropped; `None`, with a printed reason, where none may be mounted.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, options: &str) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        if mount.as_ref().is_ok_and(|it| it.status.success()) {
            return Some(Tmpfs(at));
        }
        println!("skipped: nothing can be mounted here: {mount:?}");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mount = Command::new("mount").args(["-o", &options]).arg(self.0).status();
        assert!(mount.expect("mount runs").success());
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_folder_below_a_file_and_one_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("writable");
    for place in [file.join("runs"), file.clone()] {
        let place = place.to_str().expect("UTF-8");
        let error = SessionStore::create(place).expect_err("no folder").to_string();
        assert!(error.starts_with(place) && !error.contains('\n'), "{error}");
    }
    let missing = folder.path().join("missing");
    let error = SessionStore::at(missing.to_str().expect("UTF-8")).expect_err("not there");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!missing.exists(), "looking makes no folder");
}

#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(_disk) = Tmpfs::mount(folder.path(), "size=1m") else { return };
    let store = open(folder.path());
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let mut kept = 0;
    let error = loop {
        match store.append(&writer, &snapshot(kept + 1, 100_000)) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 20, "the disk is never full");
    };
    println!("{error}");
    assert_eq!(error.kind(), ErrorKind::Io);
    let line = error.to_string();
    assert!(line.contains("No space left") && line.contains("prune") && !line.contains('\n'), "{line}");
    assert!(line.starts_with(folder.path().to_str().expect("UTF-8")), "{line}");
    let seen = open(folder.path()).records(&session(), &Cursor::default()).expect("listed");
    assert_eq!(seen.len() as u64, kept + 1, "nothing by halves");
    store.append(&writer, &snapshot(kept + 1, 100_000)).expect_err("still full");
    store.remove(&session(), &[RecordId { rank: 0, epoch: writer.epoch, seq: 1 }]).expect("removed");
    store.append(&writer, &snapshot(kept + 1, 100_000)).expect("there is room again");
    let seen = open(folder.path()).records(&session(), &Cursor::default()).expect("listed");
    let last = seen.last().expect("there").id;
    assert_eq!((seen.len() as u64, last.seq), (kept + 1, kept + 1));
    assert_eq!(store.read(&session(), &[last]).expect("readable")[0].as_ref().expect("whole").len(), 100_000);
}

#[test]
fn a_disk_that_becomes_read_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = Tmpfs::mount(folder.path(), "size=4m") else { return };
    let store = open(folder.path());
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    store.append(&writer, &snapshot(1, 100)).expect("kept");
    disk.remount("ro");
    for error in [
        store.append(&writer, &snapshot(2, 100)).expect_err("read-only"),
        store.beat(&writer).expect_err("read-only"),
        store.open(&session(), Rank::ONLY, Opening::Resume { step: 2 }).expect_err("read-only"),
        store.remove_session(&session()).expect_err("read-only"),
    ] {
        let line = error.to_string();
        assert!(line.contains("Read-only") && !line.contains('\n'), "{line}");
    }
    assert_eq!(open(folder.path()).records(&session(), &Cursor::default()).expect("listed").len(), 2);
    disk.remount("rw");
    store.append(&writer, &snapshot(2, 100)).expect("kept");
}

/// Whoever sees a record sees all before it, while entries are written and thinned.
#[test]
fn a_reader_beside_a_writer_sees_prefixes() {
    const ENTRIES: u64 = 1500;
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let is_done = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let store = open(folder.path());
            let (mut looks, mut seen) = (0, 0);
            loop {
                let was_done = is_done.load(Ordering::SeqCst);
                let records = store.records(&session(), &Cursor::default()).expect("listed");
                let seqs: Vec<u64> = records.iter().map(|it| it.id.seq).collect();
                assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "not a prefix: {seqs:?}");
                assert!(seqs.len() >= seen, "something was there and is gone");
                (looks, seen) = (looks + 1, seqs.len());
                if was_done {
                    break (looks, seen);
                }
            }
        });
        for seq in 1..=ENTRIES {
            let record = store.append(&writer, &snapshot(seq, 200)).expect("kept");
            if seq % 3 == 0 {
                store.thin(&session(), &[RecordId { seq: seq - 2, ..record.id }]).expect("thinned");
            }
        }
        is_done.store(true, Ordering::SeqCst);
        reader.join().expect("the reader found nothing wrong")
    });
    println!("looked {} times", looks.0);
    assert_eq!(looks.1 as u64, ENTRIES + 1);
}

/// Prints what appending costs beside writing and syncing the same bytes, and how long listings take: no test of speed.
#[test]
#[ignore = "it measures"]
fn how_long_it_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = folder.path().join("plain");
    std::fs::create_dir(&plain).expect("made");
    let store = SessionStore::create(folder.path().join("runs").to_str().expect("UTF-8")).expect("made");
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    let bytes = vec![7; 256 << 10];
    let (mut by_hand, mut by_store) = (0.0, 0.0);
    let rounds = 200;
    for seq in 1..=rounds {
        let begun = Instant::now();
        let file = plain.join(seq.to_string());
        std::fs::write(&file, &bytes).expect("written");
        std::fs::File::open(&file).and_then(|it| it.sync_all()).expect("synced");
        std::fs::File::open(&plain).and_then(|it| it.sync_all()).expect("synced");
        by_hand += begun.elapsed().as_secs_f64();
        let entry = Entry::snapshot(seq, seq, bytes.clone(), 20_000);
        let begun = Instant::now();
        store.append(&writer, &entry).expect("kept");
        by_store += begun.elapsed().as_secs_f64();
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = |seconds: f64| (bytes.len() as u64 * rounds) as f64 / 1e6 / seconds;
    println!("write and sync by hand {:.0} MB/s, append {:.0} MB/s", rate(by_hand), rate(by_store));
    for seq in rounds + 1..=10_000 {
        store.append(&writer, &snapshot(seq, 300)).expect("kept");
    }
    let time = |what: &str, work: &dyn Fn()| {
        let begun = Instant::now();
        work();
        println!("{what}: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    };
    let mut cursor = Cursor::default();
    cursor.pass(RecordId { rank: 0, epoch: 1, seq: 10_000 });
    let fresh = || drop(store.records(&session(), &Cursor::default()).expect("listed"));
    time("records, 10,000 of them", &fresh);
    time("records, 10,000 of them", &fresh);
    time("records, nothing new", &|| drop(store.records(&session(), &cursor).expect("listed")));
    let some = [RecordId { rank: 0, epoch: 1, seq: 5_003 }];
    time("one of 10,000", &|| drop(store.read(&session(), &some).expect("read")));
    let all: Vec<RecordId> = (1..=10_000).map(|seq| RecordId { rank: 0, epoch: 1, seq }).collect();
    time("10,000 summaries", &|| drop(store.summaries(&session(), &all).expect("read")));
}
