//! Services keep the promises of a store too. `cargo xtask test` starts them and says where they are.
#![cfg(feature = "cloud")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quantviz_core::{ErrorKind, SnapshotStore};
use quantviz_store::SessionStore;

#[test]
#[ignore = "needs a service: QUANTVIZ_CLOUD_STORE names an empty place there"]
fn a_service_keeps_its_promises() {
    let place = std::env::var("QUANTVIZ_CLOUD_STORE").expect("a URL");
    let time = Arc::new(AtomicU64::new(1_764_300_000_000));
    let reopen = || {
        let time = time.clone();
        let store = SessionStore::at(&place).expect("it can be reached");
        Box::new(store.with_clock(move || time.load(Ordering::SeqCst))) as Box<dyn SnapshotStore>
    };
    let wait = |duration: Duration| {
        time.fetch_add(u64::try_from(duration.as_millis()).expect("short"), Ordering::SeqCst);
    };
    quantviz_testkit::check_store(&reopen, &wait);
}

#[test]
fn urls_that_name_nothing() {
    for (url, why) in [("s3://", "bucket"), ("gs:///runs", "bucket"), ("s3://bad bucket/a", "invalid")] {
        let error = SessionStore::at(url).expect_err("names nothing");
        let line = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{line}");
        assert!(line.starts_with(url) && line.contains(why) && !line.contains('\n'), "{line}");
    }
    assert!(SessionStore::at("gs://bucket/runs").is_ok());
}
