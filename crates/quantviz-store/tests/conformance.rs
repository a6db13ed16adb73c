//! Every place keeps the promises of a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
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
