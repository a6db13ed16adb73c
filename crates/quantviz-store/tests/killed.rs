//! What a store has acknowledged is there after its process was killed, and nothing is there by halves.
#![expect(clippy::print_stdout, reason = "how much was tried is worth knowing")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use quantviz_core::{Cursor, Entry, Opening, Rank, Record, RecordId, RecordKind, SessionId, SnapshotStore};
use quantviz_store::SessionStore;

const KILLS: u32 = 200;
/// Set for the process that writes: where.
const PLACE: &str = "QUANTVIZ_WRITES_UNTIL_KILLED";

fn session() -> SessionId {
    "killed".parse().expect("a name")
}

/// What a record holds follows from its place. Every third one is small, and will be packed.
fn entry(epoch: u32, seq: u64) -> Entry {
    let len = (seq * 7919 + u64::from(epoch) * 104_729) % 60_000;
    let byte = |at: u64| (at.wrapping_mul(seq + 31).wrapping_add(u64::from(epoch)) >> 3).to_le_bytes()[0];
    let bytes: Vec<u8> = (0..len).map(byte).collect();
    match seq % 3 {
        0 => Entry::new(RecordKind::Note, seq, seq, &bytes[..bytes.len() / 100]),
        _ => Entry::snapshot(seq, seq, bytes, len / 3),
    }
}

/// Runs as a process of its own, and never ends by itself.
#[test]
#[ignore = "the other test runs it, to kill it"]
fn write_until_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let store = SessionStore::at(&place).expect("it is there");
    // Goes on in the middle, as a run that is resumed does: nothing of what was kept is superseded.
    let writer = store.open(&session(), Rank::ONLY, Opening::Resume { step: u64::MAX }).expect("takes over");
    let mut out = std::io::stdout().lock();
    for seq in 1.. {
        let record = store.append(&writer, &entry(writer.epoch, seq)).expect("there is room");
        if seq % 5 == 0 {
            store.thin(&session(), &[RecordId { seq: seq - 3, ..record.id }]).expect("thinned");
        }
        writeln!(out, "kept {}", record.id).and_then(|()| out.flush()).expect("somebody listens");
    }
}

/// Numbers without a pattern, the same each time.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// What was acknowledged until the kill, which comes so long after the first record.
fn kill_after(place: &str, delay: Duration) -> Vec<RecordId> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "write_until_killed", "--ignored", "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this test runs");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let reader = std::thread::spawn(move || {
        // A pipe takes a line whole or not at all.
        let kept = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse().ok());
        kept.collect::<Vec<RecordId>>()
    });
    std::thread::sleep(delay);
    child.kill().expect("it was running");
    child.wait().expect("killed");
    reader.join().expect("read")
}

#[test]
fn acknowledged_records_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().to_str().expect("UTF-8");
    let (mut random, begun) = (7, Instant::now());
    let (mut acknowledged, mut unacknowledged, mut cut) = (0, 0, 0);
    let mut cursor = Cursor::default();
    for kill in 0..KILLS {
        // Some are killed before they have opened the session, most while they write.
        let kept = kill_after(place, Duration::from_micros(3_000 + next(&mut random) % 60_000));
        let store = SessionStore::at(place).expect("it is there");
        let records = store.records(&session(), &cursor).expect("listed");
        let by_id: BTreeMap<RecordId, Record> = records.iter().map(|it| (it.id, *it)).collect();
        for id in &kept {
            assert!(by_id.contains_key(id), "kill {kill}: {id} was acknowledged and is gone");
        }
        check_bytes(&store, &records);
        acknowledged += kept.len();
        unacknowledged += records.iter().filter(|it| it.kind != RecordKind::Opened).count() - kept.len();
        cut += u32::from(kept.is_empty());
        records.iter().for_each(|record| cursor.pass(record.id));
    }
    let all =
        SessionStore::at(place).expect("there").records(&session(), &Cursor::default()).expect("listed");
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{KILLS} kills in {seconds:.1} s: {acknowledged} records acknowledged and there, {unacknowledged} there that were not \
         acknowledged; {cut} killed before the first; {} in the end",
        all.len()
    );
    assert!(acknowledged > 100, "hardly anything was written: {acknowledged}");
}

fn check_bytes(store: &SessionStore, records: &[Record]) {
    let ids: Vec<RecordId> = records.iter().map(|record| record.id).collect();
    let whole = store.read(&session(), &ids).expect("readable");
    let summaries = store.summaries(&session(), &ids).expect("readable");
    for ((record, whole), summary) in records.iter().zip(whole).zip(summaries) {
        let summary = summary.expect("every summary is there");
        if record.kind == RecordKind::Opened {
            continue;
        }
        let entry = entry(record.id.epoch, record.id.seq);
        let len = usize::try_from(entry.summary_len).expect("small");
        assert_eq!(summary[..], entry.bytes[..len], "the summary of {}", record.id);
        if !record.is_thinned {
            assert_eq!(whole.expect("whole"), entry.bytes, "record {}", record.id);
        }
    }
}
