//! Services keep the promises of a store too, also over a line that breaks. `cargo xtask test` starts them and says where they
//! are.
#![cfg(feature = "cloud")]
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quantviz_core::{
    Cursor, Entry, ErrorKind, Opening, Rank, RecordId, RecordKind, Result, SessionId, SnapshotStore,
};
use quantviz_store::SessionStore;
use quantviz_testkit::{Behaving, Behaviour, Proxy};

/// A place in the service that nobody else uses, and the line to it; a service that is really somewhere has none.
struct Service {
    place: String,
    line: Option<Proxy>,
    /// The line is at one address, so tests take turns.
    _turn: MutexGuard<'static, ()>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn address(name: &str) -> Option<SocketAddr> {
    variable(name)?.parse().ok()
}

impl Service {
    fn new(test: &str) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let store = variable("QUANTVIZ_CLOUD_STORE").expect("QUANTVIZ_CLOUD_STORE is a URL");
        let ends = address("QUANTVIZ_CLOUD_LINE").zip(address("QUANTVIZ_CLOUD_SERVER"));
        let line = ends.map(|(line, server)| Proxy::new(line, server).expect("nobody listens there"));
        Service { place: format!("{store}/{test}"), line, _turn: turn }
    }

    fn store(&self) -> SessionStore {
        SessionStore::at(&self.place).expect("it can be reached")
    }
}

fn check(service: &Service, around: &(dyn Fn(SessionStore) -> Box<dyn SnapshotStore> + Sync)) {
    let time = Arc::new(AtomicU64::new(1_764_300_000_000));
    let reopen = || {
        let time = time.clone();
        around(service.store().with_clock(move || time.load(Ordering::SeqCst)))
    };
    let wait = |duration: Duration| {
        time.fetch_add(u64::try_from(duration.as_millis()).expect("short"), Ordering::SeqCst);
    };
    quantviz_testkit::check_store(&reopen, &wait);
}

#[test]
#[ignore = "needs a service: QUANTVIZ_CLOUD_STORE names an empty place there"]
fn a_service_keeps_its_promises() {
    check(&Service::new("whole"), &|store| Box::new(store));
}

/// Asks again where the line was cut, as recorders do.
struct Persistent<'a>(&'a AtomicU64);

impl Behaviour for Persistent<'_> {
    fn call<T>(&self, work: &dyn Fn() -> Result<T>) -> Result<T> {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            match work() {
                Err(error) if error.kind() == ErrorKind::Io && Instant::now() < until => {
                    self.0.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                }
                outcome => return outcome,
            }
        }
    }
}

/// Numbers without a pattern, the same each time.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Cuts a line in all ways and restores it, until the work is done. Tells how often.
fn cutting<T>(line: &Proxy, work: impl FnOnce() -> T) -> (T, u32) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            let (mut random, mut cuts) = (7, 0);
            while !is_done.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(30 + next(&mut random) % 200));
                match cuts % 8 {
                    0 | 4 => line.cut(),
                    // In the middle of a header, or of a body.
                    1 | 3 | 5 => line.cut_after(next(&mut random) % 60_000),
                    2 | 6 => line.cut_the_answer(),
                    _ => line.swallow(),
                }
                let until = Instant::now() + Duration::from_millis(100);
                while !line.is_cut() && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(1));
                }
                std::thread::sleep(Duration::from_millis(next(&mut random) % 80));
                line.restore();
                cuts += 1;
            }
            cuts
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        is_done.store(true, Ordering::SeqCst);
        let cuts = cutter.join().expect("it cuts");
        match result {
            Ok(result) => (result, cuts),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[test]
#[ignore = "needs a service behind a line: QUANTVIZ_CLOUD_LINE, QUANTVIZ_CLOUD_SERVER"]
fn a_service_keeps_its_promises_over_a_line_that_breaks() {
    static AGAIN: AtomicU64 = AtomicU64::new(0);
    let service = Service::new("broken");
    let Some(line) = &service.line else { return println!("skipped: there is no line to it") };
    let begun = Instant::now();
    let around = |store| Box::new(Behaving::new(store, Persistent(&AGAIN))) as Box<dyn SnapshotStore>;
    let ((), cuts) = cutting(line, || check(&service, &around));
    let (again, seconds) = (AGAIN.load(Ordering::SeqCst), begun.elapsed().as_secs_f64());
    println!("{cuts} cuts in {seconds:.1} s; {again} calls failed and were made again");
    assert!(cuts > 5, "{cuts}");
}

/// What a record holds follows from its place.
fn entry(rank: u32, seq: u64) -> Entry {
    let len = 1000 + (seq * 7919 + u64::from(rank) * 104_729) % 90_000;
    let byte = |at: u64| (at.wrapping_mul(seq + 31).wrapping_add(u64::from(rank)) >> 3).to_le_bytes()[0];
    Entry::snapshot(seq, seq, (0..len).map(byte).collect::<Vec<u8>>(), len / 3)
}

/// Whatever was acknowledged is there, and what was not is there whole, or not at all.
#[test]
#[ignore = "needs a service behind a line: QUANTVIZ_CLOUD_LINE, QUANTVIZ_CLOUD_SERVER"]
fn acknowledged_records_outlive_the_line() {
    let service = Service::new("acknowledged");
    let Some(line) = &service.line else { return println!("skipped: there is no line to it") };
    let session: SessionId = "run".parse().expect("a name");
    let again = AtomicU64::new(0);
    let write = |index: u32| {
        let store = service.store();
        let rank = Rank::new(index, 2).expect("one of two");
        let writer = Persistent(&again)
            .call(&|| store.open(&session, rank, Opening::New))
            .expect("nobody is refused for their own claim");
        let (mut acknowledged, until) = (Vec::new(), Instant::now() + Duration::from_secs(15));
        for seq in 1.. {
            if Instant::now() > until {
                break;
            }
            let entry = entry(index, seq);
            let mut outcome = store.append(&writer, &entry);
            // Some are sent again, some are given up.
            if outcome.is_err() && seq % 2 == 0 {
                outcome = Persistent(&again).call(&|| store.append(&writer, &entry));
            }
            match outcome {
                Ok(record) => acknowledged.push(record.id),
                Err(error) => {
                    let line = error.to_string();
                    assert_eq!(error.kind(), ErrorKind::Io, "{line}");
                    assert!(!line.contains('\n') && line.starts_with(&service.place), "{line}");
                    if again.fetch_add(1, Ordering::SeqCst) == 0 {
                        println!("{line}");
                    }
                }
            }
        }
        acknowledged
    };
    let (acknowledged, cuts) = cutting(line, || {
        std::thread::scope(|scope| {
            let write = &write;
            let writers = [0, 1].map(|rank| scope.spawn(move || write(rank)));
            writers.map(|it| it.join().expect("it writes")).concat()
        })
    });
    let store = service.store();
    let records = store.records(&session, &Cursor::default()).expect("listed");
    let ids: Vec<RecordId> = records.iter().map(|it| it.id).collect();
    let bytes: BTreeMap<RecordId, _> =
        ids.iter().copied().zip(store.read(&session, &ids).expect("read")).collect();
    for id in &acknowledged {
        assert!(bytes.contains_key(id), "{id} was acknowledged and is gone");
    }
    let mut more = 0;
    for record in records.iter().filter(|it| it.kind != RecordKind::Opened) {
        let bytes = bytes[&record.id].as_ref().expect("whole");
        assert_eq!(*bytes, entry(record.id.rank, record.id.seq).bytes, "{}", record.id);
        more += usize::from(!acknowledged.contains(&record.id));
    }
    println!(
        "{cuts} cuts: {} records acknowledged and there, {more} there that were not acknowledged",
        acknowledged.len()
    );
    assert!(acknowledged.len() > 20 && cuts > 10, "{} {cuts}", acknowledged.len());
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

/// Set for the process that has credentials in its environment.
const SHOWS: &str = "QUANTVIZ_SHOWS_STORES";
const SECRET: &str = "c2VjcmV0c2VjcmV0";

/// Runs as a process of its own, since credentials come from the environment.
#[test]
fn show_stores() {
    if variable(SHOWS).is_none() {
        return;
    }
    for url in ["s3://bucket/runs", "gs://bucket/runs", "az://container/runs"] {
        match SessionStore::at(url) {
            Ok(store) => println!("store {store:?}"),
            Err(error) => println!("error {error}"),
        }
    }
}

#[test]
fn credentials_are_not_shown() {
    let shown = |account: &str| {
        let output = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "show_stores", "--nocapture"])
            .env(SHOWS, "1")
            .envs([("AWS_ACCESS_KEY_ID", "someone"), ("AWS_SECRET_ACCESS_KEY", SECRET)])
            .envs([("AZURE_STORAGE_ACCOUNT_NAME", "someone"), ("AZURE_STORAGE_ACCOUNT_KEY", SECRET)])
            .env("GOOGLE_SERVICE_ACCOUNT_KEY", account)
            .output()
            .expect("this test runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    // One that is well-formed, as far as it is looked at, and one that is not.
    let key = format!(
        r#"{{"private_key": "{SECRET}", "private_key_id": "id", "client_email": "a@b", "disable_oauth": true, "gcs_base_url": "http://localhost"}}"#
    );
    for account in [key.as_str(), SECRET] {
        let shown = shown(account);
        let lines: Vec<&str> = shown
            .lines()
            .filter(|line| line.contains("store SessionStore") || line.contains("error "))
            .collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(lines.iter().any(|line| line.contains("gs://bucket/runs")), "{shown}");
    }
}
