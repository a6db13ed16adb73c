//! What a store makes of files that are cut short, of what a killed process left, and of formats that it does not know.
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use quantviz_core::{
    Cursor, Entry, ErrorKind, Opening, Rank, Record, RecordId, RecordKind, SessionId, SnapshotStore,
};
use quantviz_store::SessionStore;

fn session() -> SessionId {
    "run".parse().expect("a name")
}

fn open(folder: &Path) -> SessionStore {
    SessionStore::at(folder.to_str().expect("UTF-8")).expect("it is there")
}

fn write_session(folder: &Path) -> Vec<Record> {
    let store = open(folder);
    let writer = store.open(&session(), Rank::ONLY, Opening::New).expect("nobody has it");
    store.beat(&writer).expect("it lives");
    store.append(&writer, &Entry::new(RecordKind::Plan, 0, 1, *b"a plan")).expect("kept");
    let bytes: Vec<u8> = (0..2000u32).map(|at| at.to_le_bytes()[0]).collect();
    for seq in 2..5 {
        store.append(&writer, &Entry::snapshot(seq, seq, bytes.clone(), 50)).expect("kept");
    }
    store.append(&writer, &Entry::new(RecordKind::Note, 5, 5000, *b"far away")).expect("kept");
    store.thin(&session(), &[RecordId { rank: 0, epoch: 1, seq: 3 }]).expect("thinned");
    store.records(&session(), &Cursor::default()).expect("listed")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|it| it.expect("readable").path()) {
        if entry.is_dir() { found.extend(files(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

fn one_line(error: &quantviz_core::Error) -> String {
    let line = error.to_string();
    assert!(!line.contains('\n') && line.contains("run"), "{line}");
    line
}

#[test]
fn every_prefix_of_every_object() {
    let folder = tempfile::tempdir().expect("a folder");
    let records = write_session(folder.path());
    let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
    let mut tried = 0;
    for file in files(folder.path()) {
        let whole = fs::read(&file).expect("readable");
        let step = (whole.len() / 300).max(1);
        for len in (0..whole.len()).step_by(step) {
            fs::write(&file, &whole[..len]).expect("writable");
            look_at_damaged(folder.path(), &file, &ids);
            tried += 1;
        }
        // The same as a killed process leaves it, beside the object and instead of it.
        for is_there in [true, false] {
            let name = file.file_name().expect("a name").to_string_lossy();
            let leftover = file.with_file_name(format!("{name}#1"));
            fs::write(&leftover, &whole[..whole.len() / 2]).expect("writable");
            if is_there {
                fs::write(&file, &whole).expect("writable");
                let left = open(folder.path()).records(&session(), &Cursor::default()).expect("listed");
                assert_eq!(left, records, "{name}");
            } else {
                fs::remove_file(&file).expect("there");
                let store = open(folder.path());
                let left = store.records(&session(), &Cursor::default()).expect("listed");
                assert!(left.iter().all(|it| records.contains(it)), "{name}");
                drop(store.sessions());
            }
            fs::remove_file(&leftover).expect("there");
        }
        fs::write(&file, &whole).expect("writable");
    }
    println!("{tried} prefixes of {} objects", files(folder.path()).len());
    assert!(tried > 500, "{tried}");
}

/// Whichever file is cut short, the rest can be read, and the error says which record it is.
fn look_at_damaged(folder: &Path, damaged: &Path, ids: &[RecordId]) {
    let store = open(folder);
    let records = match store.records(&session(), &Cursor::default()) {
        Ok(records) => records,
        Err(error) => {
            assert!(damaged.ends_with("format"), "{}: {error}", damaged.display());
            assert!(one_line(&error).contains("quantviz-session/1"), "{error}");
            assert_eq!(store.unreadable().expect("listed").len(), 1);
            assert!(store.sessions().expect("others can be read").is_empty());
            return;
        }
    };
    assert_eq!(records.len(), ids.len());
    let of_log = damaged.iter().any(|part| part == "log");
    let name = damaged.file_name().expect("a name").to_string_lossy();
    for (record, bytes) in records.iter().zip(store.read(&session(), ids).expect("readable")) {
        let is_damaged = of_log && name.starts_with(&format!("{:020}.", record.id.seq));
        match bytes {
            Ok(bytes) => assert!(!is_damaged && bytes.len() as u64 == record.bytes, "{}", record.id),
            Err(error) if record.is_thinned => assert_eq!(error.kind(), ErrorKind::NotFound),
            Err(error) => {
                assert!(is_damaged, "{}: {error}", record.id);
                assert!(one_line(&error).contains(&record.id.to_string()), "{error}");
            }
        }
    }
    // The writer may have been alive or not, but nothing panics, and it can be taken over.
    let taken = store.open(&session(), Rank::new(1, 2).expect("one of two"), Opening::Resume { step: 9 });
    taken.expect("another rank");
    fs::remove_dir_all(folder.join("run/log/00001")).expect("it has written");
    fs::remove_dir_all(folder.join("run/claims/00001")).expect("it has claimed");
}

#[test]
fn old_leftovers_are_swept_and_new_ones_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    write_session(folder.path());
    let log = files(folder.path()).into_iter().find(|it| it.iter().any(|part| part == "log")).expect("there");
    let [old, new] = ["old#1", "new#2"].map(|name| log.with_file_name(name));
    for file in [&old, &new] {
        fs::write(file, b"half").expect("writable");
    }
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    fs::File::options().write(true).open(&old).and_then(|it| it.set_modified(hour_ago)).expect("aged");
    open(folder.path()).open(&session(), Rank::ONLY, Opening::Resume { step: 9 }).expect("takes over");
    assert!(!old.exists() && new.exists());
    open(folder.path()).remove_session(&session()).expect("removed");
    assert!(!folder.path().join("run").exists(), "nothing is left");
}

#[test]
fn a_newer_format_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    write_session(folder.path());
    fs::write(folder.path().join("run/format"), "quantviz-session/12\n").expect("writable");
    let store = open(folder.path());
    let error = store.records(&session(), &Cursor::default()).expect_err("newer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "session run is kept as quantviz-session/12, and this quantviz reads quantviz-session/1: update quantviz"
    );
    let refused = store.open(&session(), Rank::ONLY, Opening::Resume { step: 0 }).expect_err("newer");
    assert_eq!(refused.to_string(), error.to_string());
}

#[test]
fn folders_that_are_no_sessions_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("run/log/notes.txt");
    fs::create_dir_all(other.parent().expect("it has one")).expect("made");
    fs::write(&other, b"mine").expect("writable");
    let store = open(folder.path());
    assert!(store.sessions().expect("listed").is_empty());
    store.remove_session(&session()).expect("there is none");
    assert!(other.exists());
}

/// What a process that dies between the two steps of thinning leaves.
#[test]
fn whole_and_thinned_at_once_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    write_session(folder.path());
    let whole = files(folder.path())
        .into_iter()
        .find(|it| it.to_string_lossy().contains("2.snapshot"))
        .expect("there");
    fs::write(format!("{}.thinned", whole.display()), vec![0; 50]).expect("writable");
    let store = open(folder.path());
    let id = RecordId { rank: 0, epoch: 1, seq: 2 };
    let is_thinned = |store: &SessionStore| {
        let records = store.records(&session(), &Cursor::default()).expect("listed");
        records.iter().find(|it| it.id == id).expect("there").is_thinned
    };
    assert!(!is_thinned(&store));
    assert_eq!(store.read(&session(), &[id]).expect("readable")[0].as_ref().expect("whole").len(), 2000);
    store.thin(&session(), &[id]).expect("thinned at last");
    assert!(is_thinned(&store));
}

/// `QUANTVIZ_RENEW=1` writes what is not there yet; what is there is read for ever and never written again.
#[test]
fn what_was_written_long_ago_is_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/sessions/v1");
    if std::env::var_os("QUANTVIZ_RENEW").is_some() && !fixtures.exists() {
        fs::create_dir_all(&fixtures).expect("made");
        write_session(&fixtures);
    }
    let store = open(&fixtures);
    let info = &store.sessions().expect("listed")[0];
    assert_eq!((info.id.as_str(), info.records, info.last_step), ("run", 6, 5));
    let records = store.records(&session(), &Cursor::default()).expect("listed");
    let seqs: Vec<u64> = records.iter().map(|it| it.id.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3, 4, 5000]);
    let thinned: BTreeSet<u64> = records.iter().filter(|it| it.is_thinned).map(|it| it.id.seq).collect();
    assert_eq!(thinned, BTreeSet::from([3]));
    let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
    let summaries = store.summaries(&session(), &ids).expect("readable");
    let lens: Vec<usize> = summaries.into_iter().map(|it| it.expect("there").len()).collect();
    assert_eq!(lens, [0, 6, 50, 50, 50, 8]);
    let read = store.read(&session(), &ids[1..3]).expect("readable");
    assert_eq!(read[0].as_ref().expect("whole")[..], *b"a plan");
    let bytes: Vec<u8> = (0..2000u32).map(|at| at.to_le_bytes()[0]).collect();
    assert_eq!(read[1].as_ref().expect("whole")[..], bytes);
}
