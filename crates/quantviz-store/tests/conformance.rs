//! Every place keeps the promises of a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use quantviz_core::{Opening, Rank, Run, RunState, SnapshotStore};
use quantviz_store::SessionStore;

fn check(open: impl Fn() -> SessionStore + Sync) {
    let time = Arc::new(AtomicU64::new(1_764_300_000_000));
    let reopen = || {
        let time = time.clone();
        let store = open().with_clock(move || time.load(Ordering::SeqCst));
        Box::new(store) as Box<dyn quantviz_core::SnapshotStore>
    };
    let wait = |duration: Duration| {
        let ms = u64::try_from(duration.as_millis()).expect("short");
        time.fetch_add(ms, Ordering::SeqCst);
    };
    quantviz_testkit::check_store(&reopen, &wait);
}

#[test]
fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    check(|| SessionStore::at(place).expect("it is there"));
}

#[test]
fn objects_in_memory_keep_their_promises() {
    let objects = Arc::new(InMemory::new());
    check(|| SessionStore::on(objects.clone(), "some/runs", "memory:"));
}

/// Who writes rarely says in between that it lives, and whoever reads hears that.
#[test]
fn beats_are_heard_in_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let time = Arc::new(AtomicU64::new(1_764_300_000_000));
    let clock = time.clone();
    let store =
        SessionStore::at(place).expect("it is there").with_clock(move || clock.load(Ordering::SeqCst));
    let session = "rare".parse().expect("a name");
    let writer = store.open(&session, Rank::ONLY, Opening::New).expect("nobody has it");
    time.fetch_add(600_000, Ordering::SeqCst);
    store.beat(&writer).expect("it lives");
    let reader = SessionStore::at(place).expect("it is there");
    assert_eq!(reader.heard_ms(&session).expect("known"), Some(1_764_300_600_000));
    let run = Run::open(&reader, &session).expect("there");
    let state = |now| run.state(now).expect("known").state;
    assert_eq!(state(1_764_300_610_000), RunState::Live);
    assert_eq!(state(1_764_300_640_000), RunState::Stalled);
    assert_eq!(state(1_764_304_300_000), RunState::Lost);
}
